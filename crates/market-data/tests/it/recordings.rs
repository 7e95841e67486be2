//! Yahoo's own answers, as public test suites recorded them.

use market_data::{FetchedBars, VendorError, parse_minute_chart};

use crate::{at, recording, request};

fn parse(name: &str, ticker: &str, as_of: i64) -> Option<Result<FetchedBars, VendorError>> {
    let body = recording(&format!("chart_1m/{name}"))?;
    let calendar = calendar::nyse();
    let is_regular = |time| calendar.session_at(time).is_some();
    Some(parse_minute_chart(
        body.as_bytes(),
        &request(ticker, as_of),
        is_regular,
    ))
}

#[test]
fn a_running_session_gives_closed_bars_and_the_last_trade() {
    // Fetched at 18:30:13 UTC: 14:30 to 18:29 are closed, 18:30 is null so far, the last row is the last trade.
    let Some(fetched) = parse("AAPL_1m_2021-01-11_live_ok.json", "AAPL", 1_610_389_815) else {
        return;
    };
    let fetched = fetched.unwrap();
    assert_eq!(fetched.closed.len(), 240);
    assert_eq!(fetched.closed.first().unwrap().start, at(1_610_375_400));
    assert_eq!(fetched.closed.first().unwrap().volume, 6_021_983.0);
    let last = fetched.closed.last().unwrap();
    assert_eq!((last.start, last.close.get()), (at(1_610_389_740), 129.61));
    let forming = fetched.forming.unwrap();
    assert_eq!(
        (forming.time, forming.price.get()),
        (at(1_610_389_813), 129.55)
    );
    assert_eq!((fetched.without_trades, fetched.rejected.len()), (1, 0));
    assert!(
        fetched
            .closed
            .windows(2)
            .all(|pair| pair[0].start < pair[1].start)
    );
}

#[test]
fn a_minute_closes_after_its_end_and_the_grace_and_not_before() {
    let last_closed = |as_of| {
        Some(
            parse("AAPL_1m_2021-01-11_live_ok.json", "AAPL", as_of)?
                .unwrap()
                .closed
                .last()?
                .start,
        )
    };
    // The bar 18:29 ends at 18:30:00; the request's grace is one second.
    let Some(before) = last_closed(1_610_389_800) else {
        return;
    };
    assert_eq!(
        before,
        at(1_610_389_680),
        "within the grace the minute is still forming"
    );
    assert_eq!(last_closed(1_610_389_801), Some(at(1_610_389_740)));
}

#[test]
fn columns_that_do_not_line_up_are_refused() {
    let Some(fetched) = parse(
        "AAPL_1m_2021-01-11_live_ragged_arrays.json",
        "AAPL",
        1_610_389_815,
    ) else {
        return;
    };
    let error = fetched.unwrap_err();
    assert!(matches!(error, VendorError::Ragged { .. }) && error.is_retryable());
    assert!(
        error
            .to_string()
            .contains("233 times, 218 open, 225 high, 222 low, 218 close, 198 volume"),
        "{error}"
    );
}

#[test]
fn empty_arrays_are_no_data() {
    let Some(fetched) = parse("GRND3.SA_1m_empty_arrays.json", "GRND3.SA", 1_571_688_400) else {
        return;
    };
    assert!(matches!(fetched.unwrap_err(), VendorError::NoData { .. }));
}

#[test]
fn null_minutes_are_no_fault_and_the_unaligned_last_row_is_no_bar() {
    let Some(body) = recording("chart_1m/PETR4.SA_1m_null_and_unaligned_last.json") else {
        return;
    };
    // São Paulo is open when New York is not.
    let fetched = parse_minute_chart(body.as_bytes(), &request("PETR4.SA", 1_678_108_501), |_| {
        true
    })
    .unwrap();
    assert_eq!(
        fetched
            .closed
            .iter()
            .map(|bar| bar.start.timestamp())
            .collect::<Vec<_>>(),
        [1_678_108_200, 1_678_108_260, 1_678_108_320, 1_678_108_380]
    );
    assert_eq!(
        fetched.closed[0].volume, 0.0,
        "a bar without volume is a bar"
    );
    assert_eq!(fetched.without_trades, 1);
    assert_eq!(fetched.forming.unwrap().time, at(1_678_108_476));
    // By the sessions of New York nothing of it counts.
    let Some(foreign) = parse(
        "PETR4.SA_1m_null_and_unaligned_last.json",
        "PETR4.SA",
        1_678_108_501,
    ) else {
        return;
    };
    let foreign = foreign.unwrap();
    assert!(foreign.closed.is_empty() && foreign.forming.is_none());
    assert_eq!(foreign.outside_session, 5);
}

#[test]
fn one_price_among_nulls_is_kept() {
    let Some(body) = recording("chart_1m/BARC.L_1m_nulls_GBp_2017.json") else {
        return;
    };
    let fetched =
        parse_minute_chart(body.as_bytes(), &request("BARC.L", 1_510_836_361), |_| true).unwrap();
    assert_eq!((fetched.closed.len(), fetched.without_trades), (1, 13));
}

#[test]
fn a_coarser_interval_than_asked_is_refused() {
    for (name, found) in [
        (
            "chart_intraday/AAPL_5m_2026-10-05_live_last_tick.json",
            "5m",
        ),
        ("chart_intraday/NVDA_1h_2024-05-03_closing_tick.json", "1h"),
        ("chart/AAPL_1d_5d_2026-07-24_forming_day.json", "1d"),
    ] {
        let Some(body) = recording(name) else { return };
        let error = parse_minute_chart(body.as_bytes(), &request("AAPL", 1_791_208_710), |_| true)
            .unwrap_err();
        assert!(
            matches!(&error, VendorError::Granularity { found: is, .. } if is == found),
            "{error}"
        );
    }
}

#[test]
fn the_last_trade_and_the_entry_at_the_close_are_told_apart_on_other_days() {
    // Recorded at coarser intervals; the odd rows are the same.
    let as_minutes = |name, granularity: &str| {
        let body = recording(name)?;
        Some(body.replace(
            &format!("\"dataGranularity\":\"{granularity}\""),
            "\"dataGranularity\":\"1m\"",
        ))
    };
    let is_regular = |time| calendar::nyse().session_at(time).is_some();

    let Some(live) = as_minutes(
        "chart_intraday/AAPL_5m_2026-10-05_live_last_tick.json",
        "5m",
    ) else {
        return;
    };
    let live =
        parse_minute_chart(live.as_bytes(), &request("AAPL", 1_791_208_710), is_regular).unwrap();
    assert_eq!((live.closed.len(), live.rejected.len()), (6, 0));
    assert_eq!(live.forming.unwrap().time, at(1_791_208_707));

    let Some(over) = as_minutes("chart_intraday/NVDA_1h_2024-05-03_closing_tick.json", "1h") else {
        return;
    };
    let over =
        parse_minute_chart(over.as_bytes(), &request("NVDA", 1_714_767_000), is_regular).unwrap();
    assert_eq!((over.closed.len(), over.outside_session), (7, 1));
    assert_eq!((over.rejected.len(), over.forming), (0, None));
}

#[test]
fn a_misspelt_symbol_is_unknown_although_the_status_is_200() {
    let Some(body) = recording("chart/APPL_misspelled_meta_only_200.json") else {
        return;
    };
    let error =
        parse_minute_chart(body.as_bytes(), &request("APPL", 1_625_860_000), |_| true).unwrap_err();
    assert!(matches!(error, VendorError::UnknownSymbol { .. }));
    assert!(error.to_string().contains("APPL") && !error.is_retryable());
}

#[test]
fn a_weekend_has_no_data() {
    let name = "chart/chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m.json";
    let Some(recorded) = recording(name) else {
        return;
    };
    let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    let body = recorded["response"]["bodyJson"].to_string();
    let error =
        parse_minute_chart(body.as_bytes(), &request("AAPL", 1_738_454_400), |_| true).unwrap_err();
    assert!(matches!(error, VendorError::NoData { .. }));
}
