//! `wss://streamer.finance.yahoo.com/?version=2`: the last trade of every subscribed stock, about once a second of market
//! time while a session is open.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::{
        Query, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
    routing::any,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use domain::Ticker;
use prost::Message as _;
use serde::Deserialize;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::{
    Simulator,
    faults::Due,
    market::Stock,
    tape::Latest,
    vendor::{Asked, Endpoint, Vendor},
};

/// Trades are looked for once a second of market time, in real time no more and no less often than this.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A connection that is to be cut is cut after so many messages.
const MESSAGES_BEFORE_CUT: usize = 3;

/// Yahoo's numbers for shares and for the regular session.
const EQUITY: i32 = 8;
const REGULAR_MARKET: i32 = 1;

pub(crate) fn router(simulator: Arc<Simulator>) -> Router {
    Router::new().route("/", any(open)).with_state(simulator)
}

/// Yahoo's message, with its numbers of fields; those that are only there for other instruments are left out.
#[derive(Clone, PartialEq, prost::Message)]
struct PricingData {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(float, tag = "2")]
    price: f32,
    /// Milliseconds since 1970, UTC.
    #[prost(sint64, tag = "3")]
    time: i64,
    #[prost(string, tag = "4")]
    currency: String,
    #[prost(string, tag = "5")]
    exchange: String,
    #[prost(int32, tag = "6")]
    quote_type: i32,
    #[prost(int32, tag = "7")]
    market_hours: i32,
    /// Since the close before, percent.
    #[prost(float, tag = "8")]
    change_percent: f32,
    #[prost(sint64, tag = "9")]
    day_volume: i64,
    #[prost(float, tag = "10")]
    day_high: f32,
    #[prost(float, tag = "11")]
    day_low: f32,
    /// Since the close before, US dollars.
    #[prost(float, tag = "12")]
    change: f32,
    #[prost(string, tag = "13")]
    short_name: String,
    #[prost(float, tag = "15")]
    open_price: f32,
    #[prost(float, tag = "16")]
    previous_close: f32,
    #[prost(sint64, tag = "27")]
    price_hint: i64,
}

#[derive(Deserialize)]
struct Parameters {
    version: Option<u8>,
}

/// What a client may say.
#[derive(Default, Deserialize)]
struct Wish {
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    unsubscribe: Vec<String>,
}

async fn open(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<Parameters>,
    due: Option<Extension<Due>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let is_wrapped = parameters.version == Some(2);
    upgrade.on_upgrade(move |socket| async move {
        let due = due.map(|Extension(due)| due);
        let ending = simulator.ending.clone();
        ending
            .run_until_cancelled(talk(&simulator, socket, is_wrapped, due))
            .await;
    })
}

/// Until the client leaves, or a fault ends it.
async fn talk(
    simulator: &Simulator,
    mut socket: WebSocket,
    is_wrapped: bool,
    due: Option<Due>,
) -> Option<()> {
    let stream = Asked {
        vendor: Vendor::Yahoo,
        endpoint: Endpoint::Stream,
        subject: String::new(),
    };
    let wait = Duration::try_from_secs_f64(1.0 / simulator.clock.speed()).unwrap_or(LONGEST_WAIT);
    let mut turns = tokio::time::interval(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wanted: BTreeSet<Ticker> = BTreeSet::new();
    let mut told: BTreeMap<Ticker, DateTime<Utc>> = BTreeMap::new();
    let mut sent = 0;
    loop {
        tokio::select! {
            message = socket.recv() => match message?.ok()? {
                Message::Text(text) => {
                    let wish: Wish = serde_json::from_str(&text).unwrap_or_default();
                    let tickers = |symbols: Vec<String>| {
                        symbols.into_iter().filter_map(|symbol| Ticker::parse(&symbol).ok())
                    };
                    wanted.extend(tickers(wish.subscribe));
                    for ticker in tickers(wish.unsubscribe) {
                        wanted.remove(&ticker);
                    }
                }
                Message::Close(_) => return None,
                _ => (),
            },
            _ = turns.tick() => {
                let now = simulator.clock.now();
                if simulator.faults.is_down(&stream, now) {
                    return None;
                }
                for ticker in &wanted {
                    let Some(trade) = trade(simulator, ticker, now) else { continue };
                    let time = DateTime::from_timestamp_millis(trade.time)?;
                    if told.insert(ticker.clone(), time) == Some(time) {
                        continue;
                    }
                    let text = STANDARD.encode(trade.encode_to_vec());
                    let text = if is_wrapped {
                        json!({ "type": "pricing", "message": text }).to_string()
                    } else {
                        text
                    };
                    socket.send(Message::text(text)).await.ok()?;
                    sent += 1;
                    if let Some(due) = due.filter(|_| sent >= MESSAGES_BEFORE_CUT) {
                        simulator.faults.happened(&due);
                        return None;
                    }
                }
            }
        }
    }
}

/// The last trade while a session is open.
fn trade(simulator: &Simulator, ticker: &Ticker, now: DateTime<Utc>) -> Option<PricingData> {
    simulator.calendar.session_at(now)?;
    let stock = simulator.market.stock(ticker)?.as_of(now);
    let latest = Latest::at(stock, now)?;
    let session = stock.sessions().get(latest.session)?;
    session.contains(now).then(|| pricing(stock, &latest))
}

fn pricing(stock: Stock<'_>, latest: &Latest) -> PricingData {
    let profile = stock.profile();
    let before = latest
        .session
        .checked_sub(1)
        .and_then(|before| stock.daily(before))
        .map_or(latest.day.open, |day| day.close);
    let change = latest.price - before;
    PricingData {
        id: profile.ticker.to_string(),
        price: latest.price as f32,
        time: latest.time.timestamp_millis(),
        currency: "USD".to_owned(),
        exchange: profile.exchange.code().to_owned(),
        quote_type: EQUITY,
        market_hours: REGULAR_MARKET,
        change_percent: (change / before * 100.0) as f32,
        day_volume: latest.day.volume as i64,
        day_high: latest.day.high as f32,
        day_low: latest.day.low as f32,
        change: change as f32,
        short_name: profile.name.clone(),
        open_price: latest.day.open as f32,
        previous_close: before as f32,
        price_hint: 2,
    }
}
