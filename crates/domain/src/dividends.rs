use chrono::{DateTime, Utc};

use crate::{Bar, Price};

/// What takes the cash dividends of one stock out of its split-adjusted prices.
///
/// At the open of an ex-date a price falls by about the dividend, which its holder loses to nobody. Whoever computes a
/// return, a volatility or a label across that open reads bars with dividends taken out: each price before an ex-date is
/// multiplied by `1 - D/C`, D the dividend and C the last close before it, as in Yahoo's `adj_close`. Whoever shows a
/// price, or compares one with a vendor's, reads it as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DividendFactors {
    /// The open of an ex-date, UTC, and the product of the factors of that and all later ones; ascending.
    stretches: Vec<(DateTime<Utc>, f64)>,
}

/// A factor that no dividends make.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{factor} before {until} is no factor of dividends: expected a number above 0, at most 1")]
pub struct InvalidDividendFactor {
    /// The open of the ex-date, UTC.
    pub until: DateTime<Utc>,
    /// The value found.
    pub factor: f64,
}

impl DividendFactors {
    /// Takes stretches of the past, in any order: the open of an ex-date (UTC), and what prices before it, back to the
    /// ex-date before, are multiplied by.
    ///
    /// # Errors
    /// [`InvalidDividendFactor`] for one that is not above 0 and at most 1.
    pub fn new(mut stretches: Vec<(DateTime<Utc>, f64)>) -> Result<Self, InvalidDividendFactor> {
        if let Some(&(until, factor)) = stretches
            .iter()
            .find(|(_, factor)| !(*factor > 0.0 && *factor <= 1.0))
        {
            return Err(InvalidDividendFactor { until, factor });
        }
        stretches.sort_by_key(|(until, _)| *until);
        Ok(Self { stretches })
    }

    /// What the prices of a bar that starts at this time (UTC) are multiplied by; 1 from the last ex-date on.
    pub fn at(&self, start: DateTime<Utc>) -> f64 {
        let next = self.stretches.partition_point(|(until, _)| *until <= start);
        self.stretches.get(next).map_or(1.0, |(_, factor)| *factor)
    }

    /// The bar with the dividends after it taken out of its prices; its volume stays.
    #[must_use]
    pub fn total_return(&self, bar: &Bar) -> Bar {
        let factor = self.at(bar.start);
        // A product that is no price any more would have to be the smallest of numbers.
        let adjusted = |price: Price| Price::new(price.get() * factor).unwrap_or(price);
        Bar {
            open: adjusted(bar.open),
            high: adjusted(bar.high),
            low: adjusted(bar.low),
            close: adjusted(bar.close),
            ..*bar
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};

    use super::*;

    #[test]
    fn a_bar_takes_the_factor_of_its_stretch_and_the_open_of_the_ex_date_belongs_to_the_next() {
        let open = |day| Utc.with_ymd_and_hms(2018, 3, day, 13, 30, 0).unwrap();
        let factors = DividendFactors::new(vec![(open(20), 0.99), (open(12), 0.97)]).unwrap();
        let minute = TimeDelta::minutes(1);
        let at = |time| factors.at(time);
        assert_eq!(
            [open(12) - minute, open(12), open(20) - minute, open(20)].map(at),
            [0.97, 0.99, 0.99, 1.0]
        );
        assert_eq!(DividendFactors::default().at(open(12)), 1.0);
        let bar = Bar::new(open(12) - minute, 100.0, 102.0, 98.0, 101.0, 7.5).unwrap();
        let adjusted = factors.total_return(&bar);
        assert_eq!(
            (adjusted.open.get(), adjusted.low.get()),
            (97.0, 98.0 * 0.97)
        );
        assert_eq!((adjusted.volume, adjusted.start), (7.5, bar.start));
    }

    #[test]
    fn refuses_what_no_dividends_make() {
        let open = Utc.with_ymd_and_hms(2018, 3, 12, 13, 30, 0).unwrap();
        for factor in [0.0, -0.1, 1.01, f64::NAN, f64::INFINITY] {
            let error = DividendFactors::new(vec![(open, factor)]).unwrap_err();
            assert!(
                error.to_string().contains("is no factor of dividends"),
                "{error}"
            );
        }
    }
}
