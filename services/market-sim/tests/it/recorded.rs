//! Recorded bars come out as they went in.

use bar_files::{BarFile, read_bars};
use domain::{Bar, Ticker};
use market_sim::{Market, market::MarketError};

use crate::{THREE_DAYS, ask, rows, staircase, ticker, time};

fn shared(name: &str) -> Option<BarFile> {
    let path = test_support::shared(&format!("data/bars_1m/{name}"))?;
    Some(read_bars(&path).unwrap())
}

/// The file's bars of one New York day, as Yahoo would write them.
fn expected(file: &BarFile, ticker: &Ticker, from: &str, to: &str) -> Vec<[f64; 5]> {
    let within = |bar: &&Bar| time(from) <= bar.start && bar.start < time(to);
    file.bars[ticker]
        .iter()
        .filter(within)
        .map(|bar| {
            let [open, high, low, close] =
                [bar.open, bar.high, bar.low, bar.close].map(|price| f64::from(price.get() as f32));
            [open, high, low, close, bar.volume]
        })
        .collect()
}

#[test]
fn a_recorded_day_is_served_bar_by_bar() {
    let Some(file) = shared("us20_2018-02-16_2018-03-29.csv.gz") else {
        return;
    };
    let market = Market::recorded(file.clone(), &[], calendar::nyse()).unwrap();
    assert_eq!(market.tickers().len(), 20);
    let (open, close) = ("2018-03-26T13:30:00Z", "2018-03-26T20:00:00Z");
    for ticker in market.tickers() {
        let result = ask(
            &market,
            ticker.as_str(),
            &[("range", "1d")],
            "2018-03-26T22:00:00Z",
        );
        let mut rows = rows(&result);
        let closing = rows.pop().unwrap();
        assert_eq!((closing.0, closing.1.unwrap()[4]), (time(close), 0.0));
        let found: Vec<_> = rows.iter().map(|(_, values)| values.unwrap()).collect();
        assert_eq!(found, expected(&file, ticker, open, close), "{ticker}");
    }
    // 29 days in the file, all known after the last.
    let request = [("interval", "1d"), ("range", "3mo")];
    assert_eq!(
        rows(&ask(&market, "AAPL", &request, "2018-04-01T00:00:00Z")).len(),
        29
    );
}

#[test]
fn extended_hours_are_told_when_asked_for() {
    let Some(file) = shared("us10_ext_2025-01.csv.gz") else {
        return;
    };
    let market = Market::recorded(file.clone(), &[ticker("NVDA")], calendar::nyse()).unwrap();
    assert_eq!(market.tickers(), [&ticker("NVDA")]);
    let served = |prepost: &str, now: &str| {
        rows(&ask(
            &market,
            "NVDA",
            &[("range", "1d"), ("includePrePost", prepost)],
            now,
        ))
    };
    let evening = "2025-01-16T03:00:00Z";
    // Regular: 9:30 to 16:00 and the closing row.
    assert_eq!(served("false", evening).len(), 390 + 1);
    let [start, end] = ["2025-01-15T09:00:00Z", "2025-01-16T01:00:00Z"];
    let request = [
        ("period1", &*time(start).timestamp().to_string()),
        ("period2", "1737054000"),
        ("includePrePost", "true"),
    ];
    let result = ask(&market, "NVDA", &request, evening);
    let found: Vec<_> = rows(&result)
        .iter()
        .map(|(_, values)| values.unwrap())
        .collect();
    assert_eq!(found, expected(&file, &ticker("NVDA"), start, end));
    assert!(found.len() > 800);
    assert_eq!(
        result["meta"]["tradingPeriods"]["post"][0][0]["end"],
        time(end).timestamp()
    );
}

#[test]
fn bars_at_impossible_times_are_left_out() {
    let mut file = staircase(&THREE_DAYS, &[]);
    for night in ["2018-03-25T15:00:00Z", "2018-03-27T05:00:00Z"] {
        let bar = Bar::new(time(night), 1.0, 1.0, 1.0, 1.0, 1.0).unwrap();
        file.bars.get_mut(&ticker("AAPL")).unwrap().push(bar);
    }
    file.bars
        .get_mut(&ticker("AAPL"))
        .unwrap()
        .sort_by_key(|bar| bar.start);
    let market = Market::recorded(file, &[], calendar::nyse()).unwrap();
    let request = [("range", "5d"), ("includePrePost", "true")];
    assert_eq!(
        rows(&ask(&market, "AAPL", &request, "2018-03-28T03:00:00Z")).len(),
        3 * 390
    );
}

#[test]
fn a_file_without_the_ticker_or_any_session_is_refused() {
    let error = Market::recorded(
        staircase(&THREE_DAYS, &[]),
        &[ticker("MSFT")],
        calendar::nyse(),
    )
    .err()
    .unwrap();
    assert_eq!(
        error.to_string(),
        "the file has no bars of MSFT: it has AAPL"
    );
    let sunday = [("2018-03-25T13:30:00Z", "2018-03-25T14:00:00Z")];
    let error = Market::recorded(staircase(&sunday, &[]), &[], calendar::nyse())
        .err()
        .unwrap();
    assert!(matches!(error, MarketError::NoBars));
}
