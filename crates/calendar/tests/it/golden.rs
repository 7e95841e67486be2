use std::{env, fs::File, path::PathBuf};

use calendar::{Session, nyse};
use chrono::NaiveDate;
use flate2::read::GzDecoder;

/// The shared reference data, or a note that they are absent.
fn golden(name: &str) -> Option<File> {
    let shared = env::var_os("TANDEM_SHARED_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = shared.join("golden").join(name);
    match File::open(&path) {
        Ok(file) => Some(file),
        Err(error) => {
            eprintln!("skipped: {} is not there ({error})", path.display());
            None
        }
    }
}

#[test]
fn every_session_equals_exchange_calendars() {
    let Some(file) = golden("nyse_sessions_2005_2027.csv.gz") else {
        return;
    };
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    let expected: Vec<Session> = reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            Session {
                date: record[0].parse().unwrap(),
                open: record[1].parse().unwrap(),
                close: record[2].parse().unwrap(),
                early_close: &record[3] == "1",
            }
        })
        .collect();
    assert!(expected.len() > 5_700, "{} rows", expected.len());

    // From the first day of the file's first year, so that a session too many before its first row shows as well.
    let first = NaiveDate::from_ymd_opt(2005, 1, 1).unwrap();
    let actual = nyse().sessions(first, expected.last().unwrap().date);
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual.len(), expected.len());
}
