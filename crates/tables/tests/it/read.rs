use std::fs;

use bar_files::{ReadOptions, parse_zone};
use polars::prelude::{DataFrame, IntoColumn, NamedFrom, ParquetWriter, Series};
use tables::{Column, TableError, Values, bar_columns, read_bars, read_bars_with, write_table};

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
        columns(Values::Time(vec![time("2018-03-26T13:30:00Z"); 2])),
    )
    .unwrap();
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(
        error.contains("column volume holds Timestamp") && error.ends_with("expected numbers"),
        "{error}"
    );

    write_table(
        &path,
        columns(Values::Text(vec!["many".into(), "2".into()])),
    )
    .unwrap();
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(
        error.contains("2 of 2 rows cannot be read")
            && error.contains("volume is \"many\", not a number"),
        "{error}"
    );
}

/// Day and time of day in two columns, as Stooq's files become when pandas has read them.
#[test]
fn day_and_time_of_day_may_stand_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.parquet");
    let read = |names: [&str; 2], values: [Values; 2], map: Option<&str>| {
        let numbers = |name: &str| Column::new(name, Values::Float(vec![Some(10.0); 2]));
        let mut columns = vec![Column::new(
            "ticker",
            Values::Text(vec!["AAPL".into(), "AAPL".into()]),
        )];
        columns.extend(["open", "high", "low", "close", "volume"].map(numbers));
        let apart = names.into_iter().zip(values);
        columns.extend(apart.map(|(name, values)| Column::new(name, values)));
        write_table(&path, columns).unwrap();
        let options = ReadOptions {
            columns: map.map(|map| map.parse().unwrap()).unwrap_or_default(),
            zone: parse_zone("America/New_York").ok(),
            ..ReadOptions::default()
        };
        let bars = read_bars_with(&path, &options).unwrap().bars;
        bars.values().flatten().map(|bar| bar.start).collect()
    };
    let texts = |texts: [&str; 2]| Values::Text(texts.map(str::to_owned).to_vec());
    let expected: Vec<_> = ["2018-02-20T14:30:00Z", "2018-02-20T15:00:00Z"]
        .map(time)
        .to_vec();
    let days = || Values::Integer(vec![20_180_220; 2]);
    for (names, values, map) in [
        (
            ["DATE", "TIME"],
            [days(), Values::Integer(vec![93_000, 100_000])],
            None,
        ),
        // Of hours and minutes, as a text of three digits is read.
        (
            ["DATE", "TIME"],
            [days(), Values::Integer(vec![930, 1_000])],
            None,
        ),
        (
            ["day", "clock"],
            [days(), Values::Integer(vec![93_000, 100_000])],
            Some("ts=day+clock"),
        ),
        (
            ["date", "time"],
            [
                texts(["2018-02-20", "2018-02-20"]),
                texts(["09:30:00", "10:00:00"]),
            ],
            None,
        ),
    ] {
        let starts: Vec<_> = read(names, values, map);
        assert_eq!(starts, expected, "{names:?}");
    }
}

/// The first rows of a file do not tell the order of day and month, the last ones do.
#[test]
fn text_is_judged_by_all_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.parquet");
    let times = ["2/3/2018", "2/3/2018", "2/20/2018", "2/20/2018"]
        .iter()
        .zip(["14:30", "14:31", "14:30", "14:31"])
        .map(|(date, clock)| format!("{date} {clock} UTC"))
        .collect::<Vec<_>>();
    let mut columns = vec![
        Series::new("ticker".into(), vec!["AAPL"; 4]).into_column(),
        Series::new("ts".into(), times).into_column(),
    ];
    for name in ["open", "high", "low", "close", "volume"] {
        columns.push(Series::new(name.into(), vec![10.0; 4]).into_column());
    }
    let mut frame = DataFrame::new_infer_height(columns).unwrap();
    ParquetWriter::new(fs::File::create(&path).unwrap())
        .with_row_group_size(Some(2))
        .finish(&mut frame)
        .unwrap();
    let file = read_bars(&path).unwrap();
    let starts: Vec<_> = file.bars.values().flatten().map(|bar| bar.start).collect();
    assert_eq!(
        (starts[0], starts[3]),
        (time("2018-02-03T14:30:00Z"), time("2018-02-20T14:31:00Z"))
    );
}

/// Fractions of shares come out as they went in, whole numbers without a fraction.
#[test]
fn fractional_volumes_survive_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("coin.csv");
    let text = "ticker,ts,open,high,low,close,volume\n\
        BTC-USD,2018-03-26T13:30:00Z,9000.5,9001.0,9000.0,9000.5,0.00012\n\
        BTC-USD,2018-03-26T13:31:00Z,9000.5,9001.0,9000.0,9000.5,12.5\n";
    fs::write(&source, text).unwrap();
    let bars = read_bars(&source).unwrap().bars;
    let volumes: Vec<f64> = bars.values().flatten().map(|bar| bar.volume).collect();
    assert_eq!(volumes, [0.000_12, 12.5]);
    for name in ["out.csv", "out.csv.gz", "out.parquet"] {
        let path = folder.path().join(name);
        let rows = bars
            .iter()
            .flat_map(|(ticker, bars)| bars.iter().map(move |bar| (ticker, bar)));
        write_table(&path, bar_columns(rows)).unwrap();
        assert_eq!(read_bars(&path).unwrap().bars, bars, "{name}");
    }
    let written = fs::read_to_string(folder.path().join("out.csv")).unwrap();
    assert_eq!(written, text);
}

/// The files of `faults/inputs` that hold the bars of `base_2_sessions.csv` in Parquet of some kind.
#[test]
fn parquet_of_every_kind_holds_the_same_bars() {
    let Some(folder) = test_support::shared("faults/inputs") else {
        return;
    };
    let read = |name: &str, zone: Option<&str>| {
        let options = ReadOptions {
            zone: zone.map(|zone| parse_zone(zone).unwrap()),
            ..ReadOptions::default()
        };
        read_bars_with(&folder.join(name), &options)
    };
    let base = read("base_2_sessions.csv", None).unwrap().bars;
    for kind in [
        "codec_gzip",
        "codec_lz4",
        "codec_none",
        "codec_snappy",
        "codec_zstd",
        "codec_brotli",
        "decimal_prices",
        "delta",
        "extra_nested_column",
        "float32_prices",
        "large_string_uint64",
        "many_row_groups",
        "pandas_index_ts",
        "pandas_index_unnamed",
        "pandas_multiindex",
        "price_text",
        "string_view",
        "ticker_binary",
        "ticker_dictionary",
        "ts_fixed_offset_m05",
        "ts_fixed_offset_p00",
        "ts_int64_ns",
        "ts_ms_utc",
        "ts_ns_newyork",
        "ts_ns_utc",
        "ts_s_utc",
        "ts_text",
        "ts_us_useastern",
        "ts_us_utc",
        "unused_binary_column",
        "unused_bool_column",
        "unused_date_column",
        "unused_decimal_column",
        "unused_duration_column",
        "unused_fixedbinary_column",
        "unused_null_column",
        "unused_time_column",
        "v1_pages",
        "v2_pages",
    ] {
        let name = format!("parquet_{kind}.parquet");
        let file = read(&name, None).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(file.bars, base, "{name}");
        assert!(file.report.is_clean(), "{name}: {}", file.report);
    }
    for (kind, zone) in [
        ("ts_naive_newyork", "America/New_York"),
        ("ts_naive_utc", "UTC"),
        ("int96_utc", "UTC"),
    ] {
        let name = format!("parquet_{kind}.parquet");
        let error = read(&name, None).unwrap_err().to_string();
        assert!(
            error.contains("state no zone: give it by --zone"),
            "{error}"
        );
        assert_eq!(read(&name, Some(zone)).unwrap().bars, base, "{name}");
    }
    // The same prices; volumes that fit the type.
    for kind in ["int16", "int32", "uint16", "uint32", "uint8"] {
        let name = format!("parquet_volume_{kind}.parquet");
        let file = read(&name, None).unwrap();
        let bars = |bars: &std::collections::BTreeMap<_, Vec<domain::Bar>>| -> Vec<_> {
            bars.values()
                .flatten()
                .map(|bar| (bar.start, bar.close))
                .collect()
        };
        assert_eq!(bars(&file.bars), bars(&base), "{name}");
        assert!(
            file.bars
                .values()
                .flatten()
                .all(|bar| bar.volume.fract() == 0.0)
        );
    }
    assert_eq!(
        read("parquet_no_rows.parquet", None).unwrap().report.rows,
        0
    );
    assert_eq!(
        read("parquet_price_int.parquet", None)
            .unwrap()
            .report
            .kept(),
        780
    );
    let missing = read("parquet_nan_volume.parquet", None).unwrap().report;
    assert!(missing.kept() > 700 && missing.kept() < 780, "{missing}");
    for (kind, words) in [
        ("ts_date32", "column ts holds Date, expected the moments"),
        ("cut", "failed to read"),
    ] {
        let name = format!("parquet_{kind}.parquet");
        let error = read(&name, None).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
