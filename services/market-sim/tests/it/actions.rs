//! Splits and dividends, and what they do to prices before and after.

use std::path::PathBuf;

use market_sim::{
    Market, Simulator,
    market::{Actions, Basis, MarketError, OfficialDays},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    THREE_DAYS, ask,
    client::{run, standing_at},
    rows, staircase, ticker, time,
};

/// A split 4 for 1 on Tuesday, half a dollar (of today's shares) on Monday.
fn files() -> (TempDir, [PathBuf; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let [splits, dividends] = ["splits.csv", "dividends.csv"].map(|name| folder.path().join(name));
    std::fs::write(&splits, "ticker,date,ratio,source\nAAPL,2018-03-27,4,x\n").unwrap();
    std::fs::write(
        &dividends,
        "ticker,date,amount,source\nAAPL,2018-03-26,0.5,x\n",
    )
    .unwrap();
    (folder, [splits, dividends])
}

fn market(basis: Option<Basis>) -> Market {
    let (_folder, files) = files();
    let actions = Actions::read(&files).unwrap();
    Market::recorded(staircase(&THREE_DAYS, &[]), &[], calendar::nyse())
        .unwrap()
        .with_actions(&actions, basis, calendar::nyse())
        .unwrap()
}

fn days(market: &Market, now: &str) -> Value {
    let request = [
        ("interval", "1d"),
        ("range", "1mo"),
        ("events", "div|split|capitalGains"),
    ];
    ask(market, "AAPL", &request, now)
}

fn closes(answer: &Value) -> Vec<f64> {
    rows(answer)
        .iter()
        .map(|(_, values)| values.unwrap()[3])
        .collect()
}

#[test]
fn raw_bars_are_told_on_the_old_basis_until_the_split_and_on_the_new_one_after() {
    let market = market(Some(Basis::Raw));
    let before = days(&market, "2018-03-27T13:29:59Z");
    assert_eq!(closes(&before), [490.0, 490.0]);
    assert_eq!(
        before["events"],
        json!({"dividends": {"1522071000": {"amount": 2.0, "date": 1_522_071_000}}}),
        "two dollars of the old shares"
    );
    let after = days(&market, "2018-03-27T20:00:00Z");
    assert_eq!(closes(&after), [122.5, 122.5, 490.0]);
    assert_eq!(rows(&after)[0].1.unwrap()[4], 390.0 * 6_000.0 * 4.0);
    assert_eq!(after["events"]["dividends"]["1522071000"]["amount"], 0.5);
    assert_eq!(
        after["events"]["splits"],
        json!({"1522157400": {
            "date": 1_522_157_400, "numerator": 4.0, "denominator": 1.0, "splitRatio": "4:1"
        }})
    );
    // The dividend lowers what is before it by the same part, told before or after the split.
    for answer in [before, after] {
        let adjusted = &answer["indicators"]["adjclose"][0]["adjclose"];
        let part = adjusted[0].as_f64().unwrap() / closes(&answer)[0];
        assert!((part - (1.0 - 2.0 / 490.0)).abs() < 1e-6, "{part}");
    }
    // Minutes too.
    let minutes = |now| {
        let request = [("period1", "1522071000"), ("period2", "1522071060")];
        rows(&ask(&market, "AAPL", &request, now))[0].1.unwrap()
    };
    assert_eq!(
        minutes("2018-03-27T13:29:59Z"),
        [100.0, 102.0, 99.0, 101.0, 6_000.0]
    );
    assert_eq!(
        minutes("2018-03-27T13:30:00Z"),
        [25.0, 25.5, 24.75, 25.25, 24_000.0]
    );
}

#[test]
fn adjusted_bars_are_told_undone_until_the_split() {
    let market = market(Some(Basis::Adjusted));
    assert_eq!(
        closes(&days(&market, "2018-03-27T13:29:59Z")),
        [1_960.0, 1_960.0]
    );
    assert_eq!(
        closes(&days(&market, "2018-03-27T20:00:00Z")),
        [490.0, 490.0, 490.0]
    );
}

#[test]
fn the_basis_is_read_off_the_prices() {
    // 490 to 100 over the night of a split 4 for 1 is what raw prices do.
    let after = "2018-03-27T20:00:00Z";
    assert_eq!(closes(&days(&market(None), after)), [122.5, 122.5, 490.0]);
    // Without the split's jump they are adjusted: 490 to 490 here, by a file that opens where it closed.
    let mut file = staircase(&THREE_DAYS, &[]);
    for bar in file.bars.get_mut(&ticker("AAPL")).unwrap() {
        *bar = domain::Bar::new(bar.start, 490.0, 490.0, 490.0, 490.0, 1.0).unwrap();
    }
    let (_folder, files) = files();
    let market = Market::recorded(file, &[], calendar::nyse())
        .unwrap()
        .with_actions(&Actions::read(&files).unwrap(), None, calendar::nyse())
        .unwrap();
    assert_eq!(closes(&days(&market, after)), [490.0, 490.0, 490.0]);
}

#[test]
fn an_invented_stock_can_split_and_pays_its_own_dividends() {
    let (_folder, [splits, dividends]) = files();
    let invented = || Market::generated(1, &[ticker("AAPL")], calendar::nyse());
    let plain = closes(&days(&invented(), "2018-03-28T21:00:00Z"));
    let actions = Actions::read(&[splits]).unwrap();
    let split = invented()
        .with_actions(&actions, None, calendar::nyse())
        .unwrap();
    assert_eq!(closes(&days(&split, "2018-03-28T21:00:00Z")), plain);
    let before = closes(&days(&split, "2018-03-26T21:00:00Z"));
    assert_eq!(before.last().unwrap() / 4.0, plain[plain.len() - 3]);

    let error = invented()
        .with_actions(
            &Actions::read(&[dividends]).unwrap(),
            None,
            calendar::nyse(),
        )
        .err()
        .unwrap();
    assert!(matches!(error, MarketError::InventedDividends { .. }));
}

#[test]
fn official_days_replace_the_sum_of_the_minutes() {
    let (folder, _) = files();
    let path = folder.path().join("daily.csv");
    let text = "ticker,date,open,high,low,close,adj_close,volume\n\
        AAPL,2018-03-22,120,121,119,120.5,120.1,1000000\nAAPL,2018-03-23,25,123,24.75,122.6,122,12000000\n";
    std::fs::write(&path, text).unwrap();
    let market = market(Some(Basis::Raw))
        .with_official_days(&OfficialDays::read(&path).unwrap(), calendar::nyse())
        .unwrap();
    let found = rows(&days(&market, "2018-03-26T20:00:00Z"));
    assert_eq!(
        found[..2],
        [
            (
                time("2018-03-22T13:30:00Z"),
                Some([480.0, 484.0, 476.0, 482.0, 250_000.0])
            ),
            (
                time("2018-03-23T13:30:00Z"),
                Some([100.0, 492.0, 99.0, f64::from(490.4f32), 3_000_000.0])
            ),
        ],
        "in the shares of the day"
    );
    // Minutes stay as they are, and a day without minutes has none.
    assert_eq!(market.coverage().unwrap().0, time("2018-03-23T13:30:00Z"));
    let request = [("period1", "1521725400"), ("period2", "1521835200")];
    assert_eq!(
        rows(&ask(&market, "AAPL", &request, "2018-03-26T20:00:00Z")).len(),
        390
    );
}

#[test]
fn a_file_of_something_else_is_named() {
    let (folder, _) = files();
    let path = folder.path().join("other.csv");
    std::fs::write(&path, "ticker,date\nAAPL,2018-03-26\n").unwrap();
    let error = Actions::read(&[path]).unwrap_err().to_string();
    assert!(
        error.contains("other.csv") && error.contains("ticker,date,ratio"),
        "{error}"
    );
}

#[tokio::test]
async fn the_client_reads_actions_and_days() {
    let market = market(Some(Basis::Raw));
    let running = run(Simulator::new(
        market,
        calendar::nyse(),
        standing_at("2018-03-27T20:00:00Z"),
    ));
    let (_folder, connection) = running.connection();
    let yahoo = market_data::YahooClient::new(&connection).unwrap();
    let (from, to) = ("2018-03-01".parse().unwrap(), "2018-03-27".parse().unwrap());
    let actions = yahoo
        .corporate_actions(&ticker("AAPL"), from, to, calendar::nyse())
        .await
        .unwrap();
    let changes: Vec<_> = actions
        .iter()
        .map(|action| (action.effective_at, action.change))
        .collect();
    assert_eq!(
        changes,
        [
            (
                time("2018-03-26T13:30:00Z"),
                domain::ShareChange::Dividend { amount: 0.5 }
            ),
            (
                time("2018-03-27T13:30:00Z"),
                domain::ShareChange::Split { ratio: 4.0 }
            ),
        ]
    );
    let days = yahoo
        .daily_bars(&ticker("AAPL"), from, to, calendar::nyse())
        .await
        .unwrap();
    assert_eq!(days.len(), 3);
    assert_eq!(days[0].close.get(), 122.5);
}
