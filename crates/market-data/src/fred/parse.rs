use std::collections::HashMap;

use chrono::NaiveDate;
use domain::SeriesId;
use serde::de::DeserializeOwned;

use super::models::{FredObservation, Observation, Refusal};
use crate::{Asked, VendorError, http::Answer, http::not_json, text::excerpt};

/// The answer as JSON; a refusal by what its words say.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer, asked: &Asked) -> Result<T, VendorError> {
    if answer.status < 300 {
        return answer.json(asked);
    }
    let said = answer
        .json::<Refusal>(asked)
        .unwrap_or_default()
        .error_message;
    let (asked, detail) = (asked.clone(), excerpt(&said));
    // Almost everything is a 400.
    Err(if said.contains("api_key") {
        VendorError::KeyRefused { asked, detail }
    } else if said.contains("maximum number of vintage dates") {
        VendorError::Period { asked, detail }
    } else if said.contains("series does not exist") && !said.contains("ALFRED") {
        VendorError::UnknownSymbol { asked }
    } else {
        answer
            .refusal(&asked, &said)
            .unwrap_or(VendorError::Refused { asked, detail })
    })
}

pub(crate) fn observation(
    series: &SeriesId,
    row: &Observation,
    asked: &Asked,
) -> Result<FredObservation, VendorError> {
    Ok(FredObservation {
        series: series.clone(),
        period: row.date,
        value: value(&row.value, asked)?,
        realtime_start: Some(row.realtime_start),
    })
}

/// Drops the vintages that repeat the one before of the same period: FRED cuts them at the ends of the span that is
/// asked for, so that a value which held across two spans comes twice. `rows` are in the order of their vintages.
pub(crate) fn without_repeats(rows: Vec<FredObservation>) -> Vec<FredObservation> {
    let mut newest: HashMap<NaiveDate, Option<f64>> = HashMap::new();
    rows.into_iter()
        .filter(|row| newest.insert(row.period, row.value) != Some(row.value))
        .collect()
}

/// Reads `fredgraph.csv`: a header with the series' name, then a day and a value in each line. A missing value is empty
/// or, in older files, ".".
///
/// # Errors
/// [`VendorError::Shape`] for anything else, also when it breaks off in the middle of a line.
pub(crate) fn graph(
    body: &str,
    series: &SeriesId,
    asked: &Asked,
) -> Result<Vec<FredObservation>, VendorError> {
    if let Some(error) = not_json(body, asked) {
        return Err(error);
    }
    let shape = |line: &str| VendorError::Shape {
        asked: asked.clone(),
        detail: format!("line {:?} of its CSV", excerpt(line)),
    };
    let mut lines = body.trim_start_matches('\u{feff}').lines();
    let header = lines.next().unwrap_or_default();
    let is_header = header
        .split_once(',')
        .is_some_and(|(_, name)| name.trim() == series.as_str());
    if !is_header {
        return Err(shape(header));
    }
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (date, text) = line.split_once(',').ok_or_else(|| shape(line))?;
            Ok(FredObservation {
                series: series.clone(),
                period: date.trim().parse().map_err(|_| shape(line))?,
                value: value(text, asked).map_err(|_| shape(line))?,
                realtime_start: None,
            })
        })
        .collect()
}

fn value(text: &str, asked: &Asked) -> Result<Option<f64>, VendorError> {
    let text = text.trim();
    if text.is_empty() || text == "." {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Some(value)),
        _ => Err(VendorError::Shape {
            asked: asked.clone(),
            detail: format!("{:?} is no value", excerpt(text)),
        }),
    }
}
