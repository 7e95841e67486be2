//! The price of the running minute from the vendor's live stream. It is shown and nothing else: bars come from polls.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use domain::Ticker;
use ingestion::MarketTime;
use market_data::{LiveTrade, StreamError, VendorConnection, YahooStream};
use service_kit::Clock;
use storage::{FormingPrice, PgPool};

/// Between two notices of new prices, in real time: nobody sees more, and a busy market has thousands of trades a
/// second.
const BETWEEN_NOTICES: Duration = Duration::from_millis(250);

/// A stream without a trade for so long is as good as none, in market time, and at least [`SHORTEST_SILENCE`].
const SILENCE: TimeDelta = TimeDelta::seconds(60);

/// The same in real time.
const SHORTEST_SILENCE: Duration = Duration::from_secs(2);

/// First and longest pause before the next connection, in market time.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5 * 60));

/// When the stream last brought a trade. Cloning is cheap and all clones agree.
#[derive(Clone, Default)]
pub(crate) struct LiveFeed(Arc<AtomicI64>);

impl LiveFeed {
    /// Whether the stream brings prices, so that polls for them would be for nothing.
    pub(crate) fn is_live(&self, time: &MarketTime) -> bool {
        let heard_at = self.0.load(Ordering::Relaxed);
        let silence = time.now().timestamp_millis() - heard_at;
        silence.abs() < longest_silence(time).num_milliseconds()
    }

    fn heard(&self, time: &MarketTime) {
        self.0
            .store(time.now().timestamp_millis(), Ordering::Relaxed);
    }
}

/// What the stream is read with.
pub(crate) struct Live {
    pub(crate) connection: VendorConnection,
    pub(crate) tickers: Vec<Ticker>,
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) time: MarketTime,
    pub(crate) feed: LiveFeed,
}

/// Passes the stream's prices on during sessions until it is dropped; comes back after every failure.
pub(crate) async fn run(live: Live) {
    let calendar = calendar::nyse();
    let mut failures = 0_u32;
    loop {
        let now = live.clock.now();
        if calendar.session_at(now).is_none() {
            let Some(session) = calendar.next_open(now) else {
                return;
            };
            live.clock.sleep_until(session.open).await;
            continue;
        }
        let before = live.feed.0.load(Ordering::Relaxed);
        let result = listen(&live).await;
        if live.feed.0.load(Ordering::Relaxed) != before {
            failures = 0;
        }
        let (first, longest) = PAUSES;
        let pause = first.saturating_mul(1 << failures.min(10)).min(longest);
        if let Err(error) = result {
            if failures == 0 {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "the live stream is away; prices are polled instead"
                );
            }
            failures = failures.saturating_add(1);
        }
        tokio::time::sleep(live.time.pause(pause)).await;
    }
}

/// Reads one connection until it fails, falls silent or the session ends.
async fn listen(live: &Live) -> Result<(), StreamError> {
    let mut stream = YahooStream::connect(&live.connection, &live.tickers).await?;
    // The newest of each ticker: as many as there are tickers, whatever comes.
    let mut newest: HashMap<Ticker, FormingPrice> = HashMap::new();
    let mut notices = tokio::time::interval(BETWEEN_NOTICES);
    notices.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut heard_at = live.clock.now();
    loop {
        tokio::select! {
            trade = stream.next() => match trade {
                None => return Ok(()),
                Some(Err(error)) => return Err(error),
                Some(Ok(LiveTrade { ticker, trade })) => {
                    live.feed.heard(&live.time);
                    heard_at = live.clock.now();
                    let price = FormingPrice { ticker: ticker.clone(), time: trade.time, price: trade.price };
                    newest.insert(ticker, price);
                }
            },
            _ = notices.tick() => {
                let now = live.clock.now();
                let is_over = calendar::nyse().session_at(now).is_none();
                if is_over || now - heard_at > longest_silence(&live.time) {
                    return Ok(());
                }
                let prices: Vec<FormingPrice> = newest.drain().map(|(_, price)| price).collect();
                // Without a database there is nobody to show them to; the polls say so.
                if let Err(error) = storage::notify_forming_prices(&live.pool, &prices).await {
                    tracing::debug!(error = &error as &dyn Error, "prices were not passed on");
                }
            }
        }
    }
}

fn longest_silence(time: &MarketTime) -> TimeDelta {
    let shortest = TimeDelta::from_std(SHORTEST_SILENCE.mul_f64(time.speed()));
    SILENCE.max(shortest.unwrap_or(TimeDelta::MAX))
}
