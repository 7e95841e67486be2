#![doc = include_str!("../README.md")]

mod alpha_vantage;
mod answer;
mod budget;
mod certificates;
mod economy;
pub mod faults;
mod finnhub;
mod fred;
pub mod market;
mod news;
mod newsapi;
mod random;
mod server;
mod simulator;
pub mod table;
mod tape;
mod vendor;
mod yahoo;

pub use certificates::{CertificateError, Certificates};
pub use economy::Economy;
pub use faults::{Fault, FaultRule, FaultScript, Faults};
pub use market::Market;
pub use news::News;
pub use server::{Server, ServerError};
pub use simulator::Simulator;
pub use vendor::{Endpoint, HOSTS, Vendor};
pub use yahoo::chart;
