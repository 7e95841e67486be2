//! The research commands as a person calls them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands;
mod database;
