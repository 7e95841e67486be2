//! What is told at which moment.

use std::sync::LazyLock;

use bar_files::BarFile;
use chrono::{DateTime, TimeDelta, Utc};
use market_sim::{Market, chart};
use proptest::prelude::*;

use crate::{THREE_DAYS, ask, parameters, rows, staircase, three_days, ticker, time};

/// The last rows of Monday, as told at a moment of it.
fn last_rows(now: &str, count: usize) -> Vec<(DateTime<Utc>, Option<[f64; 5]>)> {
    let rows = rows(&ask(&three_days(), "AAPL", &[("range", "1d")], now));
    rows[rows.len().saturating_sub(count)..].to_vec()
}

#[test]
fn a_bar_is_whole_once_its_minute_is_over() {
    assert_eq!(
        last_rows("2018-03-26T13:31:00Z", 9),
        [
            (
                time("2018-03-26T13:30:00Z"),
                Some([100.0, 102.0, 99.0, 101.0, 6_000.0])
            ),
            // Nothing has traded in the new minute yet: the last trade is the old one's.
            (
                time("2018-03-26T13:30:59Z"),
                Some([101.0, 101.0, 101.0, 101.0, 0.0])
            ),
        ]
    );
}

#[test]
fn the_forming_minute_is_null_at_first_and_then_grows() {
    let forming = |now: &str| last_rows(now, 2);
    // 100 to 99 in the first third, to 102 in the second, to 101 in the last.
    assert_eq!(
        forming("2018-03-26T13:30:02Z"),
        [
            (time("2018-03-26T13:30:00Z"), None),
            (
                time("2018-03-26T13:30:02Z"),
                Some([99.9, 99.9, 99.9, 99.9, 0.0].map(single))
            ),
        ]
    );
    assert_eq!(
        forming("2018-03-26T13:30:10.7Z"),
        [
            (
                time("2018-03-26T13:30:00Z"),
                Some([100.0, 100.0, 99.5, 99.5, 1_000.0])
            ),
            (
                time("2018-03-26T13:30:10Z"),
                Some([99.5, 99.5, 99.5, 99.5, 0.0])
            ),
        ]
    );
    assert_eq!(
        forming("2018-03-26T13:30:30Z")[0].1,
        Some([100.0, 100.5, 99.0, 100.5, 3_000.0])
    );
    assert_eq!(
        forming("2018-03-26T13:30:59Z")[0].1,
        Some([100.0, 102.0, 99.0, 101.05, 5_900.0].map(single))
    );
}

fn single(price: f64) -> f64 {
    f64::from(price as f32)
}

#[test]
fn in_the_opening_second_the_day_before_still_counts() {
    let market = three_days();
    let result = ask(
        &market,
        "AAPL",
        &[("range", "5d")],
        "2018-03-26T13:30:00.5Z",
    );
    let last = *rows(&result).last().unwrap();
    assert_eq!(
        last,
        (
            time("2018-03-23T20:00:00Z"),
            Some([490.0, 490.0, 490.0, 490.0, 0.0])
        )
    );
    assert_eq!(
        result["meta"]["regularMarketTime"],
        time("2018-03-23T20:00:01Z").timestamp()
    );
}

#[test]
fn after_the_close_a_row_stands_at_the_sessions_end() {
    let closing = (
        time("2018-03-26T20:00:00Z"),
        Some([490.0, 490.0, 490.0, 490.0, 0.0]),
    );
    for now in [
        "2018-03-26T20:00:00Z",
        "2018-03-26T20:00:05Z",
        "2018-03-27T13:29:59Z",
    ] {
        let last = last_rows(now, 2);
        assert_eq!(last[0].0, time("2018-03-26T19:59:00Z"), "{now}");
        assert_eq!(last[1], closing, "{now}");
    }
    // The next day the finished one has its 390 bars and nothing else.
    let market = three_days();
    let [start, end] = ["2018-03-26T00:00:00Z", "2018-03-27T00:00:00Z"]
        .map(|text| time(text).timestamp().to_string());
    let rows = rows(&ask(
        &market,
        "AAPL",
        &[("period1", &start), ("period2", &end)],
        "2018-03-27T14:00:00Z",
    ));
    assert_eq!(rows.len(), 390);
}

#[test]
fn a_minute_without_trades_has_no_row() {
    let file = staircase(
        &THREE_DAYS,
        &["2018-03-26T13:31:00Z", "2018-03-26T13:32:00Z"],
    );
    let market = Market::recorded(file, &[], calendar::nyse()).unwrap();
    let rows = rows(&ask(
        &market,
        "AAPL",
        &[("range", "1d")],
        "2018-03-26T13:32:30Z",
    ));
    assert_eq!(
        rows,
        [
            (
                time("2018-03-26T13:30:00Z"),
                Some([100.0, 102.0, 99.0, 101.0, 6_000.0])
            ),
            (
                time("2018-03-26T13:30:59Z"),
                Some([101.0, 101.0, 101.0, 101.0, 0.0])
            ),
        ]
    );
}

#[test]
fn the_meta_block_tells_the_last_trade_and_the_day_so_far() {
    let market = three_days();
    let open = ask(&market, "AAPL", &[("range", "1d")], "2018-03-26T13:31:30Z");
    let meta = &open["meta"];
    assert_eq!(
        meta["regularMarketTime"],
        time("2018-03-26T13:31:30Z").timestamp()
    );
    assert_eq!(meta["regularMarketPrice"], 101.5);
    assert_eq!(
        (&meta["regularMarketDayHigh"], &meta["regularMarketDayLow"]),
        (&102.0.into(), &99.0.into())
    );
    assert_eq!(meta["regularMarketVolume"], 9_000);
    assert_eq!(
        (&meta["previousClose"], &meta["chartPreviousClose"]),
        (&490.0.into(), &490.0.into())
    );
    assert_eq!(meta["fiftyTwoWeekHigh"], 491.0);
    assert_eq!(
        meta["currentTradingPeriod"]["regular"]["start"],
        time("2018-03-26T13:30:00Z").timestamp()
    );
    assert_eq!(
        meta["tradingPeriods"][0][0]["end"],
        time("2018-03-26T20:00:00Z").timestamp()
    );

    let weekend = ask(&market, "AAPL", &[("range", "1d")], "2018-03-24T15:00:00Z");
    let meta = &weekend["meta"];
    assert_eq!(
        meta["regularMarketTime"],
        time("2018-03-23T20:00:01Z").timestamp()
    );
    assert_eq!(
        meta["currentTradingPeriod"]["regular"]["start"],
        time("2018-03-26T13:30:00Z").timestamp()
    );
    assert_eq!(
        meta["previousClose"],
        serde_json::Value::Null,
        "nothing is known before the first day"
    );
}

#[test]
fn the_day_is_a_forming_row_too() {
    let market = three_days();
    let now = "2018-03-26T13:31:30Z";
    let result = ask(&market, "AAPL", &[("interval", "1d"), ("range", "5d")], now);
    assert_eq!(
        rows(&result),
        [
            (
                time("2018-03-23T13:30:00Z"),
                Some([100.0, 491.0, 99.0, 490.0, 390.0 * 6_000.0])
            ),
            (
                time("2018-03-26T13:30:00Z"),
                Some([100.0, 102.0, 99.0, 101.5, 9_000.0])
            ),
        ]
    );
    assert_eq!(
        result["indicators"]["adjclose"][0]["adjclose"],
        serde_json::json!([490.0, 101.5])
    );
}

/// The file without all that starts after `now`.
pub(crate) fn cut(mut file: BarFile, now: DateTime<Utc>) -> BarFile {
    for bars in file.bars.values_mut() {
        bars.retain(|bar| bar.start <= now);
    }
    file
}

fn any_moment() -> impl Strategy<Value = DateTime<Utc>> {
    (0..4 * 86_400i64)
        .prop_map(|seconds| time("2018-03-23T13:30:01Z") + TimeDelta::seconds(seconds))
}

fn any_request() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    prop_oneof![
        Just(vec![("range", "1d")]),
        Just(vec![("range", "5d"), ("includePrePost", "true")]),
        Just(vec![
            ("interval", "1d"),
            ("range", "1mo"),
            ("events", "div|split")
        ]),
        // 2018-03-23 to 2018-03-28, which is partly or wholly in the future.
        Just(vec![("period1", "1521763200"), ("period2", "1522195200")]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Later bars change no byte of an answer, except what must be known of the forming minute's own bar.
    #[test]
    fn nothing_comes_from_the_future(now in any_moment(), request in any_request()) {
        let file = staircase(&THREE_DAYS, &[]);
        let known = Market::recorded(cut(file.clone(), now), &[], calendar::nyse()).unwrap();
        let whole = Market::recorded(file, &[], calendar::nyse()).unwrap();
        let ask = |market| chart::answer(market, calendar::nyse(), "AAPL", &parameters(&request), now);
        let answer = ask(&whole);
        prop_assert!(answer == ask(&known));
        let result = &answer.unwrap()["chart"]["result"][0];
        for (start, values) in rows(result) {
            prop_assert!(start <= now);
            if request[0].0 != "interval" && start + TimeDelta::minutes(1) > now {
                // Of a minute that is not over, at most the elapsed part of its volume.
                let elapsed = (now - start).num_seconds() as f64;
                prop_assert!(values.is_none_or(|values| values[4] <= 6_000.0 * elapsed / 60.0));
            }
        }
    }

    /// The same in an invented market: an answer, once given, stays true. What was closed then is told again later.
    #[test]
    fn a_closed_bar_never_changes(now in any_moment(), later in 0..86_400i64) {
        static MARKET: LazyLock<Market> = LazyLock::new(|| Market::generated(7, &[ticker("AAPL")], calendar::nyse()));
        let request = [("period1", "1521763200"), ("period2", "1522195200")];
        let ask = |now| {
            let mut answer = chart::answer(&MARKET, calendar::nyse(), "AAPL", &parameters(&request), now).unwrap();
            rows(&answer["chart"]["result"][0].take())
        };
        let closed = |(start, values): &(DateTime<Utc>, Option<[f64; 5]>)| {
            *start + TimeDelta::minutes(1) <= now && values.is_some_and(|values| values[4] > 0.0)
        };
        let then: Vec<_> = ask(now).into_iter().filter(closed).collect();
        let again: Vec<_> = ask(now + TimeDelta::seconds(later)).into_iter().filter(closed).collect();
        prop_assert!(then == again);
    }
}
