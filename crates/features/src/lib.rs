#![doc = include_str!("../README.md")]

pub mod indicators;
mod ring;
mod scaler;
mod schema;
mod stream;
mod usual_volume;
mod window;

pub use scaler::{SCALED_MAXIMUM, SCALED_MINIMUM, Scaler, ScalerFault};
pub use schema::{FEATURE_COUNT, FeatureSchema, FeatureVector};
pub use stream::{FeatureStream, StreamError, WARM_UP_SESSIONS, fold};
pub use window::{WINDOW, Window};
