#![doc = include_str!("../README.md")]

mod barrier;
mod settings;
mod volatility;
mod weights;

pub use barrier::{Label, triple_barrier};
pub use settings::{BarrierBelowCost, BarrierPath, BarrierSettings, InvalidBarriers};
pub use weights::uniqueness_weights;
