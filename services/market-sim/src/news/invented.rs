use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::America::New_York;
use domain::Ticker;
use rand::{Rng, RngExt, seq::IndexedRandom};

use super::Story;
use crate::{Market, random};

/// Says of every invented story what it is.
const PUBLISHER: &str = "Simulated Newswire";

/// No more days than this are gone back for headlines.
const LONGEST_MEMORY: Days = Days::new(31);

/// Most stories of a stock in a day; half of it on average.
const MOST_A_DAY: u32 = 4;

/// How often a story goes with what the price has done, where it has done something.
const FOLLOWS_THE_PRICE: f64 = 0.6;

/// A movement since the last close that is worth a word.
const NOTABLE: f64 = 0.006;

const GOOD: [&str; 8] = [
    "{} shares gain as simulated buyers cheer strong demand",
    "{} beats the expectations of simulated analysts and raises its outlook",
    "Simulated analyst upgrades {} to outperform on profit growth",
    "{} wins a large order in a simulated tender, shares higher",
    "{} rises after an invented report of record sales",
    "Invented survey: customers prefer {}, growth seen stronger",
    "{} announces a simulated share buyback, stock jumps",
    "Simulated regulator clears a deal of {}, shares rally",
];
const NEUTRAL: [&str; 6] = [
    "{} to present at a simulated investor conference",
    "What simulated traders watch at {} this week",
    "{} names a new head of an invented division",
    "{} holds its annual meeting in the simulated market",
    "Simulated options traders see a quiet week for {}",
    "{} opens an office that exists in this simulation only",
];
const BAD: [&str; 8] = [
    "{} shares fall as simulated sellers fear weak demand",
    "{} misses the expectations of simulated analysts and cuts its outlook",
    "Simulated analyst downgrades {} on lower margins",
    "{} faces an invented lawsuit, stock drops",
    "{} declines after an invented report of falling sales",
    "Invented survey: customers leave {}, loss of share feared",
    "{} warns of delays in the simulated supply chain",
    "Simulated regulator opens a probe of {}, shares slump",
];

/// Headlines that say of themselves that they are invented. They look back only: a story goes, more often than not,
/// with what the price has done by then, and says nothing of what it will do.
#[derive(Debug)]
pub(super) struct InventedNews {
    seed: u64,
}

impl InventedNews {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(super) fn of(
        &self,
        market: &Market,
        ticker: &Ticker,
        since: NaiveDate,
        now: DateTime<Utc>,
    ) -> Vec<Story> {
        let today = now.date_naive();
        let first = today.checked_sub_days(LONGEST_MEMORY).unwrap_or(today);
        since
            .max(first)
            .iter_days()
            .take_while(|date| *date <= today)
            .flat_map(|date| self.day(market, ticker, date, now))
            .collect()
    }

    /// Enough days back for so many stories.
    pub(super) fn newest(
        &self,
        market: &Market,
        ticker: &Ticker,
        count: usize,
        now: DateTime<Utc>,
    ) -> Vec<Story> {
        let mut stories = Vec::new();
        let mut date = Some(now.date_naive());
        let first = now.date_naive().checked_sub_days(LONGEST_MEMORY);
        while let Some(day) = date.filter(|date| stories.len() < count && Some(*date) >= first) {
            stories.extend(self.day(market, ticker, day, now));
            date = day.pred_opt();
        }
        stories
    }

    /// The stories of a New York day that can be found.
    fn day(
        &self,
        market: &Market,
        ticker: &Ticker,
        date: NaiveDate,
        now: DateTime<Utc>,
    ) -> Vec<Story> {
        if market.stock(ticker).is_none() {
            return Vec::new();
        }
        let mut rng = random::stream(self.seed, &format!("{ticker} news"), Some(date));
        let stories = (0..rng.random_range(0..=MOST_A_DAY)).filter_map(|number| {
            // From six in the morning to eight in the evening. Everything is drawn before it is looked whether the
            // story is out: what comes later must not change what came before.
            let second = rng.random_range(6 * 3_600..20 * 3_600);
            let mut rng = random::stream(rng.random(), "story", None);
            let local = date.and_time(NaiveTime::from_num_seconds_from_midnight_opt(second, 0)?);
            let published_at = New_York.from_local_datetime(&local).earliest()?.to_utc();
            let visible_at = published_at + TimeDelta::seconds(rng.random_range(20..600));
            if visible_at > now {
                return None;
            }
            Some(Story {
                title: headline(market, ticker, published_at, &mut rng)?,
                summary: Some(
                    "This headline was invented by a market simulator and says nothing about a real company."
                        .to_owned(),
                ),
                publisher: PUBLISHER.to_owned(),
                url: format!("https://simulated.invalid/{ticker}/{date}/{number}"),
                published_at,
                tickers: BTreeSet::from([ticker.clone()]),
                visible_at,
            })
        });
        stories.collect()
    }
}

fn headline(
    market: &Market,
    ticker: &Ticker,
    at: DateTime<Utc>,
    rng: &mut impl Rng,
) -> Option<String> {
    let moved = moved_until(market, ticker, at).unwrap_or_default();
    let templates: &[&str] = if moved.abs() >= NOTABLE && rng.random_bool(FOLLOWS_THE_PRICE) {
        if moved > 0.0 { &GOOD } else { &BAD }
    } else {
        let kinds: [&[&str]; 3] = [&GOOD, &NEUTRAL, &BAD];
        kinds.choose(rng)?
    };
    let stock = market.stock(ticker)?;
    Some(templates.choose(rng)?.replace("{}", &stock.profile().name))
}

/// Log movement from the close of the session before to the last minute that is over.
fn moved_until(market: &Market, ticker: &Ticker, at: DateTime<Utc>) -> Option<f64> {
    let stock = market.stock(ticker)?;
    let opened = stock
        .sessions()
        .partition_point(|session| session.open < at);
    let session = opened.checked_sub(1)?;
    let bars = stock.bars(session);
    let over = bars.partition_point(|bar| bar.close_time() <= at);
    let last = bars.get(over.checked_sub(1)?)?.close.get();
    let before = stock.daily(session.checked_sub(1)?)?.close;
    Some((last / before).ln())
}
