//! A seeded market with the structure of the real one: sessions, nights, half days, volume that depends on the minute.

use calendar::nyse;
use chrono::{DateTime, Months, NaiveDate, TimeDelta, Utc};
use domain::{Bar, MACRO_SERIES, SeriesId};
use features::{FeatureVector, MacroEvent, NewsEvent, TickerContext};

/// SplitMix64: enough randomness for tests, the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, mean 0 and standard deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

pub(crate) struct Market {
    pub(crate) seed: u64,
    pub(crate) sessions: usize,
    /// Part of the minutes without a bar.
    pub(crate) missing: f64,
    /// Part of the bars without volume.
    pub(crate) silent: f64,
}

impl Market {
    /// Bars in order, from 2018-11-12 on: Thanksgiving's half day is the ninth session.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let mut random = Random::new(self.seed);
        let mut price = 20.0 + 400.0 * random.unit();
        let mut bars = Vec::new();
        let first = "2018-11-12".parse().unwrap();
        let sessions = nyse().sessions(first, *nyse().coverage().end());
        for session in sessions.iter().take(self.sessions) {
            price *= (0.01 * random.normal()).exp();
            for minute in 0..session.minutes() {
                let open = price * (0.0001 * random.normal()).exp();
                price = open * (0.0008 * random.normal()).exp();
                let high = open.max(price) * (1.0 + 0.0005 * random.unit());
                let low = open.min(price) * (1.0 - 0.0005 * random.unit());
                let from_noon = (f64::from(minute) - 195.0) / 195.0;
                let mut volume =
                    (1_000.0 * (1.0 + 3.0 * from_noon * from_noon) * (0.5 * random.normal()).exp())
                        .round();
                if random.unit() < self.silent {
                    volume = 0.0;
                }
                if random.unit() >= self.missing {
                    let start = session.open + TimeDelta::minutes(i64::from(minute));
                    bars.push(Bar::new(start, open, high, low, price, volume).unwrap());
                }
            }
        }
        bars
    }
}

/// The same bar with other prices and volume.
pub(crate) fn altered(bar: &Bar, price_factor: f64, volume_factor: u64) -> Bar {
    Bar::new(
        bar.start,
        bar.open.get() * price_factor,
        bar.high.get() * price_factor,
        bar.low.get() * price_factor,
        bar.close.get() * price_factor,
        bar.volume * volume_factor as f64,
    )
    .unwrap()
}

/// The features of bars beside which nothing is known.
pub(crate) fn fold(bars: &[Bar]) -> Vec<Option<FeatureVector>> {
    features::fold(bars, TickerContext::default())
}

/// What happens beside the bars.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    pub(crate) news: Vec<NewsEvent>,
    pub(crate) economy: Vec<MacroEvent>,
}

impl Events {
    /// About five stories a day, often at the very close of a bar, and seven series with late, revised and missing
    /// periods, until the end of the bars; from `history` before their beginning on. Not in order.
    pub(crate) fn around(bars: &[Bar], seed: u64, history: TimeDelta) -> Self {
        let mut random = Random::new(seed);
        let (begin, end) = (bars[0].start - history, bars[bars.len() - 1].close_time());
        let mut news = Vec::new();
        let mut time = begin.max(bars[0].start - TimeDelta::days(10));
        while time < end {
            let seconds = (17_000.0 * random.unit()) as i64;
            let seconds = if random.unit() < 0.5 {
                seconds / 60 * 60
            } else {
                seconds
            };
            time += TimeDelta::seconds(seconds);
            let score = (2.0 * random.unit() - 1.0) as f32;
            // Several stories of one moment, as they are scored together.
            for _ in 0..=(3.0 * random.unit()) as usize {
                news.push(NewsEvent {
                    available_at: time,
                    score,
                });
            }
        }
        let mut economy = Vec::new();
        for (place, name) in MACRO_SERIES.into_iter().enumerate() {
            let mut period: NaiveDate = "2015-01-01".parse().unwrap();
            while period <= end.date_naive() {
                let lag = TimeDelta::minutes(1_440 + (20_000.0 * random.unit()) as i64);
                let next = match place {
                    0..=2 => period + TimeDelta::days(1),
                    3..=5 => period + Months::new(1),
                    _ => period + Months::new(3),
                };
                let released = next.and_time(Default::default()).and_utc() + lag;
                let missing = random.unit() < 0.1;
                for revision in 0..=(3.0 * random.unit()) as i64 {
                    let available_at = released + TimeDelta::days(23 * revision);
                    if !missing && available_at > begin && available_at <= end {
                        economy.push(MacroEvent {
                            available_at,
                            series: SeriesId::parse(name).unwrap(),
                            period,
                            value: 3.0 + random.unit(),
                        });
                    }
                }
                period = next;
            }
        }
        let mut events = Self { news, economy };
        events.shuffle(seed);
        events
    }

    pub(crate) fn context(&self) -> TickerContext<'_> {
        TickerContext {
            news: &self.news,
            economy: &self.economy,
        }
    }

    /// Those that could be known at a moment.
    pub(crate) fn until(&self, time: DateTime<Utc>) -> Self {
        Self {
            news: self
                .news
                .iter()
                .filter(|event| event.available_at <= time)
                .copied()
                .collect(),
            economy: self
                .economy
                .iter()
                .filter(|event| event.available_at <= time)
                .cloned()
                .collect(),
        }
    }

    pub(crate) fn shuffle(&mut self, seed: u64) {
        let mut random = Random::new(seed);
        for place in (1..self.news.len()).rev() {
            self.news
                .swap(place, (random.unit() * place as f64) as usize);
        }
        for place in (1..self.economy.len()).rev() {
            self.economy
                .swap(place, (random.unit() * place as f64) as usize);
        }
    }
}
