use std::fmt;

use serde::{Deserialize, Serialize};

/// A price in the quote currency per share (US dollars for the NYSE and Nasdaq): finite and above zero.
///
/// Vendors send binary floats and Tandem analyses rather than keeps books, so the value is an `f64`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Price(f64);

/// The number is no price.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{value} is not a price: expected a finite number above zero")]
pub struct InvalidPrice {
    value: f64,
}

impl Price {
    /// Checks the number.
    ///
    /// # Errors
    /// [`InvalidPrice`] for NaN, infinities, zero and negative numbers.
    pub fn new(value: f64) -> Result<Self, InvalidPrice> {
        if value.is_finite() && value > 0.0 {
            Ok(Self(value))
        } else {
            Err(InvalidPrice { value })
        }
    }

    /// The number, in the quote currency per share.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<f64> for Price {
    type Error = InvalidPrice;

    fn try_from(value: f64) -> Result<Self, InvalidPrice> {
        Self::new(value)
    }
}

impl From<Price> for f64 {
    fn from(price: Price) -> Self {
        price.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_finite_and_positive_or_refused(value in proptest::num::f64::ANY) {
            prop_assert_eq!(Price::new(value).is_ok(), value.is_finite() && value > 0.0);
        }
    }
}
