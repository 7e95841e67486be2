//! The validator on a real PostgreSQL and on networks that run.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod broken;
mod nights;
mod program;
mod verdicts;
mod world;
