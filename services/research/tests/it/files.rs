//! Files as people have them: every command reads them by one reader, says what it left out, and refuses what is not
//! what it was taken for.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use crate::commands::tandem;

/// What a command says to a file of the folder: its table and its words.
struct Runner {
    folder: PathBuf,
}

impl Runner {
    fn new() -> Option<Self> {
        let folder = test_support::shared("faults/inputs")?;
        Some(Self { folder })
    }

    fn run(&self, command: &[&str], name: &str, options: &[&str]) -> Output {
        let file = self.folder.join(name);
        let bars = ["--bars", &*file.to_string_lossy()].map(str::to_owned);
        let arguments: Vec<&str> = command
            .iter()
            .copied()
            .chain(bars.iter().map(String::as_str))
            .chain(options.iter().copied())
            .collect();
        tandem(&arguments)
    }

    fn written(&self, command: &[&str], name: &str, options: &[&str]) -> (String, String) {
        let output = self.run(command, name, options);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{command:?} {name}: {words}");
        (String::from_utf8(output.stdout).unwrap(), words)
    }

    fn refused(&self, command: &[&str], name: &str, options: &[&str]) -> String {
        let output = self.run(command, name, options);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?} {name}: {words}");
        assert!(!words.contains("panicked"), "{words}");
        words
    }
}

const NEW_YORK: [&str; 2] = ["--zone", "America/New_York"];
const APPLE: [&str; 2] = ["--ticker", "AAPL"];

/// Each holds the bars of `base_2_sessions.csv`, so that their labels are the same.
#[test]
fn every_layout_and_time_form_gives_the_same_labels() {
    let Some(runner) = Runner::new() else { return };
    let (base, words) = runner.written(&["label"], "base_2_sessions.csv", &[]);
    assert_eq!(base.lines().count(), 1 + 718);
    assert!(
        words.contains("base_2_sessions.csv: 780 rows read, 780 kept\n"),
        "{words}"
    );
    for (name, options, said) in [
        ("layout_alpaca.csv", &[][..], "layout of alpaca"),
        (
            "layout_alpaca.csv",
            &["--layout", "alpaca"],
            "layout of alpaca",
        ),
        (
            "layout_alphavantage_newest_first.csv",
            &APPLE,
            "layout of alphavantage, times without a zone in America/New_York",
        ),
        ("layout_capital_headers.csv", &[], "780 kept"),
        ("layout_polygon_flatfile.csv", &[], "layout of polygon"),
        (
            "layout_qlib.csv",
            &[],
            "layout of qlib, times without a zone in America/New_York",
        ),
        (
            "layout_stooq.txt",
            &[],
            "layout of stooq, times without a zone in America/New_York",
        ),
        ("layout_yfinance_multiindex.csv", &[], "layout of yfinance"),
        ("layout_yfinance_single.csv", &APPLE, "layout of yfinance"),
        ("time_basic_offset.csv", &[], "780 kept"),
        ("time_epoch_ms.csv", &[], "780 kept"),
        ("time_epoch_ns.csv", &[], "780 kept"),
        ("time_epoch_s.csv", &[], "780 kept"),
        ("time_ibkr.csv", &[], "780 kept"),
        ("time_millis_z.csv", &[], "780 kept"),
        ("time_naive.csv", &NEW_YORK, "780 kept"),
        ("time_no_seconds.csv", &[], "780 kept"),
        ("time_space_offset.csv", &[], "780 kept"),
        ("time_space_utc.csv", &[], "780 kept"),
        ("time_us_slashes.csv", &NEW_YORK, "780 kept"),
        ("order_newest_first.csv", &[], "779 sorted into place"),
        ("excel_bom_crlf.csv", &[], "780 kept"),
        (
            "header_twice.csv",
            &[],
            "1561 rows read, 780 kept; left out: 1 that repeat the header, 780 duplicates",
        ),
        (
            "duplicate_minute_provisional_later.csv",
            &[],
            "1 overruled by a fuller row",
        ),
        (
            "duplicate_minute_empty_first.csv",
            &[],
            "1 with an empty cell",
        ),
        ("parquet_ts_naive_newyork.parquet", &NEW_YORK, "780 kept"),
        ("parquet_decimal_prices.parquet", &[], "780 kept"),
        ("parquet_unused_decimal_column.parquet", &[], "780 kept"),
        ("parquet_volume_uint16.parquet", &[], "780 kept"),
        ("parquet_codec_snappy.parquet", &[], "780 kept"),
    ] {
        let (labels, words) = runner.written(&["label"], name, options);
        assert!(words.contains(said), "{name}: {words}");
        assert!(labels == base, "{name}: other labels; {words}");
    }
}

#[test]
fn separators_and_number_styles_give_the_same_bars() {
    let Some(runner) = Runner::new() else { return };
    let (base, _) = runner.written(&["bars"], "base_2_sessions.csv", &[]);
    let first: Vec<&str> = base.lines().take(41).collect();
    for name in [
        "excel_bom_semicolon_comma.csv",
        "excel_utf16.csv",
        "tabs.csv",
    ] {
        let (bars, words) = runner.written(&["bars"], name, &[]);
        assert_eq!(bars.lines().collect::<Vec<_>>(), first, "{name}: {words}");
    }
    let (bars, _) = runner.written(&["bars"], "thousands_separators.csv", &[]);
    assert_eq!(
        bars.lines().nth(1),
        Some("AAPL,2018-02-20T14:30:00Z,1300.06,1300.06,1299.97,1300.03,35439")
    );
}

#[test]
fn what_is_not_what_it_was_taken_for_is_refused_by_every_command() {
    let Some(runner) = Runner::new() else { return };
    let models = tempfile::tempdir().unwrap();
    let out = models.path().join("models").to_string_lossy().into_owned();
    let label = ["label"];
    let features = ["features"];
    let train = ["train", "--out", &out];
    let bars = ["bars"];
    for (name, words) in [
        ("interval_5min_as_1min.csv.gz", "AAPL are 5 minutes apart"),
        (
            "zone_newyork_wallclock_marked_utc.csv.gz",
            "2400 of 3120 rows lie outside regular sessions",
        ),
        (
            "coin_24_7.csv.gz",
            "3930 of 4320 rows lie outside regular sessions",
        ),
        ("parquet_ts_naive_newyork.parquet", "give it by --zone"),
        ("parquet_ts_naive_newyork_8.parquet", "give it by --zone"),
        (
            "time_naive.csv",
            "a time without a zone; give the zone by --zone",
        ),
        (
            "layout_yfinance_single.csv",
            "name its stock by --ticker SYMBOL",
        ),
        ("empty.csv", "is empty"),
        ("empty_inside.csv.gz", "is empty"),
        ("parquet_cut.parquet", "failed to read"),
    ] {
        for command in [&label[..], &features, &train, &bars] {
            let refused = runner.refused(command, name, &[]);
            assert!(refused.contains(words), "{command:?} {name}: {refused}");
        }
    }
}

#[test]
fn extended_hours_are_left_out_and_counted() {
    let Some(runner) = Runner::new() else { return };
    let indicators = ["features", "--indicators"];
    let (base, _) = runner.written(&indicators, "base_8_sessions.csv.gz", &[]);
    let (mixed, words) = runner.written(&indicators, "extended_hours_mixed.csv.gz", &[]);
    assert!(
        words.contains(
            "4640 rows read, 3120 kept; left out: 1520 in pre-market or after-hours trading"
        ),
        "{words}"
    );
    assert_eq!(base.lines().count(), 1 + 3_120);
    assert!(
        mixed == base,
        "other indicators than those of the regular session"
    );
}

#[test]
fn an_empty_table_says_why() {
    let Some(runner) = Runner::new() else { return };
    let (labels, words) = runner.written(&["label"], "only_header.csv", &[]);
    assert_eq!(labels.lines().count(), 1);
    assert!(
        words.contains("only_header.csv: 0 rows read, 0 kept"),
        "{words}"
    );
}

/// Bars of one session as a table of the layout `ticker,ts,...`, each stamped by `stamp` minutes later than its start.
fn session(path: &Path, stamp: u32) {
    let mut text = String::from("ticker,ts,open,high,low,close,volume\n");
    for minute in 570 + stamp..960 + stamp {
        let (hour, minute) = (minute / 60, minute % 60);
        text += &format!("AAPL,2018-02-20T{hour:02}:{minute:02}:00-05:00,10,11,9,10,100\n");
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn stamps_at_the_end_are_refused_and_read_when_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let runner = Runner {
        folder: folder.path().to_owned(),
    };
    session(&folder.path().join("start.csv"), 0);
    session(&folder.path().join("end.csv"), 1);
    let words = runner.refused(&["bars"], "end.csv", &[]);
    assert!(
        words.contains("stamped at their end") && words.contains("--stamps end"),
        "{words}"
    );
    let (moved, _) = runner.written(&["bars"], "end.csv", &["--stamps", "end"]);
    let (bars, _) = runner.written(&["bars"], "start.csv", &[]);
    assert_eq!(moved, bars);
    let bad = runner.run(&["bars"], "start.csv", &["--zone", "Mars/Olympus"]);
    let words = String::from_utf8(bad.stderr).unwrap();
    assert!(words.contains("expected the name of a zone"), "{words}");
}
