//! The research commands: files in, tables out.

pub(crate) mod calendar;
mod context;
mod economy;
pub(crate) mod evaluate;
pub(crate) mod features;
pub(crate) mod label;
mod models;
pub(crate) mod predict;
pub(crate) mod train;

use std::{collections::BTreeMap, path::Path};

use domain::{Bar, Ticker};

/// Reads bars and says on standard error what had to be cleaned.
fn read_bars(path: &Path) -> anyhow::Result<BTreeMap<Ticker, Vec<Bar>>> {
    let file = bar_files::read_bars(path)?;
    if !file.report.is_clean() {
        eprintln!("{}: {}", path.display(), file.report);
    }
    Ok(file.bars)
}
