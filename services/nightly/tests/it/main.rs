//! Nights on a real PostgreSQL, with the real program as a process of its own and shell scripts as the steps' programs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod nights;
mod world;
