use calendar::Calendar;
use chrono::{DateTime, NaiveDate, Utc};
use labels::BarrierSettings;
use model_registry::Manifest;

use crate::{Decision, ValidationError};

/// What some models have seen, and what none of them has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start of the first bar that any of them was trained on, UTC.
    pub training_start: DateTime<Utc>,
    /// End of everything that had a say in any of them, UTC.
    pub seen_until: DateTime<Utc>,
    /// Open of the first session that is judged, UTC.
    pub from: DateTime<Utc>,
}

impl Span {
    /// The first session after everything that the models have seen, or a later one (New York date).
    ///
    /// # Errors
    /// [`ValidationError::Seen`] for a session that a model has seen, [`ValidationError::NoSession`] where the calendar
    /// ends.
    pub fn of(
        models: &[&Manifest],
        from: Option<NaiveDate>,
        calendar: &Calendar,
    ) -> Result<Self, ValidationError> {
        let ranges = || models.iter().map(|manifest| &manifest.ranges);
        let starts = ranges().map(|ranges| ranges.training.start);
        let seen_until = ranges().map(|ranges| ranges.seen_until());
        let seen_until = seen_until.max().unwrap_or_default();
        let session = match from {
            Some(from) => calendar
                .sessions(from, *calendar.coverage().end())
                .first()
                .copied(),
            None => calendar.next_open(seen_until),
        };
        let session = session.ok_or(ValidationError::NoSession { after: seen_until })?;
        if session.open < seen_until {
            return Err(ValidationError::Seen {
                seen_until,
                from: session.open,
            });
        }
        Ok(Self {
            training_start: starts.min().unwrap_or_default(),
            seen_until,
            from: session.open,
        })
    }

    /// Whether the models have seen a decision with its outcome: the baselines may learn from it.
    pub fn is_known(&self, decision: &Decision) -> bool {
        decision.bar_start >= self.training_start
            && decision.bar_start < self.from
            && decision.resolved_at <= self.seen_until
    }

    /// Whether none of the models has seen a decision: they may be judged on it.
    pub fn is_unseen(&self, decision: &Decision) -> bool {
        decision.bar_start >= self.from
    }
}

/// How the labels were made that a model foresees.
///
/// # Errors
/// [`ValidationError::Labels`] when its manifest does not say.
pub fn barriers(model: &Manifest) -> Result<BarrierSettings, ValidationError> {
    serde_json::from_value(model.labels.clone()).map_err(|source| ValidationError::Labels {
        model_id: model.model_id.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use domain::ModelKind;
    use inference::testing::{artifact, random_weights};
    use model_registry::TimeRange;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Trained from the 1st on, with its last bars used for calibration.
    fn model(seen_until: &str) -> Manifest {
        let mut manifest = artifact(&random_weights(ModelKind::Lstm, 1), 1)
            .unwrap()
            .manifest;
        let range = |start: &str, end: &str| TimeRange {
            start: at(start),
            end: at(end),
        };
        manifest.ranges.training = range("2018-03-01T14:30:00Z", "2018-03-12T20:00:00Z");
        manifest.ranges.early_stopping = range("2018-03-13T13:30:00Z", "2018-03-14T20:00:00Z");
        manifest.ranges.calibration = Some(range("2018-03-15T13:30:00Z", seen_until));
        manifest
    }

    #[test]
    fn only_whole_sessions_that_no_model_has_seen_are_judged() {
        let (older, newer) = (model("2018-03-15T20:00:00Z"), model("2018-03-16T15:00:00Z"));
        let span = |from: Option<&str>| {
            let from = from.map(|date| date.parse().unwrap());
            Span::of(&[&older, &newer], from, calendar::nyse())
        };
        let chosen = span(None).unwrap();
        assert_eq!(chosen.seen_until, at("2018-03-16T15:00:00Z"));
        assert_eq!(
            chosen.from,
            at("2018-03-19T13:30:00Z"),
            "Friday is seen in part"
        );
        assert_eq!(chosen.training_start, at("2018-03-01T14:30:00Z"));
        assert_eq!(
            span(Some("2018-03-20")).unwrap().from,
            at("2018-03-20T13:30:00Z")
        );
        let error = span(Some("2018-03-16")).unwrap_err().to_string();
        assert!(
            error.contains("2018-03-16 15:00:00") && error.contains("2018-03-16 13:30:00"),
            "{error}"
        );
    }

    #[test]
    fn labels_that_nobody_knows_are_refused() {
        let mut manifest = model("2018-03-15T20:00:00Z");
        assert!(
            barriers(&manifest).is_err(),
            "a random network foresees nothing"
        );
        manifest.labels = serde_json::to_value(BarrierSettings::default()).unwrap();
        assert_eq!(barriers(&manifest).unwrap(), BarrierSettings::default());
    }
}
