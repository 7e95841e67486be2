//! The dual confirmation.

use chrono::{DateTime, Utc};
use domain::{Action, Class, Probabilities, Recommendation, Ticker};
use serde::{Deserialize, Serialize};

/// When two models confirm each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What both models' probabilities of the direction must reach, 0..=1. Above a third, or the most probable class
    /// always reaches it.
    pub threshold: f32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { threshold: 0.45 }
    }
}

/// A policy that confirms everything or nothing.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "threshold {threshold} confirms everything or nothing: expected a number above 0.333 and at most 1"
)]
pub struct InvalidPolicy {
    threshold: f32,
}

impl Policy {
    /// Checks a policy read from settings.
    ///
    /// # Errors
    /// [`InvalidPolicy`] when the threshold is not above a third and at most 1.
    pub fn check(&self) -> Result<(), InvalidPolicy> {
        if self.threshold > 1.0 / 3.0 && self.threshold <= 1.0 {
            Ok(())
        } else {
            Err(InvalidPolicy {
                threshold: self.threshold,
            })
        }
    }
}

/// Buy or sell when both models' most probable class is the same direction and both give it at least the threshold;
/// hold otherwise.
///
/// The confidence is the smaller of both models' probabilities of the recommended direction; for a hold, of the
/// direction for which that is larger. A hold is an abstention when at least one model leans to a direction.
pub fn confirm(
    policy: &Policy,
    ticker: Ticker,
    bar_start: DateTime<Utc>,
    lstm: &Probabilities,
    transformer: &Probabilities,
) -> Recommendation {
    let both = |class: Class| lstm.of(class).min(transformer.of(class));
    let (lstm_top, transformer_top) = (lstm.top(), transformer.top());
    let leanings = format!(
        "LSTM says {}, Transformer says {}",
        saying(lstm_top),
        saying(transformer_top)
    );
    let threshold = percent(policy.threshold);
    let agreed = (lstm_top.0 == transformer_top.0).then_some(lstm_top.0);
    let (action, why) = match agreed {
        Some(Class::Neutral) => (Action::Hold, "both expect no clear move".to_owned()),
        Some(direction) if both(direction) >= policy.threshold => {
            let action = if direction == Class::Up {
                Action::Buy
            } else {
                Action::Sell
            };
            (action, format!("both reach the threshold of {threshold}"))
        }
        Some(_) => (
            Action::Hold,
            format!("they agree, but not both reach the threshold of {threshold}"),
        ),
        None => (
            Action::Hold,
            format!("they do not agree; both must, with at least {threshold}"),
        ),
    };
    let confidence = match action {
        Action::Buy => both(Class::Up),
        Action::Sell => both(Class::Down),
        Action::Hold => both(Class::Up).max(both(Class::Down)),
    };
    Recommendation {
        ticker,
        bar_start,
        action,
        confidence,
        reason: format!("{leanings}: {why}."),
        abstained: action == Action::Hold && agreed != Some(Class::Neutral),
    }
}

fn saying((class, probability): (Class, f32)) -> String {
    format!("{class} ({})", percent(probability))
}

/// Rounded down: what falls short of the threshold must not read as if it reached it.
fn percent(share: f32) -> String {
    format!("{:.1} %", (f64::from(share) * 1000.0 + 1e-3).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn ask(threshold: f32, lstm: [f32; 3], transformer: [f32; 3]) -> Recommendation {
        let time = Utc.with_ymd_and_hms(2018, 3, 26, 14, 30, 0).unwrap();
        confirm(
            &Policy { threshold },
            Ticker::parse("AAPL").unwrap(),
            time,
            &Probabilities::new(lstm).unwrap(),
            &Probabilities::new(transformer).unwrap(),
        )
    }

    #[test]
    fn buys_and_sells_only_what_both_confirm() {
        let buy = ask(0.45, [0.2, 0.3, 0.5], [0.1, 0.45, 0.45]);
        // Of equal ones the earlier counts: the Transformer is neutral.
        assert_eq!((buy.action, buy.abstained), (Action::Hold, true));

        let buy = ask(0.45, [0.2, 0.3, 0.5], [0.1, 0.44, 0.46]);
        assert_eq!(
            (buy.action, buy.confidence, buy.abstained),
            (Action::Buy, 0.46, false)
        );
        assert_eq!(
            buy.reason,
            "LSTM says up (50.0 %), Transformer says up (46.0 %): both reach the threshold of 45.0 %."
        );

        let sell = ask(0.45, [0.6, 0.2, 0.2], [0.7, 0.2, 0.1]);
        assert_eq!((sell.action, sell.confidence), (Action::Sell, 0.6));
    }

    #[test]
    fn the_threshold_itself_is_enough() {
        assert_eq!(
            ask(0.5, [0.5, 0.3, 0.2], [0.5, 0.25, 0.25]).action,
            Action::Sell
        );
    }

    #[test]
    fn abstains_below_the_threshold() {
        let hold = ask(0.45, [0.2, 0.3, 0.5], [0.28, 0.28, 0.44]);
        assert_eq!(
            (hold.action, hold.confidence, hold.abstained),
            (Action::Hold, 0.44, true)
        );
        assert_eq!(
            hold.reason,
            "LSTM says up (50.0 %), Transformer says up (44.0 %): they agree, but not both reach the threshold of 45.0 %."
        );
        let close = ask(0.45, [0.2, 0.3, 0.5], [0.3, 0.250_04, 0.449_96]);
        assert!(
            close.reason.contains("Transformer says up (44.9 %)"),
            "{}",
            close.reason
        );
    }

    #[test]
    fn abstains_when_they_disagree() {
        let hold = ask(0.45, [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]);
        assert_eq!(
            (hold.action, hold.confidence, hold.abstained),
            (Action::Hold, 0.1, true)
        );
        assert!(
            hold.reason
                .ends_with("they do not agree; both must, with at least 45.0 %.")
        );
    }

    #[test]
    fn two_neutral_models_hold_without_abstaining() {
        let hold = ask(0.45, [0.3, 0.6, 0.1], [0.25, 0.5, 0.25]);
        assert_eq!(
            (hold.action, hold.confidence, hold.abstained),
            (Action::Hold, 0.25, false)
        );
        assert!(hold.reason.ends_with("both expect no clear move."));
    }

    #[test]
    fn a_policy_that_decides_nothing_is_refused() {
        assert!(Policy::default().check().is_ok());
        for threshold in [f32::NAN, 0.0, 1.0 / 3.0, 1.01] {
            assert!(Policy { threshold }.check().is_err());
        }
    }
}
