use std::{collections::BTreeMap, path::Path};

use domain::{Bar, Ticker};
use tables::{bar_columns, write_table};

use crate::cli::BarsArguments;

/// `tandem bars`: the bars of a file in Tandem's own layout.
pub(crate) fn run(arguments: &BarsArguments) -> anyhow::Result<()> {
    let bars = read_bars(&arguments.bars.bars)?;
    let rows = bars
        .iter()
        .flat_map(|(ticker, bars)| bars.iter().map(move |bar| (ticker, bar)));
    write_table(&arguments.output.out, bar_columns(rows))?;
    Ok(())
}

/// Reads bars and says on standard error what had to be cleaned.
pub(crate) fn read_bars(path: &Path) -> anyhow::Result<BTreeMap<Ticker, Vec<Bar>>> {
    let file = tables::read_bars(path)?;
    if !file.report.is_clean() {
        eprintln!("{}: {}", path.display(), file.report);
    }
    Ok(file.bars)
}
