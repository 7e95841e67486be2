use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use calendar::Calendar;
use chrono::NaiveDate;
use domain::SeriesId;

use super::{
    Series, Vintage,
    release::{Frequency, evening, first_release},
};
use crate::table::{self, TableError};

const COLUMNS: &str =
    "series,date,value with numbers or \".\", or value_seen_2026_01_03 and the like for value";

/// What is said of a period, each with the day on which it was seen; None for the newest as far as the file knows.
type Seen = BTreeMap<Option<NaiveDate>, String>;

pub(super) fn read(
    paths: &[PathBuf],
    calendar: &Calendar,
) -> Result<BTreeMap<SeriesId, Series>, TableError> {
    let mut all: BTreeMap<SeriesId, BTreeMap<NaiveDate, Seen>> = BTreeMap::new();
    for path in paths {
        read_file(path, &mut all)?;
    }
    let series = all.into_iter().map(|(id, periods)| {
        let series = series_of(&id, periods, calendar);
        (id, series)
    });
    Ok(series.collect())
}

fn read_file(
    path: &Path,
    all: &mut BTreeMap<SeriesId, BTreeMap<NaiveDate, Seen>>,
) -> Result<(), TableError> {
    let columns = || TableError::Columns {
        path: path.to_owned(),
        expected: COLUMNS,
    };
    let row_error = |source| TableError::Row {
        path: path.to_owned(),
        expected: COLUMNS,
        source,
    };
    let mut reader = table::open(path)?;
    let headers = reader.headers().map_err(row_error)?.clone();
    let place = |name: &str| headers.iter().position(|header| header == name);
    let (series, date) = place("series").zip(place("date")).ok_or_else(columns)?;
    let values: Vec<(usize, Option<NaiveDate>)> = headers
        .iter()
        .enumerate()
        .filter_map(|(place, header)| Some((place, seen_on(header)?)))
        .collect();
    if values.is_empty() {
        return Err(columns());
    }
    for record in reader.records() {
        let record = record.map_err(row_error)?;
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let id = SeriesId::parse(cell(series)).map_err(|_| columns())?;
        let period = cell(date).parse().map_err(|_| columns())?;
        let seen = all.entry(id).or_default().entry(period).or_default();
        for (place, day) in &values {
            let text = cell(*place);
            if text != "." && !text.is_empty() && text.parse::<f64>().is_err() {
                return Err(columns());
            }
            seen.insert(*day, text.to_owned());
        }
    }
    Ok(())
}

/// The day in the name of a column of values; the outer None for columns of other things.
fn seen_on(header: &str) -> Option<Option<NaiveDate>> {
    if header == "value" {
        return Some(None);
    }
    let day = header.strip_prefix("value_seen_")?;
    NaiveDate::parse_from_str(day, "%Y_%m_%d").ok().map(Some)
}

fn series_of(id: &SeriesId, periods: BTreeMap<NaiveDate, Seen>, calendar: &Calendar) -> Series {
    let days: Vec<NaiveDate> = periods.keys().copied().collect();
    let gaps = days.windows(2).filter_map(|pair| match pair {
        [one, next] => Some((*next - *one).num_days()),
        _ => None,
    });
    let frequency = Frequency::of(gaps.collect());
    let vintages = periods
        .into_iter()
        .flat_map(|(period, seen)| vintages_of(id, frequency, period, seen, calendar))
        .collect();
    Series {
        frequency,
        vintages,
    }
}

fn vintages_of(
    id: &SeriesId,
    frequency: Frequency,
    period: NaiveDate,
    mut seen: Seen,
    calendar: &Calendar,
) -> Vec<Vintage> {
    if seen.len() > 1 {
        // Dated sightings say more than the newest value.
        seen.remove(&None);
    }
    let mut vintages: Vec<Vintage> = Vec::new();
    // An empty cell: there was no value yet.
    for (day, text) in seen.into_iter().filter(|(_, text)| !text.is_empty()) {
        let value = text.parse().ok();
        let released_at = match (vintages.last(), day) {
            (None, _) => first_release(id.as_str(), frequency, period, calendar),
            (Some(last), _) if last.value == value => continue,
            (Some(_), day) => day.and_then(evening),
        };
        vintages.extend(released_at.map(|released_at| Vintage {
            period,
            value,
            released_at,
        }));
    }
    vintages.sort_by_key(|vintage| vintage.released_at);
    vintages
}
