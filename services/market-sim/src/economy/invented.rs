use std::collections::BTreeMap;

use calendar::Calendar;
use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Utc, Weekday};
use domain::SeriesId;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{
    Series, Vintage,
    release::{Frequency, first_release, morning},
};
use crate::random;

/// First period of every invented series.
const FIRST: NaiveDate = match NaiveDate::from_ymd_opt(2005, 1, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

/// A number that wanders around a usual value.
struct Wanderer {
    usual: f64,
    /// Part of a deviation that is gone one step later.
    pull: f64,
    /// Standard deviation of a step.
    step: f64,
    now: f64,
}

impl Wanderer {
    fn new(usual: f64, pull: f64, step: f64) -> Self {
        Self {
            usual,
            pull,
            step,
            now: usual,
        }
    }

    fn next(&mut self, rng: &mut impl Rng) -> f64 {
        self.now += self.pull * (self.usual - self.now) + self.step * normal(rng);
        self.now
    }
}

/// Plausible levels, nothing measured. Rates and the volatility index are never revised; prices, unemployment and
/// output are.
pub(super) fn economy(seed: u64, calendar: &Calendar) -> BTreeMap<SeriesId, Series> {
    let last = *calendar.coverage().end();
    let days: Vec<NaiveDate> = FIRST
        .iter_days()
        .take_while(|day| *day <= last)
        .filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
        .collect();
    let months = periods(1, last);
    let quarters = periods(3, last);
    let trades = |day: NaiveDate| calendar.session_on(day).is_some();
    let rng = |what: &str| random::stream(seed, &format!("economy {what}"), None);

    let daily = |name: &str, values: Vec<f64>| {
        let values = days.iter().zip(values);
        let vintages = values.filter_map(|(day, value)| {
            Some(Vintage {
                period: *day,
                value: trades(*day).then_some(value),
                released_at: first_release(name, Frequency::Daily, *day, calendar)?,
            })
        });
        entry(name, Frequency::Daily, vintages.collect())
    };
    let walk = |name: &str, mut wanderer: Wanderer, floor: f64, digits: i32| -> Vec<f64> {
        let mut rng = rng(name);
        days.iter()
            .map(|_| rounded(wanderer.next(&mut rng).max(floor), digits))
            .collect()
    };
    let ten_years = walk("DGS10", Wanderer::new(4.0, 0.002, 0.05), 0.4, 2);
    let two_years = walk("DGS2", Wanderer::new(3.5, 0.002, 0.05), 0.1, 2);
    let spread = ten_years
        .iter()
        .zip(&two_years)
        .map(|(ten, two)| rounded(ten - two, 2))
        .collect();
    let volatility = walk(
        "VIXCLS",
        Wanderer::new(18f64.ln(), 0.03, 0.06),
        9f64.ln(),
        12,
    )
    .into_iter()
    .map(|log| rounded(log.exp(), 2))
    .collect();

    let mut series: BTreeMap<SeriesId, Series> = BTreeMap::new();
    series.extend(daily("DGS10", ten_years));
    series.extend(daily("DGS2", two_years));
    series.extend(daily("T10Y2Y", spread));
    series.extend(daily("VIXCLS", volatility));

    let mut random_funds = rng("FEDFUNDS");
    let mut funds = Wanderer::new(3.0, 0.01, 0.15);
    let values = months.iter().map(|_| {
        let value = rounded(funds.next(&mut random_funds).max(0.05), 2);
        (value, Vec::new())
    });
    series.extend(released(
        "FEDFUNDS",
        Frequency::Monthly,
        &months,
        values.collect(),
        calendar,
    ));

    // New seasonal factors every February change the months of the year before a little.
    let mut random_prices = rng("CPIAUCSL");
    let mut level = 191.6;
    let values = months.iter().map(|month| {
        level *= 1.0 + 0.002 + 0.0015 * normal(&mut random_prices);
        let revised = level + 0.05 * normal(&mut random_prices);
        let february = NaiveDate::from_ymd_opt(month.year() + 1, 2, 13);
        let revision =
            february.and_then(|day| Some((morning(day, calendar)?, rounded(revised, 3))));
        (rounded(level, 3), revision.into_iter().collect())
    });
    series.extend(released(
        "CPIAUCSL",
        Frequency::Monthly,
        &months,
        values.collect(),
        calendar,
    ));

    // The same in January, when few rates change by a tenth.
    let mut random_jobs = rng("UNRATE");
    let mut jobs = Wanderer::new(4.8, 0.02, 0.12);
    let values = months.iter().map(|month| {
        let value = rounded(jobs.next(&mut random_jobs).max(2.5), 1);
        let revised = rounded(value + 0.1 * random_jobs.random_range(-1..=1) as f64, 1);
        let is_revised = random_jobs.random_bool(0.15);
        let january = NaiveDate::from_ymd_opt(month.year() + 1, 1, 9);
        let revision = january
            .filter(|_| is_revised)
            .and_then(|day| Some((morning(day, calendar)?, revised)));
        (value, revision.into_iter().collect())
    });
    series.extend(released(
        "UNRATE",
        Frequency::Monthly,
        &months,
        values.collect(),
        calendar,
    ));

    // A second and a third estimate, a month and two after the first.
    for (name, start, growth, noise) in [
        ("GDP", 12_767.0, 0.011, 0.006),
        ("GDPC1", 15_845.0, 0.0055, 0.005),
    ] {
        let mut random = rng(name);
        let mut level: f64 = start;
        let values = quarters.iter().map(|quarter| {
            level *= 1.0 + growth + noise * normal(&mut random);
            let mut estimate = || rounded(level * (1.0 + 0.001 * normal(&mut random)), 3);
            let (first, second, third) = (estimate(), estimate(), estimate());
            let later = |days| {
                let first = first_release(name, Frequency::Quarterly, *quarter, calendar)?;
                morning((first + TimeDelta::days(days)).date_naive(), calendar)
            };
            let revisions = [(later(28), second), (later(57), third)];
            let revisions = revisions
                .into_iter()
                .filter_map(|(at, value)| Some((at?, value)));
            (first, revisions.collect())
        });
        series.extend(released(
            name,
            Frequency::Quarterly,
            &quarters,
            values.collect(),
            calendar,
        ));
    }
    series
}

/// First days of all periods of so many months.
fn periods(months: u32, last: NaiveDate) -> Vec<NaiveDate> {
    let next = |period: &NaiveDate| period.checked_add_months(Months::new(months));
    std::iter::successors(Some(FIRST), next)
        .take_while(|period| *period <= last)
        .collect()
}

type FirstAndRevisions = (f64, Vec<(DateTime<Utc>, f64)>);

/// A series of first values, published with the usual lag, and their revisions.
fn released(
    name: &str,
    frequency: Frequency,
    periods: &[NaiveDate],
    values: Vec<FirstAndRevisions>,
    calendar: &Calendar,
) -> Option<(SeriesId, Series)> {
    let mut vintages: Vec<Vintage> = Vec::new();
    for (period, (first, revisions)) in periods.iter().zip(values) {
        let published = first_release(name, frequency, *period, calendar)?;
        let mut known = None;
        for (released_at, value) in [(published, first)].into_iter().chain(revisions) {
            // A revision that comes before the value itself, or changes nothing, is none.
            if released_at < published || known == Some(value) {
                continue;
            }
            known = Some(value);
            vintages.push(Vintage {
                period: *period,
                value: Some(value),
                released_at,
            });
        }
    }
    entry(name, frequency, vintages)
}

fn entry(name: &str, frequency: Frequency, vintages: Vec<Vintage>) -> Option<(SeriesId, Series)> {
    let series = Series {
        frequency,
        vintages,
    };
    Some((SeriesId::parse(name).ok()?, series))
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}
