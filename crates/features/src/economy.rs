use chrono::{Months, NaiveDate};
use domain::MACRO_SERIES;

use crate::{MacroEvent, pending::Pending};

pub(crate) const MACRO_FEATURES: usize = 12;

/// Periods kept of each series: a month and the twelve before it.
const KEPT_PERIODS: usize = 13;

/// Observations back to which the yield's change reaches: a week of trading.
const YIELD_CHANGE_OBSERVATIONS: usize = 5;

/// A volatility index of this many points is about usual: its logarithm is measured from here.
const USUAL_VIX: f64 = 20.0;

/// A release is news for about a month, until the next one.
const RELEASE_MICROSECONDS: f64 = 30.0 * 24.0 * 3_600.0 * 1e6;

// Wide enough for a century of the United States.
const PERCENT_BOUND: f64 = 20.0;
const LOG_BOUND: f64 = 2.0;

/// What is known of the economy. What it says depends on which vintages are available, not on the order they were
/// pushed in.
#[derive(Clone, Debug)]
pub(crate) struct Economy {
    pending: Pending<Vintage>,
    /// In the order of [`MACRO_SERIES`].
    series: [Series; MACRO_SERIES.len()],
    /// All features but the last, as of the last change.
    levels: [f32; MACRO_FEATURES - 1],
    /// When the newest month of prices or jobs was first published, microseconds since 1970.
    released_at: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Vintage {
    series: usize,
    period: NaiveDate,
    value: f64,
}

/// The newest periods of one series, oldest first, each with the newest vintage known.
#[derive(Clone, Debug, Default)]
struct Series(Vec<Period>);

#[derive(Clone, Copy, Debug)]
struct Period {
    start: NaiveDate,
    value: f64,
    /// Of the newest vintage, microseconds since 1970.
    available_at: i64,
    /// Of the oldest vintage.
    first_available_at: i64,
}

impl Economy {
    pub(crate) fn new() -> Self {
        Self {
            pending: Pending::new(),
            series: Default::default(),
            levels: [0.0; MACRO_FEATURES - 1],
            released_at: None,
        }
    }

    pub(crate) fn push(&mut self, event: &MacroEvent) {
        let known = MACRO_SERIES
            .iter()
            .position(|name| *name == event.series.as_str());
        if let Some(series) = known
            && event.value.is_finite()
        {
            let vintage = Vintage {
                series,
                period: event.period,
                value: event.value,
            };
            self.pending
                .push(event.available_at.timestamp_micros(), vintage);
        }
    }

    pub(crate) fn forget_unused(&mut self) {
        self.pending.clear();
    }

    /// The features by what could be known by `now` (microseconds since 1970, never decreasing).
    #[inline]
    pub(crate) fn at(&mut self, now: i64) -> [f32; MACRO_FEATURES] {
        let mut changed = false;
        while let Some((available_at, vintage)) = self.pending.due(now) {
            if let Some(series) = self.series.get_mut(vintage.series) {
                series.take(vintage.period, vintage.value, available_at);
            }
            changed = true;
        }
        if changed {
            self.recompute();
        }
        let recency = self.released_at.map_or(0.0, |released_at| {
            (1.0 - (now - released_at) as f64 / RELEASE_MICROSECONDS).max(0.0)
        });
        let mut features = [0.0; MACRO_FEATURES];
        features[..MACRO_FEATURES - 1].copy_from_slice(&self.levels);
        features[MACRO_FEATURES - 1] = recency as f32;
        features
    }

    #[cold]
    fn recompute(&mut self) {
        let [vix, yields, curve, funds, jobless, prices, gdp] = &self.series;
        let percent = |value: Option<f64>| bounded(value, PERCENT_BOUND);
        // In the order of FeatureSchema::names.
        self.levels = [
            bounded(
                vix.newest().and_then(|value| log_ratio(value, USUAL_VIX)),
                LOG_BOUND,
            ),
            bounded(vix.over(|vix| vix.back(1), log_ratio), LOG_BOUND),
            percent(yields.newest()),
            percent(yields.over(
                |yields| yields.back(YIELD_CHANGE_OBSERVATIONS),
                |now, before| Some(now - before),
            )),
            percent(curve.newest()),
            percent(funds.newest()),
            percent(jobless.newest()),
            percent(jobless.over(
                |jobless| jobless.months_before(12),
                |now, before| Some(now - before),
            )),
            percent(prices.over(|prices| prices.months_before(12), growth)),
            percent(prices.over(|prices| prices.months_before(1), growth)),
            percent(gdp.over(|gdp| gdp.months_before(12), growth)),
        ];
        self.released_at = [jobless, prices]
            .into_iter()
            .filter_map(|series| series.0.last())
            .map(|period| period.first_available_at)
            .max();
    }
}

impl Series {
    /// Of each period the newest vintage counts; of vintages of one moment the larger value, so that their order does
    /// not matter.
    fn take(&mut self, start: NaiveDate, value: f64, available_at: i64) {
        match self.0.binary_search_by_key(&start, |period| period.start) {
            Ok(place) => {
                if let Some(known) = self.0.get_mut(place) {
                    if (available_at, value) > (known.available_at, known.value) {
                        known.value = value;
                        known.available_at = available_at;
                    }
                    known.first_available_at = known.first_available_at.min(available_at);
                }
            }
            // Older than all that are kept.
            Err(0) if self.0.len() == KEPT_PERIODS => (),
            Err(place) => {
                let period = Period {
                    start,
                    value,
                    available_at,
                    first_available_at: available_at,
                };
                self.0.insert(place, period);
                if self.0.len() > KEPT_PERIODS {
                    self.0.remove(0);
                }
            }
        }
    }

    fn newest(&self) -> Option<f64> {
        self.back(0)
    }

    /// The value so many known periods before the newest.
    fn back(&self, periods: usize) -> Option<f64> {
        self.0.iter().rev().nth(periods).map(|period| period.value)
    }

    /// The value of the period that began so many months before the newest; none where it was never published.
    fn months_before(&self, months: u32) -> Option<f64> {
        let start = self
            .0
            .last()?
            .start
            .checked_sub_months(Months::new(months))?;
        let place = self.0.binary_search_by_key(&start, |period| period.start);
        place
            .ok()
            .and_then(|place| self.0.get(place))
            .map(|period| period.value)
    }

    /// The newest value against an earlier one.
    fn over(
        &self,
        before: impl Fn(&Self) -> Option<f64>,
        change: impl Fn(f64, f64) -> Option<f64>,
    ) -> Option<f64> {
        change(self.newest()?, before(self)?)
    }
}

/// Natural logarithm of `value / base`; none where one of them is not above zero.
fn log_ratio(value: f64, base: f64) -> Option<f64> {
    (value > 0.0 && base > 0.0).then(|| (value / base).ln())
}

/// Growth in percent, as statisticians report it.
fn growth(value: f64, base: f64) -> Option<f64> {
    (base > 0.0).then(|| 100.0 * (value / base - 1.0))
}

/// Within `-bound..=bound`; what is not known is 0.
fn bounded(value: Option<f64>, bound: f64) -> f32 {
    value.map_or(0.0, |value| value.clamp(-bound, bound) as f32)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use domain::SeriesId;

    use super::*;

    fn at(date: &str) -> DateTime<Utc> {
        format!("{date}T12:30:00Z").parse().unwrap()
    }

    fn event(series: &str, period: &str, available: &str, value: f64) -> MacroEvent {
        MacroEvent {
            available_at: at(available),
            series: SeriesId::parse(series).unwrap(),
            period: period.parse().unwrap(),
            value,
        }
    }

    fn economy(events: &[MacroEvent]) -> Economy {
        let mut economy = Economy::new();
        for event in events {
            economy.push(event);
        }
        economy
    }

    fn features(economy: &mut Economy, date: &str) -> [f32; MACRO_FEATURES] {
        economy.at(at(date).timestamp_micros())
    }

    const INFLATION: usize = 8;
    const INFLATION_MONTH: usize = 9;
    const RECENCY: usize = 11;

    #[test]
    fn of_each_period_the_newest_vintage_known_counts() {
        let mut events = vec![
            event("CPIAUCSL", "2024-01-01", "2024-02-13", 300.0),
            event("CPIAUCSL", "2024-12-01", "2025-01-15", 308.0),
            event("CPIAUCSL", "2025-01-01", "2025-02-12", 310.0),
            // A year later's seasonal factors.
            event("CPIAUCSL", "2024-01-01", "2025-02-20", 299.0),
            event("CPIAUCSL", "2025-01-01", "2025-03-12", 311.0),
        ];
        let percent = |now: f64, before: f64| (100.0 * (now / before - 1.0)) as f32;
        let expected = [
            ("2025-02-11", 0.0, percent(308.0, 300.0)),
            ("2025-02-12", percent(310.0, 300.0), percent(310.0, 308.0)),
            ("2025-02-20", percent(310.0, 299.0), percent(310.0, 308.0)),
            ("2025-03-12", percent(311.0, 299.0), percent(311.0, 308.0)),
        ];
        for _ in 0..2 {
            let mut economy = economy(&events);
            for (date, year, month) in &expected[1..] {
                let found = features(&mut economy, date);
                assert_eq!(
                    (found[INFLATION], found[INFLATION_MONTH]),
                    (*year, *month),
                    "{date}"
                );
            }
            events.reverse();
        }
        // December's month before and year before were never published.
        let found = features(&mut economy(&events), expected[0].0);
        assert_eq!((found[INFLATION], found[INFLATION_MONTH]), (0.0, 0.0));
    }

    #[test]
    fn all_features_by_hand() {
        let mut events = Vec::new();
        for (day, (vix, ten_years)) in [18.0, 19.0, 17.5, 21.0, 22.0, 30.0]
            .into_iter()
            .zip([4.0, 4.1, 4.05, 4.2, 4.25, 4.4])
            .enumerate()
        {
            let period = format!("2025-03-{:02}", 3 + day);
            events.push(event("VIXCLS", &period, "2025-03-10", vix));
            events.push(event("DGS10", &period, "2025-03-10", ten_years));
        }
        events.extend([
            event("T10Y2Y", "2025-03-07", "2025-03-10", -0.3),
            event("FEDFUNDS", "2025-02-01", "2025-03-03", 4.33),
            event("UNRATE", "2024-02-01", "2024-03-08", 3.9),
            event("UNRATE", "2025-02-01", "2025-03-07", 4.1),
            event("GDP", "2023-10-01", "2024-01-25", 28_000.0),
            event("GDP", "2024-10-01", "2025-01-30", 29_400.0),
            event("SP500", "2025-03-07", "2025-03-10", 6_000.0),
        ]);
        let found = features(&mut economy(&events), "2025-03-10");
        let expected = [
            1.5_f64.ln(),
            (30.0_f64 / 22.0).ln(),
            4.4,
            0.4,
            -0.3,
            4.33,
            4.1,
            0.2,
            0.0,
            0.0,
            5.0,
            0.9,
        ];
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{index}: {found} {expected}"
            );
        }
    }

    #[test]
    fn a_revision_is_no_release() {
        let mut economy = economy(&[
            event("UNRATE", "2025-02-01", "2025-03-07", 4.1),
            event("UNRATE", "2025-02-01", "2025-03-22", 4.2),
        ]);
        assert_eq!(features(&mut economy, "2025-03-06")[RECENCY], 0.0);
        assert_eq!(features(&mut economy, "2025-03-07")[RECENCY], 1.0);
        assert_eq!(features(&mut economy, "2025-03-22")[RECENCY], 0.5);
        assert_eq!(features(&mut economy, "2025-05-01")[RECENCY], 0.0);
    }

    #[test]
    fn memory_is_bounded_and_old_periods_do_not_come_back() {
        let mut economy = Economy::new();
        let newest: NaiveDate = "2025-03-07".parse().unwrap();
        for days in 0..500 {
            let period = (newest - chrono::TimeDelta::days(days)).to_string();
            economy.push(&event("VIXCLS", &period, "2025-03-10", 10.0 + days as f64));
        }
        features(&mut economy, "2025-03-10");
        assert_eq!(economy.series[0].0.len(), KEPT_PERIODS);
        assert_eq!(economy.series[0].newest(), Some(10.0));
        assert_eq!(economy.series[0].back(12), Some(22.0));
    }

    #[test]
    fn nonsense_stays_within_the_bounds() {
        let mut events = vec![
            event("VIXCLS", "2025-03-06", "2025-03-10", 0.0),
            event("VIXCLS", "2025-03-07", "2025-03-10", -1.0),
            event("DGS10", "2025-03-07", "2025-03-10", 1e300),
            event("GDP", "2024-10-01", "2025-03-10", 1e300),
            event("GDP", "2023-10-01", "2025-03-10", 1e-300),
            event("CPIAUCSL", "2024-10-01", "2025-03-10", f64::NAN),
        ];
        events.push(event("DGS10", "2025-03-06", "2025-03-10", f64::INFINITY));
        for value in features(&mut economy(&events), "2025-03-10") {
            assert!(value.is_finite() && value.abs() <= 20.0, "{value}");
        }
    }
}
