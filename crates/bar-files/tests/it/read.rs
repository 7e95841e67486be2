use std::{fs, io::Write};

use bar_files::{BarFileError, RejectedRow, read_bars};
use domain::Ticker;
use flate2::{Compression, write::GzEncoder};

use crate::{HEADER, csv_file, time};

const TWO_ROWS: &str = "AAPL,2018-03-26T13:30:00Z,168.07,168.95,167.84,168.86,1206871\n\
                        AAPL,2018-03-26T13:31:00Z,168.86,169,168.5,168.9,1000\n";

#[test]
fn reads_bars_in_any_column_order_and_zone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    let text = "\u{feff}note,volume,close,low,high,open,ts,ticker\r\n\
                x,360509.0,105.4199,105.19,105.48,105.19,2018-02-16T09:30:00-05:00,dis\r\n";
    fs::write(&path, text).unwrap();
    let file = read_bars(&path).unwrap();
    let bars = &file.bars[&Ticker::parse("DIS").unwrap()];
    assert_eq!(bars.len(), 1);
    assert_eq!(bars[0].start, time("2018-02-16T14:30:00Z"));
    assert_eq!((bars[0].close.get(), bars[0].volume), (105.4199, 360_509));
    assert!(file.report.is_clean());
}

#[test]
fn cleans_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = csv_file(
        folder.path(),
        "AAPL,2018-03-26T13:31:00Z,10,11,9,10,100\n\
         AAPL,2018-03-26T13:30:00Z,10,11,9,10,100\n\
         MSFT,2018-03-26T13:30:00Z,10,11,9,10,100\n\
         AAPL,2018-03-26T13:31:00Z,10,11,9,10,100\n\
         AAPL,2018-03-26T13:32:00Z,NaN,11,9,10,100\n\
         AAPL,2018-03-26T13:33:00Z,10,9,11,10,100\n\
         AAPL,2018-03-26T13:34:17Z,10,11,9,10,100\n\
         AAPL,2018-03-26T13:35:00Z,10,11,9,,100\n\
         AAPL,2018-03-26T13:36:00Z,12,11,9,10,100\n\
         AAPL,2018-03-26T13:37:00Z,10,11,9,10,-5\n\
         MSFT,2018-03-26T13:30:00Z,10,11,9,10.5,120\n",
    );
    let file = read_bars(&path).unwrap();
    let report = &file.report;
    assert_eq!(
        (
            report.rows,
            report.duplicates,
            report.overruled,
            report.out_of_order
        ),
        (11, 1, 1, 1)
    );
    let reasons: Vec<(u64, &str)> = report
        .rejected
        .iter()
        .map(|RejectedRow { row, reason }| (*row, &**reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (
                6,
                "open: NaN is not a price: expected a finite number above zero"
            ),
            (7, "high 9 is below low 11"),
            (8, "start 2018-03-26 13:34:17 UTC is not on the minute"),
            (9, "close is empty"),
            (10, "open 12 lies outside low 9 to high 11"),
            (11, "volume -5 is not a number of shares"),
        ]
    );
    let starts: Vec<_> = file.bars[&Ticker::parse("AAPL").unwrap()]
        .iter()
        .map(|bar| bar.start)
        .collect();
    assert_eq!(
        starts,
        [time("2018-03-26T13:30:00Z"), time("2018-03-26T13:31:00Z")]
    );
    assert_eq!(
        file.bars[&Ticker::parse("MSFT").unwrap()][0].close.get(),
        10.5,
        "the later row counts"
    );
    assert_eq!(
        report.to_string(),
        "11 rows, 3 kept; 1 duplicates and 1 overruled dropped, 1 out of order sorted, 6 rejected \
         (first: row 6, open: NaN is not a price: expected a finite number above zero)"
    );
}

#[test]
fn a_missing_file_and_an_unknown_ending_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_bars(&folder.path().join("absent.csv")).unwrap_err();
    assert!(
        error.to_string().starts_with("there is no file ")
            && error.to_string().ends_with("absent.csv")
    );
    let error = read_bars(&folder.path().join("bars.xlsx")).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("its name must end in .csv, .csv.gz or .parquet"),
        "{error}"
    );
}

#[test]
fn missing_columns_are_named_with_those_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    fs::write(
        &path,
        "date,ToD,open,high,low,close,volume\n2018-02-16,09:31:00,1,1,1,1,1\n",
    )
    .unwrap();
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "has no column ticker, ts: found date, ToD, open, high, low, close, volume; expected \
             ticker,ts,open,high,low,close,volume with ts the bar's start such as 2018-03-26T13:30:00Z"
        ),
        "{error}"
    );
    fs::write(&path, "").unwrap();
    assert!(
        matches!(read_bars(&path).unwrap_err(), BarFileError::MissingColumns { missing, .. } if missing.len() == 7)
    );
}

#[test]
fn a_broken_cell_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |row: &str| {
        let error = read_bars(&csv_file(folder.path(), &format!("{TWO_ROWS}\n{row}\n")))
            .unwrap_err()
            .to_string();
        error.split_once("bars.csv ").unwrap().1.to_owned()
    };
    // Line 4 is empty.
    assert_eq!(
        refused("AAPL,2018-03-26T13:32:00Z,1O.5,11,9,10,100"),
        "line 5: open is \"1O.5\", expected a number"
    );
    assert_eq!(
        refused("AAPL,2018-03-26 13:32,10,11,9,10,100"),
        "line 5: ts is \"2018-03-26 13:32\", expected the bar's start with its zone, such as 2018-03-26T13:30:00Z"
    );
    assert_eq!(
        refused("AA PL,2018-03-26T13:32:00Z,10,11,9,10,100"),
        "line 5: ticker is \"AA PL\", expected a symbol such as AAPL"
    );
    assert_eq!(
        refused("AAPL,2018-03-26T13:3"),
        "line 5: 2 cells, but the header has 7"
    );
}

#[test]
fn a_torn_or_false_gzip_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(format!("{HEADER}{}", TWO_ROWS.repeat(1_000)).as_bytes())
        .unwrap();
    let whole = encoder.finish().unwrap();
    fs::write(&path, &whole).unwrap();
    assert_eq!(read_bars(&path).unwrap().report.duplicates, 1_998);

    for torn in [
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 4],
        HEADER.as_bytes(),
    ] {
        fs::write(&path, torn).unwrap();
        let error = read_bars(&path).unwrap_err();
        assert!(matches!(error, BarFileError::Gzip { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains("bars.csv.gz is torn or no gzip file"),
            "{error}"
        );
    }
}

#[test]
fn text_that_is_not_utf8_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    fs::write(
        &path,
        [
            HEADER.as_bytes(),
            b"\xff\xfe,2018-03-26T13:32:00Z,10,11,9,10,100\n",
        ]
        .concat(),
    )
    .unwrap();
    assert!(
        read_bars(&path)
            .unwrap_err()
            .to_string()
            .ends_with("line 2 is not UTF-8 text")
    );
}

#[test]
fn parquet_is_left_to_the_research_commands() {
    let error = read_bars("folder/bars.parquet".as_ref())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tandem bars --bars folder/bars.parquet"),
        "{error}"
    );
}
