#![doc = include_str!("../README.md")]

mod context;
mod economy;
pub mod indicators;
mod news;
mod pending;
mod ring;
mod scaler;
mod schema;
mod stream;
mod usual_volume;
mod window;

pub use context::{Context, MACRO_HORIZON, MacroEvent, NEWS_HORIZON, NewsEvent, TickerContext};
pub use scaler::{SCALED_MAXIMUM, SCALED_MINIMUM, Scaler, ScalerFault};
pub use schema::{
    CLOCK_FEATURES, CONTEXT_FEATURES, DAILY_ECONOMY_FEATURES, FEATURE_COUNT, FeatureSchema,
    FeatureVector, NEWS_FEATURES, SLOW_ECONOMY_FEATURES, realised_volatility,
};
pub use stream::{FeatureStream, StreamError, WARM_UP_SESSIONS, fold};
pub use window::{WINDOW, Window};
