use chrono::{DateTime, Utc};
use domain::ModelId;
use evaluation::BaselineError;
use features::StreamError;
use inference::InferenceError;

/// Models cannot be judged on bars.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    /// How a model's labels were made is unknown.
    #[error("the label settings of model {model_id} cannot be read: train a new model")]
    Labels {
        /// The model.
        model_id: ModelId,
        /// What is wrong with them.
        #[source]
        source: serde_json::Error,
    },
    /// The calendar ends.
    #[error("the calendar knows no session after {after}")]
    NoSession {
        /// What the models have seen ends here, UTC.
        after: DateTime<Utc>,
    },
    /// The sessions asked for would flatter the models.
    #[error(
        "the models have seen bars until {seen_until}: bars from {from} on prove nothing; choose a later first session, or \
         train on earlier bars only"
    )]
    Seen {
        /// End of what they have seen, UTC.
        seen_until: DateTime<Utc>,
        /// Open of the session asked for, UTC.
        from: DateTime<Utc>,
    },
    /// Bars that are out of order.
    #[error("the bars that end at {until} make no features")]
    Bars {
        /// Start of the bar refused, UTC.
        until: DateTime<Utc>,
        /// Why.
        #[source]
        source: StreamError,
    },
    /// A model gives no answer.
    #[error("model {model_id} cannot be asked")]
    Model {
        /// The model.
        model_id: ModelId,
        /// Why.
        #[source]
        source: InferenceError,
    },
    /// A baseline cannot be fitted, or gives no answer.
    #[error("the baseline {name} cannot be used")]
    Baseline {
        /// Which one.
        name: &'static str,
        /// Why.
        #[source]
        source: BaselineError,
    },
}
