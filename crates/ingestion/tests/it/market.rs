//! A vendor with a market: every minute of every regular session is a bar, up to its own clock.

use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use domain::Ticker;
use ingestion::{IngestSettings, Ingestor, MarketTime};
use market_data::YahooClient;
use sqlx::PgPool;

use crate::vendor_server::{Answer, Call, VendorServer};

/// What the vendor answers for a ticker instead of its bars.
pub(crate) type Fault = Arc<dyn Fn(&Call) -> Option<Answer> + Send + Sync>;

pub(crate) struct Market {
    pub(crate) server: VendorServer,
    pub(crate) state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    pub(crate) now: DateTime<Utc>,
    pub(crate) faults: HashMap<String, Fault>,
    /// Closes that differ from the usual ones, by ticker and Unix time.
    pub(crate) closes: HashMap<(String, i64), f64>,
    /// Minutes that the vendor does not have, by ticker: from and until before.
    pub(crate) holes: Vec<(String, DateTime<Utc>, DateTime<Utc>)>,
    /// The `splits` object of all answers.
    pub(crate) splits: String,
}

pub(crate) fn at(day: u32, hour: u32, minute: u32, second: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2018, 3, day, hour, minute, second)
        .unwrap()
}

pub(crate) fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

pub(crate) fn always(answer: Answer) -> Fault {
    Arc::new(move |_| Some(answer.clone()))
}

impl Market {
    pub(crate) async fn open(now: DateTime<Utc>) -> Self {
        let state = State {
            now,
            faults: HashMap::new(),
            closes: HashMap::new(),
            holes: Vec::new(),
            splits: String::from("{}"),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = VendorServer::start(move |call| {
            // Other vendors have their answers, if any, by their host's name.
            let of_host = shared.lock().unwrap().faults.get(&call.host).cloned();
            if let Some(answer) = of_host.and_then(|answer| answer(call)) {
                return answer;
            }
            // As Yahoo: nobody but a browser is answered.
            if call.host != "query1.finance.yahoo.com" || !call.user_agent.starts_with("Mozilla/") {
                return Answer::status(429, "text/html", "Edge: Too Many Requests");
            }
            let state = shared.lock().unwrap();
            let fault = state.faults.get(&call.ticker).and_then(|fault| fault(call));
            fault.unwrap_or_else(|| Answer::json(chart(&state, call)))
        })
        .await;
        Self { server, state }
    }

    pub(crate) async fn ingestor(&self, pool: &PgPool, tickers: &[&str]) -> Ingestor {
        let client = YahooClient::new(&self.server.connection).unwrap();
        let state = Arc::clone(&self.state);
        // So fast that no pause is longer than the shortest.
        let time = MarketTime::new(move || state.lock().unwrap().now, || 10_000.0);
        let tickers: Vec<Ticker> = tickers.iter().map(|text| ticker(text)).collect();
        let settings = IngestSettings::default();
        Ingestor::new(
            client,
            pool.clone(),
            calendar::nyse(),
            time,
            settings,
            &tickers,
        )
        .await
        .unwrap()
    }

    pub(crate) fn set_now(&self, now: DateTime<Utc>) {
        self.state.lock().unwrap().now = now;
    }

    pub(crate) fn fault(&self, ticker: &str, fault: Fault) {
        self.state
            .lock()
            .unwrap()
            .faults
            .insert(ticker.to_owned(), fault);
    }

    pub(crate) fn heal(&self, ticker: &str) {
        self.state.lock().unwrap().faults.remove(ticker);
    }

    pub(crate) fn set_close(&self, ticker: &str, start: DateTime<Utc>, close: f64) {
        self.state
            .lock()
            .unwrap()
            .closes
            .insert((ticker.to_owned(), start.timestamp()), close);
    }

    pub(crate) fn set_holes(&self, holes: &[(&str, DateTime<Utc>, DateTime<Utc>)]) {
        self.state.lock().unwrap().holes = holes
            .iter()
            .map(|(ticker, from, to)| ((*ticker).to_owned(), *from, *to))
            .collect();
    }

    /// The calls since the last time.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.server.calls.lock().unwrap())
    }
}

pub(crate) async fn count(pool: &PgPool, ticker: &str) -> i64 {
    sqlx::query_scalar("select count(*) from price_data where ticker = $1")
        .bind(ticker)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// The chart as Yahoo draws it: each minute so far, then the last trade.
fn chart(state: &State, call: &Call) -> String {
    let (mut times, mut prices, mut volumes) = (String::new(), String::new(), String::new());
    let mut push = |time: i64, price: f64, volume: f64| {
        let comma = if times.is_empty() { "" } else { "," };
        let _ = write!(times, "{comma}{time}");
        let _ = write!(prices, "{comma}{price}");
        let _ = write!(volumes, "{comma}{volume}");
    };
    let price = |time: i64| {
        let usual = 100.0 + (time / 60 % 97) as f64 / 100.0;
        *state
            .closes
            .get(&(call.ticker.clone(), time))
            .unwrap_or(&usual)
    };
    let (from, to) = call.period;
    let day = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap().date_naive();
    let mut open = false;
    for session in calendar::nyse().sessions(day(from), day(to)) {
        let mut minute = session.open;
        while minute < session.close && minute <= state.now {
            let time = minute.timestamp();
            let is_hole = state
                .holes
                .iter()
                .any(|(ticker, from, to)| *ticker == call.ticker && (*from..*to).contains(&minute));
            if (from..=to).contains(&time) && !is_hole {
                push(time, price(time), 1_000.0);
            }
            minute += TimeDelta::minutes(1);
        }
        open |= session.contains(state.now);
    }
    let trade = state.now.timestamp();
    if open && trade % 60 != 0 && trade <= to {
        push(trade, price(trade / 60 * 60), 0.0);
    }
    format!(
        r#"{{"chart":{{"result":[{{"meta":{{"currency":"USD","symbol":"{}","exchangeName":"NMS",
        "fullExchangeName":"NasdaqGS","instrumentType":"EQUITY","regularMarketTime":{trade},
        "hasPrePostMarketData":true,"gmtoffset":-14400,"timezone":"EDT","exchangeTimezoneName":"America/New_York",
        "priceHint":2,"dataGranularity":"1m","range":""}},"timestamp":[{times}],"events":{{"splits":{}}},
        "indicators":{{"quote":[{{"open":[{prices}],"high":[{prices}],"low":[{prices}],"close":[{prices}],
        "volume":[{volumes}]}}]}}}}],"error":null}}}}"#,
        call.ticker, state.splits
    )
}
