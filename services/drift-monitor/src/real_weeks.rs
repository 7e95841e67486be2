//! What the default thresholds let through and what they stop, on recorded weeks.
//!
//! References are made of the sessions up to a day, and the looks of each later session are made as the service makes
//! them.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use domain::{Bar, Ticker};
use evaluation::{Observation, TimesOfDay};
use features::{CLOCK_FEATURES, Context, FEATURE_COUNT, FeatureSchema, Scaler};
use storage::DriftState;
use test_support::shared;

use crate::{
    DriftSettings,
    findings::Findings,
    hysteresis::next_state,
    inputs::{self, InputFigures, Sample},
    market::{Market, Row, Stock},
    prices::{self, Level},
    schedule,
};

type Bars = BTreeMap<Ticker, Vec<Bar>>;

/// Recorded weeks, and the last session that the reference knows.
struct Weeks {
    bars: Bars,
    reference: TimesOfDay,
    levels: Vec<Level>,
    /// The sessions after it.
    monitored: Vec<NaiveDate>,
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn open(session: NaiveDate) -> DateTime<Utc> {
    calendar::nyse().session_on(session).unwrap().open
}

fn regular(bars: Bars) -> Bars {
    let in_session = |bar: &Bar| calendar::nyse().session_at(bar.start).is_some();
    bars.into_iter()
        .map(|(ticker, mut bars)| {
            bars.retain(in_session);
            (ticker, bars)
        })
        .collect()
}

/// The recorded weeks of a file, or nothing where it is absent.
fn weeks(file: &str, until: &str) -> Option<Weeks> {
    let path = shared(file)?;
    let bars = regular(bar_files::read_bars(&path).unwrap().bars);
    let stocks = stocks(&bars, DateTime::<Utc>::MAX_UTC);
    let until = date(until);
    let mut sessions: Vec<NaiveDate> = Vec::new();
    let mut observations = Vec::new();
    for stock in &stocks {
        for row in &stock.rows {
            let start = stock.bars[row.bar].start;
            let session = calendar::nyse().session_at(start).unwrap();
            sessions.push(session.date);
            if session.date <= until {
                observations.push(Observation {
                    session: session.date,
                    half_hour: ((start - session.open).num_minutes() / 30) as usize,
                    values: &row.features,
                });
            }
        }
    }
    let correlated: Vec<usize> = (0..CLOCK_FEATURES.start).collect();
    let names = FeatureSchema::current().names;
    let reference = TimesOfDay::fit(&names, &correlated, &observations, 1).unwrap();
    let end = calendar::nyse().session_on(until).unwrap().close;
    let levels = bars.iter().map(|(ticker, bars)| {
        let last = &bars[bars.partition_point(|bar| bar.start < end) - 1];
        Level {
            ticker: ticker.clone(),
            at: last.start,
            close: last.close.get(),
        }
    });
    let levels = levels.collect();
    sessions.sort();
    sessions.dedup();
    sessions.retain(|session| *session > until);
    Some(Weeks {
        bars,
        reference,
        levels,
        monitored: sessions,
    })
}

/// All stocks with the features of their bars that close by a moment.
fn stocks(bars: &Bars, until: DateTime<Utc>) -> Vec<Stock> {
    bars.iter()
        .map(|(ticker, bars)| {
            let end = bars.partition_point(|bar| bar.close_time() <= until);
            let bars = bars[..end].to_vec();
            let context = Context::default();
            let features = features::fold(&bars, context.of(ticker)).into_iter();
            let rows = features
                .enumerate()
                .filter_map(|(bar, features)| features.map(|features| Row { bar, features }));
            Stock {
                ticker: ticker.clone(),
                rows: rows.collect(),
                bars,
            }
        })
        .collect()
}

/// What was known at a moment: features are causal, so they need not be computed anew.
fn known_at(all: &[Stock], as_of: DateTime<Utc>) -> Market {
    let from = as_of - TimeDelta::days(14);
    let stocks = all.iter().map(|stock| {
        let first = stock.bars.partition_point(|bar| bar.start < from);
        let end = stock.bars.partition_point(|bar| bar.close_time() <= as_of);
        let rows = stock
            .rows
            .iter()
            .filter(|row| (first..end).contains(&row.bar));
        Stock {
            ticker: stock.ticker.clone(),
            bars: stock.bars[first..end].to_vec(),
            rows: rows
                .map(|row| Row {
                    bar: row.bar - first,
                    features: row.features,
                })
                .collect(),
        }
    });
    Market::from_stocks(stocks.collect(), as_of, calendar::nyse()).unwrap()
}

struct Looked {
    measured: DriftState,
    state: DriftState,
    why: Vec<&'static str>,
    inputs: Option<InputFigures>,
}

/// All looks from the open of a session to the end of another.
fn watch(weeks: &Weeks, all: &[Stock], from: NaiveDate, to: NaiveDate) -> Vec<(NaiveDate, Looked)> {
    let settings = DriftSettings::default();
    let nothing = Scaler {
        minimum: vec![0.0; FEATURE_COUNT],
        range: vec![0.0; FEATURE_COUNT],
    };
    let (mut state, mut newest_first) = (DriftState::Healthy, Vec::new());
    let mut looks = Vec::new();
    for session in calendar::nyse().sessions(from, to) {
        let mut now = session.open;
        while let Some(time) = schedule::next(now, &settings, calendar::nyse()) {
            if time > session.close + settings.after_close() {
                break;
            }
            now = time;
            let market = known_at(all, now);
            let mut findings = Findings::default();
            prices::check(&market, &weeks.levels, &settings, &mut findings);
            let sample = Sample::of(&market);
            let inputs = inputs::check(
                &market,
                &sample,
                &weeks.reference,
                &nothing,
                &settings,
                &mut findings,
            )
            .unwrap();
            newest_first.insert(0, findings.state());
            let (worsen, improve) = (settings.worsen_after, settings.improve_after);
            state = next_state(state, &newest_first, worsen as usize, improve as usize);
            let why = findings.as_slice().iter().map(|finding| finding.check);
            let looked = Looked {
                measured: findings.state(),
                state,
                why: why.collect(),
                inputs,
            };
            looks.push((session.date, looked));
        }
    }
    looks
}

/// The worst state of each session.
fn worst(looks: &[(NaiveDate, Looked)]) -> BTreeMap<NaiveDate, DriftState> {
    let mut worst = BTreeMap::new();
    for (session, looked) in looks {
        let state: &mut DriftState = worst.entry(*session).or_insert(DriftState::Healthy);
        *state = (*state).max(looked.state);
    }
    worst
}

const FILES: [(&str, &str); 3] = [
    (
        "data/bars_1m/us20_2018-02-16_2018-03-29.csv.gz",
        "2018-03-13",
    ),
    ("data/bars_1m/us10_ext_2025-01.csv.gz", "2025-01-22"),
    (
        "data/bars_1m/us20_yahoo_2026-03-09_2026-04-17.csv.gz",
        "2026-04-08",
    ),
];

#[test]
fn real_weeks_are_never_critical() {
    let (mut sessions, mut degraded, mut critical) = (0, Vec::new(), Vec::new());
    for (file, until) in FILES {
        let Some(weeks) = weeks(file, until) else {
            return;
        };
        let all = stocks(&weeks.bars, DateTime::<Utc>::MAX_UTC);
        let (first, last) = (weeks.monitored[0], *weeks.monitored.last().unwrap());
        let looks = watch(&weeks, &all, first, last);
        for (session, looked) in &looks {
            let inputs = looked.inputs.as_ref().unwrap();
            let moved = inputs
                .features
                .iter()
                .filter(|feature| feature.judged && feature.excess > 1.0);
            eprintln!(
                "{session} {:?} {:?} moved {} correlation {:.2} volatility {:.2} of training {:.2} {:?}",
                looked.measured,
                looked.state,
                moved.count(),
                inputs.correlation_excess,
                inputs.volatility.unwrap_or(f64::NAN),
                inputs.volatility_of_training.unwrap(),
                looked.why
            );
        }
        for (session, state) in worst(&looks) {
            sessions += 1;
            match state {
                DriftState::Healthy => (),
                DriftState::Degraded => degraded.push(session),
                DriftState::Critical => critical.push(session),
            }
        }
    }
    eprintln!("{sessions} sessions: degraded {degraded:?}, critical {critical:?}");
    assert_eq!(sessions, 26);
    assert_eq!(critical, Vec::<NaiveDate>::new());
}

/// Something done to the bars of a session and all after it.
fn spoilt(bars: &Bars, from: DateTime<Utc>, change: impl Fn(&Bar, &Bar) -> Bar) -> Bars {
    let spoil = |bars: &Vec<Bar>| {
        let first = bars.partition_point(|bar| bar.start < from);
        let before = bars[first.saturating_sub(1)];
        let change = |(place, bar): (usize, &Bar)| {
            if place < first {
                *bar
            } else {
                change(bar, &before)
            }
        };
        bars.iter().enumerate().map(change).collect()
    };
    bars.iter()
        .map(|(ticker, bars)| (ticker.clone(), spoil(bars)))
        .collect()
}

fn with_prices(bar: &Bar, price: impl Fn(f64) -> f64) -> Bar {
    let [open, high, low, close] =
        [bar.open, bar.high, bar.low, bar.close].map(|value| price(value.get()));
    Bar::new(bar.start, open, high, low, close, bar.volume).unwrap()
}

/// In how many sessions the fault raises an alarm before the session is over, and in how many a critical one, if it
/// begins with the session (or two hours later).
fn alarms(weeks: &Weeks, spoil: impl Fn(DateTime<Utc>) -> Vec<Stock>) -> (usize, usize) {
    let (mut alarms, mut critical) = (0, 0);
    for session in &weeks.monitored {
        let all = spoil(open(*session));
        let looks = watch(weeks, &all, *session, *session);
        let state = worst(&looks)[session];
        alarms += usize::from(state > DriftState::Healthy);
        critical += usize::from(state == DriftState::Critical);
    }
    (alarms, critical)
}

fn end_of(session_open: DateTime<Utc>) -> DateTime<Utc> {
    session_open + TimeDelta::hours(8)
}

#[test]
fn scaled_prices_alarm_within_a_session() {
    let Some(weeks) = weeks(FILES[0].0, FILES[0].1) else {
        return;
    };
    let all = weeks.monitored.len();
    for factor in [0.01, 0.5, 0.75, 1.3, 2.0, 100.0] {
        let found = alarms(&weeks, |from| {
            let scaled = |bar: &Bar, _: &Bar| with_prices(bar, |price| price * factor);
            stocks(&spoilt(&weeks.bars, from, scaled), end_of(from))
        });
        eprintln!("scaled by {factor} from a session on: {found:?} of {all}");
        assert_eq!(found, (all, all), "{factor}");
    }
    // All that is stored is scaled, so that the features are as ever: only the level of the training tells.
    for factor in [0.1, 0.5, 2.0, 10.0] {
        let found = alarms(&weeks, |from| {
            let scaled = |bar: &Bar, _: &Bar| with_prices(bar, |price| price * factor);
            let all = spoilt(&weeks.bars, DateTime::<Utc>::MIN_UTC, scaled);
            stocks(&all, end_of(from))
        });
        eprintln!("all scaled by {factor}: {found:?} of {all}");
        assert_eq!(found, (all, all), "{factor}");
    }
}

#[test]
fn a_frozen_feed_alarms_within_a_session() {
    let Some(weeks) = weeks(FILES[0].0, FILES[0].1) else {
        return;
    };
    let all = weeks.monitored.len();
    let still = alarms(&weeks, |from| {
        let eleven = from + TimeDelta::minutes(90);
        let still = |bar: &Bar, before: &Bar| with_prices(bar, |_| before.close.get());
        stocks(&spoilt(&weeks.bars, eleven, still), end_of(from))
    });
    let silent = alarms(&weeks, |from| {
        let mut all = stocks(&weeks.bars, end_of(from));
        for stock in &mut all {
            let eleven = from + TimeDelta::minutes(90);
            let end = stock.bars.partition_point(|bar| bar.start < eleven);
            stock.bars.truncate(end);
            stock.rows.retain(|row| row.bar < end);
        }
        all
    });
    eprintln!("frozen: {still:?}, silent: {silent:?} of {all}");
    assert_eq!(still, (all, all));
    assert_eq!(silent, (all, all));
}

/// A generator of its own: the tests are about what is drawn, not how.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

fn shuffle<T>(values: &mut [T], dice: &mut impl FnMut(usize) -> usize) {
    for last in (1..values.len()).rev() {
        values.swap(last, dice(last + 1));
    }
}

#[test]
fn shuffled_features_alarm_within_a_session() {
    let Some(weeks) = weeks(FILES[0].0, FILES[0].1) else {
        return;
    };
    let all = weeks.monitored.len();
    let shuffled = |mix: &dyn Fn(&mut [&mut Row], u64)| {
        alarms(&weeks, |from| {
            let mut all = stocks(&weeks.bars, end_of(from));
            let mut rows = Vec::new();
            for stock in &mut all {
                let bars = &stock.bars;
                let today = stock
                    .rows
                    .iter_mut()
                    .filter(|row| bars[row.bar].start >= from);
                rows.extend(today);
            }
            mix(&mut rows, u64::from(from.date_naive().day()));
            all
        })
    };
    let columns = shuffled(&|rows, seed| {
        let mut places: Vec<usize> = (0..CLOCK_FEATURES.end).collect();
        shuffle(&mut places, &mut dice(seed));
        for row in rows {
            let before = row.features;
            for (place, from) in places.iter().enumerate() {
                row.features[place] = before[*from];
            }
        }
    });
    let values = shuffled(&|rows, seed| {
        let mut dice = dice(seed);
        for feature in 0..CLOCK_FEATURES.end {
            let mut column: Vec<f32> = rows.iter().map(|row| row.features[feature]).collect();
            shuffle(&mut column, &mut dice);
            for (row, value) in rows.iter_mut().zip(column) {
                row.features[feature] = value;
            }
        }
    });
    let bars = shuffled(&|rows, seed| {
        let mut all: Vec<_> = rows.iter().map(|row| row.features).collect();
        shuffle(&mut all, &mut dice(seed));
        for (row, features) in rows.iter_mut().zip(all) {
            row.features = features;
        }
    });
    eprintln!("columns {columns:?}, values {values:?}, bars {bars:?} of {all}");
    assert_eq!(columns, (all, all));
    assert_eq!(values, (all, all));
    assert_eq!(bars, (all, all));
}

#[test]
fn doubled_volatility_alarms_within_a_session() {
    let Some(weeks) = weeks(FILES[0].0, FILES[0].1) else {
        return;
    };
    let all = weeks.monitored.len();
    let times = |power: f64| {
        alarms(&weeks, |from| {
            let wilder = |bar: &Bar, before: &Bar| {
                let from = before.close.get();
                with_prices(bar, |price| from * (price / from).powf(power))
            };
            stocks(&spoilt(&weeks.bars, from, wilder), end_of(from))
        })
    };
    let (doubled, tripled) = (times(2.0), times(3.0));
    eprintln!("doubled: {doubled:?}, tripled: {tripled:?} of {all}");
    // Doubled, the calmest days after the wildest are no wilder than those were.
    assert!(doubled.0 == all && doubled.1 >= 10);
    assert_eq!(tripled, (all, all));
}
