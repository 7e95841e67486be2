//! Tests of the labels: golden values, hand-written cases, properties.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cases;
mod golden;
mod pieces;
mod properties;
mod weights;
