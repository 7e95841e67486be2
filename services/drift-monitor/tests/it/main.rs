//! The monitor on a real PostgreSQL and on networks that run.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod outcomes;
mod rollback;
mod world;
