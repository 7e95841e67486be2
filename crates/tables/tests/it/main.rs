//! Reading and writing tables.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod read;
mod write;

use chrono::{DateTime, Utc};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
