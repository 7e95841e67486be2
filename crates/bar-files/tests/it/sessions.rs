//! Bars beside the sessions of the exchange.

use std::collections::BTreeMap;

use bar_files::{BarFile, CleaningReport, LeftOut};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, Ticker};

use crate::{csv_file, time};

/// A file of one stock: so many minutes from each start on, one each `step`.
fn file(starts: &[&str], minutes: i64, step: i64) -> BarFile {
    let bars: Vec<Bar> = starts
        .iter()
        .flat_map(|start| {
            let start = time(start);
            (0..minutes)
                .step_by(usize::try_from(step).unwrap())
                .map(move |minute| start + TimeDelta::minutes(minute))
        })
        .map(bar)
        .collect();
    let report = CleaningReport {
        rows: bars.len(),
        ..CleaningReport::default()
    };
    BarFile {
        bars: BTreeMap::from([(Ticker::parse("AAPL").unwrap(), bars)]),
        report,
    }
}

fn bar(start: DateTime<Utc>) -> Bar {
    Bar::new(start, 10.0, 10.0, 10.0, 10.0, 100.0).unwrap()
}

fn kept(mut file: BarFile) -> Result<(usize, Vec<(LeftOut, usize)>), String> {
    file.keep_regular_sessions("bars.csv".as_ref(), calendar::nyse())
        .map_err(|error| error.to_string())?;
    let bars: usize = file.bars.values().map(Vec::len).sum();
    assert_eq!(file.report.kept(), bars);
    Ok((bars, file.report.outside.into_iter().collect()))
}

/// Tuesday and Wednesday in winter.
const OPENS: [&str; 2] = ["2018-02-20T14:30:00Z", "2018-02-21T14:30:00Z"];

#[test]
fn regular_sessions_are_kept_and_the_rest_is_counted_by_reason() {
    assert_eq!(kept(file(&OPENS, 390, 1)), Ok((780, Vec::new())));
    // Four in the morning to eight in the evening: more than half of it is no regular trading.
    let whole_days = ["2018-02-20T09:00:00Z", "2018-02-21T09:00:00Z"];
    assert_eq!(
        kept(file(&whole_days, 960, 1)),
        Ok((780, vec![(LeftOut::ExtendedHours, 1_140)]))
    );
    // A holiday, and a half day that ends at one.
    let around_thanksgiving = ["2018-11-22T14:30:00Z", "2018-11-23T14:30:00Z"];
    assert_eq!(
        kept(file(&around_thanksgiving[1..], 390, 1)),
        Ok((210, vec![(LeftOut::ExtendedHours, 180)]))
    );
    let mut thin = file(&["2018-02-20T14:33:00Z", "2018-02-21T14:41:00Z"], 300, 7);
    thin.bars
        .values_mut()
        .next()
        .unwrap()
        .retain(|bar| bar.start.timestamp() % 13 != 0);
    thin.report.rows = thin.bars.values().map(Vec::len).sum();
    let rows = thin.report.rows;
    assert_eq!(
        kept(thin),
        Ok((rows, Vec::new())),
        "steps of seven minutes are no interval"
    );
}

#[test]
fn another_interval_is_refused() {
    for (step, words) in [
        (5, "5 minutes apart on 2018-02-20"),
        (30, "30 minutes apart on 2018-02-20"),
        (60, "60 minutes apart on 2018-02-20"),
    ] {
        let error = kept(file(&OPENS, 390, step)).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    // A day of five-minute bars behind three weeks of one-minute bars, as people put files together.
    let opens: Vec<String> = (5..=23)
        .map(|day| format!("2018-02-{day:02}T14:30:00Z"))
        .collect();
    let opens: Vec<&str> = opens.iter().map(String::as_str).collect();
    let mut joined = file(&opens, 390, 1);
    let coarse = file(&["2018-02-26T14:30:00Z"], 390, 5);
    for (bars, coarse) in joined.bars.values_mut().zip(coarse.bars.values()) {
        bars.extend(coarse);
    }
    let error = kept(joined).unwrap_err();
    assert!(
        error.contains("AAPL are 5 minutes apart on 2018-02-26"),
        "{error}"
    );
    let days: Vec<String> = (1..=28)
        .map(|day| format!("2018-02-{day:02}T14:30:00Z"))
        .collect();
    let days: Vec<&str> = days.iter().map(String::as_str).collect();
    let error = kept(file(&days, 1, 1)).unwrap_err();
    assert!(error.contains("one row a day"), "{error}");
}

#[test]
fn another_interval_among_minutes_of_the_same_day_is_refused_with_its_place() {
    // One-minute bars up to noon and five-minute bars from there on.
    let mut joined = file(&OPENS[..1], 150, 1);
    let coarse = file(&["2018-02-20T17:00:00Z"], 240, 5);
    for (bars, coarse) in joined.bars.values_mut().zip(coarse.bars.values()) {
        bars.extend(coarse);
    }
    let error = kept(joined).unwrap_err();
    assert!(
        error.contains(
            "on 2018-02-20 the bars of AAPL from 12:00 to 15:55 in New York are 5 minutes apart"
        ),
        "{error}"
    );
    // Both for the same hours, one file behind the other; the second day is of one minute only.
    let folder = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for (opens, minutes, step, volume) in [(&OPENS[..], 390, 1, 100), (&OPENS[1..], 240, 5, 500)] {
        for bars in file(opens, minutes, step).bars.values() {
            for bar in bars {
                let start = bar.start.to_rfc3339();
                rows += &format!("AAPL,{start},10,10,10,10,{volume}\n");
            }
        }
    }
    let read = bar_files::read_bars(&csv_file(folder.path(), &rows)).unwrap();
    assert_eq!(read.report.overruled, 48);
    let error = kept(read).unwrap_err();
    assert!(
        error.contains("on 2018-02-21 the bars of AAPL from 09:30 to 13:25 in New York")
            && error.contains("a second row each 5 minutes")
            && error.ends_with("take the rows of 5 minutes out of the file"),
        "{error}"
    );
    // A few later values of minutes are no interval.
    let rows: String = (0..40)
        .flat_map(|minute| vec![minute; if minute % 13 == 0 { 2 } else { 1 }])
        .enumerate()
        .map(|(row, minute)| format!("AAPL,2018-02-20T15:{minute:02}:00Z,10,10,10,10,{row}\n"))
        .collect();
    let read = bar_files::read_bars(&csv_file(folder.path(), &rows)).unwrap();
    assert_eq!(
        (read.report.overruled, kept(read)),
        (4, Ok((40, Vec::new())))
    );
}

#[test]
fn stamps_and_zones_that_are_not_what_they_say_are_refused_with_the_cure() {
    let moved = |minutes: i64| {
        let starts = OPENS.map(|open| (time(open) + TimeDelta::minutes(minutes)).to_rfc3339());
        kept(file(&starts.each_ref().map(String::as_str), 390, 1)).unwrap_err()
    };
    assert!(moved(1).ends_with("add --stamps end"), "{}", moved(1));
    // A stock that does not trade in each minute, and the price of an opening auction on one day.
    let starts = [
        "2018-02-20T14:30:00Z",
        "2018-02-21T14:31:00Z",
        "2018-02-22T14:31:00Z",
    ];
    let mut thin = file(&starts, 391, 1);
    for bars in thin.bars.values_mut() {
        bars.retain(|bar| {
            bar.start.timestamp() % 180 != 60 || bar.start.timestamp() % 86_400 == 75_600
        });
        bars.retain(|bar| bar.start.timestamp() % 86_400 <= 75_600);
    }
    thin.report.rows = thin.bars.values().map(Vec::len).sum();
    assert!(kept(thin).unwrap_err().ends_with("add --stamps end"));
    let marked = moved(-300);
    assert!(
        marked.contains("600 of 780 rows lie outside regular sessions; on 2018-02-20 they run from 04:30 to 10:59 in New York")
            && marked.contains("marked as UTC"),
        "{marked}"
    );
    assert!(moved(300).ends_with("give --zone UTC"), "{}", moved(300));
    // Chicago's times taken for New York's: most bars lie within the session.
    assert!(moved(-60).contains("from 08:30 to 14:59"), "{}", moved(-60));
    // New York's clock marked as -05:00 all year: the last two of seven sessions lie in summer time.
    let winter = [
        "2018-03-05T14:30:00Z",
        "2018-03-06T14:30:00Z",
        "2018-03-07T14:30:00Z",
        "2018-03-08T14:30:00Z",
        "2018-03-09T14:30:00Z",
        "2018-03-12T14:30:00Z",
        "2018-03-13T14:30:00Z",
    ];
    let error = kept(file(&winter, 390, 1)).unwrap_err();
    assert!(
        error.contains("on 2018-03-12 they run from 10:30 to 16:59 in New York")
            && error.contains("one offset all year"),
        "{error}"
    );
    assert_eq!(kept(file(&winter[..5], 390, 1)), Ok((1_950, Vec::new())));
}

#[test]
fn a_market_that_never_closes_and_times_before_the_calendar_are_refused() {
    let weekend = [
        "2018-02-24T05:00:00Z",
        "2018-02-25T05:00:00Z",
        "2018-02-26T05:00:00Z",
    ];
    let error = kept(file(&weekend, 1_440, 1)).unwrap_err();
    assert!(
        error.contains("3930 of 4320 rows lie outside regular sessions")
            && error.contains("the New York Stock Exchange is closed then"),
        "{error}"
    );
    // On days of trading only, most of its rows lie in the hours before and after.
    let error = kept(file(
        &["2018-02-20T05:00:00Z", "2018-02-21T05:00:00Z"],
        1_440,
        1,
    ))
    .unwrap_err();
    assert!(error.contains("2100 of 2880 rows"), "{error}");
    let error = kept(file(&["1970-02-20T14:30:00Z"], 390, 1)).unwrap_err();
    assert!(
        error.contains("390 of 390 rows lie outside the calendar, which covers"),
        "{error}"
    );
}

#[test]
fn recorded_files_lose_nothing_but_extended_hours() {
    for name in [
        "us20_2018-02-16_2018-03-29.csv.gz",
        "us20_yahoo_2026-03-09_2026-04-17.csv.gz",
        "thin8_yahoo_2026-03-09_2026-05-05.csv.gz",
        "us10_ext_2025-01.csv.gz",
    ] {
        let Some(path) = test_support::shared(&format!("data/bars_1m/{name}")) else {
            return;
        };
        let mut file = bar_files::read_bars(&path).unwrap();
        file.keep_regular_sessions(&path, calendar::nyse()).unwrap();
        eprintln!("{name}: {}", file.report);
        let reasons: Vec<LeftOut> = file.report.outside.into_keys().collect();
        assert!(
            reasons
                .iter()
                .all(|reason| *reason == LeftOut::ExtendedHours),
            "{name}: {reasons:?}"
        );
    }
}
