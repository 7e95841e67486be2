#![doc = include_str!("../README.md")]

mod certificates;
pub mod chart;
pub mod market;
mod meta;
mod server;
mod tape;
mod wire;

pub use certificates::{CertificateError, Certificates, HOSTS};
pub use market::Market;
pub use server::{Server, ServerError};
