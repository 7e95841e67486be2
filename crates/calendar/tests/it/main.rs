//! Tests of the calendar against an independent source and hand-written dates.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod golden;
mod lookups;
mod settings;
