use std::{fmt::Write as _, fs, io::Write};

use bar_files::{BarFileError, ReadOptions, RejectedRow, parse_zone, read_bars, read_bars_with};
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
    assert_eq!((bars[0].close.get(), bars[0].volume), (105.4199, 360_509.0));
    assert!(file.report.is_clean());
}

#[test]
fn cleans_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = csv_file(
        folder.path(),
        "AAPL,2018-03-26T13:31:00Z,10,11,9,10,100\n\
         AAPL,2018-03-26T13:30:00Z,10,11,9,10,100\n\
         IBM,2018-03-26T13:30:00Z,10,11,9,10,0.25\n\
         IBM,2018-03-26T13:31:00Z,10,11,9,10,100\n\
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
        (13, 1, 1, 1)
    );
    let reasons: Vec<(u64, &str)> = report
        .rejected
        .iter()
        .map(|RejectedRow { row, reason, .. }| (*row, &**reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (
                8,
                "open: NaN is not a price: expected a finite number above zero"
            ),
            (9, "high 9 is below low 11"),
            (10, "start 2018-03-26 13:34:17 UTC is not on the minute"),
            (11, "close is empty"),
            (12, "open 12 lies outside low 9 to high 11"),
            (13, "volume -5 is not a number of shares"),
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
        "the fuller row counts"
    );
    assert_eq!(
        report.to_string(),
        "13 rows read, 5 kept; left out: 1 with an empty cell, 4 that are not valid bars, 1 that do not begin on the minute, \
         1 duplicates, 1 overruled by a fuller row of the same minute; 1 sorted into place (first: row 8, open: NaN is not a price: expected a finite \
         number above zero)"
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
            .ends_with("its name must end in .csv, .txt, .tsv (or one of these and .gz), .parquet, .parq or .pq"),
        "{error}"
    );
}

#[test]
fn missing_columns_are_named_with_those_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    fs::write(
        &path,
        "day,hour,open,high,low,last\n2018-02-16,09:31:00,1,1,1,1\n",
    )
    .unwrap();
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(
        error.contains(
            "has no column ticker, ts, close, volume: found day, hour, open, high, low, last; expected \
             ticker,ts,open,high,low,close,volume with ts the bar's start such as 2018-03-26T13:30:00Z"
        ) && error.contains("--columns ts=Date"),
        "{error}"
    );
    fs::write(&path, "datetime,open,high,low,close,volume\n").unwrap();
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("name its stock by --ticker SYMBOL"),
        "{error}"
    );
    for empty in ["", "\u{feff}\n\n"] {
        fs::write(&path, empty).unwrap();
        let error = read_bars(&path).unwrap_err();
        assert!(matches!(error, BarFileError::Empty { .. }), "{error}");
    }
}

/// One bad row among good ones is counted with its line; a file of bad rows is refused with what to do.
#[test]
fn a_broken_row_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let rejected = |row: &str| {
        let path = csv_file(folder.path(), &format!("{TWO_ROWS}\n{row}\n"));
        let file = read_bars(&path).unwrap();
        assert_eq!(file.report.kept(), 2, "{row}");
        let RejectedRow { row, reason, .. } = file.report.rejected[0].clone();
        (row, reason)
    };
    // Line 4 is empty.
    for (row, reason) in [
        (
            "AAPL,2018-03-26T13:32:00Z,1O.5,11,9,10,100",
            "open is \"1O.5\", not a number",
        ),
        (
            "AAPL,2018-03-26 13:32,10,11,9,10,100",
            "ts is \"2018-03-26 13:32\", a time without a zone",
        ),
        (
            "AA PL,2018-03-26T13:32:00Z,10,11,9,10,100",
            "\"AA PL\" is not a ticker: expected 1 to 15 of A-Z, 0-9, '.', '-', '=' and '^', such as AAPL or BRK-B",
        ),
        ("AAPL,2018-03-26T13:3", "2 cells, but the header has 7"),
        (
            "AAPL,2018-03-26T13:32:00Z,1,300,1,200,1,100,1,250,7",
            "11 cells, but the header has 7",
        ),
        (HEADER.trim(), "it repeats the header"),
    ] {
        assert_eq!(rejected(row), (5, reason.to_owned()));
    }
    for (rows, cure) in [
        (
            "AAPL,2018-03-26 13:32,10,11,9,10,100\n",
            "row 2: ts is \"2018-03-26 13:32\", a time without a zone; give the zone by --zone",
        ),
        (
            "AAPL,2018-03-26,10,11,9,10,100\n",
            "where the time of day stands in a column of its own, name both: --columns ts=DATE+TIME",
        ),
        (
            "AAPL,yesterday,10,11,9,10,100\n",
            "expected the bar's start with its zone, such as 2018-03-26T13:30:00Z",
        ),
    ] {
        let error = read_bars(&csv_file(folder.path(), rows)).unwrap_err();
        assert!(error.to_string().contains(cure), "{error}");
        assert!(
            error.to_string().contains("1 of 1 rows cannot be read"),
            "{error}"
        );
    }
}

/// Text as Excel and other programs write it, read to the same two bars.
#[test]
fn separators_marks_and_number_styles_are_told_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    let expected = read_bars(&csv_file(folder.path(), TWO_ROWS)).unwrap().bars;
    let utf16 = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    for bytes in [
        "sep=;\nticker;ts;open;high;low;close;volume\n\
         AAPL;2018-03-26T13:30:00Z;168,07;168,95;167,84;168,86;1.206.871\n\
         AAPL;2018-03-26T13:31:00Z;168,86;169;168,5;168,9;1.000\n"
            .into(),
        "Ticker\tTS\tOpen\tHigh\tLow\tClose\tVolume\tnote\n\
         AAPL\t2018-03-26T13:30:00Z\t168.07\t168.95\t167.84\t168.86\t1,206,871\t\n\
         AAPL\t2018-03-26T13:31:00Z\t168.86\t169\t168.5\t168.9\t1,000\tx\n"
            .into(),
        "\"ticker\",\"ts\",\"open\",\"high\",\"low\",\"close\",\"volume\"\r\n\
         \"AAPL\",\"2018-03-26T13:30:00Z\",\"$168.07\",\"168.95\",\"167.84\",\"168.86\",\"1,206,871\"\r\n\
         \"AAPL\",\"2018-03-26T13:31:00Z\",\"168.86\",\"169\",\"168.5\",\"168.9\",\"1,000\"\r\n"
            .into(),
        utf16(&format!("{HEADER}{TWO_ROWS}")),
        [b"\xef\xbb\xbf", format!("{HEADER}{TWO_ROWS}").as_bytes()].concat(),
    ] {
        fs::write(&path, &bytes).unwrap();
        let file = read_bars(&path).unwrap();
        assert_eq!(file.bars, expected, "{}", String::from_utf8_lossy(&bytes));
        assert!(file.report.is_clean());
    }
    let text = folder.path().join("aapl.us.txt");
    fs::write(&text, format!("{HEADER}{TWO_ROWS}")).unwrap();
    assert_eq!(read_bars(&text).unwrap().bars, expected);
}

/// What no layout is known of is read by a column map, a zone and a ticker.
#[test]
fn a_column_map_reads_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    let expected = read_bars(&csv_file(folder.path(), TWO_ROWS)).unwrap().bars;
    let read = |text: &str, columns: &str, zone: Option<&str>, ticker: Option<&str>| {
        fs::write(&path, text).unwrap();
        let options = ReadOptions {
            columns: columns.parse().unwrap(),
            zone: zone.map(|zone| parse_zone(zone).unwrap()),
            ticker: ticker.map(|ticker| Ticker::parse(ticker).unwrap()),
            ..ReadOptions::default()
        };
        read_bars_with(&path, &options).unwrap().bars
    };
    let refinitiv = "#RIC,Domain,Date-Time,GMT Offset,Type,Open,High,Low,Last,Volume\n\
        AAPL,Market Price,2018-03-26T13:30:00.000000000Z,-4,Intraday 1Min,168.07,168.95,167.84,168.86,1206871\n\
        AAPL,Market Price,2018-03-26T13:31:00.000000000Z,-4,Intraday 1Min,168.86,169,168.5,168.9,1000\n";
    let map = "ticker=#RIC,ts=Date-Time,close=Last";
    assert_eq!(read(refinitiv, map, None, None), expected);
    let bloomberg = "Dates,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,VOLUME\n\
        3/26/2018 9:30,168.07,168.95,167.84,168.86,1206871\n\
        3/26/2018 9:31,168.86,169,168.5,168.9,1000\n";
    let map = "ts=Dates,open=px_open,high=px_high,low=px_low,close=px_last";
    let zone = Some("america/new_york");
    assert_eq!(read(bloomberg, map, zone, Some("AAPL")), expected);
    let without_header = "20180326;093000;168.07;168.95;167.84;168.86;1206871\n\
        20180326;93100;168.86;169;168.5;168.9;1000\n";
    let map = "ts=#1+#2,open=#3,high=#4,low=#5,close=#6,volume=#7";
    assert_eq!(read(without_header, map, zone, Some("AAPL")), expected);
    let other_stocks = format!("{HEADER}{TWO_ROWS}IBM,2018-03-26T13:30:00Z,1,1,1,1,1\n");
    assert_eq!(read(&other_stocks, "ts=ts", None, Some("AAPL")), expected);
}

#[test]
fn bars_stamped_at_their_end_are_moved_to_their_start() {
    let folder = tempfile::tempdir().unwrap();
    let options = ReadOptions {
        stamps: "end".parse().unwrap(),
        ..ReadOptions::default()
    };
    let file = read_bars_with(&csv_file(folder.path(), TWO_ROWS), &options).unwrap();
    let starts: Vec<_> = file.bars.values().flatten().map(|bar| bar.start).collect();
    assert_eq!(
        starts,
        [time("2018-03-26T13:29:00Z"), time("2018-03-26T13:30:00Z")]
    );
}

#[test]
fn bars_of_thirty_seconds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for second in 0..60 {
        let (minute, second) = (30 + second / 2, second % 2 * 30);
        writeln!(
            rows,
            "AAPL,2018-03-26T13:{minute}:{second:02}Z,10,11,9,10,100"
        )
        .unwrap();
    }
    let path = csv_file(folder.path(), &rows);
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(
        error.contains("30 of 60 rows do not begin on the minute, the first of them row 3: start 2018-03-26 13:30:30 UTC")
            && error.contains("bars of less than a minute"),
        "{error}"
    );
}

/// What is wrong with the rows of others is not the wanted stock's fault.
#[test]
fn bad_rows_of_other_stocks_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let others = "IBM,2018-03-26T13:30:00Z,,,,,\n\
                  IBM,yesterday,10,11,9,10,100\n\
                  IBM,2018-03-26T13:30:30Z,10,11,9,10,many\n\
                  IBM,2018-03-26T13:31:00Z,1,300,1,200,1,100,1,250,7\n";
    let path = csv_file(folder.path(), &format!("{TWO_ROWS}{others}{HEADER}"));
    let read = |ticker: Option<&str>| {
        let options = ReadOptions {
            ticker: ticker.map(|ticker| Ticker::parse(ticker).unwrap()),
            ..ReadOptions::default()
        };
        read_bars_with(&path, &options)
    };
    let report = read(Some("AAPL")).unwrap().report;
    assert_eq!(
        (report.rows, report.kept(), report.other_stocks),
        (7, 2, 4),
        "{report}"
    );
    assert_eq!(report.rejected.len(), 1, "the header once more: {report}");
    let error = read(None).unwrap_err().to_string();
    assert!(error.contains("5 of 7 rows cannot be read"), "{error}");
}

/// No zone is guessed where everybody's names stand; Alpha Vantage is known by its order.
#[test]
fn only_an_unmistakable_layout_has_a_zone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    let options = ReadOptions {
        ticker: Ticker::parse("AAPL").ok(),
        ..ReadOptions::default()
    };
    let (older, newer) = (
        "2018-03-26 09:30:00,10,11,9,10,100\n",
        "2018-03-26 09:31:00,10,11,9,10,100\n",
    );
    let names = "timestamp,open,high,low,close,volume\n";
    fs::write(&path, format!("{names}{newer}{older}")).unwrap();
    let file = read_bars_with(&path, &options).unwrap();
    let bars = file.bars.values().next().unwrap();
    assert_eq!(bars[0].start, time("2018-03-26T13:30:00Z"));
    for names in [
        names,
        "time,open,high,low,close,volume\n",
        "date,open,high,low,close,volume,change\n",
    ] {
        let cells = if names.contains("change") { ",1" } else { "" };
        let rows = format!("{older}{newer}").replace('\n', &format!("{cells}\n"));
        fs::write(&path, format!("{names}{rows}")).unwrap();
        let error = read_bars_with(&path, &options).unwrap_err().to_string();
        assert!(
            error.contains("give the zone by --zone"),
            "{names}: {error}"
        );
    }
}

#[test]
fn an_empty_line_below_the_first_row_is_no_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = csv_file(folder.path(), &TWO_ROWS.replacen('\n', "\n,,,,,,\n", 1));
    let report = read_bars(&path).unwrap().report;
    assert_eq!((report.rows, report.kept()), (3, 2), "{report}");
}

/// Dates of a month's first twelve days do not tell their order: it is asked for.
#[test]
fn the_order_of_day_and_month_may_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = csv_file(
        folder.path(),
        "AAPL,3/2/2018 14:30 UTC,10,11,9,10,100\nAAPL,3/2/18 14:31 UTC,10,11,9,10,100\n",
    );
    let error = read_bars(&path).unwrap_err().to_string();
    assert!(error.contains("--dates day or --dates month"), "{error}");
    for (dates, date) in [("day", "2018-02-03"), ("month", "2018-03-02")] {
        let options = ReadOptions {
            dates: Some(dates.parse().unwrap()),
            ..ReadOptions::default()
        };
        let file = read_bars_with(&path, &options).unwrap();
        let starts: Vec<_> = file.bars.values().flatten().map(|bar| bar.start).collect();
        let expected = ["14:30", "14:31"].map(|clock| time(&format!("{date}T{clock}:00Z")));
        assert_eq!(starts, expected);
    }
}

/// Three decimals look like thousands: the prices decide, not the volumes.
#[test]
fn three_decimals_are_no_thousands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    for (text, price, volume) in [
        (
            "ticker\tts\topen\thigh\tlow\tclose\tvolume\nAAPL\t2018-03-26T13:30:00Z\t100.125\t100.250\t100.000\t100.125\t35,439\n",
            100.125,
            35_439.0,
        ),
        (
            "ticker;ts;open;high;low;close;volume\nAAPL;2018-03-26T13:30:00Z;100.125;100.250;100.000;100.125;35,439\n",
            100.125,
            35_439.0,
        ),
        (
            "ticker;ts;open;high;low;close;volume\nAAPL;2018-03-26T13:30:00Z;100,125;100,250;100,000;100,125;35.439\n",
            100.125,
            35_439.0,
        ),
    ] {
        fs::write(&path, text).unwrap();
        let file = read_bars(&path).unwrap();
        let bar = file.bars.values().next().unwrap()[0];
        assert_eq!((bar.open.get(), bar.volume), (price, volume), "{text}");
    }
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
fn what_is_not_utf8_spoils_only_its_own_cell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    let rows = b"AAPL,2018-03-26T13:30:00Z,10,11,9,10,100,Soci\xe9t\xe9\n\
                 AAPL,2018-03-26T13:31:00Z,10,11,9,10,100,x\n\
                 \xff\xfe,2018-03-26T13:32:00Z,10,11,9,10,100,x\n";
    let header = HEADER.trim_end();
    fs::write(&path, [header.as_bytes(), b",name\n", &rows[..]].concat()).unwrap();
    let report = read_bars(&path).unwrap().report;
    assert_eq!((report.kept(), report.rejected[0].row), (2, 4));
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
