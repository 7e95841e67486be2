use std::{fs::File, path::Path};

use bar_files::{
    BarFile, BarFileError, Collector, EXPECTED_NUMBER, EXPECTED_TICKER, EXPECTED_TIME, Format,
    PRICES_AND_VOLUME, locate, parse_time,
};
use chrono::{DateTime, Utc};
use domain::Bar;
use polars::prelude::{Column, DataFrame, DataType, ParquetReader, SerReader, TimeUnit};

use crate::TableError;

/// Reads and cleans a file of one-minute bars: CSV, gzipped CSV or Parquet by the name's ending.
///
/// # Errors
/// As [`bar_files::read_bars`], and when a Parquet file is damaged or uses something unknown.
pub fn read_bars(path: &Path) -> Result<BarFile, TableError> {
    match Format::of(path)? {
        Format::Csv | Format::CsvGzip => Ok(bar_files::read_bars(path)?),
        Format::Parquet => read_parquet(path, bar_files::open(path)?),
    }
}

fn read_parquet(path: &Path, file: File) -> Result<BarFile, TableError> {
    let parquet_error = |source| TableError::Parquet {
        path: path.to_owned(),
        source,
    };
    let frame = ParquetReader::new(file).finish().map_err(parquet_error)?;
    let found: Vec<String> = frame
        .get_column_names()
        .iter()
        .map(ToString::to_string)
        .collect();
    locate(path, &found)?;

    let text = |name: &str| frame.column(name)?.cast(&DataType::String);
    let tickers = text("ticker").map_err(parquet_error)?;
    let tickers = tickers.str().map_err(parquet_error)?;
    let starts = starts(path, frame.column("ts").map_err(parquet_error)?)?;
    let numbers = numbers(path, &frame)?;

    let mut collector = Collector::default();
    for (index, (ticker, start)) in tickers.iter().zip(starts).enumerate() {
        let row = index as u64 + 1;
        let mut values = [0.0; 5];
        let mut empty = None;
        for ((value, column), name) in values.iter_mut().zip(&numbers).zip(PRICES_AND_VOLUME) {
            match column.get(index).copied().flatten() {
                Some(number) => *value = number,
                None => empty = empty.or(Some(name)),
            }
        }
        let (Some(ticker), Some(start), None) = (ticker, start, empty) else {
            let column = if ticker.is_none() {
                "ticker"
            } else {
                empty.unwrap_or("ts")
            };
            collector.reject(row, format!("{column} is empty"));
            continue;
        };
        let series = collector.series(ticker).map_err(|_| BarFileError::Value {
            path: path.to_owned(),
            line: row,
            column: "ticker",
            value: ticker.to_owned(),
            expected: EXPECTED_TICKER,
        })?;
        let [open, high, low, close, volume] = values;
        match Bar::new(start, open, high, low, close, volume) {
            Ok(bar) => collector.accept(series, bar),
            Err(fault) => collector.reject(row, fault.to_string()),
        }
    }
    Ok(collector.finish())
}

/// The times of a Parquet column, be it text or a timestamp.
fn starts(path: &Path, column: &Column) -> Result<Vec<Option<DateTime<Utc>>>, TableError> {
    let parquet_error = |source| TableError::Parquet {
        path: path.to_owned(),
        source,
    };
    let value_error = |index: usize, value: String| {
        TableError::from(BarFileError::Value {
            path: path.to_owned(),
            line: index as u64 + 1,
            column: "ts",
            value,
            expected: EXPECTED_TIME,
        })
    };
    match column.dtype() {
        DataType::Datetime(unit, _) => {
            let unit = *unit;
            let numbers = column.cast(&DataType::Int64).map_err(parquet_error)?;
            let time = |number: i64| match unit {
                TimeUnit::Nanoseconds => Some(DateTime::from_timestamp_nanos(number)),
                TimeUnit::Microseconds => DateTime::from_timestamp_micros(number),
                TimeUnit::Milliseconds => DateTime::from_timestamp_millis(number),
            };
            numbers
                .i64()
                .map_err(parquet_error)?
                .iter()
                .enumerate()
                .map(|(index, number)| {
                    number
                        .map(|number| {
                            time(number).ok_or_else(|| value_error(index, number.to_string()))
                        })
                        .transpose()
                })
                .collect()
        }
        DataType::String => column
            .str()
            .map_err(parquet_error)?
            .iter()
            .enumerate()
            .map(|(index, text)| {
                text.map(|text| parse_time(text).ok_or_else(|| value_error(index, text.to_owned())))
                    .transpose()
            })
            .collect(),
        other => Err(value_error(0, other.to_string())),
    }
}

/// The five number columns of a Parquet file; text in them is an error with its row.
fn numbers(path: &Path, frame: &DataFrame) -> Result<Vec<Vec<Option<f64>>>, TableError> {
    let parquet_error = |source| TableError::Parquet {
        path: path.to_owned(),
        source,
    };
    PRICES_AND_VOLUME
        .into_iter()
        .map(|name| {
            let column = frame.column(name).map_err(parquet_error)?;
            let cast = column.cast(&DataType::Float64).map_err(parquet_error)?;
            let values: Vec<Option<f64>> = cast.f64().map_err(parquet_error)?.iter().collect();
            // Casting text that is no number yields an empty cell.
            let lost = values.iter().enumerate().find(|&(index, value)| {
                value.is_none() && column.get(index).is_ok_and(|cell| !cell.is_null())
            });
            match lost {
                Some((index, _)) => Err(TableError::from(BarFileError::Value {
                    path: path.to_owned(),
                    line: index as u64 + 1,
                    column: name,
                    value: column
                        .get(index)
                        .map(|cell| cell.str_value().to_string())
                        .unwrap_or_default(),
                    expected: EXPECTED_NUMBER,
                })),
                None => Ok(values),
            }
        })
        .collect()
}
