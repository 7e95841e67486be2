#![doc = include_str!("../README.md")]

mod bar;
mod blocks;
mod continuity;
mod corporate_action;
mod decision;
mod dividends;
mod economy;
mod news;
mod policy;
mod prediction;
mod price;
mod recommendation;
mod settings;
mod simulation;
mod standing;
mod thresholds;
mod ticker;
mod universe;

pub use bar::{BAR_SECONDS, Bar, BarFault, LARGEST_STEP, MAX_VOLUME, serialize_volume};
pub use blocks::ratio_standard_error;
pub use continuity::{Continuity, Joint};
pub use corporate_action::{CorporateAction, ShareChange};
pub use decision::{BaseRates, Block, Decision, Direction, ModelDecision, ModelDecisions};
pub use dividends::{DividendFactors, InvalidDividendFactor};
pub use economy::{InvalidSeriesId, MACRO_SERIES, MacroObservation, SeriesId};
pub use news::{InvalidSentiment, NewsArticle, NewsSource, Sentiment};
pub use policy::Policy;
pub use prediction::{
    Class, InvalidModelId, InvalidModelKind, InvalidProbabilities, ModelId, ModelKind, Prediction,
    Probabilities,
};
pub use price::{InvalidPrice, Price};
pub use recommendation::{Action, DISCLAIMER, Recommendation};
pub use settings::{InvalidSetting, InvalidSettings, SettingsCheck, SettingsSection};
pub use simulation::PLANTED_EFFECT;
pub use standing::{ResolvedSignal, Standing, StandingState};
pub use thresholds::AdaptiveThresholds;
pub use ticker::{InvalidTicker, Ticker};
pub use universe::{Listing, Universe};
