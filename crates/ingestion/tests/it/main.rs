//! Backfill and polls against a real PostgreSQL and a vendor in this process.

#[path = "../../../market-data/tests/support/vendor_server.rs"]
mod vendor_server;

mod backfill;
mod market;
mod poll;
