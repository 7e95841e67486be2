//! The service as its clients see it, on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod live;
mod reload;
mod rest;
mod socket;
mod support;
