//! FRED: observations with all vintages (with a key) and the graph's CSV (without).

mod client;
mod models;
pub(crate) mod parse;

pub use client::FredClient;
pub use models::FredObservation;

#[cfg(test)]
pub(crate) fn read_observations(
    answer: &crate::http::Answer,
    series: &domain::SeriesId,
    asked: &crate::Asked,
) -> Result<Vec<FredObservation>, crate::VendorError> {
    let read: models::ObservationsAnswer = parse::read(answer, asked)?;
    parse::observations(series, &read.observations, asked)
}
