//! The commands on the database, as a person calls them.

use std::{
    fmt::Write,
    path::Path,
    process::{Command, Output},
};

use domain::{MacroObservation, SeriesId};
use sqlx::{ConnectOptions, PgPool};
use tempfile::TempDir;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/tandem.toml");

pub(crate) fn tandem(pool: &PgPool, arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem-research"))
        .args(arguments)
        .current_dir(folder)
        .env("TANDEM_CONFIG", CONFIG)
        .env(
            "DATABASE_URL",
            pool.connect_options().to_url_lossy().as_str(),
        )
        // Nobody listens there: a vendor that is away, at once.
        .env("TANDEM_VENDOR_ADDRESS", "127.0.0.1:9")
        .output()
        .unwrap()
}

pub(crate) fn said(pool: &PgPool, arguments: &[&str], folder: &Path) -> String {
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
    let read = tables::read_bars(&folder.join("bars.parquet")).unwrap();
    assert_eq!(read.report.kept(), 20);
    for (arguments, reason) in [
        (
            &["--from", "2018-03-27"][..],
            "no bars are stored from 2018-03-27\n",
        ),
        (&["--ticker", "NOPE"], "no bars of NOPE are stored\n"),
        (
            &["--ticker", "BRK.B"],
            "no bars of BRK.B are stored; is BRK-B meant?\n",
        ),
        (&["--what", "economy"], "no economic figures are stored\n"),
    ] {
        let none = tandem(&pool, &[&["export"], arguments].concat(), folder);
        let errors = String::from_utf8(none.stderr).unwrap();
        assert!(none.status.success() && errors.contains(reason), "{errors}");
        let table = String::from_utf8(none.stdout).unwrap();
        assert_eq!(table.lines().count(), 1, "only the header: {table}");
    }
    for (what, column) in [("news", "first_seen"), ("predictions", "transformer_up")] {
        let table = said(&pool, &["export", "--what", what], folder);
        assert!(table.contains(column), "{what}: {table}");
    }
}

/// What is stored is where a file has to go on.
#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_file_at_another_level_than_what_is_stored_is_named(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    bars(folder);
    said(&pool, &BACKFILL, folder);
    let next_day = std::fs::read_to_string(folder.join("bars.csv"))
        .unwrap()
        .replace("2018-03-26", "2018-03-27");
    let backfill = |text: &str| {
        std::fs::write(folder.join("bars.csv"), text).unwrap();
        let mut command = BACKFILL;
        (command[2], command[4]) = ("2018-03-27", "2018-03-27");
        let output = tandem(&pool, &command, folder);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}");
        errors
    };
    let errors = backfill(&next_day.replace(",100,101,99,100.25,", ",700,701,699,700.25,"));
    assert!(
        errors.contains("AAPL 2018-03-27 13:30 UTC: the price goes on at 700.25 after 100.25"),
        "{errors}"
    );
    let errors = backfill(&next_day);
    assert!(!errors.contains("goes on at"), "{errors}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn every_vintage_of_the_economic_series_comes_out(pool: PgPool) {
    let observation = |series: &str, period: &str, available_at: &str, value| MacroObservation {
        series: SeriesId::parse(series).unwrap(),
        period: period.parse().unwrap(),
        available_at: available_at.parse().unwrap(),
        value: Some(value),
    };
    let stored = [
        observation("GDP", "2018-01-01", "2018-04-27T12:30:00Z", 2.3),
        observation("GDP", "2018-01-01", "2018-05-30T12:30:00Z", 2.2),
        observation("VIXCLS", "2018-05-01", "2018-05-02T13:00:00Z", 15.49),
    ];
    storage::store_observations(&pool, &stored, "test")
        .await
        .unwrap();
    let folder = TempDir::new().unwrap();
    let export = ["export", "--what", "economy", "--from", "2018-05-01"];
    assert_eq!(
        said(&pool, &export, folder.path()),
        "series,date,value,available_at\n\
         VIXCLS,2018-05-01,15.49,2018-05-02T13:00:00Z\n\
         GDP,2018-01-01,2.2,2018-05-30T12:30:00Z\n"
    );
    let all = said(&pool, &export[..3], folder.path());
    assert_eq!(all.lines().count(), 4, "{all}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_database_of_a_state_folder_is_used(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    bars(folder);
    said(&pool, &BACKFILL, folder);
    let market = folder.join("state/replay_1");
    std::fs::create_dir_all(&market).unwrap();
    let environment = serde_json::json!({
        "DATABASE_URL": pool.connect_options().to_url_lossy().to_string(),
        "TANDEM_VENDOR_ADDRESS": "127.0.0.1:9",
    });
    std::fs::write(market.join("environment.json"), environment.to_string()).unwrap();
    let elsewhere = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_tandem-research"))
            .args(arguments)
            .current_dir(folder)
            .env("TANDEM_CONFIG", CONFIG)
            .env("DATABASE_URL", "postgres://127.0.0.1:9/nowhere")
            .output()
            .unwrap()
    };
    let exported = elsewhere(&["export", "--state-dir", "state", "--ticker", "AAPL"]);
    let errors = String::from_utf8(exported.stderr).unwrap();
    assert!(exported.status.success(), "{errors}");
    assert!(errors.contains("does not run"), "{errors}");
    let table = String::from_utf8(exported.stdout).unwrap();
    assert_eq!(table.lines().count(), 11, "{table}");
    let again = elsewhere(&[&BACKFILL[..], &["--state-dir=state"]].concat());
    assert_eq!(
        String::from_utf8(again.stdout).unwrap(),
        "0 bars stored, 0 revised, 20 known already\n"
    );
    // Its vendors are simulated, and nothing simulates them at the moment.
    let asked = elsewhere(&[&BACKFILL[..5], &["--state-dir", "state"]].concat());
    assert!(!asked.status.success());
    let errors = String::from_utf8(asked.stderr).unwrap();
    assert!(errors.contains("start it first"), "{errors}");
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
