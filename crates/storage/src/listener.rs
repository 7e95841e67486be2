use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Datelike, Utc};
use domain::{Price, Ticker};
use serde::{Deserialize, Serialize};
use sqlx::{
    PgExecutor, PgPool,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    StorageError,
    error::{Answered as _, failed, silent},
};

/// PostgreSQL refuses payloads of 8000 bytes and more.
const LONGEST_PAYLOAD: usize = 7_999;
/// After this long without a notification the connection is tried: a cable pulled out makes no noise.
const SILENCE: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Connecting and subscribing take milliseconds.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// What can be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Bars were stored or revised.
    BarCommitted,
    /// Prices of the minute that is not over yet.
    FormingPrice,
    /// Splits, spin-offs or dividends were stored, changed or taken back.
    CorporateAction,
    /// Stories got their sentiment.
    NewsScored,
    /// Economic observations were stored.
    MacroReleased,
    /// What came of predictions was stored.
    OutcomesStored,
}

impl Channel {
    /// The channel's name in PostgreSQL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BarCommitted => "bar_committed",
            Self::FormingPrice => "forming_price",
            Self::CorporateAction => "corporate_action",
            Self::NewsScored => "news_scored",
            Self::MacroReleased => "macro_released",
            Self::OutcomesStored => "outcomes_stored",
        }
    }
}

/// The last trade of a ticker in the minute that is not over yet. Shown, never stored, never given to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormingPrice {
    /// Whose.
    pub ticker: Ticker,
    /// Time of the trade, UTC.
    pub time: DateTime<Utc>,
    /// Its price, US dollars per share.
    pub price: Price,
}

/// What a [`Listener`] heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Bars were stored or revised, and can be read now.
    BarsCommitted {
        /// Whose; nothing when they are too many to be named.
        tickers: Option<Vec<Ticker>>,
        /// Start of the earliest of them, UTC.
        first: DateTime<Utc>,
        /// Start of the latest of them, UTC.
        last: DateTime<Utc>,
    },
    /// Prices of the minute that is not over yet.
    FormingPrices(Vec<FormingPrice>),
    /// Splits, spin-offs or dividends were stored, changed or taken back: adjusted prices are others now.
    CorporateActions {
        /// Whose; nothing when they are too many to be named.
        tickers: Option<Vec<Ticker>>,
    },
    /// Stories got a sentiment, and can be read now.
    NewsScored {
        /// The stocks under which they are filed; nothing when they are too many to be named.
        tickers: Option<Vec<Ticker>>,
    },
    /// Economic observations were stored, and can be read now.
    MacroReleased,
    /// What came of predictions was stored, and can be read now.
    OutcomesStored,
    /// The connection was lost and is back. What happened in between was not heard: read again.
    Reconnected,
}

/// Hears what is committed, on a connection of its own, and finds its way back when that is lost.
#[derive(Debug)]
pub struct Listener {
    pool: PgPool,
    channels: Vec<Channel>,
    /// Nothing while the connection is lost.
    connection: Option<PgListener>,
    last_heard: Instant,
    pause: Duration,
    next_attempt: Instant,
}

#[derive(Serialize, Deserialize)]
struct BarsCommitted {
    tickers: Option<Vec<Ticker>>,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Tickers {
    tickers: Option<Vec<Ticker>>,
}

impl Listener {
    /// Starts to listen with the pool's settings; its connection is not one of the pool's.
    ///
    /// # Errors
    /// When the database cannot be reached now.
    pub async fn connect(pool: &PgPool, channels: &[Channel]) -> Result<Self, StorageError> {
        let mut listener = Self::new(pool, channels);
        listener
            .listen()
            .await
            .map_err(failed("listen for notifications"))?;
        Ok(listener)
    }

    /// A listener that connects when it is first asked, and says [`Notice::Reconnected`] then.
    pub fn new(pool: &PgPool, channels: &[Channel]) -> Self {
        Self {
            pool: pool.clone(),
            channels: channels.to_vec(),
            connection: None,
            last_heard: Instant::now(),
            pause: FIRST_PAUSE,
            next_attempt: Instant::now(),
        }
    }

    /// Waits for the next notice. Never fails: while the database is away it keeps trying, and says
    /// [`Notice::Reconnected`] when it is back.
    ///
    /// May be dropped at any point, in `tokio::select!` for example, without losing a notice.
    pub async fn next(&mut self) -> Notice {
        loop {
            if self.connection.is_none() {
                sleep_until(self.next_attempt).await;
                match self.listen().await {
                    Ok(()) => {
                        tracing::info!("listening for notifications again");
                        return Notice::Reconnected;
                    }
                    Err(error) => {
                        tracing::warn!("cannot listen for notifications, trying again: {error}");
                        self.next_attempt = Instant::now() + self.pause;
                        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                    }
                }
            } else if let Some(notification) = self.hear().await
                && let Some(notice) = read(&notification)
            {
                return notice;
            }
        }
    }

    async fn listen(&mut self) -> Result<(), sqlx::Error> {
        // A pool for this connection alone: one that fell silent says good-bye in the background, maybe without end, and
        // keeps its place in its pool meanwhile.
        let own_pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(LISTEN_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.pool.connect_options().as_ref().clone());
        let subscribe = async {
            let mut connection = PgListener::connect_with(&own_pool).await?;
            connection
                .listen_all(self.channels.iter().map(|channel| channel.name()))
                .await?;
            Ok(connection)
        };
        let mut connection = timeout(LISTEN_TIMEOUT, subscribe)
            .await
            .unwrap_or_else(|_elapsed| Err(silent("no answer from the database".to_owned())))?;
        connection.eager_reconnect(false);
        self.connection = Some(connection);
        self.last_heard = Instant::now();
        self.pause = FIRST_PAUSE;
        Ok(())
    }

    /// The next notification; nothing when a connection turned out to be alive or lost.
    async fn hear(&mut self) -> Option<PgNotification> {
        let connection = self.connection.as_mut()?;
        let silent_until = self.last_heard + SILENCE;
        let lost = tokio::select! {
            heard = connection.try_recv() => match heard {
                Ok(Some(notification)) => {
                    self.last_heard = Instant::now();
                    return Some(notification);
                }
                Ok(None) => "it was closed".to_owned(),
                Err(error) => error.to_string(),
            },
            () = sleep_until(silent_until) => {
                // Notifications that arrive meanwhile are kept by the connection.
                match timeout(PING_TIMEOUT, sqlx::query("select 1").execute(&mut *connection)).await {
                    Ok(Ok(_)) => {
                        self.last_heard = Instant::now();
                        return None;
                    }
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "it does not answer".to_owned(),
                }
            }
        };
        tracing::warn!("lost the connection that listens for notifications: {lost}");
        self.connection = None;
        self.next_attempt = Instant::now();
        None
    }
}

fn read(notification: &PgNotification) -> Option<Notice> {
    let channel = notification.channel();
    let payload = notification.payload();
    let tickers = || serde_json::from_str(payload).map(|Tickers { tickers }| tickers);
    let notice = if channel == Channel::BarCommitted.name() {
        serde_json::from_str(payload).map(
            |BarsCommitted {
                 tickers,
                 first,
                 last,
             }| {
                Notice::BarsCommitted {
                    tickers,
                    first,
                    last,
                }
            },
        )
    } else if channel == Channel::CorporateAction.name() {
        tickers().map(|tickers| Notice::CorporateActions { tickers })
    } else if channel == Channel::NewsScored.name() {
        tickers().map(|tickers| Notice::NewsScored { tickers })
    } else if channel == Channel::MacroReleased.name() {
        Ok(Notice::MacroReleased)
    } else if channel == Channel::OutcomesStored.name() {
        Ok(Notice::OutcomesStored)
    } else {
        serde_json::from_str(payload).map(Notice::FormingPrices)
    };
    let notice = notice
        .inspect_err(|error| {
            tracing::warn!(
                channel,
                "ignored a notification that is none of ours: {error}"
            );
        })
        .ok()?;
    if !has_plausible_times(&notice) {
        tracing::warn!(channel, "ignored a notification of another age");
        return None;
    }
    Some(notice)
}

/// Whoever may connect may notify: no reader has to reckon with times that overflow when a minute is added.
fn has_plausible_times(notice: &Notice) -> bool {
    let plausible = |time: &DateTime<Utc>| (1900..2200).contains(&time.year());
    match notice {
        Notice::BarsCommitted { first, last, .. } => {
            plausible(first) && plausible(last) && first <= last
        }
        Notice::FormingPrices(prices) => prices.iter().all(|price| plausible(&price.time)),
        Notice::CorporateActions { .. }
        | Notice::NewsScored { .. }
        | Notice::MacroReleased
        | Notice::OutcomesStored
        | Notice::Reconnected => true,
    }
}

/// Sends forming prices to all listeners. They are not stored.
///
/// # Errors
/// When the database is lost.
pub async fn notify_forming_prices(
    executor: impl PgExecutor<'_>,
    prices: &[FormingPrice],
) -> Result<(), StorageError> {
    if prices.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"select pg_notify('forming_price', payload) as "sent!: ()" from unnest($1::text[]) as payload"#,
        &payloads(prices),
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed("notify of forming prices"))?;
    Ok(())
}

/// JSON arrays, each short enough for one notification.
fn payloads(prices: &[FormingPrice]) -> Vec<String> {
    let mut payloads: Vec<String> = Vec::new();
    for price in prices {
        // Text, a time and a finite number always have a JSON form.
        let Ok(item) = serde_json::to_string(price) else {
            continue;
        };
        match payloads.last_mut() {
            Some(payload) if payload.len() + item.len() + 2 <= LONGEST_PAYLOAD => {
                payload.push(',');
                payload.push_str(&item);
            }
            _ => {
                if let Some(payload) = payloads.last_mut() {
                    payload.push(']');
                }
                payloads.push(format!("[{item}"));
            }
        }
    }
    if let Some(payload) = payloads.last_mut() {
        payload.push(']');
    }
    payloads
}

pub(crate) async fn notify_bars_committed(
    executor: impl PgExecutor<'_>,
    tickers: BTreeSet<String>,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let payload = |tickers: Option<&BTreeSet<String>>| {
        serde_json::json!({ "tickers": tickers, "first": first, "last": last }).to_string()
    };
    let mut text = payload(Some(&tickers));
    if text.len() > LONGEST_PAYLOAD {
        text = payload(None);
    }
    notify(executor, Channel::BarCommitted, &text).await
}

/// Says on a channel whose something changed.
pub(crate) async fn notify_tickers(
    executor: impl PgExecutor<'_>,
    channel: Channel,
    tickers: BTreeSet<String>,
) -> Result<(), sqlx::Error> {
    let mut text = serde_json::json!({ "tickers": tickers }).to_string();
    if text.len() > LONGEST_PAYLOAD {
        text = serde_json::json!({ "tickers": null }).to_string();
    }
    notify(executor, channel, &text).await
}

pub(crate) async fn notify_macro_released(
    executor: impl PgExecutor<'_>,
) -> Result<(), sqlx::Error> {
    notify(executor, Channel::MacroReleased, "").await
}

pub(crate) async fn notify_outcomes_stored(
    executor: impl PgExecutor<'_>,
) -> Result<(), sqlx::Error> {
    notify(executor, Channel::OutcomesStored, "").await
}

async fn notify(
    executor: impl PgExecutor<'_>,
    channel: Channel,
    payload: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"select pg_notify($1, $2) as "sent!: ()""#,
        channel.name(),
        payload,
    )
    .fetch_one(executor)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;

    #[test]
    fn forming_prices_are_split_to_fit_a_notification() {
        let prices: Vec<_> = (0..1_000)
            .map(|number| FormingPrice {
                ticker: Ticker::parse(&format!("T{number}")).unwrap(),
                time: Utc.with_ymd_and_hms(2018, 3, 26, 13, 30, 17).unwrap(),
                price: Price::new(100.125).unwrap(),
            })
            .collect();
        let payloads = payloads(&prices);
        assert!(payloads.len() < 12, "{} notifications", payloads.len());
        assert!(
            payloads
                .iter()
                .all(|payload| payload.len() <= LONGEST_PAYLOAD)
        );
        let back: Vec<FormingPrice> = payloads
            .iter()
            .flat_map(|payload| serde_json::from_str::<Vec<_>>(payload).unwrap())
            .collect();
        assert_eq!(back, prices);
    }
}
