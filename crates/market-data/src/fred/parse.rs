use std::{collections::HashMap, fmt};

use chrono::NaiveDate;
use domain::SeriesId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::models::{FredObservation, Observation, Refusal};
use crate::{
    Asked, VendorError,
    http::{Answer, not_json},
    text::{excerpt, finite, number},
};

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

/// Reads observations, in their order.
///
/// # Errors
/// [`VendorError::Shape`] when there are some and not one can be read.
pub(crate) fn observations(
    series: &SeriesId,
    rows: &[Value],
    asked: &Asked,
) -> Result<Vec<FredObservation>, VendorError> {
    readable(rows.iter(), asked, |row| {
        let row = Observation::deserialize(*row).ok()?;
        let value = match &row.value {
            Value::Null => None,
            Value::String(text) if is_missing(text) => None,
            value => Some(number(value)?),
        };
        Some(FredObservation {
            series: series.clone(),
            period: row.date,
            value,
            realtime_start: Some(row.realtime_start),
        })
    })
}

/// The rows that can be read; the log says how many others were left out.
fn readable<R: fmt::Display>(
    rows: impl Iterator<Item = R>,
    asked: &Asked,
    read: impl Fn(&R) -> Option<FredObservation>,
) -> Result<Vec<FredObservation>, VendorError> {
    let (mut readable, mut left_out, mut first) = (Vec::new(), 0_usize, None);
    for row in rows {
        match read(&row) {
            Some(observation) => readable.push(observation),
            None => {
                left_out += 1;
                first = first.or(Some(row));
            }
        }
    }
    let Some(first) = first.map(|row| excerpt(&row.to_string())) else {
        return Ok(readable);
    };
    if readable.is_empty() {
        return Err(VendorError::Shape {
            asked: asked.clone(),
            detail: format!("not one of its rows can be read, such as {first:?}"),
        });
    }
    let series = &asked.subject;
    tracing::warn!(
        series,
        left_out,
        %first,
        "left out {left_out} rows of {series} that cannot be read"
    );
    Ok(readable)
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
/// [`VendorError::Shape`] when the header is another, or there are lines and not one can be read.
pub(crate) fn graph(
    body: &str,
    series: &SeriesId,
    asked: &Asked,
) -> Result<Vec<FredObservation>, VendorError> {
    if let Some(error) = not_json(body, asked) {
        return Err(error);
    }
    let mut lines = body.trim_start_matches('\u{feff}').lines();
    let header = lines.next().unwrap_or_default();
    let is_header = header
        .split_once(',')
        .is_some_and(|(_, name)| name.trim() == series.as_str());
    if !is_header {
        return Err(VendorError::Shape {
            asked: asked.clone(),
            detail: format!("line {:?} of its CSV", excerpt(header)),
        });
    }
    let lines = lines.filter(|line| !line.trim().is_empty());
    readable(lines, asked, |line| {
        let (date, text) = line.split_once(',')?;
        Some(FredObservation {
            series: series.clone(),
            period: date.trim().parse().ok()?,
            value: if is_missing(text) {
                None
            } else {
                Some(finite(text)?)
            },
            realtime_start: None,
        })
    })
}

/// Whether FRED says that there is no value.
fn is_missing(text: &str) -> bool {
    matches!(text.trim(), "" | ".")
}
