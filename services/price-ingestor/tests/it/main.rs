//! The ingestor as a process of its own against the simulated vendor and a real PostgreSQL, with what goes wrong in a
//! year happening within seconds.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, in its helpers too"
)]

mod live;
mod night;
mod replay;
mod split;
mod survival;
mod world;
