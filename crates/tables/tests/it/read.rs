use std::fs;

use tables::{Column, TableError, Values, read_bars, write_table};

use crate::time;

const TWO_ROWS: &str = "ticker,ts,open,high,low,close,volume\n\
                        AAPL,2018-03-26T13:30:00Z,168.07,168.95,167.84,168.86,1206871\n\
                        AAPL,2018-03-26T13:31:00Z,168.86,169,168.5,168.9,1000\n";

#[test]
fn parquet_is_read_like_csv() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("bars.csv");
    fs::write(&csv, TWO_ROWS).unwrap();
    let expected = bar_files::read_bars(&csv).unwrap();
    let times = vec![time("2018-03-26T13:30:00Z"), time("2018-03-26T13:31:00Z")];
    let texts = times.iter().map(|time| time.to_rfc3339()).collect();
    for ts in [Values::Time(times), Values::Text(texts)] {
        let path = folder.path().join("bars.parquet");
        let floats = |values: [f64; 2]| Values::Float(values.map(Some).to_vec());
        let columns = vec![
            Column::new("ticker", Values::Text(vec!["AAPL".into(), "AAPL".into()])),
            Column::new("ts", ts),
            Column::new("open", floats([168.07, 168.86])),
            Column::new("high", floats([168.95, 169.0])),
            Column::new("low", floats([167.84, 168.5])),
            Column::new("close", floats([168.86, 168.9])),
            Column::new("volume", Values::Integer(vec![1_206_871, 1_000])),
        ];
        write_table(&path, columns).unwrap();
        assert_eq!(read_bars(&path).unwrap(), expected);
    }
}

#[test]
fn parquet_faults_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.parquet");
    fs::write(&path, "no parquet").unwrap();
    assert!(matches!(
        read_bars(&path).unwrap_err(),
        TableError::Parquet { .. }
    ));

    write_table(
        &path,
        vec![Column::new("close", Values::Float(vec![Some(1.0)]))],
    )
    .unwrap();
    assert!(
        read_bars(&path)
            .unwrap_err()
            .to_string()
            .contains("no column ticker, ts, open, high, low, volume")
    );

    let numbers = |name: &str| Column::new(name, Values::Float(vec![Some(1.0), None]));
    let columns = |volume: Values| {
        vec![
            Column::new("ticker", Values::Text(vec!["A".into(), "A".into()])),
            Column::new(
                "ts",
                Values::Time(vec![
                    time("2018-03-26T13:30:00Z"),
                    time("2018-03-26T13:31:00Z"),
                ]),
            ),
            numbers("open"),
            numbers("high"),
            numbers("low"),
            numbers("close"),
            Column::new("volume", volume),
        ]
    };
    write_table(&path, columns(Values::Integer(vec![1, 2]))).unwrap();
    let report = read_bars(&path).unwrap().report;
    assert_eq!(
        (
            report.kept(),
            &*report.rejected[0].reason,
            report.rejected[0].row
        ),
        (1, "open is empty", 2)
    );

    write_table(
        &path,
        columns(Values::Text(vec!["1".into(), "many".into()])),
    )
    .unwrap();
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("line 2: volume is \"many\", expected a number"),
        "{error}"
    );
}
