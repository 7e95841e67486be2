//! Backfill and polls against a real PostgreSQL and a vendor in this process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../../market-data/tests/support/vendor_server.rs"]
mod vendor_server;

mod backfill;
mod corporate_actions;
mod economy;
mod gaps;
mod market;
mod news;
mod poll;
mod rhythm;
mod share_basis;
