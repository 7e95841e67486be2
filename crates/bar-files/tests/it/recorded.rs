//! The recorded files of the shared folder.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use bar_files::{ReadOptions, Stamps, parse_zone, read_bars, read_bars_with};
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use domain::Ticker;
use flate2::read::GzDecoder;

fn shared(name: &str) -> Option<PathBuf> {
    test_support::shared(&format!("data/bars_1m/{name}"))
}

#[test]
fn counts_equal_the_recorded_statistics() {
    let Some(stats) = shared("STATS.csv") else {
        return;
    };
    let mut expected: BTreeMap<String, BTreeMap<String, (usize, String, String)>> = BTreeMap::new();
    for row in csv::Reader::from_path(stats).unwrap().records() {
        let row = row.unwrap();
        let file = row[0].trim_start_matches("bars_1m/").to_owned();
        let bars = (
            row[4].parse().unwrap(),
            row[2].to_owned(),
            row[3].to_owned(),
        );
        expected
            .entry(file)
            .or_default()
            .insert(row[1].to_owned(), bars);
    }
    assert!(expected.len() >= 7, "{expected:?}");
    for (name, expected) in expected {
        let Some(path) = shared(&name) else { return };
        let started = Instant::now();
        let file = read_bars(&path).unwrap();
        eprintln!("{name}: {} in {:?}", file.report, started.elapsed());
        assert!(file.report.is_clean(), "{name}: {}", file.report);
        let minute = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M").to_string();
        let found: BTreeMap<String, (usize, String, String)> = file
            .bars
            .iter()
            .map(|(ticker, bars)| {
                let (first, last) = (bars.first().unwrap().start, bars.last().unwrap().start);
                (
                    ticker.to_string(),
                    (bars.len(), minute(first), minute(last)),
                )
            })
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_standard_replay_is_read_in_well_under_a_second() {
    let Some(path) = shared("us20_2018-02-16_2018-03-29.csv.gz") else {
        return;
    };
    let fastest = (0..3)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(read_bars(&path).unwrap().report.kept(), 226_081);
            started.elapsed()
        })
        .min()
        .unwrap();
    eprintln!("226081 rows in {fastest:?}");
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

#[test]
fn the_layout_as_found_is_read_once_its_stock_zone_and_stamps_are_named() {
    let Some(path) = shared("dirty_DIS_2018_asfound.csv.gz") else {
        return;
    };
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(
        error.contains("has no column ticker: found date, ToD, open"),
        "{error}"
    );
    let mut options = ReadOptions {
        ticker: Ticker::parse("DIS").ok(),
        zone: parse_zone("America/New_York").ok(),
        ..ReadOptions::default()
    };
    let mut file = read_bars_with(&path, &options).unwrap();
    let error = file
        .keep_regular_sessions(&path, calendar::nyse())
        .unwrap_err();
    assert!(error.to_string().ends_with("add --stamps end"), "{error}");

    options.stamps = Stamps::End;
    let mut file = read_bars_with(&path, &options).unwrap();
    file.keep_regular_sessions(&path, calendar::nyse()).unwrap();
    eprintln!("{}", file.report);
    assert_eq!((file.report.rows, file.report.duplicates), (21_074, 3_903));
    assert!(file.report.outside.values().sum::<usize>() < 100);
}

#[test]
fn the_dirty_file_is_cleaned_once_its_columns_are_named() {
    let Some(path) = shared("dirty_DIS_2018_asfound.csv.gz") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path().join("DIS.csv");
    let mut out = fs::File::create(&renamed).unwrap();
    writeln!(out, "ticker,ts,open,high,low,close,volume").unwrap();
    for line in BufReader::new(GzDecoder::new(fs::File::open(path).unwrap()))
        .lines()
        .skip(1)
    {
        let line = line.unwrap();
        let cells: Vec<&str> = line.splitn(3, ',').collect();
        let label = NaiveDateTime::parse_from_str(
            &format!("{} {}", cells[0], cells[1]),
            "%Y-%m-%d %H:%M:%S",
        )
        .unwrap();
        // Only the order matters here, so the wall clock stands in for UTC.
        let start = Utc.from_utc_datetime(&label) - TimeDelta::minutes(1);
        writeln!(out, "DIS,{},{}", start.to_rfc3339(), cells[2]).unwrap();
    }
    drop(out);
    let file = read_bars(&renamed).unwrap();
    let report = &file.report;
    eprintln!("{report}");
    assert_eq!(
        (report.rows, report.duplicates, report.overruled),
        (21_074, 3_903, 0)
    );
    assert!(report.out_of_order > 0);
    assert_eq!(
        report.kept(),
        file.bars.values().map(Vec::len).sum::<usize>()
    );
    assert!(
        file.bars
            .values()
            .all(|bars| bars.is_sorted_by(|earlier, later| earlier.start < later.start))
    );
}
