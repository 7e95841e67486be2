//! The research commands as a person calls them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admission;
mod commands;
mod database;
mod files;
mod news;
