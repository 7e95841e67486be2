//! What the dual confirmation comes to for one closed bar, as data, and the words that are made of it. Nobody else makes
//! words of it, so that no two sentences about a signal can contradict each other.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Action, Class, Standing, StandingState};

/// Which way a price goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A rise, which a buy earns from.
    Up,
    /// A fall, which a sell earns from.
    Down,
}

impl Direction {
    /// Both directions.
    pub const ALL: [Self; 2] = [Self::Up, Self::Down];

    /// The class of the labels that goes this way.
    pub const fn class(self) -> Class {
        match self {
            Self::Up => Class::Up,
            Self::Down => Class::Down,
        }
    }

    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }

    /// What a return of the price is multiplied by to be that of whoever bets on this direction: 1 or -1.
    pub const fn sign(self) -> f64 {
        match self {
            Self::Up => 1.0,
            Self::Down => -1.0,
        }
    }

    /// What is recommended where this direction is confirmed.
    pub const fn action(self) -> Action {
        match self {
            Self::Up => Action::Buy,
            Self::Down => Action::Sell,
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Up => "a rise",
            Self::Down => "a fall",
        }
    }
}

/// What keeps the dual confirmation from a recommendation; the first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A model has no calibration to tell when it is sure.
    Uncalibrated,
    /// One leans up, the other down.
    ModelsDisagree,
    /// At least one leans to neither side.
    NoLean,
    /// Both lean the same way, and at least one cannot rule out the opposite.
    OppositePossible,
    /// Both confirm a direction, and the lower bound of what it is worth does not exceed the cost.
    Cost,
}

/// How often each class comes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseRates {
    /// Share of falls, 0 to 1.
    pub down: f64,
    /// Share without a clear move, 0 to 1.
    pub neutral: f64,
    /// Share of rises, 0 to 1.
    pub up: f64,
}

/// What one model contributes to a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDecision {
    /// Probability with which its prediction sets should hold what happens; none without a calibration.
    pub coverage: Option<f64>,
    /// Its prediction set: the classes that it cannot rule out, in the order of [`Class::ALL`]; none without a
    /// calibration.
    pub possible: Option<Vec<Class>>,
    /// What it gives each class of a window that tells it nothing; none without a calibration.
    pub base_rate: Option<BaseRates>,
    /// The direction that it holds possible and more likely than its base rate, of two the one that is so by the larger
    /// factor.
    pub lean: Option<Direction>,
    /// The move that it expects before costs, basis points of the price, above zero for a rise; none without a
    /// calibration, or where the stock's volatility is not known.
    pub expected_bps: Option<f64>,
}

impl ModelDecision {
    fn holds_possible(&self, class: Class) -> bool {
        self.possible
            .as_ref()
            .is_none_or(|possible| possible.contains(&class))
    }

    fn rules_out_a_move(&self) -> bool {
        self.possible.as_deref() == Some(&[Class::Neutral][..])
    }

    /// "leans to a rise and rules out a fall", of one model or of both.
    fn describe(&self, both: bool) -> String {
        let (lean, rule) = if both {
            ("lean", "rule")
        } else {
            ("leans", "rules")
        };
        let side = self.lean.map_or("neither side", Direction::noun);
        let ruled_out =
            match [Class::Down, Class::Neutral, Class::Up].map(|it| self.holds_possible(it)) {
                [true, _, true] => "neither direction",
                [false, _, true] => "a fall",
                [true, _, false] => "a rise",
                [false, true, false] => "a rise and a fall",
                // Every class is less probable than it usually is when it happens.
                [false, false, false] => "every class that it knows",
            };
        format!("{lean} to {side} and {rule} out {ruled_out}")
    }
}

/// What both models contribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDecisions {
    /// The recurrent network.
    pub lstm: ModelDecision,
    /// The attention network.
    pub transformer: ModelDecision,
}

/// What the dual confirmation comes to for one closed bar, and why.
///
/// A direction is recommended when nothing blocks it: both models lean that way, both rule out the opposite, and the
/// lower bound of what each expects exceeds the cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Minutes of trading that the models look ahead.
    pub horizon_minutes: u32,
    /// When these are over, UTC: what a close cuts off goes on at the next open.
    pub expires_at: DateTime<Utc>,
    /// What each model contributes.
    pub models: ModelDecisions,
    /// Where both lean the same way: the smaller of the values that they expect that way after costs, basis points.
    pub expected_bps: Option<f64>,
    /// The smaller of these values' lower bounds, basis points.
    pub expected_bps_lower: Option<f64>,
    /// Spread and fees of entering and leaving, basis points.
    pub cost_bps: f64,
    /// What keeps it from a recommendation; none for a buy or a sell.
    pub blocked_by: Option<Block>,
}

impl Decision {
    /// What is recommended.
    pub fn action(&self) -> Action {
        match (self.blocked_by, self.direction()) {
            (None, Some(direction)) => direction.action(),
            _ => Action::Hold,
        }
    }

    /// The direction that both models lean to, recommended or not.
    pub fn direction(&self) -> Option<Direction> {
        let ModelDecisions { lstm, transformer } = &self.models;
        lstm.lean.filter(|lean| transformer.lean == Some(*lean))
    }

    /// A hold because the models are not sure, or because the move would not pay, as opposed to both ruling out a move.
    pub fn abstained(&self) -> bool {
        let ModelDecisions { lstm, transformer } = &self.models;
        self.action() == Action::Hold
            && !(lstm.rules_out_a_move() && transformer.rules_out_a_move())
    }

    /// The decision in a few words, with the standing of the rule that spoke.
    pub fn headline(&self, standing: Option<&Standing>) -> String {
        let ModelDecisions { lstm, transformer } = &self.models;
        let block = match (self.blocked_by, self.direction()) {
            (None, Some(direction)) if is_losing(standing) => {
                return format!("No recommendation: {}s are losing", direction.action());
            }
            (None, Some(direction)) => {
                return format!("Both models rule out {}", direction.opposite().noun());
            }
            (Some(Block::OppositePossible), Some(Direction::Up)) => {
                return "A fall cannot be ruled out".to_owned();
            }
            (Some(Block::OppositePossible), Some(Direction::Down)) => {
                return "A rise cannot be ruled out".to_owned();
            }
            (block, _) => block,
        };
        match (block, lstm.lean, transformer.lean) {
            (Some(Block::Uncalibrated), ..) => "No calibration".to_owned(),
            (Some(Block::ModelsDisagree), ..) => "The models disagree".to_owned(),
            (Some(Block::Cost), ..) => "Too little after costs".to_owned(),
            (_, Some(lean), None) => format!("Only the LSTM leans to {}", lean.noun()),
            (_, None, Some(lean)) => format!("Only the Transformer leans to {}", lean.noun()),
            _ if lstm.rules_out_a_move() && transformer.rules_out_a_move() => {
                "Both models rule out a move".to_owned()
            }
            _ => "Neither model leans".to_owned(),
        }
    }

    /// The decision in one or two sentences, with the standing of the rule that spoke.
    pub fn reason(&self, standing: Option<&Standing>) -> String {
        let ModelDecisions { lstm, transformer } = &self.models;
        if let Some(missing) = self.missing_calibration() {
            return format!("{missing} calibration to tell when it is sure.");
        }
        let coverage = self.coverage();
        let (left, right) = (lstm.describe(false), transformer.describe(false));
        let models = if left == right {
            format!("Both models {} {coverage}", lstm.describe(true))
        } else {
            format!("The LSTM {left}, the Transformer {right}, {coverage}")
        };
        let cost = bps(self.cost_bps);
        match (self.blocked_by, self.expected_bps, self.expected_bps_lower) {
            (None, Some(expected), Some(lower)) => {
                let mut text = format!(
                    "{models}. Over {} minutes of trading the smaller of their expected values is {} after costs of \
                     {cost}, with a lower bound of {}.",
                    self.horizon_minutes,
                    bps(expected),
                    bps(lower)
                );
                if let Some(standing) = standing.filter(|it| it.state == StandingState::Losing) {
                    text.push_str(" It is no recommendation while its rule is losing: ");
                    text.push_str(&standing.sentence());
                }
                text
            }
            (Some(Block::Cost), Some(expected), Some(lower)) => format!(
                "{models}, but the move does not surely pay the round-trip cost of {cost}: after it the smaller of their \
                 expected values is {}, with a lower bound of {}.",
                bps(expected),
                bps(lower)
            ),
            (Some(Block::Cost), ..) => format!(
                "{models}, but whether the move pays the round-trip cost of {cost} is not known, as the stock's volatility \
                 is not."
            ),
            _ => format!("{models}."),
        }
    }

    /// Who has no calibration, as the beginning of a sentence.
    fn missing_calibration(&self) -> Option<&'static str> {
        let ModelDecisions { lstm, transformer } = &self.models;
        match (&lstm.possible, &transformer.possible) {
            (Some(_), Some(_)) => None,
            (None, None) => Some("Neither model has a"),
            (None, Some(_)) => Some("The LSTM has no"),
            (Some(_), None) => Some("The Transformer has no"),
        }
    }

    /// "at 80 % coverage": what the two models' sets were fitted for.
    fn coverage(&self) -> String {
        let ModelDecisions { lstm, transformer } = &self.models;
        let percent = |share: Option<f64>| {
            share.map_or_else(
                || "an unknown".to_owned(),
                |share| format!("{} %", (share * 1000.0).round() / 10.0),
            )
        };
        let (left, right) = (percent(lstm.coverage), percent(transformer.coverage));
        if left == right {
            format!("at {left} coverage")
        } else {
            format!("at {left} and {right} coverage")
        }
    }
}

fn is_losing(standing: Option<&Standing>) -> bool {
    standing.is_some_and(|standing| standing.state == StandingState::Losing)
}

/// A number of basis points for a sentence.
pub(crate) fn bps(value: f64) -> String {
    // What is rounded to nothing has no sign.
    format!("{:.1} bp", (value * 10.0).round() / 10.0 + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standing::testing::standing;

    fn model(lean: Option<Direction>, possible: &[Class]) -> ModelDecision {
        ModelDecision {
            coverage: Some(0.8),
            possible: Some(possible.to_vec()),
            base_rate: Some(BaseRates {
                down: 0.3,
                neutral: 0.4,
                up: 0.3,
            }),
            lean,
            expected_bps: Some(12.0),
        }
    }

    fn decision(models: [ModelDecision; 2], blocked_by: Option<Block>) -> Decision {
        let [lstm, transformer] = models;
        Decision {
            horizon_minutes: 30,
            expires_at: "2018-03-26T15:01:02Z".parse().unwrap(),
            models: ModelDecisions { lstm, transformer },
            expected_bps: Some(8.04),
            expected_bps_lower: Some(5.96),
            cost_bps: 4.0,
            blocked_by,
        }
    }

    const UP: Option<Direction> = Some(Direction::Up);
    const DOWN: Option<Direction> = Some(Direction::Down);
    const NOT_DOWN: &[Class] = &[Class::Neutral, Class::Up];
    const NOT_UP: &[Class] = &[Class::Down, Class::Neutral];

    #[test]
    fn a_recommendation_says_what_both_rule_out() {
        let buy = decision([model(UP, NOT_DOWN), model(UP, NOT_DOWN)], None);
        assert_eq!((buy.action(), buy.abstained()), (Action::Buy, false));
        assert_eq!(buy.headline(None), "Both models rule out a fall");
        assert_eq!(
            buy.reason(None),
            "Both models lean to a rise and rule out a fall at 80 % coverage. Over 30 minutes of trading the smaller of \
             their expected values is 8.0 bp after costs of 4.0 bp, with a lower bound of 6.0 bp."
        );
        let sell = decision([model(DOWN, NOT_UP), model(DOWN, &[Class::Down])], None);
        assert_eq!(sell.action(), Action::Sell);
        assert_eq!(sell.headline(None), "Both models rule out a rise");
        assert!(
            sell.reason(None)
                .starts_with("Both models lean to a fall and rule out a rise at 80 % coverage."),
            "{}",
            sell.reason(None)
        );
    }

    #[test]
    fn what_is_losing_is_not_called_a_recommendation() {
        let sell = decision([model(DOWN, NOT_UP), model(DOWN, NOT_UP)], None);
        for state in [StandingState::Proven, StandingState::Unproven] {
            let standing = standing(state);
            assert_eq!(sell.headline(Some(&standing)), sell.headline(None));
            assert_eq!(sell.reason(Some(&standing)), sell.reason(None));
        }
        let losing = standing(StandingState::Losing);
        assert_eq!(
            sell.headline(Some(&losing)),
            "No recommendation: sells are losing"
        );
        assert!(
            sell.reason(Some(&losing)).ends_with(
                " It is no recommendation while its rule is losing: 12 bets on 3 days: 25 % hit, -1.7 bp each after costs."
            ),
            "{}",
            sell.reason(Some(&losing))
        );
    }

    #[test]
    fn a_hold_says_what_blocks_it() {
        let all = &[Class::Down, Class::Neutral, Class::Up];
        let still = || model(None, &[Class::Neutral]);
        let table = [
            (
                [model(UP, NOT_DOWN), model(DOWN, NOT_UP)],
                Block::ModelsDisagree,
                "The models disagree",
                "The LSTM leans to a rise and rules out a fall, the Transformer leans to a fall and rules out a rise, at \
                 80 % coverage.",
            ),
            (
                [model(UP, all), model(None, all)],
                Block::NoLean,
                "Only the LSTM leans to a rise",
                "The LSTM leans to a rise and rules out neither direction, the Transformer leans to neither side and rules \
                 out neither direction, at 80 % coverage.",
            ),
            (
                [model(None, all), model(None, all)],
                Block::NoLean,
                "Neither model leans",
                "Both models lean to neither side and rule out neither direction at 80 % coverage.",
            ),
            (
                [model(None, &[]), still()],
                Block::NoLean,
                "Neither model leans",
                "The LSTM leans to neither side and rules out every class that it knows, the Transformer leans to neither \
                 side and rules out a rise and a fall, at 80 % coverage.",
            ),
            (
                [model(DOWN, NOT_UP), model(DOWN, all)],
                Block::OppositePossible,
                "A rise cannot be ruled out",
                "The LSTM leans to a fall and rules out a rise, the Transformer leans to a fall and rules out neither \
                 direction, at 80 % coverage.",
            ),
            (
                [model(UP, NOT_DOWN), model(UP, NOT_DOWN)],
                Block::Cost,
                "Too little after costs",
                "Both models lean to a rise and rule out a fall at 80 % coverage, but the move does not surely pay the \
                 round-trip cost of 4.0 bp: after it the smaller of their expected values is 8.0 bp, with a lower bound of \
                 6.0 bp.",
            ),
        ];
        for (models, block, headline, reason) in table {
            let hold = decision(models, Some(block));
            assert_eq!((hold.action(), hold.abstained()), (Action::Hold, true));
            assert_eq!(hold.headline(None), headline);
            assert_eq!(hold.reason(None), reason);
        }
        // Neither abstains where both know that nothing will happen.
        let hold = decision([still(), still()], Some(Block::NoLean));
        assert_eq!((hold.action(), hold.abstained()), (Action::Hold, false));
        assert_eq!(hold.headline(None), "Both models rule out a move");
        // Nothing is known of the volatility.
        let unknown = Decision {
            expected_bps: None,
            expected_bps_lower: None,
            ..decision(
                [model(UP, NOT_DOWN), model(UP, NOT_DOWN)],
                Some(Block::Cost),
            )
        };
        assert!(
            unknown
                .reason(None)
                .ends_with("the stock's volatility is not."),
            "{}",
            unknown.reason(None)
        );
    }

    #[test]
    fn a_model_without_calibration_is_named() {
        let none = || ModelDecision {
            coverage: None,
            possible: None,
            base_rate: None,
            lean: None,
            expected_bps: None,
        };
        let table = [
            ([none(), model(UP, NOT_DOWN)], "The LSTM has no"),
            ([model(UP, NOT_DOWN), none()], "The Transformer has no"),
            ([none(), none()], "Neither model has a"),
        ];
        for (models, who) in table {
            let hold = decision(models, Some(Block::Uncalibrated));
            assert_eq!((hold.action(), hold.abstained()), (Action::Hold, true));
            assert_eq!(hold.headline(None), "No calibration");
            assert_eq!(
                hold.reason(None),
                format!("{who} calibration to tell when it is sure.")
            );
        }
    }

    #[test]
    fn coverages_may_differ() {
        let strict = ModelDecision {
            coverage: Some(0.925),
            ..model(None, NOT_DOWN)
        };
        let hold = decision([strict, model(None, NOT_UP)], Some(Block::NoLean));
        assert!(
            hold.reason(None)
                .ends_with(", at 92.5 % and 80 % coverage."),
            "{}",
            hold.reason(None)
        );
    }

    #[test]
    fn a_decision_comes_back_from_json_as_it_was() {
        let decision = decision(
            [model(UP, NOT_DOWN), model(None, &[])],
            Some(Block::OppositePossible),
        );
        let json = serde_json::to_value(&decision).unwrap();
        assert_eq!(json["blocked_by"], "opposite_possible");
        assert_eq!(json["models"]["lstm"]["lean"], "up");
        assert_eq!(
            json["models"]["lstm"]["possible"],
            serde_json::json!(["neutral", "up"])
        );
        assert_eq!(serde_json::from_value::<Decision>(json).unwrap(), decision);
    }
}
