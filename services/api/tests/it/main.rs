//! The service as its clients see it, on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod context;
mod data;
mod faults;
mod learning;
mod live;
mod pipeline;
mod reload;
mod requests;
mod rest;
mod signals;
mod socket;
mod staleness;
mod support;
