//! Tests of the features: golden values, causality, joins, invariance, warm-up and refusals.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod causality;
mod continuity;
mod golden;
mod invariance;
mod join;
mod market;
mod refusals;
mod robustness;
mod warm_up;
