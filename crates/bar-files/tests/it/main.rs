//! Reading files of bars.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod read;
mod recorded;
mod sessions;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

const HEADER: &str = "ticker,ts,open,high,low,close,volume\n";

/// Writes `HEADER` and the rows to a file in the folder.
fn csv_file(folder: &Path, rows: &str) -> PathBuf {
    let path = folder.join("bars.csv");
    std::fs::write(&path, format!("{HEADER}{rows}")).unwrap();
    path
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
