use std::fs::File;

use calendar::{Session, nyse};
use chrono::NaiveDate;
use flate2::read::GzDecoder;

#[test]
fn every_session_equals_exchange_calendars() {
    let Some(path) = test_support::shared("golden/nyse_sessions_2005_2027.csv.gz") else {
        return;
    };
    let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(path).unwrap()));
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
