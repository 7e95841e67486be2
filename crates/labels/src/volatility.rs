/// Exponentially weighted standard deviation, as pandas computes it with `adjust=False` and bias correction: weight
/// `2 / (span + 1)` for the newest value.
#[derive(Clone, Debug)]
pub(crate) struct WeightedDeviation {
    weight: f64,
    span: usize,
    count: usize,
    mean: f64,
    variance: f64,
    /// Sum of the squared weights, of which the bias correction is made.
    squared_weights: f64,
}

impl WeightedDeviation {
    pub(crate) fn new(span: usize) -> Self {
        let weight = 2.0 / (span as f64 + 1.0);
        Self {
            weight,
            span,
            count: 0,
            mean: 0.0,
            variance: 0.0,
            squared_weights: 1.0,
        }
    }

    /// Takes the next value; `None` until there are as many as the span says, and at least two.
    pub(crate) fn next(&mut self, value: f64) -> Option<f64> {
        self.count += 1;
        if self.count == 1 {
            self.mean = value;
            return None;
        }
        let keep = 1.0 - self.weight;
        let before = self.mean;
        self.mean = keep * before + self.weight * value;
        let (moved, apart) = (before - self.mean, value - self.mean);
        self.variance = keep * (self.variance + moved * moved) + self.weight * apart * apart;
        self.squared_weights = keep * keep * self.squared_weights + self.weight * self.weight;
        (self.count >= self.span).then(|| (self.variance / (1.0 - self.squared_weights)).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_pandas() {
        // pandas.Series([0.01, -0.02, 0.03, 0.0]).ewm(span=3, adjust=False, min_periods=3).std(): weights of the third
        // value 1/4, 1/4, 1/2; mean 0.0125; biased variance 0.00041875; 1 - sum of squares 0.625.
        let mut deviation = WeightedDeviation::new(3);
        let values: Vec<_> = [0.01, -0.02, 0.03]
            .map(|value| deviation.next(value))
            .into();
        assert_eq!(values[..2], [None, None]);
        assert!((values[2].unwrap() - (0.000_418_75_f64 / 0.625).sqrt()).abs() < 1e-15);
    }
}
