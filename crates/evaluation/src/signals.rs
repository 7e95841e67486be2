use domain::Class;
use serde::Serialize;

/// One confirmed recommendation and what became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// [`Class::Up`] for a Buy, [`Class::Down`] for a Sell.
    pub direction: Class,
    /// Which barrier the price touched first.
    pub happened: Class,
    /// Return from the decision to that touch, as a fraction of the price; above zero when the price rose.
    pub gross_return: f64,
}

impl Signal {
    /// Return in the recommended direction before costs, as a fraction.
    pub(crate) fn directed_return(&self) -> f64 {
        match self.direction {
            Class::Up => self.gross_return,
            Class::Down => -self.gross_return,
            Class::Neutral => 0.0,
        }
    }
}

/// What the confirmed recommendations alone were worth.
///
/// Signals of neighbouring bars and of related stocks share their outcomes: `signals` is a count, not a number of
/// independent trials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SignalScores {
    /// Number of Buy and Sell recommendations.
    pub signals: usize,
    /// Their share of all cases.
    pub coverage: f64,
    /// Share that touched the recommended barrier first.
    pub precision: f64,
    /// Share that touched the opposite barrier first.
    pub opposite: f64,
    /// Mean return in the recommended direction before costs, basis points.
    pub mean_return_bps: f64,
    /// Assumed cost of entering and leaving, basis points.
    pub round_trip_cost_bps: f64,
    /// Mean return after costs, basis points.
    pub mean_net_return_bps: f64,
}

/// Scores the signals that came from `cases` decisions. Without any signal all figures but the cost are 0.
pub fn score_signals(signals: &[Signal], cases: usize, round_trip_cost_bps: f64) -> SignalScores {
    let count = signals.len();
    let share = |wanted: &dyn Fn(&Signal) -> bool| {
        signals.iter().filter(|signal| wanted(signal)).count() as f64 / count.max(1) as f64
    };
    // An empty sum of floats is -0.
    let mean_return_bps = (signals.iter().map(Signal::directed_return).sum::<f64>() + 0.0)
        / count.max(1) as f64
        * 1e4;
    SignalScores {
        signals: count,
        coverage: count as f64 / cases.max(1) as f64,
        precision: share(&|signal| signal.happened == signal.direction),
        opposite: share(&|signal| {
            signal.happened != Class::Neutral && signal.happened != signal.direction
        }),
        mean_return_bps,
        round_trip_cost_bps,
        mean_net_return_bps: if count == 0 {
            0.0
        } else {
            mean_return_bps - round_trip_cost_bps
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sell_earns_when_the_price_falls() {
        let signal = |direction, happened, gross_return| Signal {
            direction,
            happened,
            gross_return,
        };
        let signals = [
            signal(Class::Down, Class::Down, -0.0030),
            signal(Class::Up, Class::Down, -0.0010),
            signal(Class::Up, Class::Neutral, 0.0001),
            signal(Class::Up, Class::Up, 0.0020),
        ];
        let scores = score_signals(&signals, 40, 4.0);
        assert_eq!(
            (
                scores.signals,
                scores.coverage,
                scores.precision,
                scores.opposite
            ),
            (4, 0.1, 0.5, 0.25)
        );
        assert!((scores.mean_return_bps - 10.25).abs() < 1e-9, "{scores:?}");
        assert!((scores.mean_net_return_bps - 6.25).abs() < 1e-9);
    }

    #[test]
    fn silence_costs_nothing() {
        let scores = score_signals(&[], 40, 4.0);
        assert_eq!((scores.coverage, scores.mean_net_return_bps), (0.0, 0.0));
    }
}
