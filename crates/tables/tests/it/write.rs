use std::{fs, io::Read};

use flate2::read::GzDecoder;
use polars_arrow::datatypes::{ArrowDataType, TimeUnit as ArrowTimeUnit};
use polars_parquet::{
    parquet::schema::types::{PrimitiveLogicalType, TimeUnit},
    read::{infer_schema, read_metadata},
};
use tables::{Column, TableError, Values, write_table};

use crate::time;

fn table() -> Vec<Column> {
    vec![
        Column::new("ticker", Values::Text(vec!["AAPL".into(), "BRK,B".into()])),
        Column::new(
            "ts",
            Values::Time(vec![
                time("2018-03-26T13:30:00Z"),
                time("2018-03-26T13:31:00.5Z"),
            ]),
        ),
        Column::new("ret", Values::Float(vec![Some(-0.00125), None])),
        Column::new("bin", Values::Integer(vec![-1, 0])),
    ]
}

const TEXT: &str = "ticker,ts,ret,bin\nAAPL,2018-03-26T13:30:00Z,-0.00125,-1\n\"BRK,B\",2018-03-26T13:31:00.500Z,,0\n";

#[test]
fn writes_csv_plain_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("table.csv");
    write_table(&plain, table()).unwrap();
    assert_eq!(fs::read_to_string(&plain).unwrap(), TEXT);

    let packed = folder.path().join("table.csv.gz");
    write_table(&packed, table()).unwrap();
    let mut text = String::new();
    GzDecoder::new(fs::File::open(&packed).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, TEXT);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "no partial file stays"
    );
}

#[test]
fn numbers_keep_every_digit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let values = [
        0.1 + 0.2,
        1e-9,
        -1.0 / 3.0,
        123_456_789.123,
        f64::MIN_POSITIVE,
    ];
    write_table(
        &path,
        vec![Column::new("x", Values::Float(values.map(Some).to_vec()))],
    )
    .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let read: Vec<f64> = text
        .lines()
        .skip(1)
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(read, values);
}

#[test]
fn an_empty_table_has_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    write_table(
        &path,
        vec![
            Column::new("a", Values::Text(vec![])),
            Column::new("b", Values::Integer(vec![])),
        ],
    )
    .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a,b\n");
}

#[test]
fn what_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = write_table(&folder.path().join("absent/table.csv"), table()).unwrap_err();
    assert!(matches!(&error, TableError::Write { .. }), "{error:?}");
    assert!(error.to_string().contains("absent/table.csv"), "{error}");

    let path = folder.path().join("table.csv");
    fs::write(&path, "old").unwrap();
    let mut columns = table();
    columns.push(Column::new("short", Values::Integer(vec![1])));
    let error = write_table(&path, columns).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column short has 1 rows, but the first column has 2"
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "old",
        "the old table stays"
    );
}

/// Other programs read the times of Tandem's Parquet as moments, not as somebody's wall clock.
#[test]
fn parquet_says_that_its_times_are_utc() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.parquet");
    write_table(&path, table()).unwrap();
    let mut file = fs::File::open(&path).unwrap();
    let metadata = read_metadata(&mut file).unwrap();
    let ts = metadata
        .schema()
        .columns()
        .iter()
        .find(|column| column.path_in_schema[0].as_str() == "ts")
        .unwrap();
    assert_eq!(
        ts.descriptor.primitive_type.logical_type,
        Some(PrimitiveLogicalType::Timestamp {
            unit: TimeUnit::Microseconds,
            is_adjusted_to_utc: true
        })
    );
    let ArrowDataType::Timestamp(ArrowTimeUnit::Microsecond, Some(zone)) = infer_schema(&metadata)
        .unwrap()
        .get("ts")
        .unwrap()
        .dtype
        .clone()
    else {
        panic!("ts is no timestamp with a zone")
    };
    assert_eq!(zone.as_str(), "UTC");
}
