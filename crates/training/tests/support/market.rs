//! Bars of a made-up market: the same seed, the same bars.

#![expect(
    clippy::expect_used,
    reason = "the made-up bars are valid by construction"
)]

use std::collections::BTreeMap;

use calendar::nyse;
use chrono::{NaiveDate, TimeDelta};
use domain::{Bar, Ticker};
use training::export::testing::Random;

/// One-minute bars of `tickers` stocks over the first `sessions` sessions of 2018: a random walk in whose steps the
/// last one goes on a little, and volumes that are highest at open and close.
pub(crate) fn bars(tickers: usize, sessions: usize) -> BTreeMap<Ticker, Vec<Bar>> {
    let date = |month, day| NaiveDate::from_ymd_opt(2018, month, day).expect("a date");
    let sessions = &nyse().sessions(date(1, 2), date(12, 31))[..sessions];
    (0..tickers)
        .map(|index| {
            let mut random = Random::new(index as u64);
            let (mut price, mut step) = (100.0_f64, 0.0_f64);
            let bars = sessions
                .iter()
                .flat_map(|session| (0..session.minutes()).map(move |minute| (session, minute)));
            let bars = bars.map(|(session, minute)| {
                // A gap overnight.
                price *= if minute == 0 {
                    1.0 + 0.01 * f64::from(random.next(1.0))
                } else {
                    1.0
                };
                let open = price;
                step = 0.2 * step + 0.001 * f64::from(random.next(1.0));
                price *= 1.0 + step;
                let range = 0.0005 * price * f64::from(random.next(1.0)).abs();
                let edge = f64::from(minute.min(session.minutes() - 1 - minute));
                let volume =
                    1_000.0 * (1.0 + 20.0 / (edge + 5.0)) * (1.5 + f64::from(random.next(1.0)));
                let start = session.open + TimeDelta::minutes(i64::from(minute));
                let (high, low) = (open.max(price) + range, open.min(price) - range);
                Bar::new(start, open, high, low, price, volume.round()).expect("a bar")
            });
            (
                Ticker::parse(&format!("T{index}")).expect("a ticker"),
                bars.collect(),
            )
        })
        .collect()
}
