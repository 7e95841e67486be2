#![doc = include_str!("../README.md")]

mod barrier;
mod settings;
mod volatility;
mod weights;

pub use barrier::{Label, triple_barrier};
pub use settings::{BarrierPath, BarrierSettings, WorthlessLabels};
pub use weights::uniqueness_weights;
