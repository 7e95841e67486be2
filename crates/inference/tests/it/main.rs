//! Models from exported files: what they compute, what is refused, how they are replaced.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod corrupt;
mod demo_models;
mod live;
mod loading;
mod parity;
