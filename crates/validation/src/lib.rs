#![doc = include_str!("../README.md")]

mod answers;
mod baselines;
mod decisions;
mod error;
mod sets;
mod span;

pub use answers::{Answer, answers};
pub use baselines::baselines;
pub use decisions::{Decision, decisions, recommend, signal};
pub use error::ValidationError;
pub use sets::in_service;
pub use span::{Span, barriers};
