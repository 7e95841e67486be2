//! The commands on the database, as a person calls them.

use std::{
    fmt::Write,
    path::Path,
    process::{Command, Output},
};

use sqlx::{ConnectOptions, PgPool};
use tempfile::TempDir;

fn tandem(pool: &PgPool, arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(arguments)
        .current_dir(folder)
        .env(
            "TANDEM_CONFIG",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/tandem.toml"),
        )
        .env(
            "DATABASE_URL",
            pool.connect_options().to_url_lossy().as_str(),
        )
        // Nobody listens there: a vendor that is away, at once.
        .env("TANDEM_VENDOR_ADDRESS", "127.0.0.1:9")
        .output()
        .unwrap()
}

fn said(pool: &PgPool, arguments: &[&str], folder: &Path) -> String {
    let output = tandem(pool, arguments, folder);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tandem {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(pool: &PgPool, arguments: &[&str], folder: &Path) -> String {
    let output = tandem(pool, arguments, folder);
    assert!(!output.status.success(), "tandem {arguments:?} succeeded");
    String::from_utf8(output.stderr).unwrap()
}

/// Two stocks for ten minutes of 2018-03-26, one bar before the open, and one row that is no bar.
fn bars(folder: &Path) {
    let mut text = String::from("ticker,ts,open,high,low,close,volume\n");
    for ticker in ["AAPL", "MSFT"] {
        writeln!(text, "{ticker},2018-03-26T13:29:00Z,100,101,99,100,10").unwrap();
        for minute in 30..40 {
            writeln!(
                text,
                "{ticker},2018-03-26T13:{minute}:00Z,100,101,99,100.25,1000"
            )
            .unwrap();
        }
    }
    text += "AAPL,2018-03-26T13:40:00Z,100,90,99,100,10\n";
    std::fs::write(folder.join("bars.csv"), text).unwrap();
}

const BACKFILL: [&str; 7] = [
    "backfill",
    "--from",
    "2018-03-26",
    "--to",
    "2018-03-26",
    "--source",
    "bars.csv",
];

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_is_brought_in_comes_out_again(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    bars(folder);
    let stored = said(&pool, &BACKFILL, folder);
    assert_eq!(stored, "20 bars stored, 0 revised, 0 known already\n");
    let again = said(&pool, &BACKFILL, folder);
    assert_eq!(again, "0 bars stored, 0 revised, 20 known already\n");

    let table = said(&pool, &["export", "--ticker", "MSFT"], folder);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 11);
    assert_eq!(
        lines[1],
        "MSFT,2018-03-26T13:30:00Z,100.0,101.0,99.0,100.25,1000"
    );
    said(&pool, &["export", "--format", "parquet"], folder);
    let read = bar_files::read_bars(&folder.join("bars.parquet")).unwrap();
    assert_eq!(read.report.kept(), 20);
    let none = said(&pool, &["export", "--from", "2018-03-27"], folder);
    assert_eq!(none.lines().count(), 1, "only the header: {none}");
    for (what, column) in [
        ("news", "first_seen"),
        ("economy", "available_at"),
        ("predictions", "transformer_up"),
    ] {
        let table = said(&pool, &["export", "--what", what], folder);
        assert!(table.contains(column), "{what}: {table}");
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_backfill_that_cannot_be_says_what_to_do(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    bars(folder);
    let old = refused(
        &pool,
        &["backfill", "--from", "2018-03-26", "--to", "2018-03-26"],
        folder,
    );
    assert!(old.contains("30 days") && old.contains("--source"), "{old}");
    let mut other_year = BACKFILL;
    (other_year[2], other_year[4]) = ("2017-03-26", "2017-03-26");
    let empty = refused(&pool, &other_year, folder);
    assert!(
        empty.contains("bars.csv holds no bars of regular sessions"),
        "{empty}"
    );
    let mut turned = BACKFILL;
    turned[2] = "2018-03-27";
    let turned = refused(&pool, &turned, folder);
    assert!(turned.contains("--from 2018-03-27 lies after"), "{turned}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_doctor_names_what_is_wrong_and_what_to_do(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let output = tandem(&pool, &["doctor"], folder.path());
    assert!(!output.status.success(), "no vendor answers");
    let lines = String::from_utf8(output.stdout).unwrap();
    let line = |what: &str| {
        lines
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(what))
            .map(str::to_owned)
            .unwrap_or_default()
    };
    assert!(line("settings").starts_with("ok"), "{lines}");
    assert!(line("database").starts_with("ok"), "{lines}");
    assert!(line("Yahoo").starts_with("BROKEN"), "{lines}");
    assert!(line("Yahoo").contains("TANDEM_VENDOR_ADDRESS"), "{lines}");
    assert!(line("Finnhub").contains("FINNHUB_API_KEY"), "{lines}");
    assert!(line("lstm").contains("trainer"), "{lines}");
}
