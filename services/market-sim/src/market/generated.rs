use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use calendar::{Calendar, Session};
use chrono::{Datelike, NaiveDate, TimeDelta};
use domain::{Bar, Ticker};
use rand::{Rng, RngExt};
use rand_distr::{Exp1, StandardNormal};

use super::{DailyBar, Profile, actions::Dividend};
use crate::random;

/// The first day of every generated market. Changing it changes all of them.
const EPOCH: NaiveDate = match NaiveDate::from_ymd_opt(2005, 1, 3) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

/// Standard deviation of the whole market's and of a sector's own daily movement.
const MARKET_VOLATILITY: f64 = 0.009;
const SECTOR_VOLATILITY: f64 = 0.006;

/// Share of a day's variance that happens between close and open.
const OVERNIGHT_SHARE: f64 = 0.3;

/// Daily log-volatility: persistence, and standard deviation in the long run. Busy weeks follow busy weeks.
const DAILY_PERSISTENCE: f64 = 0.97;
const DAILY_SPREAD: f64 = 0.35;

/// The same from minute to minute within a session.
const MINUTE_PERSISTENCE: f64 = 0.97;
const MINUTE_SPREAD: f64 = 0.45;

/// Pull of each overnight gap back to the base price: half of a deviation is gone after two years, so that prices stay
/// plausible however far away the day is.
const REVERSION: f64 = 0.0014;

/// Tail weight of single days and minutes (see [`heavy`]): kurtosis 4.8 and 6.1.
const DAY_TAIL: f64 = 0.34;
const MINUTE_TAIL: f64 = 0.42;

/// What can be learned beside the planted episodes, little as in real markets: order flow that persists for about half an
/// hour (its share of a minute's standard deviation), and the part of the market's last minute that a stock follows only
/// a minute later.
const FLOW_SHARE: f64 = 0.05;
const FLOW_PERSISTENCE: f64 = 0.97;
const FOLLOWS_LATER: f64 = 0.05;

/// The planted effect, which [`domain::PLANTED_EFFECT`] declares in words. With `drift` 0 and `volume` 1 nothing is planted.
const EPISODES: Episodes = Episodes {
    mean_wait: 240.0,
    minutes: (45, 75),
    drift: 0.5,
    volume: 2.5,
};

/// Generated sessions kept in memory, of stocks and of factors: about 30 days of 20 tickers, 25 MB.
const KEPT_SESSIONS: usize = 1_024;

/// A market that never was: 20 or any stocks driven by the market, their sector and themselves.
///
/// Daily levels of every factor are computed once, from a fixed epoch to the calendar's end. The minutes of a session
/// are drawn when asked for, from a stream of their own, and bridged between the levels of its open and close: any
/// minute of any year costs the same.
pub(super) struct GeneratedMarket {
    seed: u64,
    sessions: Vec<Session>,
    market: DailyPath,
    sectors: BTreeMap<&'static str, DailyPath>,
    stocks: BTreeMap<Ticker, GeneratedStock>,
    factor_minutes: Kept<(&'static str, usize), MinutePath>,
    stock_bars: Kept<(Ticker, usize), Arc<[Bar]>>,
}

struct GeneratedStock {
    profile: Profile,
    own: DailyPath,
    dividends: Vec<Dividend>,
    daily: Vec<OnceLock<DailyBar>>,
}

/// A factor's log levels per session.
struct DailyPath {
    open: Vec<f64>,
    close: Vec<f64>,
    /// Standard deviation of the session's movement, gap not included.
    volatility: Vec<f64>,
    /// That in its usual size.
    usual_volatility: f64,
}

/// A factor's movement in one session.
#[derive(Clone)]
struct MinutePath(Arc<[Minute]>);

#[derive(Clone, Copy)]
struct Minute {
    /// Log movement since the open, at the minute's end.
    moved: f64,
    /// Standard deviation of the minute's movement.
    deviation: f64,
}

/// Stretches of a session in which a stock is bought or sold persistently.
struct Episodes {
    /// Mean minutes from the open, or from an episode's end, to the start of the next.
    mean_wait: f64,
    /// Shortest and longest episode; every length between is as likely.
    minutes: (usize, usize),
    /// Drift of a minute in standard deviations of the stock's own movement in it.
    drift: f64,
    /// Times the usual volume.
    volume: f64,
}

impl Episodes {
    /// For each minute of a session 1 while the stock is bought persistently, -1 while it is sold, else 0.
    fn draw(&self, mut rng: impl Rng, count: u32) -> Vec<f64> {
        let mut directions = vec![0.0; count as usize];
        let (shortest, longest) = self.minutes;
        let mut end = 0;
        loop {
            let start = end + (self.mean_wait * rng.sample::<f64, _>(Exp1)) as usize;
            let length = rng.random_range(shortest..=longest);
            let direction = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            let Some(rest) = directions.get_mut(start..) else {
                return directions;
            };
            rest.iter_mut()
                .take(length)
                .for_each(|minute| *minute = direction);
            end = start + length;
        }
    }
}

impl GeneratedMarket {
    pub(super) fn new(seed: u64, tickers: &[Ticker], calendar: &Calendar) -> Self {
        let sessions = calendar
            .sessions(EPOCH, *calendar.coverage().end())
            .to_vec();
        let market = DailyPath::new(seed, "market", MARKET_VOLATILITY, sessions.len());
        let mut sectors = BTreeMap::new();
        let mut stocks = BTreeMap::new();
        for ticker in tickers {
            let profile = Profile::of(ticker);
            let sector = sectors.entry(profile.sector).or_insert_with(|| {
                DailyPath::new(seed, profile.sector, SECTOR_VOLATILITY, sessions.len())
            });
            let mut own = DailyPath::new(
                seed,
                ticker.as_str(),
                profile.own_volatility,
                sessions.len(),
            );
            let dividends = pay_dividends(&profile, &sessions, &market, sector, &mut own);
            let daily = vec![OnceLock::new(); sessions.len()];
            stocks.insert(
                ticker.clone(),
                GeneratedStock {
                    profile,
                    own,
                    dividends,
                    daily,
                },
            );
        }
        Self {
            seed,
            sessions,
            market,
            sectors,
            stocks,
            factor_minutes: Kept::default(),
            stock_bars: Kept::default(),
        }
    }

    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn tickers(&self) -> impl Iterator<Item = &Ticker> {
        self.stocks.keys()
    }

    pub(super) fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    pub(super) fn profile(&self, ticker: &Ticker) -> Option<&Profile> {
        self.stocks.get(ticker).map(|stock| &stock.profile)
    }

    pub(super) fn dividends(&self, ticker: &Ticker) -> &[Dividend] {
        self.stocks
            .get(ticker)
            .map_or(&[], |stock| &stock.dividends)
    }

    /// All bars of a session, its future included.
    pub(super) fn bars(&self, ticker: &Ticker, index: usize) -> Arc<[Bar]> {
        let Some((stock, session)) = self.stocks.get(ticker).zip(self.sessions.get(index)) else {
            return Arc::default();
        };
        self.stock_bars.get_or_make((ticker.clone(), index), || {
            self.make_bars(stock, session, index)
        })
    }

    /// The whole session as one bar.
    pub(super) fn daily(&self, ticker: &Ticker, index: usize) -> Option<DailyBar> {
        let stock = self.stocks.get(ticker)?;
        let session = self.sessions.get(index)?;
        let daily = stock.daily.get(index)?;
        // Not through the kept bars: a year of daily bars would push the minutes in use out.
        Some(*daily.get_or_init(|| {
            DailyBar::of(&self.make_bars(stock, session, index)).unwrap_or_default()
        }))
    }

    fn make_bars(&self, stock: &GeneratedStock, session: &Session, index: usize) -> Arc<[Bar]> {
        let profile = &stock.profile;
        let Some(sector) = self.sectors.get(profile.sector) else {
            return Arc::default();
        };
        let minutes = |what, path: &DailyPath, drifts: &[f64]| {
            MinutePath::new(
                random::stream(self.seed, what, Some(session.date)),
                drifts,
                path.minutes(index),
            )
        };
        let still = vec![0.0; session.minutes() as usize];
        let market_minutes = self.factor_minutes.get_or_make(("market", index), || {
            minutes("market", &self.market, &still)
        });
        let sector_minutes = self
            .factor_minutes
            .get_or_make((profile.sector, index), || {
                minutes(profile.sector, sector, &still)
            });
        let stream = |what| {
            let name = format!("{} {what}", profile.ticker);
            random::stream(self.seed, &name, Some(session.date))
        };
        let episodes = EPISODES.draw(stream("episodes"), session.minutes());
        let drifts: Vec<f64> = episodes
            .iter()
            .map(|direction| EPISODES.drift * direction)
            .collect();
        let own_minutes = minutes(profile.ticker.as_str(), &stock.own, &drifts);
        let level = profile.log_level(
            self.market.open(index),
            sector.open(index),
            stock.own.open(index),
        );

        let mut rng = stream("trades");
        let volume =
            stock.own.activity(index) * profile.daily_volume * (0.2 * normal(&mut rng)).exp();
        let count = f64::from(session.minutes());
        let mut earlier = level;
        let mut market_before = 0.0;
        let mut bars = Vec::with_capacity(own_minutes.0.len());
        for (position, (((market, sector), own), episode)) in market_minutes
            .0
            .iter()
            .zip(&*sector_minutes.0)
            .zip(&*own_minutes.0)
            .zip(&episodes)
            .enumerate()
        {
            // The last minute catches up: the day's close is its level.
            let late = if position + 1 == own_minutes.0.len() {
                0.0
            } else {
                FOLLOWS_LATER
            };
            let followed = market.moved - late * (market.moved - market_before);
            market_before = market.moved;
            let now = level
                + profile.market_beta * followed
                + profile.sector_beta * sector.moved
                + own.moved;
            let deviation = (profile.market_beta * market.deviation)
                .hypot(profile.sector_beta * sector.deviation)
                .hypot(own.deviation);

            // Trades happen at the bid or the ask, a cent or half a basis point around the level.
            let half_spread = (0.00005f64).max(0.005 / earlier.exp());
            let mut traded =
                |level: f64| cents((level + half_spread * rng.random_range(-1.0..1.0)).exp());
            let (open, close) = (traded(earlier), traded(now));
            let mut reach = || 0.4 * deviation * rng.sample::<f64, _>(Exp1);
            let high = cents(open.max(close) * (1.0 + reach()));
            let low = cents(open.min(close) * (1.0 - reach()));

            let surprise = (now - earlier).abs() / deviation.max(f64::MIN_POSITIVE);
            let noise = 0.35 * normal(&mut rng) + 0.25 * (surprise.min(4.0) - 0.8);
            let crowd = if *episode == 0.0 {
                1.0
            } else {
                EPISODES.volume
            };
            let shares = volume * crowd * volume_share(position as f64, count) * noise.exp();
            let start = session.open + TimeDelta::minutes(position as i64);
            // Rounded prices above zero, ordered by construction: always a bar.
            bars.extend(Bar::new(
                start,
                open,
                high,
                low,
                close,
                shares.round().max(1.0),
            ));
            earlier = now;
        }
        bars.into()
    }
}

/// Puts quarterly dividends into the stock's own path (the price falls by them overnight) and returns them.
fn pay_dividends(
    profile: &Profile,
    sessions: &[Session],
    market: &DailyPath,
    sector: &DailyPath,
    own: &mut DailyPath,
) -> Vec<Dividend> {
    let amount = cents(profile.base_price * profile.dividend_yield / 4.0);
    if profile.dividend_yield == 0.0 {
        return Vec::new();
    }
    // Companies differ in month and day of the month.
    let digits = random::hash(profile.ticker.as_str());
    let (month, day) = ((digits % 3) as u32, 3 + (digits / 3 % 20) as u32);
    let mut dividends = Vec::new();
    let mut paid = 0.0;
    for (index, pair) in sessions.windows(2).enumerate() {
        let [before, session] = pair else { continue };
        let is_ex_date = session.date.month() % 3 == month
            && session.date.day() >= day
            && (before.date.month() != session.date.month() || before.date.day() < day);
        if is_ex_date {
            let close = profile
                .log_level(market.close(index), sector.close(index), own.close(index))
                .exp();
            dividends.push(Dividend {
                effective: session.open,
                amount,
            });
            paid += (1.0 - amount / close).ln();
        }
        own.shift(index + 1, paid);
        // The pull towards the base price, as in every other gap.
        paid *= 1.0 - REVERSION;
    }
    dividends
}

impl Profile {
    fn log_level(&self, market: f64, sector: f64, own: f64) -> f64 {
        self.base_price.ln() + self.market_beta * market + self.sector_beta * sector + own
    }
}

impl DailyPath {
    fn new(seed: u64, what: &str, daily_volatility: f64, sessions: usize) -> Self {
        let mut rng = random::stream(seed, what, None);
        let usual_volatility = daily_volatility * (1.0 - OVERNIGHT_SHARE).sqrt();
        let mut path = Self {
            open: Vec::with_capacity(sessions),
            close: Vec::with_capacity(sessions),
            volatility: Vec::with_capacity(sessions),
            usual_volatility,
        };
        let mut log_volatility = DAILY_SPREAD * normal(&mut rng);
        let mut level = 0.0;
        for _ in 0..sessions {
            log_volatility = persist(log_volatility, DAILY_PERSISTENCE, DAILY_SPREAD, &mut rng);
            let size = unit_variance(log_volatility, DAILY_SPREAD);
            level += daily_volatility * OVERNIGHT_SHARE.sqrt() * size * heavy(&mut rng, DAY_TAIL)
                - REVERSION * level;
            path.open.push(level);
            level += usual_volatility * size * heavy(&mut rng, DAY_TAIL);
            path.close.push(level);
            path.volatility.push(usual_volatility * size);
        }
        path
    }

    fn open(&self, index: usize) -> f64 {
        self.open.get(index).copied().unwrap_or_default()
    }

    fn close(&self, index: usize) -> f64 {
        self.close.get(index).copied().unwrap_or_default()
    }

    /// Movement and standard deviation of a session.
    fn minutes(&self, index: usize) -> Minute {
        let deviation = self.volatility.get(index).copied().unwrap_or_default();
        Minute {
            moved: self.close(index) - self.open(index),
            deviation,
        }
    }

    /// How busy a session is: 1 is usual. Volume grows with volatility, but slower.
    fn activity(&self, index: usize) -> f64 {
        (self.minutes(index).deviation / self.usual_volatility).powf(0.6)
    }

    fn shift(&mut self, index: usize, by: f64) {
        for levels in [&mut self.open, &mut self.close] {
            if let Some(level) = levels.get_mut(index) {
                *level += by;
            }
        }
    }
}

impl MinutePath {
    /// Draws the minutes of a session that moves by `session.moved` in all (a Brownian bridge with changing
    /// volatility), one for each of the drifts, which are in standard deviations of a minute.
    fn new(mut rng: impl Rng, drifts: &[f64], session: Minute) -> Self {
        let length = drifts.len() as f64;
        let mut log_volatility = MINUTE_SPREAD * normal(&mut rng);
        let mut flow = normal(&mut rng);
        let mut minutes: Vec<Minute> = drifts
            .iter()
            .enumerate()
            .map(|(position, drift)| {
                log_volatility =
                    persist(log_volatility, MINUTE_PERSISTENCE, MINUTE_SPREAD, &mut rng);
                flow = persist(flow, FLOW_PERSISTENCE, 1.0, &mut rng);
                let deviation = volatility_shape(position as f64, length) * log_volatility.exp();
                let moved = heavy(&mut rng, MINUTE_TAIL) + FLOW_SHARE * flow + drift;
                Minute {
                    moved: deviation * moved,
                    deviation,
                }
            })
            .collect();
        let variance: f64 = minutes
            .iter()
            .map(|minute| minute.deviation * minute.deviation)
            .sum();
        let scale = session.deviation / variance.sqrt();
        let total: f64 = minutes.iter().map(|minute| scale * minute.moved).sum();
        let mut moved = 0.0;
        for minute in &mut minutes {
            let share = minute.deviation * minute.deviation / variance;
            moved += scale * minute.moved + share * (session.moved - total);
            *minute = Minute {
                moved,
                deviation: scale * minute.deviation,
            };
        }
        Self(minutes.into())
    }
}

/// How restless a minute is, relative to a quiet noon: wild at the open, a little at the close.
fn volatility_shape(minute: f64, count: f64) -> f64 {
    1.0 + 1.6 * (-minute / 18.0).exp() + 0.4 * (-(count - minute) / 20.0).exp()
}

/// A minute's usual share of a session's volume; the first and the last one hold the auctions.
fn volume_share(minute: f64, count: f64) -> f64 {
    let shape = 1.0 + 2.5 * (-minute / 20.0).exp() + 2.0 * (-(count - minute) / 15.0).exp();
    let auction = if minute == 0.0 {
        6.0
    } else if minute == count - 1.0 {
        15.0
    } else {
        0.0
    };
    // 101 is what the terms beyond the constant 1 add up to over a session.
    (shape + auction) / (count + 101.0)
}

/// One step of a process that forgets slowly and keeps its standard deviation.
fn persist(value: f64, persistence: f64, spread: f64, rng: &mut impl Rng) -> f64 {
    persistence * value + (1.0 - persistence * persistence).sqrt() * spread * normal(rng)
}

/// `exp` of a normal log-volatility, scaled so that its mean square is 1.
fn unit_variance(log_volatility: f64, spread: f64) -> f64 {
    (log_volatility - spread * spread).exp()
}

/// A number with mean 0, variance 1 and kurtosis `3 exp(4 tail²)`: a normal one of random size.
fn heavy(rng: &mut impl Rng, tail: f64) -> f64 {
    let log_size = tail * normal(rng);
    normal(rng) * unit_variance(log_size, tail)
}

fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

/// To whole cents, at least one.
fn cents(price: f64) -> f64 {
    (price * 100.0).round().max(1.0) / 100.0
}

/// What was made lately.
struct Kept<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    /// Two callers may make the same thing at once: both make the same.
    fn get_or_make(&self, key: K, make: impl FnOnce() -> V) -> V {
        if let Some(value) = self.lock().get(&key) {
            return value.clone();
        }
        let value = make();
        let mut kept = self.lock();
        if kept.len() >= KEPT_SESSIONS {
            kept.clear();
        }
        kept.insert(key, value.clone());
        value
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_are_as_declared() {
        let (mut minutes, mut starts, mut bought, mut lengths) = (0, 0, 0, Vec::new());
        for date in (0..2_000).map(|day| EPOCH + TimeDelta::days(day)) {
            let directions = EPISODES.draw(random::stream(1, "KO episodes", Some(date)), 390);
            assert_eq!(directions.len(), 390);
            minutes += directions.iter().filter(|minute| **minute != 0.0).count();
            let stretches: Vec<&[f64]> = directions.chunk_by(|left, right| left == right).collect();
            for (place, stretch) in stretches.iter().enumerate() {
                if stretch[0] == 0.0 {
                    continue;
                }
                starts += 1;
                bought += usize::from(stretch[0] > 0.0);
                // The close cuts the last one short.
                if place + 1 < stretches.len() {
                    lengths.push(stretch.len());
                }
            }
        }
        assert!((1_800..2_600).contains(&starts), "{starts}");
        assert!((0.45..0.55).contains(&(bought as f64 / starts as f64)));
        let share = minutes as f64 / (2_000.0 * 390.0);
        assert!((0.14..0.2).contains(&share), "{share}");
        // Two in a row may touch.
        let whole = lengths.iter().filter(|length| **length <= 75);
        assert!(whole.clone().count() as f64 > 0.95 * lengths.len() as f64);
        assert_eq!((whole.clone().min(), whole.max()), (Some(&45), Some(&75)));
        assert!(domain::PLANTED_EFFECT.contains("45 to 75 minutes"));
    }
}
