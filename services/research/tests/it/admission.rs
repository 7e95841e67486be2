//! Bars and figures of files pass what a vendor's pass, and what is left out is said.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, SeriesId, Ticker};
use features::{Context, MacroEvent, TickerContext};
use ingestion::{Admitted, admit};
use market_data::{FredObservation, MinuteRequest, parse_minute_chart};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::{
    commands::{refused, rows, tandem, written},
    database,
};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The path of a file with a fault.
fn input(name: &str) -> Option<String> {
    let path = test_support::shared(&format!("faults/inputs/{name}"))?;
    Some(path.to_string_lossy().into_owned())
}

/// Its text, unpacked.
fn text(name: &str) -> Option<String> {
    let path = input(name)?;
    if !path.ends_with(".gz") {
        return Some(std::fs::read_to_string(path).unwrap());
    }
    let unpacked = Command::new("gzip").args(["-dc", &path]).output().unwrap();
    Some(String::from_utf8(unpacked.stdout).unwrap())
}

/// The base file without the rows at some times.
fn base_without(folder: &Path, times: &[&str]) -> Option<String> {
    let base = text("base_8_sessions.csv.gz")?;
    let kept = |line: &&str| !times.iter().any(|time| line.contains(time));
    let lines: Vec<&str> = base.lines().filter(kept).collect();
    let path = folder.join("base.csv");
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    Some(path.to_string_lossy().into_owned())
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_bad_tick_in_a_file_is_left_out_and_named() {
    let folder = TempDir::new().unwrap();
    let Some(base) = base_without(folder.path(), &["2018-02-22T17:50:00Z"]) else {
        return;
    };
    for name in ["price_100x_one_bar.csv.gz", "price_100x_high_only.csv.gz"] {
        let Some(bars) = input(name) else { return };
        for command in ["label", "features"] {
            assert_eq!(
                written(&[command, "--bars", &bars]),
                written(&[command, "--bars", &base]),
                "{command} of {name}"
            );
            let errors = said(&tandem(&[command, "--bars", &bars]));
            assert!(
                errors.contains("AAPL 2018-02-22 17:50 UTC: the price steps by more than half"),
                "{errors}"
            );
        }
    }
}

#[test]
fn another_company_under_the_ticker_is_another_history() {
    let Some(bars) = input("ticker_reused_by_another_company.csv.gz") else {
        return;
    };
    let labels = tandem(&["label", "--bars", &bars]);
    let errors = said(&labels);
    let named = "META 2018-02-26 14:30 UTC: the price goes on at 182.43 after 11.72";
    assert!(errors.contains(named), "{errors}");
    let labels = String::from_utf8(labels.stdout).unwrap();
    // Both histories wait for sixty returns of their own.
    let first =
        |date: &str| rows(&labels).find(|row| row[1].starts_with(date)).unwrap()[1].to_owned();
    assert_eq!(first("2018-02-20"), "2018-02-20T15:30:00Z");
    assert_eq!(first("2018-02-26"), "2018-02-26T15:30:00Z");
    // Four sessions each: none warms up on the other's.
    let features = tandem(&["features", "--bars", &bars]);
    let errors = said(&features);
    assert_eq!(
        String::from_utf8(features.stdout).unwrap().lines().count(),
        1
    );
    assert!(errors.contains(named), "{errors}");
    assert!(
        errors.contains("no rows: features begin after 5 whole sessions"),
        "{errors}"
    );
    // Nor does an indicator.
    let indicators = written(&["features", "--indicators", "--bars", &bars]);
    let row = rows(&indicators)
        .find(|row| row[1] == "2018-02-26T14:40:00Z")
        .unwrap();
    assert!(row[2].is_empty(), "{row:?}");
}

#[test]
fn a_hole_is_named_and_nothing_reaches_across() {
    let Some(bars) = input("hole_four_hours.csv.gz") else {
        return;
    };
    let labels = tandem(&["label", "--bars", &bars]);
    let errors = said(&labels);
    assert!(
        errors.contains("AAPL: 240 minutes of trading are missing from 2018-02-22 15:30 UTC"),
        "{errors}"
    );
    let labels = String::from_utf8(labels.stdout).unwrap();
    for row in rows(&labels) {
        let distance = time(row[3]) - time(row[1]);
        assert!(distance <= TimeDelta::minutes(30), "{row:?}");
    }
    let indicators = written(&["features", "--indicators", "--bars", &bars]);
    let row = rows(&indicators)
        .find(|row| row[1] == "2018-02-22T19:30:00Z")
        .unwrap();
    let with_values = row[2..].iter().filter(|value| !value.is_empty()).count();
    assert_eq!(with_values, 1, "all but OBV begin anew: {row:?}");
}

#[test]
fn indicators_use_regular_bars_as_features_and_labels_do() {
    let (Some(mixed), Some(base)) = (
        input("extended_hours_mixed.csv.gz"),
        input("base_8_sessions.csv.gz"),
    ) else {
        return;
    };
    for command in [
        &["features", "--indicators"][..],
        &["features"],
        &["label"],
        &["label", "--path", "close"],
    ] {
        let of = |bars: &str| written(&[command, &["--bars", bars]].concat());
        let rows = of(&base);
        assert_eq!(of(&mixed), rows, "{command:?}");
        if command.contains(&"--indicators") {
            assert_eq!(rows.lines().count(), 1 + 3_120);
        }
    }
}

#[test]
fn the_first_values_of_indicators_are_their_own() {
    let Some(bars) = input("halt_80_minutes_padded.csv") else {
        return;
    };
    let indicators = written(&["features", "--indicators", "--bars", &bars]);
    let header: Vec<&str> = indicators.lines().next().unwrap().split(',').collect();
    let first = |name: &str| {
        let column = header.iter().position(|other| *other == name).unwrap();
        let row = rows(&indicators)
            .position(|row| !row[column].is_empty())
            .unwrap();
        let value: f64 = rows(&indicators).nth(row).unwrap()[column].parse().unwrap();
        (row, value)
    };
    // By Wilder's own sums over the file's first bars.
    for (name, row, right) in [("rsi_14", 14, 47.311_828), ("adx_14", 27, 5.524_176)] {
        let (found, value) = first(name);
        assert_eq!(found, row, "{name}");
        assert!((value - right).abs() < 1e-5, "{name} begins with {value}");
    }
    for row in rows(&indicators) {
        for (name, value) in header.iter().zip(&row) {
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            let range = match *name {
                "rsi_14" | "adx_14" | "mfi_14" | "stoch_k" | "stoch_d" => 0.0..=100.0,
                "willr_14" => -100.0..=0.0,
                _ => continue,
            };
            assert!(range.contains(&value), "{name} is {value}");
        }
    }
}

#[test]
fn of_a_minute_that_comes_twice_the_fuller_row_counts() {
    for name in [
        "duplicate_minute_provisional_later.csv",
        "duplicate_minute_empty_first.csv",
    ] {
        let Some(bars) = input(name) else { return };
        let bars = written(&["bars", "--bars", &bars]);
        let minute: Vec<_> = rows(&bars)
            .filter(|row| row[1] == "2018-02-20T16:10:00Z")
            .collect();
        assert_eq!(minute.len(), 1, "{name}");
        assert_eq!(minute[0][6], "15924", "{name}");
    }
}

/// The two models that come with the checkout.
const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo");

#[test]
fn a_window_of_no_numbers_is_named_and_the_others_go_on() {
    for (name, what) in [("windows_nan.npy", "NaN"), ("windows_inf.npy", "inf")] {
        let Some(inputs) = input(name) else { return };
        let output = tandem(&["predict", "--models", MODELS, "--inputs", &inputs]);
        let errors = said(&output);
        assert!(output.status.success(), "{errors}");
        assert!(
            errors.contains(": window ") && errors.contains("is left out: feature "),
            "{errors}"
        );
        assert!(
            errors.contains(what) && errors.contains("1 of 3 windows left out"),
            "{errors}"
        );
        let written = String::from_utf8(output.stdout).unwrap();
        assert_eq!(rows(&written).count(), 2 * 2, "{written}");
        for row in rows(&written) {
            let sum: f64 = row[2..]
                .iter()
                .map(|value| value.parse::<f64>().unwrap())
                .sum();
            assert!((sum - 1.0).abs() < 1e-5, "{row:?}");
        }
    }
}

#[test]
fn an_empty_result_says_why() {
    let Some(few) = input("new_listing_3_sessions.csv.gz") else {
        return;
    };
    let header = input("only_header.csv").unwrap();
    let without_rows = |arguments: &[&str], reason: &str| {
        let output = tandem(arguments);
        let errors = said(&output);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        assert_eq!(
            output.stdout.iter().filter(|byte| **byte == b'\n').count(),
            1
        );
        assert!(errors.contains(reason), "{arguments:?}: {errors}");
    };
    let three = "NEWCO has 1170 bars of 3 sessions";
    without_rows(&["features", "--bars", &few], three);
    without_rows(&["predict", "--models", MODELS, "--bars", &few], three);
    let folder = TempDir::new().unwrap();
    let short = folder.path().join("short.csv");
    let lines: Vec<String> = text("new_listing_3_sessions.csv.gz")
        .unwrap()
        .lines()
        .take(41)
        .map(str::to_owned)
        .collect();
    std::fs::write(&short, lines.join("\n") + "\n").unwrap();
    let short = short.to_string_lossy().into_owned();
    let forty = "a label needs 60 one-minute returns";
    without_rows(&["label", "--bars", &short], forty);
    without_rows(
        &["label", "--bars", &short],
        "NEWCO has 40 bars of 1 sessions",
    );
    for command in ["label", "features"] {
        let output = tandem(&[command, "--bars", &header]);
        assert!(
            said(&output).contains("no rows: there is no bar"),
            "{command}"
        );
    }
    without_rows(
        &["calendar", "--from", "2018-03-24", "--to", "2018-03-25"],
        "the exchange is closed from 2018-03-24 to 2018-03-25",
    );
    let turned = refused(&["calendar", "--from", "2018-12-31", "--to", "2018-01-01"]);
    assert!(
        turned.contains("--from 2018-12-31 lies after --to 2018-01-01"),
        "{turned}"
    );
}

#[test]
fn figures_are_dated_or_refused_with_the_reason() {
    let Some(bars) = input("base_8_sessions.csv.gz") else {
        return;
    };
    let features = |economy: &str| {
        let economy = input(economy).unwrap();
        tandem(&["features", "--bars", &bars, "--economy", &economy])
    };
    // The volatility index of 2018-02-15, 19.1, is known on 02-16; of that day's 19.5 where the file has it.
    let vix = |economy: &str| {
        let output = features(economy);
        assert!(output.status.success(), "{economy}: {}", said(&output));
        let table = String::from_utf8(output.stdout).unwrap();
        let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
        let column = header.iter().position(|name| *name == "vix").unwrap();
        rows(&table).next().unwrap()[column].parse::<f64>().unwrap()
    };
    for (economy, right) in [
        ("economy_ok.csv", 19.5_f64),
        ("economy_excel_na.csv", 19.5),
        ("economy_nan.csv", 19.1),
        ("economy_fredgraph_wide.csv", 19.1),
        ("economy_fredgraph_old_header.csv", 19.1),
    ] {
        let found = vix(economy);
        assert!(
            (found - (right / 20.0).ln()).abs() < 1e-6,
            "{economy}: {found}"
        );
    }
    for economy in [
        "economy_available_at_date_only.csv",
        "economy_realtime_columns.csv",
        "economy_vintage_columns.csv",
        "economy_nd.csv",
        "economy_negative_rate.csv",
    ] {
        let output = features(economy);
        assert!(output.status.success(), "{economy}: {}", said(&output));
    }
    let output = features("economy_us_dates.csv");
    let errors = said(&output);
    assert!(!output.status.success());
    assert!(
        errors.contains("date is \"2/15/2018\", expected such as 2018-02-15"),
        "{errors}"
    );
}

/// A row as files and vendors have it; `None` is nothing.
#[derive(Clone, Copy)]
struct Row {
    start: DateTime<Utc>,
    values: [Option<f64>; 5],
}

/// Seven sessions of a stock with what goes wrong: a bad tick, a minute twice, one without values, one that rounding
/// left outside its range, one that is no bar, trading before the open, and a hole.
fn dirty() -> Vec<Row> {
    let sessions =
        calendar::nyse().sessions("2018-02-20".parse().unwrap(), "2018-02-28".parse().unwrap());
    let mut rows = Vec::new();
    let mut seed = 5_u64;
    let mut draw = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f64 / f64::from(1_u32 << 24) - 0.5
    };
    let cents = |price: f64| (price * 100.0).round() / 100.0;
    let mut price = 100.0;
    for session in sessions {
        for minute in -3..i64::from(session.minutes()) {
            let open = cents(price);
            price *= 1.0 + 0.002 * draw();
            let close = cents(price);
            let (high, low) = (open.max(close) + 0.02, open.min(close) - 0.02);
            let volume = (1_000.0 + 800.0 * draw()).round();
            rows.push(Row {
                start: session.open + TimeDelta::minutes(minute),
                values: [open, cents(high), cents(low), close, volume].map(Some),
            });
        }
    }
    let day = 393;
    let of = |rows: &mut Vec<Row>, place: usize, change: &dyn Fn(&mut [Option<f64>; 5])| {
        change(&mut rows[place].values);
    };
    of(&mut rows, 2 * day + 100, &|values| {
        *values = values.map(|value| value.map(|value| value * 100.0));
    });
    of(&mut rows, 3, &|values| {
        values[1] = values[1].map(|high| high * 50.0)
    });
    of(&mut rows, day + 50, &|values| *values = [None; 5]);
    of(&mut rows, day + 60, &|values| values[1] = None);
    of(&mut rows, day + 70, &|values| {
        if let [Some(open), _, _, Some(close), _] = *values {
            values[1] = Some(cents(open.max(close) - 0.01));
        }
    });
    let mut provisional = rows[3 * day + 80];
    provisional.values[4] = Some(6.0);
    provisional.values[3] = provisional.values[0];
    rows.insert(3 * day + 81, provisional);
    rows.drain(5 * day + 100..5 * day + 140);
    rows
}

fn csv(rows: &[Row], folder: &Path) -> PathBuf {
    let mut text = String::from("ticker,ts,open,high,low,close,volume\n");
    for row in rows {
        write!(text, "AAPL,{}", row.start.format("%Y-%m-%dT%H:%M:%SZ")).unwrap();
        for value in row.values {
            text += ",";
            if let Some(value) = value {
                write!(text, "{value}").unwrap();
            }
        }
        text += "\n";
    }
    let path = folder.join("dirty.csv");
    std::fs::write(&path, text).unwrap();
    path
}

/// The same rows as Yahoo's answer, through its reader and the admission.
fn from_vendor(rows: &[Row]) -> Admitted {
    let column = |place: usize| {
        let values = rows.iter().map(|row| row.values[place]);
        values.collect::<Vec<Option<f64>>>()
    };
    let chart = serde_json::json!({ "chart": { "error": null, "result": [{
        "meta": {
            "currency": "USD", "symbol": "AAPL", "instrumentType": "EQUITY", "dataGranularity": "1m",
        },
        "timestamp": rows.iter().map(|row| row.start.timestamp()).collect::<Vec<_>>(),
        "indicators": { "quote": [{
            "open": column(0), "high": column(1), "low": column(2), "close": column(3), "volume": column(4),
        }] },
    }] } });
    let request = MinuteRequest {
        ticker: Ticker::parse("AAPL").unwrap(),
        start: rows[0].start,
        end: rows[rows.len() - 1].start,
        as_of: time("2018-03-01T12:00:00Z"),
        grace: TimeDelta::seconds(1),
    };
    let is_regular = |time| calendar::nyse().session_at(time).is_some();
    let fetched = parse_minute_chart(chart.to_string().as_bytes(), &request, is_regular).unwrap();
    assert_eq!(fetched.rejected.len(), 1, "the row without its high");
    admit(None, fetched.closed)
}

fn as_text(values: impl IntoIterator<Item = f64>) -> Vec<String> {
    values
        .into_iter()
        .map(|value| format!("{value:.9}"))
        .collect()
}

/// The numbers of a row from a column on, in one form.
fn numbers(row: &[&str], from: usize) -> Vec<String> {
    as_text(
        row[from..]
            .iter()
            .map(|value| value.parse::<f64>().unwrap()),
    )
}

fn prices_and_volume(bar: &Bar) -> [f64; 5] {
    let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(domain::Price::get);
    [open, high, low, close, bar.volume]
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_same_bars_by_file_and_by_vendor_are_the_same(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let rows_sent = dirty();
    let path = csv(&rows_sent, folder);
    let vendor = from_vendor(&rows_sent);
    let refused: Vec<_> = vendor.refused.iter().map(|(bar, _)| bar.start).collect();
    assert_eq!(
        refused,
        [rows_sent[3].start, rows_sent[2 * 393 + 100].start]
    );

    // What is stored, and what lies in quarantine.
    let backfill = [
        "backfill",
        "--from",
        "2018-02-20",
        "--to",
        "2018-02-28",
        "--source",
        "dirty.csv",
    ];
    let stored = database::said(&pool, &backfill, folder);
    assert!(stored.contains("2 rows in quarantine"), "{stored}");
    let quarantined = storage::quarantine_counts(&pool, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!(quarantined.iter().map(|count| count.rows).sum::<u64>(), 2);
    let table = database::said(&pool, &["export", "--ticker", "AAPL"], folder);
    assert_eq!(rows(&table).count(), vendor.accepted.len());
    for (row, bar) in rows(&table).zip(&vendor.accepted) {
        assert_eq!(time(row[1]), bar.start);
        assert_eq!(numbers(&row, 2), as_text(prices_and_volume(bar)), "{row:?}");
    }

    // What the models would read.
    let path = path.to_string_lossy();
    let found = tandem(&["features", "--bars", &path]);
    let errors = said(&found);
    for start in refused {
        let named = start
            .format("AAPL %Y-%m-%d %H:%M UTC: the price steps")
            .to_string();
        assert!(errors.contains(&named), "{errors}");
    }
    assert!(
        errors.contains("40 minutes of trading are missing"),
        "{errors}"
    );
    let features = features::fold(&vendor.accepted, TickerContext::default());
    let mut expected = vendor
        .accepted
        .iter()
        .zip(&features)
        .filter_map(|(bar, features)| Some((bar.start, features.as_ref()?)));
    let table = String::from_utf8(found.stdout).unwrap();
    // The first session lacks its first bar, so that it is not whole: only the last of seven has features.
    assert!(rows(&table).count() > 300);
    for row in rows(&table) {
        let (start, features) = expected.next().unwrap();
        assert_eq!(time(row[1]), start);
        let right = features.iter().map(|value| f64::from(*value));
        assert_eq!(numbers(&row, 2), as_text(right), "{start}");
    }
    assert_eq!(expected.next(), None);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_same_figures_by_file_and_by_vendor_are_the_same(pool: PgPool) {
    let Some(bars) = input("base_8_sessions.csv.gz") else {
        return;
    };
    let figures = [
        ("CPIAUCSL", "2017-01-01", 243.6, "2017-02-15"),
        ("CPIAUCSL", "2018-01-01", 247.9, "2018-02-14"),
        ("CPIAUCSL", "2018-01-01", 248.7, "2018-02-27"),
        ("UNRATE", "2018-01-01", 4.1, "2018-02-02"),
        ("VIXCLS", "2018-02-26", 15.8, "2018-02-27"),
        ("VIXCLS", "2018-02-27", 18.59, "2018-02-28"),
    ];
    let observations = figures.map(|(series, period, value, day)| FredObservation {
        series: SeriesId::parse(series).unwrap(),
        period: period.parse().unwrap(),
        value: Some(value),
        realtime_start: Some(day.parse().unwrap()),
    });
    let seen_at = time("2018-03-05T12:00:00Z");
    ingestion::store_economy(&pool, &observations, seen_at)
        .await
        .unwrap();
    let series: Vec<SeriesId> = observations.iter().map(|row| row.series.clone()).collect();
    let stored = storage::macro_observations(&pool, &series, seen_at)
        .await
        .unwrap();
    let context = Context {
        economy: stored
            .iter()
            .filter_map(MacroEvent::from_observation)
            .collect(),
        ..Context::default()
    };

    let folder = TempDir::new().unwrap();
    let mut file = String::from("realtime_start,value,series,date\n");
    for (series, period, value, day) in figures {
        writeln!(file, "{day},{value},{series},{period}").unwrap();
    }
    let economy = folder.path().join("economy.csv");
    std::fs::write(&economy, file).unwrap();
    let table = written(&[
        "features",
        "--bars",
        &bars,
        "--economy",
        &economy.to_string_lossy(),
    ]);

    let ticker = Ticker::parse("AAPL").unwrap();
    let read = tables::read_bars(bars.as_ref()).unwrap().bars;
    let features = features::fold(&read[&ticker], context.of(&ticker));
    let names = features::FeatureSchema::current().names;
    let unemployment = names
        .iter()
        .position(|name| *name == "unemployment")
        .unwrap();
    assert_eq!(rows(&table).count(), features.iter().flatten().count());
    for (row, right) in rows(&table).zip(features.iter().flatten()) {
        assert_eq!(right[unemployment], 4.1);
        let right = as_text(right.iter().map(|value| f64::from(*value)));
        assert_eq!(numbers(&row, 2), right, "{}", row[1]);
    }
}
