//! Checks of the whole workspace, and of the commands as a person calls them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod doctor;
mod models;
mod nightly;
mod research;
mod settings;
