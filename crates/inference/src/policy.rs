//! The dual confirmation.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    BaseRates, Block, Class, Decision, Direction, ModelDecision, ModelDecisions, Policy,
    Probabilities,
};
use model_registry::AbstentionRecord;

/// Minutes of trading that labels look ahead by default, for models that do not say.
const USUAL_HORIZON_MINUTES: u32 = 30;

/// What a model says of a bar, and how it tells when it is sure.
#[derive(Clone, Copy, Debug)]
pub struct Opinion<'a> {
    /// Its probabilities.
    pub probabilities: &'a Probabilities,
    /// Its conformal sets; a model without them never confirms.
    pub abstention: Option<&'a AbstentionRecord>,
}

/// Decides at `as_of` (UTC) on a buy, a sell or a hold. A direction is recommended when, by each model,
///
/// - it is what the model leans to: possible, and likelier than the model's base rate of it, by a larger factor than the
///   opposite direction is. Probabilities of different classes and models compare by that factor only: a fall of 25 % is
///   much where falls come one time in six, and little where they come one time in three;
/// - the opposite direction is ruled out at the coverage that it was calibrated with: a class is possible when its
///   probability reaches the model's threshold;
/// - the lower bound of the expected value exceeds the round-trip cost. The value is the mean of what each class is worth,
///   weighted by the probabilities, times the stock's `volatility`: its realised volatility at the bar as a fraction of
///   the price, see [`features::realised_volatility`]. Its bound is less by the reach of each class's mean, weighted
///   likewise: as the reaches add up, the bound also holds where all means err together, as in a falling week. It bounds
///   what the sessions of the calibration leave open, not whether the probabilities hold: that the standing of the rule
///   tells, see [`domain::Standing`].
pub fn confirm(
    policy: &Policy,
    as_of: DateTime<Utc>,
    volatility: f64,
    lstm: Opinion<'_>,
    transformer: Opinion<'_>,
) -> Decision {
    let views = [lstm, transformer].map(|opinion| View::new(opinion, volatility));
    let cost_bps = policy.round_trip_cost_bps;
    // What they are worth to whoever follows the direction that both lean to, if they do.
    let direction = match views.each_ref().map(|view| view.decision.lean) {
        [Some(left), Some(right)] if left == right => Some(left),
        _ => None,
    };
    let net_bps = |value: fn(&View, Direction) -> Option<f64>| {
        let [left, right] = views.each_ref().map(|view| value(view, direction?));
        Some(left?.min(right?) - cost_bps)
    };
    let expected_bps = net_bps(View::expected_bps);
    let expected_bps_lower = net_bps(View::expected_bps_lower);
    let blocked_by = match direction {
        _ if views.iter().any(|view| !view.is_calibrated()) => Some(Block::Uncalibrated),
        None if views.iter().all(|view| view.decision.lean.is_some()) => {
            Some(Block::ModelsDisagree)
        }
        None => Some(Block::NoLean),
        Some(direction)
            if views
                .iter()
                .any(|view| view.holds_possible(direction.opposite())) =>
        {
            Some(Block::OppositePossible)
        }
        Some(_) if expected_bps_lower.is_none_or(|lower| lower <= 0.0) => Some(Block::Cost),
        Some(_) => None,
    };
    let horizons = [lstm, transformer].map(|opinion| opinion.abstention?.horizon_minutes);
    let horizon_minutes = horizons
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(USUAL_HORIZON_MINUTES);
    let [lstm, transformer] = views.map(|view| view.decision);
    Decision {
        horizon_minutes,
        expires_at: calendar::nyse()
            .after_trading(as_of, horizon_minutes)
            .unwrap_or_else(|| as_of + TimeDelta::minutes(horizon_minutes.into())),
        models: ModelDecisions { lstm, transformer },
        expected_bps,
        expected_bps_lower,
        cost_bps,
        blocked_by,
    }
}

/// One model's part of the decision, with how well it knows the move that it expects.
struct View {
    decision: ModelDecision,
    /// How far below the expected move's size its lower bound lies, basis points.
    reach_bps: f64,
}

impl View {
    fn new(opinion: Opinion<'_>, volatility: f64) -> Self {
        let known = opinion
            .abstention
            .and_then(|record| Some((record, record.base_rates?, record.move_reach?)));
        let Some((record, base_rates, move_reach)) = known else {
            return Self::uncalibrated();
        };
        let probabilities = opinion.probabilities.to_array().map(f64::from);
        let weighted = |worth: [f64; 3]| -> f64 {
            let pairs = probabilities.iter().zip(worth);
            1e4 * volatility * pairs.map(|(share, worth)| share * worth).sum::<f64>()
        };
        let possible: Vec<Class> = Class::ALL
            .into_iter()
            .filter(|class| probabilities[class.index()] >= record.thresholds[class.index()])
            .collect();
        let [down, neutral, up] = base_rates;
        Self {
            reach_bps: weighted(move_reach),
            decision: ModelDecision {
                coverage: Some(record.coverage),
                lean: lean(&probabilities, &base_rates, &possible),
                possible: Some(possible),
                base_rate: Some(BaseRates { down, neutral, up }),
                expected_bps: Some(weighted(record.moves)).filter(|bps| bps.is_finite()),
            },
        }
    }

    const fn uncalibrated() -> Self {
        Self {
            reach_bps: f64::NAN,
            decision: ModelDecision {
                coverage: None,
                possible: None,
                base_rate: None,
                lean: None,
                expected_bps: None,
            },
        }
    }

    const fn is_calibrated(&self) -> bool {
        self.decision.possible.is_some()
    }

    fn holds_possible(&self, direction: Direction) -> bool {
        let possible = self.decision.possible.as_ref();
        possible.is_none_or(|possible| possible.contains(&direction.class()))
    }

    /// Before costs, to whoever follows this direction.
    fn expected_bps(&self, direction: Direction) -> Option<f64> {
        Some(direction.sign() * self.decision.expected_bps?)
    }

    fn expected_bps_lower(&self, direction: Direction) -> Option<f64> {
        Some(self.expected_bps(direction)? - self.reach_bps).filter(|bps| bps.is_finite())
    }
}

/// The possible direction that is likelier than its base rate, by a larger factor than the other one.
fn lean(probabilities: &[f64; 3], base_rates: &[f64; 3], possible: &[Class]) -> Option<Direction> {
    let [up, down] = Direction::ALL.map(|direction| {
        let class = direction.class().index();
        probabilities[class] / base_rates[class]
    });
    let (direction, factor) = if up > down {
        (Direction::Up, up)
    } else {
        (Direction::Down, down)
    };
    let leans = up != down && factor > 1.0 && possible.contains(&direction.class());
    leans.then_some(direction)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use domain::{Action, Recommendation, Standing, StandingState, Ticker};
    use proptest::prelude::*;

    use super::*;

    /// A class of 30 % is possible; a rise earns ten volatilities, a fall costs as many, each to within 0.2.
    const RECORD: AbstentionRecord = AbstentionRecord {
        coverage: 0.8,
        thresholds: [0.3; 3],
        moves: [-10.0, 0.0, 10.0],
        move_reach: Some([0.2; 3]),
        base_rates: Some([0.3, 0.4, 0.3]),
        horizon_minutes: Some(30),
        cases: 1_000,
        delay_minutes: 60,
    };
    /// 5 basis points a minute.
    const VOLATILITY: f64 = 0.0005;

    const UP: Option<Direction> = Some(Direction::Up);
    const DOWN: Option<Direction> = Some(Direction::Down);

    fn as_of() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2018, 3, 26, 14, 31, 2).unwrap()
    }

    fn confirm_with(
        records: [Option<AbstentionRecord>; 2],
        volatility: f64,
        lstm: [f32; 3],
        transformer: [f32; 3],
    ) -> Decision {
        let [lstm, transformer] = [lstm, transformer].map(|it| Probabilities::new(it).unwrap());
        let [lstm_record, transformer_record] = &records;
        confirm(
            &Policy::default(),
            as_of(),
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

    fn decide(lstm: [f32; 3], transformer: [f32; 3]) -> Decision {
        confirm_with([Some(RECORD); 2], VOLATILITY, lstm, transformer)
    }

    fn leans(decision: &Decision) -> [Option<Direction>; 2] {
        [decision.models.lstm.lean, decision.models.transformer.lean]
    }

    #[test]
    fn buys_and_sells_only_what_both_confirm() {
        let buy = decide([0.2, 0.3, 0.5], [0.1, 0.44, 0.46]);
        assert_eq!((buy.action(), buy.blocked_by), (Action::Buy, None));
        assert_eq!(leans(&buy), [UP, UP]);
        assert_eq!(
            buy.models.lstm.possible,
            Some(vec![Class::Neutral, Class::Up])
        );
        // The LSTM expects 0.3 * 10 * 5 bp = 15 bp, the Transformer 18, before 4 bp of costs; each to within a basis point.
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-4;
        assert!(close(buy.models.lstm.expected_bps, 15.0), "{buy:?}");
        assert!(close(buy.models.transformer.expected_bps, 18.0), "{buy:?}");
        assert!(close(buy.expected_bps, 11.0) && close(buy.expected_bps_lower, 10.0));

        let sell = decide([0.6, 0.2, 0.2], [0.7, 0.2, 0.1]);
        assert_eq!((sell.action(), leans(&sell)), (Action::Sell, [DOWN, DOWN]));
        assert!(close(sell.models.lstm.expected_bps, -20.0), "{sell:?}");
        assert!(close(sell.expected_bps, 16.0) && close(sell.expected_bps_lower, 15.0));
        // The most probable class need not be the direction.
        assert_eq!(
            decide([0.1, 0.55, 0.35], [0.1, 0.5, 0.4]).action(),
            Action::Buy
        );
    }

    #[test]
    fn a_direction_is_measured_by_its_own_base_rate() {
        // As seen: both hold no clear move most probable and a fall likelier than a rise, and what they have learned from
        // fell more often still.
        let falling = AbstentionRecord {
            thresholds: [0.24, 0.3, 0.23],
            base_rates: Some([0.27, 0.5, 0.23]),
            moves: [-10.0, -4.0, 8.0],
            ..RECORD
        };
        let said = [0.25, 0.53, 0.22];
        let hold = confirm_with([Some(falling); 2], VOLATILITY, said, [0.25, 0.53, 0.22]);
        assert_eq!(leans(&hold), [None, None]);
        assert_eq!(
            (hold.action(), hold.blocked_by),
            (Action::Hold, Some(Block::NoLean))
        );
        // The same probabilities, of one that has seen fewer falls.
        let rising = AbstentionRecord {
            base_rates: Some([0.2, 0.56, 0.24]),
            ..falling
        };
        assert_eq!(
            confirm_with([Some(rising); 2], VOLATILITY, said, said).action(),
            Action::Sell
        );
        // Likelier than its base rate, but by less than the opposite is.
        let lean = |base_rates: [f64; 3], probabilities: [f32; 3]| {
            let record = AbstentionRecord {
                base_rates: Some(base_rates),
                ..RECORD
            };
            leans(&confirm_with(
                [Some(record); 2],
                VOLATILITY,
                probabilities,
                probabilities,
            ))[0]
        };
        assert_eq!(lean([0.2, 0.5, 0.3], [0.31, 0.34, 0.35]), DOWN);
        assert_eq!(lean([0.3, 0.5, 0.2], [0.35, 0.34, 0.31]), UP);
        // Both by as much, and neither.
        assert_eq!(lean([0.25, 0.5, 0.25], [0.375, 0.25, 0.375]), None);
        assert_eq!(lean([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]), None);
        // What its set rules out, it does not lean to.
        assert_eq!(lean([0.2, 0.5, 0.3], [0.25, 0.5, 0.25]), None);
    }

    #[test]
    fn the_threshold_itself_is_enough() {
        let record = Some(AbstentionRecord {
            thresholds: [0.25; 3],
            base_rates: Some([0.2, 0.6, 0.2]),
            ..RECORD
        });
        let decide =
            |transformer| confirm_with([record; 2], VOLATILITY, [0.5, 0.3, 0.2], transformer);
        // The Transformer holds both directions possible at exactly a quarter, and one alone just below.
        assert_eq!(
            decide([0.5, 0.25, 0.25]).blocked_by,
            Some(Block::OppositePossible)
        );
        assert_eq!(decide([0.5, 0.250_1, 0.249_9]).action(), Action::Sell);
    }

    #[test]
    fn a_hold_names_what_blocks_it_and_whether_it_abstains() {
        let table = [
            // Both lean up and cannot rule out a fall.
            (
                [0.32, 0.3, 0.38],
                [0.2, 0.3, 0.5],
                Block::OppositePossible,
                true,
            ),
            (
                [0.2, 0.3, 0.5],
                [0.5, 0.3, 0.2],
                Block::ModelsDisagree,
                true,
            ),
            // Neither direction is likelier than the other, or a move is ruled out.
            ([0.35, 0.3, 0.35], [0.2, 0.3, 0.5], Block::NoLean, true),
            ([0.2, 0.3, 0.5], [0.2, 0.6, 0.2], Block::NoLean, true),
            ([0.25, 0.6, 0.15], [0.25, 0.5, 0.25], Block::NoLean, false),
        ];
        for (lstm, transformer, block, abstained) in table {
            let hold = decide(lstm, transformer);
            assert_eq!(
                (hold.action(), hold.blocked_by, hold.abstained()),
                (Action::Hold, Some(block), abstained)
            );
        }
    }

    #[test]
    fn the_lower_bound_must_pay_the_cost() {
        // Both expect 2.8 volatilities at the least, and three on average.
        let decide = |volatility| {
            confirm_with(
                [Some(RECORD); 2],
                volatility,
                [0.2, 0.3, 0.5],
                [0.2, 0.3, 0.5],
            )
        };
        // At 1.4 bp a minute the mean pays 4 bp and the bound does not.
        let hold = decide(0.000_14);
        assert_eq!(
            (hold.action(), hold.blocked_by),
            (Action::Hold, Some(Block::Cost))
        );
        assert!(hold.expected_bps.unwrap() > 0.0 && hold.expected_bps_lower.unwrap() < 0.0);
        assert_eq!(decide(0.000_144).action(), Action::Buy);
        // Nothing is known of the volatility.
        let unknown = decide(f64::NAN);
        assert_eq!(
            (
                unknown.blocked_by,
                unknown.expected_bps,
                unknown.expected_bps_lower
            ),
            (Some(Block::Cost), None, None)
        );
        assert_eq!(unknown.models.lstm.expected_bps, None);
        // One of the two expects a fall from what it holds to be a rise.
        let against = AbstentionRecord {
            moves: [10.0, 0.0, -10.0],
            ..RECORD
        };
        for records in [[Some(RECORD), Some(against)], [Some(against), Some(RECORD)]] {
            let hold = confirm_with(records, VOLATILITY, [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]);
            assert_eq!(hold.blocked_by, Some(Block::Cost));
        }
    }

    #[test]
    fn a_model_without_calibration_never_confirms() {
        let without = |change: fn(&mut AbstentionRecord)| {
            let mut record = RECORD;
            change(&mut record);
            Some(record)
        };
        let incomplete = [
            None,
            without(|record| record.base_rates = None),
            without(|record| record.move_reach = None),
        ];
        for record in incomplete {
            for records in [[record, Some(RECORD)], [Some(RECORD), record], [record; 2]] {
                let said = [0.1, 0.1, 0.8];
                let hold = confirm_with(records, VOLATILITY, said, said);
                assert_eq!(
                    (hold.action(), hold.blocked_by, hold.abstained()),
                    (Action::Hold, Some(Block::Uncalibrated), true)
                );
                let known = records.map(|it| it.is_some_and(|it| it == RECORD));
                let models = [&hold.models.lstm, &hold.models.transformer];
                assert_eq!(models.map(|model| model.coverage.is_some()), known);
            }
        }
    }

    #[test]
    fn it_expires_when_the_shorter_foresight_is_over_in_minutes_of_trading() {
        let short = AbstentionRecord {
            horizon_minutes: Some(20),
            ..RECORD
        };
        let expires = |records: [Option<AbstentionRecord>; 2], as_of: &str| {
            let said = Probabilities::new([0.2, 0.3, 0.5]).unwrap();
            let opinion = |record| Opinion {
                probabilities: &said,
                abstention: record,
            };
            let [lstm, transformer] = &records;
            let decision = confirm(
                &Policy::default(),
                as_of.parse().unwrap(),
                VOLATILITY,
                opinion(lstm.as_ref()),
                opinion(transformer.as_ref()),
            );
            (
                decision.horizon_minutes,
                decision
                    .expires_at
                    .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            )
        };
        let both = [Some(RECORD), Some(short)];
        let late = "2018-03-29T19:50:02Z";
        assert_eq!(
            expires(both, "2018-03-29T19:00:02Z"),
            (20, "2018-03-29T19:20:02Z".to_owned())
        );
        // Good Friday and the weekend do not count.
        assert_eq!(expires(both, late), (20, "2018-04-02T13:40:02Z".to_owned()));
        assert_eq!(
            expires([None, Some(RECORD)], late),
            (30, "2018-04-02T13:50:02Z".to_owned())
        );
        assert_eq!(expires([None, None], late).0, 30);
    }

    fn probabilities() -> impl Strategy<Value = [f32; 3]> {
        [0.01..1.0_f32, 0.01..1.0_f32, 0.01..1.0_f32].prop_map(|parts| {
            let sum: f32 = parts.iter().sum();
            parts.map(|part| part / sum)
        })
    }

    fn record() -> impl Strategy<Value = Option<AbstentionRecord>> {
        let calibrated = (
            [0.05..0.6_f64, 0.05..0.6_f64, 0.05..0.6_f64],
            [-12.0..2.0_f64, -3.0..3.0_f64, -2.0..12.0_f64],
            [0.0..2.0_f64, 0.0..2.0_f64, 0.0..2.0_f64],
            probabilities(),
        )
            .prop_map(|(thresholds, moves, reach, base_rates)| {
                Some(AbstentionRecord {
                    thresholds,
                    moves,
                    move_reach: Some(reach),
                    base_rates: Some(base_rates.map(f64::from)),
                    ..RECORD
                })
            });
        prop_oneof![20 => calibrated, 1 => Just(None)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        /// Whatever models say and records hold: a recommendation stands beside nothing that contradicts it.
        #[test]
        fn no_recommendation_contradicts_itself(
            lstm in probabilities(),
            transformer in probabilities(),
            records in [record(), record()],
            volatility in 1e-5..0.003_f64,
            losing in any::<bool>(),
        ) {
            let decision = confirm_with(records, volatility, lstm, transformer);
            let state = if losing { StandingState::Losing } else { StandingState::Unproven };
            let standing = Standing {
                state,
                ..Standing::of(Direction::Up, &[], 4.0)
            };
            let headline = decision.headline(Some(&standing));
            let ticker = Ticker::parse("AAPL").unwrap();
            let recommendation = Recommendation::new(ticker, as_of(), decision.clone(), Some(standing));
            prop_assert_eq!(recommendation.action, decision.action());
            let Some(direction) = recommendation.action.direction() else {
                prop_assert!(decision.blocked_by.is_some());
                prop_assert_eq!(recommendation.standing, None);
                return Ok(());
            };
            prop_assert_eq!(decision.blocked_by, None);
            prop_assert!(!recommendation.abstained);
            for (model, said) in [(&decision.models.lstm, lstm), (&decision.models.transformer, transformer)] {
                prop_assert_eq!(model.lean, Some(direction));
                let possible = model.possible.as_ref().unwrap();
                prop_assert!(possible.contains(&direction.class()));
                prop_assert!(!possible.contains(&direction.opposite().class()));
                let rates = model.base_rate.unwrap();
                let rate = if direction == Direction::Up { rates.up } else { rates.down };
                prop_assert!(f64::from(said[direction.class().index()]) > rate);
                let expected = direction.sign() * model.expected_bps.unwrap();
                prop_assert!(expected - decision.cost_bps >= decision.expected_bps.unwrap() - 1e-9);
            }
            prop_assert!(decision.expected_bps_lower.unwrap() > 0.0);
            prop_assert!(decision.expected_bps >= decision.expected_bps_lower);
            prop_assert!(decision.expires_at > as_of());
            let opposite = if direction == Direction::Up { "fall" } else { "rise" };
            let text = format!("{headline} {}", recommendation.reason).to_lowercase();
            prop_assert!(!text.contains("no clear move") && !text.contains("rule out a move"), "{}", text);
            prop_assert!(text.contains("rule out a ") && text.contains(opposite), "{}", text);
            prop_assert_eq!(losing, text.contains("no recommendation"));
        }
    }
}
