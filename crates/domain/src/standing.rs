use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{Class, Direction, Ticker, blocks::ratio_standard_error, decision::bps};

/// Fewer days say nothing about the spread between days, as in the comparison of models.
const FEWEST_DAYS: usize = 5;

/// From so many bets on a rule may be called losing before there are days enough for an interval.
const FEWEST_LOSING_BETS: usize = 50;

/// How many standard errors more hits than opposite touches do not yet speak for a rule.
const INDIFFERENT_ERRORS: f64 = 0.5;

/// A recommendation to buy or sell, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedSignal {
    /// Whose.
    pub ticker: Ticker,
    /// Start of the bar it followed, UTC.
    pub bar_start: DateTime<Utc>,
    /// The direction that was recommended.
    pub direction: Direction,
    /// Which barrier was touched first.
    pub label: Class,
    /// Return of a buyer from the first price that could be had to the touch, as a fraction, before costs.
    pub gross_return: f64,
    /// Start of the bar that touched a barrier, the vertical one included, UTC.
    pub first_touch: DateTime<Utc>,
}

impl ResolvedSignal {
    /// What it earned after costs, basis points; a sell earns what the price loses.
    pub fn net_bps(&self, cost_bps: f64) -> f64 {
        1e4 * self.direction.sign() * self.gross_return - cost_bps
    }

    /// Whether the barrier in its direction was touched first.
    pub fn is_hit(&self) -> bool {
        self.label == self.direction.class()
    }

    /// Whether the opposite barrier was touched first.
    pub fn is_opposite(&self) -> bool {
        self.label == self.direction.opposite().class()
    }
}

/// Whether a rule has earned its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StandingState {
    /// It earns after costs, by more than chance explains.
    Proven,
    /// Not known yet.
    Unproven,
    /// It loses after costs: its signals are no recommendations until it has recovered.
    Losing,
}

/// How a rule has fared so far: the signals in one direction of one pair of models, followed forward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// What follows from the rest.
    pub state: StandingState,
    /// Signals, those of a ticker that overlap counted as one.
    pub bets: usize,
    /// Sessions with a bet.
    pub days: usize,
    /// Share of the bets whose barrier in the called direction was touched first.
    pub hit_rate: Option<f64>,
    /// Mean return of a bet after costs, basis points.
    pub mean_net_bps: Option<f64>,
    /// Its lower bound, one-sided at 95 %; none for less than five days.
    pub lower_bps: Option<f64>,
    /// Its upper bound, one-sided at 95 %; none for less than five days.
    pub upper_bps: Option<f64>,
    /// Start of the first bet's bar, UTC.
    pub since: Option<DateTime<Utc>>,
}

impl Standing {
    /// Judges the signals in a direction, in any order, after costs.
    ///
    /// A bet begins with a signal and lasts until its barrier is touched; what is said of the same ticker meanwhile
    /// belongs to it, as nobody can follow both. Days are the trials of the interval: the stocks of one day move
    /// together. Its bounds are those of Student's t over the days' sums, each at 95 %.
    ///
    /// - Proven: there are five days, and the lower bound is above zero.
    /// - Losing: there are five days, and the upper bound is below zero. Or there are 50 bets, they have lost on average
    ///   after costs, and nothing says that they know the direction: their barrier came first not more often than the
    ///   opposite one, or by less than half a standard error of a coin's tosses. The burden of proof lies with the rule, so
    ///   that a day's harm need not last for five. Of rules that break even after costs of 4 bp (by barriers of 22 bp), 16 %
    ///   are called losing after 50 bets that are independent of each other, 5 % after 100 and 2 % after 150; of those that
    ///   earn 10 bp, none; of those that hit 28 % of the time, miss by 29 % and lose 1.7 bp, three of four.
    /// - Unproven: all others.
    pub fn of(direction: Direction, signals: &[ResolvedSignal], cost_bps: f64) -> Self {
        let bets = bets(direction, signals);
        let count = bets.len();
        let mut by_day: BTreeMap<NaiveDate, (f64, f64)> = BTreeMap::new();
        for bet in &bets {
            // A session's bars have the same date in UTC as in New York.
            let (sum, number) = by_day.entry(bet.bar_start.date_naive()).or_default();
            *sum += bet.net_bps(cost_bps);
            *number += 1.0;
        }
        let days: Vec<(f64, f64)> = by_day.into_values().collect();
        let hits = bets.iter().filter(|bet| bet.is_hit()).count();
        let opposite = bets.iter().filter(|bet| bet.is_opposite()).count();
        let of_all = |sum: f64| (count > 0).then(|| sum / count as f64);
        let mean = of_all(days.iter().map(|day| day.0).sum());
        let reach = (days.len() >= FEWEST_DAYS)
            .then(|| student_95(days.len() - 1) * ratio_standard_error(&days));
        let bound = |sign: f64| Some(mean? + sign * reach?);
        let (lower, upper) = (bound(-1.0), bound(1.0));
        let indifferent =
            hits as f64 - opposite as f64 <= INDIFFERENT_ERRORS * ((hits + opposite) as f64).sqrt();
        let lost = count >= FEWEST_LOSING_BETS && mean.is_some_and(|mean| mean < 0.0);
        let state = if upper.is_some_and(|upper| upper < 0.0) || (lost && indifferent) {
            StandingState::Losing
        } else if lower.is_some_and(|lower| lower > 0.0) {
            StandingState::Proven
        } else {
            StandingState::Unproven
        };
        Self {
            state,
            bets: count,
            days: days.len(),
            hit_rate: of_all(hits as f64),
            mean_net_bps: mean,
            lower_bps: lower,
            upper_bps: upper,
            since: bets.iter().map(|bet| bet.bar_start).min(),
        }
    }

    /// Says how the rule has fared, such as "12 bets on 3 days: 25 % hit, -1.7 bp each after costs."
    pub fn sentence(&self) -> String {
        let (Some(hit_rate), Some(mean)) = (self.hit_rate, self.mean_net_bps) else {
            return "What comes of its signals is not known yet.".to_owned();
        };
        let plural = |count| if count == 1 { "" } else { "s" };
        format!(
            "{} bet{} on {} day{}: {:.0} % hit, {} each after costs.",
            self.bets,
            plural(self.bets),
            self.days,
            plural(self.days),
            100.0 * hit_rate,
            bps(mean)
        )
    }
}

/// The signals in a direction that no earlier one of their ticker overlaps.
fn bets(direction: Direction, signals: &[ResolvedSignal]) -> Vec<&ResolvedSignal> {
    let mut own: Vec<&ResolvedSignal> = signals
        .iter()
        .filter(|signal| signal.direction == direction)
        .collect();
    own.sort_by_key(|signal| (&signal.ticker, signal.bar_start));
    let mut bets: Vec<&ResolvedSignal> = Vec::new();
    for signal in own {
        // Both are made at the close of their bar: the touch is known when the next one begins.
        let overlaps = |last: &&ResolvedSignal| {
            last.ticker == signal.ticker && signal.bar_start < last.first_touch
        };
        if !bets.last().is_some_and(overlaps) {
            bets.push(signal);
        }
    }
    bets
}

/// The quantile of Student's t at 95 %, to 0.002 from four degrees of freedom on (Abramowitz and Stegun, 26.7.5).
fn student_95(degrees: usize) -> f64 {
    let n = degrees as f64;
    // The normal quantile.
    let z: f64 = 1.644_853_627;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
    ];
    let [first, second, third] = terms;
    z + first / n + second / n.powi(2) + third / n.powi(3)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Standing, StandingState};

    /// Twelve bets on three days.
    pub(crate) fn standing(state: StandingState) -> Standing {
        Standing {
            state,
            bets: 12,
            days: 3,
            hit_rate: Some(0.25),
            mean_net_bps: Some(-1.7),
            lower_bps: None,
            upper_bps: None,
            since: "2018-03-26T14:00:00Z".parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const COST_BPS: f64 = 4.0;

    fn minute(day: i64, minute: i64) -> DateTime<Utc> {
        let open: DateTime<Utc> = "2018-03-26T13:30:00Z".parse().unwrap();
        open + TimeDelta::days(day) + TimeDelta::minutes(minute)
    }

    /// A sell that earns so much before costs and is over after so many minutes.
    fn sell(
        symbol: &str,
        at: DateTime<Utc>,
        lasts: i64,
        gross_bps: f64,
        label: Class,
    ) -> ResolvedSignal {
        ResolvedSignal {
            ticker: Ticker::parse(symbol).unwrap(),
            bar_start: at,
            direction: Direction::Down,
            label,
            gross_return: -1e-4 * gross_bps,
            first_touch: at + TimeDelta::minutes(lasts),
        }
    }

    fn of(signals: &[ResolvedSignal]) -> Standing {
        Standing::of(Direction::Down, signals, COST_BPS)
    }

    #[test]
    fn overlapping_signals_of_a_ticker_are_one_bet() {
        let signals = [
            sell("AAPL", minute(0, 0), 10, 24.0, Class::Down),
            // Said while the first was open.
            sell("AAPL", minute(0, 1), 20, -30.0, Class::Up),
            sell("AAPL", minute(0, 9), 20, -30.0, Class::Up),
            // At the close at which the first was over.
            sell("AAPL", minute(0, 10), 5, -16.0, Class::Up),
            sell("MSFT", minute(0, 1), 10, 4.0, Class::Neutral),
            ResolvedSignal {
                direction: Direction::Up,
                ..sell("KO", minute(0, 1), 10, 50.0, Class::Up)
            },
        ];
        for order in [[0, 1, 2, 3, 4, 5], [5, 3, 1, 4, 2, 0]] {
            let standing = of(&order.map(|place: usize| signals[place].clone()));
            assert_eq!(
                (standing.state, standing.bets, standing.days),
                (StandingState::Unproven, 3, 1)
            );
            // 20, -20 and nothing after costs.
            assert!(standing.mean_net_bps.unwrap().abs() < 1e-9);
            assert!((standing.hit_rate.unwrap() - 1.0 / 3.0).abs() < 1e-12);
            assert_eq!(standing.since, Some(minute(0, 0)));
            assert_eq!((standing.lower_bps, standing.upper_bps), (None, None));
            assert_eq!(
                standing.sentence(),
                "3 bets on 1 day: 33 % hit, 0.0 bp each after costs."
            );
        }
        let buys = Standing::of(Direction::Up, &signals, COST_BPS);
        // The price rose by what a seller of it would have lost.
        assert_eq!((buys.bets, buys.hit_rate), (1, Some(1.0)));
        assert!((buys.mean_net_bps.unwrap() + 54.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_known_of_a_rule_that_never_spoke() {
        let standing = of(&[]);
        assert_eq!(
            (
                standing.state,
                standing.bets,
                standing.hit_rate,
                standing.since
            ),
            (StandingState::Unproven, 0, None, None)
        );
        assert_eq!(
            standing.sentence(),
            "What comes of its signals is not known yet."
        );
    }

    /// Bets of twenty stocks on a day, each said three times, that come about in these shares.
    fn day_of(
        day: i64,
        bets: usize,
        shares: [f64; 2],
        barrier_bps: f64,
        net_bps: f64,
    ) -> Vec<ResolvedSignal> {
        let [hits, opposite] = shares.map(|share| (share * bets as f64).round() as usize);
        let earned = net_bps * bets as f64 - (hits as f64 - opposite as f64) * barrier_bps
            + COST_BPS * bets as f64;
        let neutral_bps = earned / (bets - hits - opposite) as f64;
        (0..bets)
            .flat_map(|bet| {
                // Spread over the day: no order of outcomes by stock or hour.
                let (gross_bps, label) = match (bet * 37) % bets {
                    drawn if drawn < hits => (barrier_bps, Class::Down),
                    drawn if drawn < hits + opposite => (-barrier_bps, Class::Up),
                    _ => (neutral_bps, Class::Neutral),
                };
                let symbol = format!("S{}", char::from(b'A' + (bet % 20) as u8));
                (0..3).map(move |said| {
                    let at = minute(day, (bet / 20 * 40 + said) as i64);
                    sell(&symbol, at, 30 - said as i64, gross_bps, label)
                })
            })
            .collect()
    }

    #[test]
    fn a_day_of_losing_sells_shows_on_that_day() {
        // As seen: 429 sells, 28 % hits and 29 % the opposite, -1.7 bp each.
        let signals = day_of(0, 143, [0.28, 0.294], 24.0, -1.7);
        assert_eq!(signals.len(), 429);
        let standing = of(&signals);
        assert_eq!(
            (standing.state, standing.bets, standing.days),
            (StandingState::Losing, 143, 1)
        );
        assert_eq!(
            standing.sentence(),
            "143 bets on 1 day: 28 % hit, -1.7 bp each after costs."
        );
        // Too few bets to say so.
        assert_eq!(
            of(&day_of(0, 49, [0.28, 0.294], 24.0, -1.7)).state,
            StandingState::Unproven
        );
    }

    #[test]
    fn days_decide_where_there_are_five() {
        let record = |days: i64, net_bps: f64| -> Vec<ResolvedSignal> {
            (0..days)
                .flat_map(|day| {
                    let of_the_day = if day % 2 == 0 { 1.0 } else { -1.0 };
                    day_of(day, 20, [0.5, 0.2], 24.0, net_bps + of_the_day)
                })
                .collect()
        };
        let state = |days, net_bps| of(&record(days, net_bps)).state;
        assert_eq!(state(4, 5.0), StandingState::Unproven);
        assert_eq!(state(5, 5.0), StandingState::Proven);
        assert_eq!(state(6, 0.5), StandingState::Unproven);
        // The direction is right more often than wrong, and yet it does not pay.
        assert_eq!(state(4, -5.0), StandingState::Unproven);
        assert_eq!(state(5, -5.0), StandingState::Losing);
        let standing = of(&record(5, 5.0));
        let (lower, mean, upper) = (
            standing.lower_bps.unwrap(),
            standing.mean_net_bps.unwrap(),
            standing.upper_bps.unwrap(),
        );
        // 6, 4, 6, 4 and 6 bp: their mean, and 2.132 times its standard error.
        assert!((mean - 5.2).abs() < 1e-9, "{standing:?}");
        let reach = 2.132 * (1.2_f64 / 5.0).sqrt();
        assert!((upper - mean - reach).abs() < 2e-3 && (mean - lower - reach).abs() < 2e-3);
    }

    #[test]
    fn chance_is_rarely_called_losing_and_skill_never() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        // Barriers of 22 bp. Breaking even after costs takes 37 % hits where 21 % go the other way.
        let mut losing = |hits: f64, opposite: f64, neutral_bps: f64| {
            let days = 500;
            let lost = (0..days).filter(|_| {
                let signals: Vec<ResolvedSignal> = (0..150)
                    .map(|bet| {
                        let noise = 24.0 * (random() - 0.5);
                        let (gross_bps, label) = match random() {
                            drawn if drawn < hits => (22.0, Class::Down),
                            drawn if drawn < hits + opposite => (-22.0, Class::Up),
                            _ => (neutral_bps + noise, Class::Neutral),
                        };
                        let symbol = format!("S{}", char::from(b'A' + (bet % 20) as u8));
                        sell(&symbol, minute(0, bet / 20 * 40), 30, gross_bps, label)
                    })
                    .collect();
                of(&signals).state == StandingState::Losing
            });
            lost.count() as f64 / f64::from(days)
        };
        let breaks_even = losing(0.37, 0.21, 1.14);
        assert!(breaks_even < 0.04, "{breaks_even}");
        assert_eq!(losing(0.46, 0.16, 1.14), 0.0);
        // The rule that was seen.
        let seen = losing(0.28, 0.294, 6.1);
        assert!(seen > 0.6, "{seen}");
    }

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (degrees, expected) in [
            (4, 2.132),
            (5, 2.015),
            (10, 1.812),
            (30, 1.697),
            (120, 1.658),
        ] {
            assert!((student_95(degrees) - expected).abs() < 3e-3, "{degrees}");
        }
    }
}
