//! Factors against recorded prices, in Rust and through the database's views, and updates from a vendor in this process.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    path::Path,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Bar, CorporateAction, ShareChange, Ticker};
use flate2::read::GzDecoder;
use ingestion::{
    ActionReport, MarketTime, split_factor, update_corporate_actions, without_dividends,
};
use market_data::{Gate, GateLimits, Vendor, YahooClient};
use sqlx::PgPool;
use storage::{
    ActionCounts, ActionKind, VendorBar, bars_between, remove_corporate_action,
    restore_corporate_action, upsert_bars, upsert_corporate_actions,
};

use crate::{
    market::ticker,
    vendor_server::{Answer, VendorServer},
};

/// When the recorded daily prices were fetched: they carry all splits up to here.
const RECORDED: &str = "2026-07-01T00:00:00Z";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn action(symbol: &str, ex_date: NaiveDate, change: ShareChange) -> CorporateAction {
    CorporateAction {
        ticker: ticker(symbol),
        ex_date,
        effective_at: calendar::nyse().session_on(ex_date).unwrap().open,
        change,
    }
}

/// Rows of a CSV file by column name.
fn rows(path: &Path) -> Vec<HashMap<String, String>> {
    let file = File::open(path).unwrap();
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn std::io::Read> = if is_packed {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    csv::Reader::from_reader(reader)
        .deserialize()
        .map(Result::unwrap)
        .collect()
}

/// The recorded actions of a ticker within the calendar.
fn recorded_actions(folder: &Path, symbol: &str) -> Vec<CorporateAction> {
    let read = |file: &str, column: &str, change: fn(f64) -> ShareChange| {
        rows(&folder.join(file))
            .into_iter()
            .filter(|row| row["ticker"] == symbol && *row["date"] >= *"2005-01-04")
            .map(|row| {
                action(
                    symbol,
                    date(&row["date"]),
                    change(row[column].parse().unwrap()),
                )
            })
            .collect::<Vec<_>>()
    };
    let mut actions = read("splits.csv", "ratio", |ratio| ShareChange::Split { ratio });
    actions.extend(read("dividends.csv", "amount", |amount| {
        ShareChange::Dividend { amount }
    }));
    actions
}

struct Session {
    date: NaiveDate,
    close: f64,
    adjusted: f64,
}

/// Yahoo's daily prices by ticker, ascending.
fn daily(path: &Path) -> BTreeMap<String, Vec<Session>> {
    let mut tickers = BTreeMap::<_, Vec<Session>>::new();
    for row in rows(path) {
        tickers
            .entry(row["ticker"].clone())
            .or_default()
            .push(Session {
                date: date(&row["date"]),
                close: row["close"].parse().unwrap(),
                adjusted: row["adj_close"].parse().unwrap(),
            });
    }
    tickers
}

/// The largest relative error, apart from the rounding of the recorded closes to six decimals.
fn worst(sessions: &[Session], adjusted: &[f64]) -> f64 {
    assert_eq!(sessions.len(), adjusted.len());
    sessions
        .iter()
        .zip(adjusted)
        .map(|(session, found)| {
            let rounding = 5e-7;
            ((found - session.adjusted).abs() - rounding).max(0.0) / session.adjusted
        })
        .fold(0.0, f64::max)
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn yahoo_s_adjusted_closes_follow_from_close_and_dividends(pool: PgPool) {
    let (Some(daily_path), Some(folder)) = (
        test_support::shared("data/daily/daily_yahoo15_2010_2026.csv.gz"),
        test_support::shared("data/corporate_actions"),
    ) else {
        return;
    };
    let fetched_at = time(RECORDED);
    let tickers = daily(&daily_path);
    for (symbol, sessions) in &tickers {
        let actions = recorded_actions(&folder, symbol);
        let closes: Vec<_> = sessions
            .iter()
            .map(|session| (session.date, session.close))
            .collect();
        let error = worst(sessions, &without_dividends(&closes, &actions, fetched_at));
        assert!(error < 1e-6, "{symbol}: {error:e}");

        // The last bar of each session, as fetched that day.
        let bars: Vec<_> = sessions
            .iter()
            .map(|session| {
                let start = calendar::nyse().session_on(session.date).unwrap().close
                    - TimeDelta::minutes(1);
                let close = session.close;
                VendorBar {
                    ticker: ticker(symbol),
                    bar: Bar::new(start, close, close, close, close, 1.0).unwrap(),
                    source: "yahoo",
                    fetched_at,
                }
            })
            .collect();
        upsert_bars(&pool, &bars).await.unwrap();
        upsert_corporate_actions(&pool, &actions, "yahoo", fetched_at)
            .await
            .unwrap();
        let view: Vec<f64> = sqlx::query_scalar(
            "select close from price_total_return where ticker = $1 order by bar_start",
        )
        .bind(symbol)
        .fetch_all(&pool)
        .await
        .unwrap();
        let error = worst(sessions, &view);
        assert!(error < 1e-6, "{symbol} through the view: {error:e}");
    }
    assert_eq!(tickers.len(), 15);
}

/// Apple's raw minutes around its seven for one, each with the splits up to its own close.
fn lean_apple(path: &Path) -> Vec<VendorBar> {
    rows(path)
        .into_iter()
        .filter(|row| row["ticker"] == "AAPL")
        .map(|row| {
            let number = |column: &str| row[column].parse::<f64>().unwrap();
            Bar::new(
                time(&row["ts"]),
                number("open"),
                number("high"),
                number("low"),
                number("close"),
                number("volume"),
            )
            .unwrap()
        })
        .filter(|bar| calendar::nyse().session_at(bar.start).is_some())
        .map(|bar| VendorBar {
            ticker: ticker("AAPL"),
            bar,
            source: "lean",
            fetched_at: bar.close_time(),
        })
        .collect()
}

async fn apple(pool: &PgPool) -> Vec<Bar> {
    bars_between(
        pool,
        &ticker("AAPL"),
        time("2014-01-01T00:00:00Z"),
        time("2015-01-01T00:00:00Z"),
    )
    .await
    .unwrap()
}

/// The largest change from one close to the next open.
fn largest_step(bars: &[Bar]) -> f64 {
    bars.windows(2)
        .map(|pair| (pair[1].open.get() / pair[0].close.get()).ln().abs())
        .fold(0.0, f64::max)
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn raw_minutes_are_continuous_across_a_split_and_raw_again_without_it(pool: PgPool) {
    let Some(path) = test_support::shared("data/bars_1m/lean_raw_2008_2023_samples.csv.gz") else {
        return;
    };
    let rows = lean_apple(&path);
    assert_eq!(rows.len(), 3 * 390);
    upsert_bars(&pool, &rows).await.unwrap();
    let raw = apple(&pool).await;
    assert!(largest_step(&raw) > 1.9, "a raw split is a crash");

    let split = action(
        "AAPL",
        date("2014-06-09"),
        ShareChange::Split { ratio: 7.0 },
    );
    upsert_corporate_actions(&pool, std::slice::from_ref(&split), "test", time(RECORDED))
        .await
        .unwrap();
    let adjusted = apple(&pool).await;
    let at = |bars: &[Bar], start: &str| {
        let start = time(start);
        *bars.iter().find(|bar| bar.start == start).unwrap()
    };
    let thursday = at(&adjusted, "2014-06-05T19:59:00Z").close.get();
    assert!((thursday - 647.35 / 7.0).abs() < 0.01, "{thursday}");
    assert_eq!(at(&adjusted, "2014-06-09T13:30:00Z").open.get(), 92.69);
    let step = largest_step(&adjusted);
    assert!(step < 0.006, "{step}");
    let volume = |bars: &[Bar]| at(bars, "2014-06-05T14:00:00Z").volume;
    assert_eq!(volume(&adjusted), 7.0 * volume(&raw));

    let name = (ticker("AAPL"), split.ex_date, ActionKind::Split);
    remove_corporate_action(&pool, &name.0, name.1, name.2)
        .await
        .unwrap();
    assert_eq!(apple(&pool).await, raw);
    restore_corporate_action(&pool, &name.0, name.1, name.2)
        .await
        .unwrap();
    assert_eq!(apple(&pool).await, adjusted);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_view_and_the_arithmetic_agree_whenever_a_bar_was_fetched(pool: PgPool) {
    let actions = [
        action(
            "AAPL",
            date("2014-06-09"),
            ShareChange::Split { ratio: 7.0 },
        ),
        action(
            "AAPL",
            date("2020-08-31"),
            ShareChange::Split { ratio: 4.0 },
        ),
        action(
            "AAPL",
            date("2018-03-01"),
            ShareChange::SpinOff { ratio: 1.281 },
        ),
        action(
            "AAPL",
            date("2021-08-02"),
            ShareChange::Split { ratio: 0.125 },
        ),
        action(
            "AAPL",
            date("2021-08-02"),
            ShareChange::Dividend { amount: 0.2 },
        ),
    ];
    // Around each of them, to the second.
    let moments: Vec<DateTime<Utc>> = actions
        .iter()
        .flat_map(|action| [-60, 0, 60].map(|s| action.effective_at + TimeDelta::seconds(s)))
        .chain([time("2000-01-03T15:00:00Z"), time("2024-01-02T15:00:00Z")])
        .collect();
    let start = time("2010-01-04T14:30:00Z");
    let bars: Vec<_> = moments
        .iter()
        .enumerate()
        .map(|(place, fetched_at)| VendorBar {
            ticker: ticker("AAPL"),
            bar: Bar::new(
                start + TimeDelta::minutes(place as i64),
                280.0,
                280.0,
                280.0,
                280.0,
                1_000.0,
            )
            .unwrap(),
            source: "test",
            fetched_at: *fetched_at,
        })
        .collect();
    upsert_bars(&pool, &bars).await.unwrap();
    upsert_corporate_actions(&pool, &actions, "test", time(RECORDED))
        .await
        .unwrap();
    let view = bars_between(&pool, &ticker("AAPL"), start, start + TimeDelta::days(1))
        .await
        .unwrap();
    assert_eq!(view.len(), bars.len());
    for (row, found) in bars.iter().zip(&view) {
        let carried = row.fetched_at.max(row.bar.start);
        let factor = split_factor(&actions, carried, time(RECORDED));
        let close = 280.0 / factor.price;
        assert!(
            (found.close.get() / close - 1.0).abs() < 1e-14,
            "{carried}: {found:?}"
        );
        let shares = 1_000.0 * factor.shares;
        assert!(
            (found.volume / shares - 1.0).abs() < 1e-14,
            "{carried}: {found:?}"
        );
    }
}

/// A vendor of daily charts: what it answers by ticker.
struct Charts {
    server: VendorServer,
    answers: Arc<Mutex<HashMap<&'static str, Answer>>>,
}

impl Charts {
    async fn open() -> Self {
        let answers = Arc::new(Mutex::new(HashMap::<&'static str, Answer>::new()));
        let shared = Arc::clone(&answers);
        let server = VendorServer::start(move |call| {
            let answers = shared.lock().unwrap();
            answers.get(call.ticker.as_str()).cloned().unwrap()
        })
        .await;
        Self { server, answers }
    }

    fn set(&self, symbol: &'static str, answer: Answer) {
        self.answers.lock().unwrap().insert(symbol, answer);
    }

    async fn update(&self, pool: &PgPool, symbols: &[&str], now: &str) -> ActionReport {
        let client = YahooClient::new(&self.server.connection).unwrap();
        let now = time(now);
        // So fast that no pause is longer than the shortest.
        let clock = MarketTime::new(move || now, || 10_000.0);
        let gate = Gate::new("Yahoo", clock.clone(), GateLimits::of(Vendor::Yahoo));
        let tickers: Vec<Ticker> = symbols.iter().map(|symbol| ticker(symbol)).collect();
        update_corporate_actions(&client, &gate, pool, &clock, &tickers)
            .await
            .unwrap()
    }
}

/// A chart of one day with events of the form `(ex-date, numerator, denominator)` and `(ex-date, amount)`.
fn chart(symbol: &str, splits: &[(&str, f64, f64)], dividends: &[(&str, f64)]) -> Answer {
    let open = |day: &str| {
        let session = calendar::nyse().session_on(date(day)).unwrap();
        session.open.timestamp()
    };
    let splits: serde_json::Map<_, _> = splits
        .iter()
        .map(|(day, numerator, denominator)| {
            let event = serde_json::json!({
                "date": open(day), "numerator": numerator, "denominator": denominator,
                "splitRatio": format!("{numerator}:{denominator}"),
            });
            (open(day).to_string(), event)
        })
        .collect();
    let dividends: serde_json::Map<_, _> = dividends
        .iter()
        .map(|(day, amount)| {
            let event = serde_json::json!({ "date": open(day), "amount": amount });
            (open(day).to_string(), event)
        })
        .collect();
    let chart = serde_json::json!({ "chart": { "error": null, "result": [{
        "meta": {
            "currency": "USD", "symbol": symbol, "instrumentType": "EQUITY", "dataGranularity": "1d",
            "regularMarketTime": open("2020-08-28") + 390 * 60,
        },
        "timestamp": [open("2020-08-28")],
        "events": { "splits": splits, "dividends": dividends },
        "indicators": {
            "quote": [{ "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [1] }],
            "adjclose": [{ "adjclose": [1.0] }],
        },
    }] } });
    Answer::json(chart.to_string())
}

const MONDAY: &str = "2020-08-31T12:30:00Z";

fn counts(inserted: u64, changed: u64, unchanged: u64) -> ActionCounts {
    ActionCounts {
        inserted,
        changed,
        unchanged,
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_update_twice_is_an_update_once_and_says_what_changed(pool: PgPool) {
    let charts = Charts::open().await;
    let symbols = ["AAPL", "GE"];
    charts.set(
        "AAPL",
        chart("AAPL", &[("2020-08-31", 4.0, 1.0)], &[("2020-08-07", 0.82)]),
    );
    charts.set("GE", chart("GE", &[("2019-12-02", 1.04, 1.0)], &[]));
    let report = charts.update(&pool, &symbols, MONDAY).await;
    assert_eq!(report.counts, counts(3, 0, 0));
    let changes: Vec<_> = report
        .changes
        .iter()
        .map(|change| (change.action.change, change.before))
        .collect();
    assert_eq!(
        changes,
        [
            (ShareChange::Dividend { amount: 0.82 }, None),
            (ShareChange::Split { ratio: 4.0 }, None),
            (ShareChange::SpinOff { ratio: 1.04 }, None),
        ]
    );
    let report = charts.update(&pool, &symbols, MONDAY).await;
    assert_eq!(report.counts, counts(0, 0, 3));
    assert_eq!(report.changes, []);

    // Yahoo restates its dividends for the split, and forgets one of the others.
    charts.set(
        "AAPL",
        chart(
            "AAPL",
            &[("2020-08-31", 4.0, 1.0)],
            &[("2020-08-07", 0.205)],
        ),
    );
    charts.set("GE", chart("GE", &[], &[]));
    let report = charts.update(&pool, &symbols, "2020-09-01T12:30:00Z").await;
    assert_eq!(report.counts, counts(0, 1, 1));
    assert_eq!(report.changes.len(), 1);
    assert_eq!(
        report.changes[0].before,
        Some(ShareChange::Dividend { amount: 0.82 })
    );
    assert_eq!(report.vanished.len(), 1);
    assert_eq!(report.vanished[0].action.ticker, ticker("GE"));
    let stored = storage::corporate_actions(&pool, &ticker("GE"))
        .await
        .unwrap();
    assert_eq!(stored[0].removed_at, None, "a person decides");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_stock_that_cannot_be_fetched_leaves_the_others_alone(pool: PgPool) {
    let charts = Charts::open().await;
    let symbols = ["AAPL", "BA", "GE", "XOM"];
    charts.set("AAPL", chart("AAPL", &[("2020-08-31", 4.0, 1.0)], &[]));
    charts.set("BA", Answer::status(500, "text/html", "<html>oops</html>"));
    charts.set("GE", Answer::json(r#"{"chart": {"result": [{"meta"#));
    let unknown = r#"{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}"#;
    charts.set("XOM", Answer::status(404, "application/json", unknown));
    let report = charts.update(&pool, &symbols, MONDAY).await;
    assert_eq!(report.counts, counts(1, 0, 0));
    assert_eq!(report.failed, [ticker("BA"), ticker("GE")]);
    assert_eq!(report.unknown, [ticker("XOM")]);

    charts.set("BA", chart("BA", &[], &[("2020-02-13", 2.055)]));
    charts.set("GE", chart("GE", &[], &[("2020-06-26", 0.01)]));
    let report = charts.update(&pool, &symbols, MONDAY).await;
    assert_eq!(report.counts, counts(2, 0, 1));
    assert_eq!(report.failed, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn two_updates_at_once_are_one(pool: PgPool) {
    let charts = Charts::open().await;
    charts.set(
        "AAPL",
        chart("AAPL", &[("2020-08-31", 4.0, 1.0)], &[("2020-08-07", 0.82)]),
    );
    let (first, second) = tokio::join!(
        charts.update(&pool, &["AAPL"], MONDAY),
        charts.update(&pool, &["AAPL"], MONDAY)
    );
    assert_eq!(first.counts.inserted + second.counts.inserted, 2);
    assert_eq!(first.counts.unchanged + second.counts.unchanged, 2);
    let stored = storage::corporate_actions(&pool, &ticker("AAPL"))
        .await
        .unwrap();
    assert_eq!(stored.len(), 2);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_update_that_dies_while_it_stores_has_changed_nothing(pool: PgPool) {
    let charts = Charts::open().await;
    let symbols = ["AAPL", "GE"];
    charts.set("AAPL", chart("AAPL", &[("2020-08-31", 4.0, 1.0)], &[]));
    charts.set(
        "GE",
        chart(
            "GE",
            &[("2021-08-02", 1.0, 8.0), ("2019-12-02", 1.04, 1.0)],
            &[],
        ),
    );
    // The second of its rows is held up, so that it hangs in the middle of its transaction.
    let mut other = pool.begin().await.unwrap();
    sqlx::query(
        "insert into corporate_actions (ticker, kind, ex_date, effective_at, ratio, source, fetched_at) \
         values ('GE', 'spin_off', '2019-12-02', '2019-12-02T13:30:00Z', 9, 'other', '2019-12-02T12:00:00Z')",
    )
    .execute(&mut *other)
    .await
    .unwrap();
    let hanging = tokio::time::timeout(
        std::time::Duration::from_secs(2),
        charts.update(&pool, &symbols, MONDAY),
    );
    assert!(hanging.await.is_err());
    other.rollback().await.unwrap();
    for symbol in symbols {
        assert_eq!(
            storage::corporate_actions(&pool, &ticker(symbol))
                .await
                .unwrap(),
            []
        );
    }
    // Of the reverse split's day it is not told before that day has come.
    let report = charts.update(&pool, &symbols, MONDAY).await;
    assert_eq!(report.counts, counts(2, 0, 0));
}
