#![doc = include_str!("../README.md")]

mod bar;
mod corporate_action;
mod economy;
mod news;
mod policy;
mod prediction;
mod price;
mod recommendation;
mod settings;
mod simulation;
mod thresholds;
mod ticker;
mod universe;

pub use bar::{BAR_SECONDS, Bar, BarFault};
pub use corporate_action::{CorporateAction, ShareChange};
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
pub use thresholds::AdaptiveThresholds;
pub use ticker::{InvalidTicker, Ticker};
pub use universe::{Listing, Universe};
