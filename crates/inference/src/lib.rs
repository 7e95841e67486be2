#![doc = include_str!("../README.md")]

mod champions;
mod error;
mod live;
mod model;
mod network;
mod policy;
mod proof;
#[cfg(feature = "testing")]
pub mod testing;

pub use champions::{
    Champions, DualPrediction, LiveChampions, Refreshed, Refusal, load_champion, predict_both,
};
pub use error::InferenceError;
pub use live::LiveTicker;
pub use model::{MAXIMUM_BATCH, Model};
pub use network::NetworkError;
pub use policy::{Opinion, confirm};
