//! The dual confirmation.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use domain::{Action, Class, Policy, Probabilities, Recommendation, Ticker};
use model_registry::AbstentionRecord;

/// What a model says of a bar, and how it tells when it is sure.
#[derive(Clone, Copy, Debug)]
pub struct Opinion<'a> {
    /// Its probabilities.
    pub probabilities: &'a Probabilities,
    /// Its conformal sets; a model without them never confirms.
    pub abstention: Option<&'a AbstentionRecord>,
}

/// Buy or sell when both models hold the direction possible, rule out the opposite one at the coverage that they were
/// calibrated with, and expect a return that exceeds the round-trip cost; hold otherwise.
///
/// A class is possible when its probability reaches the model's threshold. The expected return is the mean of what each
/// class is worth, weighted by the probabilities, times the stock's `volatility`: its realised volatility at the bar as
/// a fraction of the price, see [`features::realised_volatility`].
///
/// The confidence is the smaller of both models' probabilities of the recommended direction; for a hold, of the
/// direction for which that is larger. A hold is an abstention unless both models hold no clear move alone possible.
pub fn confirm(
    policy: &Policy,
    ticker: Ticker,
    bar_start: DateTime<Utc>,
    volatility: f64,
    lstm: Opinion<'_>,
    transformer: Opinion<'_>,
) -> Recommendation {
    let both = |class: Class| {
        lstm.probabilities
            .of(class)
            .min(transformer.probabilities.of(class))
    };
    let verdict = verdict(policy, volatility, lstm, transformer);
    let action = match verdict {
        Verdict::Confirmed(Class::Up, _) => Action::Buy,
        Verdict::Confirmed(Class::Down, _) => Action::Sell,
        _ => Action::Hold,
    };
    Recommendation {
        ticker,
        bar_start,
        action,
        confidence: match action {
            Action::Buy => both(Class::Up),
            Action::Sell => both(Class::Down),
            Action::Hold => both(Class::Up).max(both(Class::Down)),
        },
        reason: reason(policy, lstm, transformer, &verdict),
        abstained: match &verdict {
            Verdict::Confirmed(..) => false,
            Verdict::Differing([left, right]) => {
                *left != Possible::NEUTRAL || *right != Possible::NEUTRAL
            }
            Verdict::TooLittle(_) | Verdict::Unknown => true,
        },
    }
}

/// What the two opinions come to.
enum Verdict {
    /// A direction that both confirm, and the smaller of the returns they expect after costs, a fraction of the price.
    Confirmed(Class, f64),
    /// A direction that both confirm, whose move does not pay the cost.
    TooLittle(Class),
    /// What each holds possible; no direction is confirmed.
    Differing([Possible; 2]),
    /// At least one has no conformal sets.
    Unknown,
}

fn verdict(
    policy: &Policy,
    volatility: f64,
    lstm: Opinion<'_>,
    transformer: Opinion<'_>,
) -> Verdict {
    let (Some(lstm_record), Some(transformer_record)) = (lstm.abstention, transformer.abstention)
    else {
        return Verdict::Unknown;
    };
    let possible = [
        Possible::of(lstm_record, lstm.probabilities),
        Possible::of(transformer_record, transformer.probabilities),
    ];
    let direction = match possible.map(Possible::direction) {
        [Some(left), Some(right)] if left == right => left,
        _ => return Verdict::Differing(possible),
    };
    let sign = if direction == Class::Up { 1.0 } else { -1.0 };
    let gross = [
        expected_move(lstm_record, lstm.probabilities),
        expected_move(transformer_record, transformer.probabilities),
    ]
    .map(|multiple| sign * multiple * volatility);
    let net = gross[0].min(gross[1]) - policy.round_trip_cost_bps * 1e-4;
    if net > 0.0 {
        Verdict::Confirmed(direction, net)
    } else {
        Verdict::TooLittle(direction)
    }
}

/// The classes that a model cannot rule out, in the order of [`Class::ALL`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Possible([bool; 3]);

impl Possible {
    /// No clear move alone.
    const NEUTRAL: Self = Self([false, true, false]);

    fn of(record: &AbstentionRecord, probabilities: &Probabilities) -> Self {
        let [down, neutral, up] = record.thresholds;
        Self([
            f64::from(probabilities.of(Class::Down)) >= down,
            f64::from(probabilities.of(Class::Neutral)) >= neutral,
            f64::from(probabilities.of(Class::Up)) >= up,
        ])
    }

    /// The direction that is possible while the opposite one is not.
    const fn direction(self) -> Option<Class> {
        match self.0 {
            [false, _, true] => Some(Class::Up),
            [true, _, false] => Some(Class::Down),
            _ => None,
        }
    }

    /// What the model rules out.
    const fn ruled_out(self) -> &'static str {
        match self.0 {
            [true, _, true] => "neither direction",
            [false, _, true] => "a fall",
            [true, _, false] => "a rise",
            [false, true, false] => "a rise and a fall",
            // Every class is less probable than it usually is when it happens.
            [false, false, false] => "everything it knows",
        }
    }
}

/// Mean of what the classes are worth to a buyer, in multiples of the stock's volatility.
fn expected_move(record: &AbstentionRecord, probabilities: &Probabilities) -> f64 {
    Class::ALL
        .into_iter()
        .zip(record.moves)
        .map(|(class, worth)| f64::from(probabilities.of(class)) * worth)
        .sum()
}

/// One sentence for people.
fn reason(
    policy: &Policy,
    lstm: Opinion<'_>,
    transformer: Opinion<'_>,
    verdict: &Verdict,
) -> String {
    let (lstm_top, transformer_top) = (lstm.probabilities.top(), transformer.probabilities.top());
    let mut text = format!(
        "LSTM says {} ({}), Transformer says {} ({}): ",
        lstm_top.0,
        Percent(lstm_top.1),
        transformer_top.0,
        Percent(transformer_top.1),
    );
    let coverage = Coverage([lstm.abstention, transformer.abstention]);
    let opposite = |direction: Class| {
        if direction == Class::Up {
            "fall"
        } else {
            "rise"
        }
    };
    // Writing to a String cannot fail.
    let _ = match verdict {
        Verdict::Confirmed(direction, net) => write!(
            text,
            "both rule out a {} at {coverage}, and expect {:.1} bp after costs.",
            opposite(*direction),
            net * 1e4
        ),
        Verdict::TooLittle(direction) => write!(
            text,
            "both rule out a {} at {coverage}, but the expected move does not pay the round-trip cost of {:.1} bp.",
            opposite(*direction),
            policy.round_trip_cost_bps
        ),
        Verdict::Differing([left, right]) => match (left.ruled_out(), right.ruled_out()) {
            ("neither direction", "neither direction") => {
                write!(text, "neither direction can be ruled out at {coverage}.")
            }
            (left, right) if left == right => write!(text, "both rule out {left} at {coverage}."),
            (left, right) => write!(
                text,
                "the LSTM rules out {left}, the Transformer {right}, at {coverage}."
            ),
        },
        Verdict::Unknown => {
            let who = match (lstm.abstention, transformer.abstention) {
                (None, None) => "neither has a",
                (None, Some(_)) => "the LSTM has no",
                (Some(_), _) => "the Transformer has no",
            };
            write!(text, "{who} calibration to tell when it is sure.")
        }
    };
    text
}

/// A share, rounded down: what falls short must not read as if it did not.
struct Percent(f32);

impl std::fmt::Display for Percent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (f64::from(self.0) * 1000.0 + 1e-3).floor();
        write!(formatter, "{:.1} %", tenths / 10.0)
    }
}

/// What the two models' sets were fitted for.
struct Coverage<'a>([Option<&'a AbstentionRecord>; 2]);

impl std::fmt::Display for Coverage<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut before = None;
        for record in self.0.into_iter().flatten() {
            let percent = (record.coverage * 1000.0).round() / 10.0;
            match before {
                None => write!(formatter, "{percent} %")?,
                Some(before) if before == percent => (),
                Some(_) => write!(formatter, " and {percent} %")?,
            }
            before = Some(percent);
        }
        write!(formatter, " coverage")
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    /// A class of 30 % is possible; a rise earns ten volatilities, a fall costs as many.
    const RECORD: AbstentionRecord = AbstentionRecord {
        coverage: 0.8,
        thresholds: [0.3; 3],
        moves: [-10.0, 0.0, 10.0],
        cases: 1_000,
        delay_minutes: 60,
    };
    /// 5 basis points a minute.
    const VOLATILITY: f64 = 0.0005;

    fn confirm_with(
        records: [Option<AbstentionRecord>; 2],
        volatility: f64,
        lstm: [f32; 3],
        transformer: [f32; 3],
    ) -> Recommendation {
        let [lstm, transformer] = [lstm, transformer].map(|it| Probabilities::new(it).unwrap());
        let [lstm_record, transformer_record] = &records;
        confirm(
            &Policy::default(),
            Ticker::parse("AAPL").unwrap(),
            Utc.with_ymd_and_hms(2018, 3, 26, 14, 30, 0).unwrap(),
            volatility,
            Opinion {
                probabilities: &lstm,
                abstention: lstm_record.as_ref(),
            },
            Opinion {
                probabilities: &transformer,
                abstention: transformer_record.as_ref(),
            },
        )
    }

    fn ask(lstm: [f32; 3], transformer: [f32; 3]) -> Recommendation {
        confirm_with([Some(RECORD); 2], VOLATILITY, lstm, transformer)
    }

    #[test]
    fn buys_and_sells_only_what_both_confirm() {
        let buy = ask([0.2, 0.3, 0.5], [0.1, 0.44, 0.46]);
        assert_eq!(
            (buy.action, buy.confidence, buy.abstained),
            (Action::Buy, 0.46, false)
        );
        // The LSTM expects 0.3 * 10 * 5 bp = 15 bp, the Transformer 18, before 4 bp of costs.
        assert_eq!(
            buy.reason,
            "LSTM says up (50.0 %), Transformer says up (46.0 %): both rule out a fall at 80 % coverage, and expect 11.0 bp after costs."
        );
        let sell = ask([0.6, 0.2, 0.2], [0.7, 0.2, 0.1]);
        assert_eq!((sell.action, sell.confidence), (Action::Sell, 0.6));
        assert!(
            sell.reason.contains("both rule out a rise"),
            "{}",
            sell.reason
        );
        // The most probable class need not be the direction.
        let buy = ask([0.1, 0.55, 0.35], [0.1, 0.5, 0.4]);
        assert_eq!((buy.action, buy.confidence), (Action::Buy, 0.35));
    }

    #[test]
    fn the_threshold_itself_is_enough() {
        let record = Some(AbstentionRecord {
            thresholds: [0.25; 3],
            ..RECORD
        });
        let at = |lstm| confirm_with([record; 2], VOLATILITY, lstm, [0.5, 0.25, 0.25]).action;
        // The Transformer holds both directions possible at exactly a quarter, and one alone just below.
        assert_eq!(at([0.5, 0.3, 0.2]), Action::Hold);
        let below = confirm_with(
            [record; 2],
            VOLATILITY,
            [0.5, 0.3, 0.2],
            [0.5, 0.250_1, 0.249_9],
        );
        assert_eq!(below.action, Action::Sell);
    }

    #[test]
    fn abstains_and_says_why() {
        let table = [
            (
                [0.35, 0.3, 0.35],
                [0.4, 0.2, 0.4],
                "neither direction can be ruled out at 80 % coverage.",
            ),
            (
                [0.2, 0.3, 0.5],
                [0.4, 0.2, 0.4],
                "the LSTM rules out a fall, the Transformer neither direction, at 80 % coverage.",
            ),
            (
                [0.2, 0.3, 0.5],
                [0.5, 0.3, 0.2],
                "the LSTM rules out a fall, the Transformer a rise, at 80 % coverage.",
            ),
            (
                [0.2, 0.3, 0.5],
                [0.2, 0.6, 0.2],
                "the LSTM rules out a fall, the Transformer a rise and a fall, at 80 % coverage.",
            ),
        ];
        for (lstm, transformer, why) in table {
            let hold = ask(lstm, transformer);
            assert_eq!((hold.action, hold.abstained), (Action::Hold, true), "{why}");
            assert!(hold.reason.ends_with(why), "{}", hold.reason);
        }
        let hold = ask([0.7, 0.2, 0.1], [0.1, 0.3, 0.6]);
        assert_eq!(hold.confidence, 0.1);
    }

    #[test]
    fn two_neutral_models_hold_without_abstaining() {
        let hold = ask([0.25, 0.6, 0.15], [0.25, 0.5, 0.25]);
        assert_eq!(
            (hold.action, hold.confidence, hold.abstained),
            (Action::Hold, 0.25, false)
        );
        assert!(
            hold.reason
                .ends_with("both rule out a rise and a fall at 80 % coverage."),
            "{}",
            hold.reason
        );
    }

    #[test]
    fn a_move_must_pay_the_cost() {
        // Both expect three volatilities: at 1.3 bp a minute that is 3.9 bp.
        let ask = |volatility| {
            confirm_with(
                [Some(RECORD); 2],
                volatility,
                [0.2, 0.3, 0.5],
                [0.2, 0.3, 0.5],
            )
        };
        let hold = ask(0.000_13);
        assert_eq!((hold.action, hold.abstained), (Action::Hold, true));
        assert!(
            hold.reason.ends_with(
                "both rule out a fall at 80 % coverage, but the expected move does not pay the round-trip cost of 4.0 bp."
            ),
            "{}",
            hold.reason
        );
        assert_eq!(ask(0.000_14).action, Action::Buy);
        // Nothing is known of the volatility.
        assert_eq!(ask(f64::NAN).action, Action::Hold);
        // One of the two expects a fall from what it holds to be a rise.
        let against = AbstentionRecord {
            moves: [10.0, 0.0, -10.0],
            ..RECORD
        };
        for records in [[Some(RECORD), Some(against)], [Some(against), Some(RECORD)]] {
            let hold = confirm_with(records, VOLATILITY, [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]);
            assert_eq!(hold.action, Action::Hold);
        }
    }

    #[test]
    fn a_model_without_calibration_never_confirms() {
        let table = [
            ([None, Some(RECORD)], "the LSTM has no calibration"),
            ([Some(RECORD), None], "the Transformer has no calibration"),
            ([None, None], "neither has a calibration"),
        ];
        for (records, why) in table {
            for said in [[0.1, 0.1, 0.8], [0.1, 0.8, 0.1]] {
                let hold = confirm_with(records, VOLATILITY, said, said);
                assert_eq!((hold.action, hold.abstained), (Action::Hold, true));
                assert!(
                    hold.reason
                        .ends_with(&format!("{why} to tell when it is sure.")),
                    "{}",
                    hold.reason
                );
            }
        }
    }

    #[test]
    fn a_set_may_be_empty_and_coverages_differ() {
        let strict = AbstentionRecord {
            coverage: 0.925,
            thresholds: [0.45; 3],
            ..RECORD
        };
        let hold = confirm_with(
            [Some(strict), Some(RECORD)],
            VOLATILITY,
            [0.4, 0.3, 0.3],
            [0.5, 0.3, 0.2],
        );
        assert_eq!((hold.action, hold.abstained), (Action::Hold, true));
        assert!(
            hold.reason.ends_with(
                "the LSTM rules out everything it knows, the Transformer a rise, at 92.5 % and 80 % coverage."
            ),
            "{}",
            hold.reason
        );
    }

    #[test]
    fn a_share_is_rounded_down() {
        let hold = ask([0.2, 0.3, 0.5], [0.3, 0.250_04, 0.449_96]);
        assert!(
            hold.reason.contains("Transformer says up (44.9 %)"),
            "{}",
            hold.reason
        );
    }
}
