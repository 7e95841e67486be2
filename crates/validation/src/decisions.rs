use calendar::Calendar;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, Class, Policy, Ticker};
use features::{FeatureVector, TickerContext};
use inference::{Opinion, confirm};
use labels::{BarrierSettings, Label, triple_barrier};

/// A closed bar, what was known at it and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Stock.
    pub ticker: Ticker,
    /// Position of the bar in the bars given.
    pub index: usize,
    /// Start of the bar at whose close the decision is made, UTC.
    pub bar_start: DateTime<Utc>,
    /// Close of the bar at which the outcome is known, UTC.
    pub resolved_at: DateTime<Utc>,
    /// What happened.
    pub truth: Class,
    /// The newest class that was resolved when the decision was made.
    pub last: Class,
    /// The newest feature vector, unscaled.
    pub features: FeatureVector,
    /// Return of a buyer from the next bar's open, the first price that can be had, to the touch, before costs.
    pub gross_return: f64,
}

impl Decision {
    /// The session, New York date.
    pub fn session(&self) -> NaiveDate {
        // A session's bars have the same date in UTC.
        self.bar_start.date_naive()
    }
}

/// The decisions of one stock's bars (ascending): those with features and with a label that was resolved before.
pub fn decisions(
    ticker: &Ticker,
    bars: &[Bar],
    context: TickerContext<'_>,
    barriers: &BarrierSettings,
    calendar: &Calendar,
) -> Vec<Decision> {
    let labels = triple_barrier(bars, barriers, calendar);
    let features = features::fold(bars, context);
    let decision = |(position, label): (usize, &Label)| {
        let entry = bars.get(label.index + 1)?.open.get();
        let exit = bars.get(label.index)?.close.get() * (1.0 + label.ret);
        Some(Decision {
            ticker: ticker.clone(),
            index: label.index,
            bar_start: label.start,
            resolved_at: bars.get(label.touch_index)?.close_time(),
            truth: label.class(),
            last: last_resolved(&labels, position)?,
            features: *features.get(label.index)?.as_ref()?,
            gross_return: exit / entry - 1.0,
        })
    };
    labels.iter().enumerate().filter_map(decision).collect()
}

/// The class of the newest label before this one whose touch was known when this one began.
fn last_resolved(labels: &[Label], position: usize) -> Option<Class> {
    let decided_at = labels.get(position)?.index;
    labels
        .get(..position)?
        .iter()
        .rev()
        .find(|label| label.touch_index <= decided_at)
        .map(Label::class)
}

/// What both models come to at a decision, as live.
pub fn recommend(
    policy: &Policy,
    decision: &Decision,
    lstm: Opinion<'_>,
    transformer: Opinion<'_>,
) -> domain::Decision {
    let volatility = features::realised_volatility(&decision.features);
    let as_of = decision.bar_start + TimeDelta::seconds(BAR_SECONDS);
    confirm(policy, as_of, volatility, lstm, transformer)
}

/// The direction that both models confirm at a decision, if they do.
pub fn signal(
    policy: &Policy,
    decision: &Decision,
    lstm: Opinion<'_>,
    transformer: Opinion<'_>,
) -> Option<Class> {
    let direction = recommend(policy, decision, lstm, transformer)
        .action()
        .direction()?;
    Some(direction.class())
}

#[cfg(test)]
mod tests {
    use inference::testing::random_bars;

    use super::*;

    fn of(bars: &[Bar]) -> Vec<Decision> {
        let ticker = Ticker::parse("AAPL").unwrap();
        let (context, barriers) = (TickerContext::default(), BarrierSettings::default());
        decisions(&ticker, bars, context, &barriers, calendar::nyse())
    }

    #[test]
    fn a_decision_knows_only_what_came_before_and_pays_the_next_open() {
        let bars = random_bars(features::WARM_UP_SESSIONS + 2, 7);
        let decisions = of(&bars);
        assert!(decisions.len() > 500);
        let labels = triple_barrier(&bars, &BarrierSettings::default(), calendar::nyse());
        for decision in decisions.iter().step_by(37) {
            let label = labels
                .iter()
                .find(|label| label.index == decision.index)
                .unwrap();
            assert_eq!(decision.truth, label.class());
            let known: Vec<&Label> = labels
                .iter()
                .filter(|label| label.index < decision.index && label.touch_index <= decision.index)
                .collect();
            assert_eq!(decision.last, known.last().unwrap().class());
            let exit = bars[decision.index].close.get() * (1.0 + label.ret);
            let entry = bars[decision.index + 1].open.get();
            assert_eq!(decision.gross_return, exit / entry - 1.0);
        }

        // What comes later changes neither what was known nor what it came to.
        let end = bars.len() - 60;
        let earlier = of(&bars[..end]);
        let close = bars[end - 1].close_time();
        let resolved: Vec<&Decision> = decisions
            .iter()
            .filter(|decision| decision.resolved_at <= close)
            .collect();
        assert!(resolved.len() > 450);
        for decision in &resolved[..resolved.len() - 30] {
            assert!(earlier.contains(decision), "{}", decision.bar_start);
        }
    }
}
