use serde::Serialize;
use storage::DriftState;

/// What is to blame: it decides what can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cause {
    /// The prices themselves are wrong: no other model would help, and nothing should be learned from them.
    Prices,
    /// The model's inputs are not what they were in training.
    Inputs,
    /// The model is wrong, or unsure.
    Model,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at, such as `frozen_feed`.
    pub(crate) check: &'static str,
    /// `degraded` or `critical`.
    #[serde(serialize_with = "name")]
    pub(crate) state: DriftState,
    pub(crate) cause: Cause,
    /// For people.
    pub(crate) detail: String,
}

fn name<S: serde::Serializer>(state: &DriftState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

/// The state that a figure means, by the two thresholds it may reach.
pub(crate) fn state_of(value: f64, degraded: f64, critical: f64) -> DriftState {
    if value >= critical {
        DriftState::Critical
    } else if value >= degraded {
        DriftState::Degraded
    } else {
        DriftState::Healthy
    }
}

/// Findings of a look, without those that found nothing.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(
        &mut self,
        check: &'static str,
        cause: Cause,
        state: DriftState,
        detail: impl FnOnce() -> String,
    ) {
        if state > DriftState::Healthy {
            self.0.push(Finding {
                check,
                state,
                cause,
                detail: detail(),
            });
        }
    }

    /// The worst that was found.
    pub(crate) fn state(&self) -> DriftState {
        let states = self.0.iter().map(|finding| finding.state);
        states.max().unwrap_or(DriftState::Healthy)
    }

    /// Whether the prices are to blame for what is critical.
    pub(crate) fn prices_are_wrong(&self) -> bool {
        self.0
            .iter()
            .any(|finding| finding.cause == Cause::Prices && finding.state == DriftState::Critical)
    }

    /// All details, the worst first, as lines.
    pub(crate) fn text(&self) -> String {
        let mut sorted: Vec<&Finding> = self.0.iter().collect();
        sorted.sort_by_key(|finding| std::cmp::Reverse(finding.state));
        let lines: Vec<String> = sorted
            .iter()
            .map(|finding| format!("{}: {}", finding.state.name(), finding.detail))
            .collect();
        lines.join("\n")
    }

    pub(crate) fn as_slice(&self) -> &[Finding] {
        &self.0
    }
}
