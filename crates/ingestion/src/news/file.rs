//! Headlines of a file, admitted as those that come in live.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use bar_files::{Lines, TimeParser};
use chrono::{DateTime, Utc};
use csv::{ReaderBuilder, StringRecord};
use domain::{NewsArticle, NewsSource, Ticker};
use market_data::plain_text;

use super::{FirstSeenStory, replay};

/// Names of the columns, in small letters; of several the first counts.
const TICKER: [&str; 5] = ["ticker", "tickers", "symbol", "symbols", "related"];
/// Of several the latest time counts.
const FIRST_SEEN: [&str; 5] = [
    "first_seen",
    "first_seen_at",
    "seen_at",
    "known_at",
    "available_at",
];
const TITLE: [&str; 2] = ["title", "headline"];
const PUBLISHED: [&str; 4] = ["published_at", "published", "publishedat", "datetime"];
const PUBLISHER: [&str; 2] = ["publisher", "source"];
const URL: [&str; 2] = ["url", "link"];

/// What a file of headlines holds for the watched stocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewsFile {
    /// In the order in which they were first seen.
    pub stories: Vec<FirstSeenStory>,
    /// Rows of the file.
    pub rows: u64,
    /// Rows that concern no watched stock.
    pub foreign: u64,
    /// Rows that cannot be used.
    pub left_out: Vec<LeftOutRow>,
    /// Columns that are not read, as the file names them.
    pub ignored: Vec<String>,
}

/// A row of the file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutRow {
    /// The line it begins in.
    pub line: u64,
    /// The column and what is wrong there.
    pub reason: String,
}

/// A file of headlines cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum NewsFileError {
    /// It is not there, or torn.
    #[error("failed to read {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A column is missing or stands twice.
    #[error(
        "{} cannot be read as news: {fault}; expected ticker, first_seen (when the story was first known, \
         with its zone: publishers change theirs afterwards) and title, and if known published_at, publisher and url; \
         found {}",
        path.display(), found.join(", ")
    )]
    Columns {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with the columns.
        fault: String,
        /// Those that are there.
        found: Vec<String>,
    },
}

/// Reads a CSV file of headlines, packed by gzip or not, and admits its rows as live reports are: what is one story there is
/// one here, and its text is the same.
///
/// A row without a headline, a ticker or the time when the story was first known is left out.
///
/// # Errors
/// [`NewsFileError`] when the file is missing or torn, lacks a column or has one twice.
pub fn read_news_file(path: &Path, tickers: &HashSet<Ticker>) -> Result<NewsFile, NewsFileError> {
    let failed = |source: io::Error| NewsFileError::Read {
        path: path.to_owned(),
        source,
    };
    let text = bar_files::read_text(path).map_err(failed)?;
    let (separator, table) = bar_files::separator(&text);
    let mut lines = Lines::new(&text, table);
    let mut table = ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .from_reader(table.as_bytes());
    let header = table.headers().map_err(|error| failed(error.into()))?;
    let columns = Columns::of(header).map_err(|fault| NewsFileError::Columns {
        path: path.to_owned(),
        fault,
        found: header.iter().map(str::to_owned).collect(),
    })?;
    let cells = header.len();
    let mut file = NewsFile {
        ignored: columns.ignored(header),
        ..NewsFile::default()
    };
    let mut reports = Vec::new();
    for record in table.records() {
        file.rows += 1;
        let read = match &record {
            // Not even an empty cell more: an unquoted comma moves an empty url there.
            Ok(record) if record.len() == cells => columns.report(record),
            Ok(record) => Err(format!(
                "it has {} cells and the header {cells}: a comma or a quotation mark may be unquoted",
                record.len()
            )),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(report) => reports.push(report),
            Err(reason) => {
                let position = match &record {
                    Ok(record) => record.position(),
                    Err(error) => error.position(),
                };
                let line = lines.at(position);
                file.left_out.push(LeftOutRow { line, reason });
            }
        }
    }
    (file.stories, file.foreign) = replay(reports, tickers);
    Ok(file)
}

/// Where the columns are.
struct Columns {
    ticker: usize,
    first_seen: Vec<usize>,
    title: usize,
    published: Option<usize>,
    publisher: Option<usize>,
    url: Option<usize>,
}

impl Columns {
    /// Finds them whatever their case; else says what is wrong.
    fn of(header: &StringRecord) -> Result<Self, String> {
        let names: Vec<String> = header
            .iter()
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        let mut seen = HashSet::new();
        if let Some(twice) = names
            .iter()
            .find(|name| !name.is_empty() && !seen.insert(*name))
        {
            return Err(format!("it has two columns {twice}"));
        }
        let place = |name: &str| names.iter().position(|column| column == name);
        let find = |names: &[&str]| names.iter().find_map(|name| place(name));
        let need = |names: &[&str], column: &str| {
            find(names).ok_or_else(|| format!("it has no column {column}"))
        };
        Ok(Self {
            ticker: need(&TICKER, "ticker")?,
            first_seen: need(&FIRST_SEEN, "first_seen")
                .map(|_| FIRST_SEEN.iter().filter_map(|name| place(name)).collect())?,
            title: need(&TITLE, "title")?,
            published: find(&PUBLISHED),
            publisher: find(&PUBLISHER),
            url: find(&URL),
        })
    }

    /// The columns that are none of these. The index that pandas writes has no name.
    fn ignored(&self, header: &StringRecord) -> Vec<String> {
        let optional = [self.published, self.publisher, self.url];
        let is_read = |column: usize| {
            [self.ticker, self.title].contains(&column)
                || self.first_seen.contains(&column)
                || optional.contains(&Some(column))
        };
        let names = header.iter().map(str::trim).enumerate();
        names
            .filter(|(column, name)| !name.is_empty() && !is_read(*column))
            .map(|(_, name)| name.to_owned())
            .collect()
    }

    /// A row's report with when it was seen, else what is wrong.
    fn report(&self, row: &StringRecord) -> Result<(DateTime<Utc>, NewsArticle), String> {
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        let parser = TimeParser::default();
        let stated = self.first_seen.iter().map(|column| cell(*column));
        let stated = stated.filter(|text| !text.is_empty()).map(|text| {
            parser
                .parse(text)
                .map_err(|fault| format!("first_seen is {text:?}, {fault}"))
        });
        let stated = stated.collect::<Result<Vec<_>, _>>()?.into_iter().max();
        let seen_at = stated.ok_or("first_seen is empty")?;
        let title = plain_text(cell(self.title)).ok_or("title is empty")?;
        let listed = cell(self.ticker);
        let tickers: Vec<Ticker> = listed
            .split([',', ';', '|', ' ', '[', ']', '\'', '"'])
            .filter_map(|name| Ticker::parse(name).ok())
            .collect();
        if tickers.is_empty() {
            return Err(format!("ticker is {listed:?}, which names no stock"));
        }
        let optional = |column: Option<usize>| column.map(cell).filter(|cell| !cell.is_empty());
        Ok((
            seen_at,
            NewsArticle {
                source: NewsSource::File,
                vendor_id: String::new(),
                tickers,
                // What cannot be dated is as old as it is known.
                published_at: optional(self.published)
                    .and_then(|time| parser.parse(time).ok())
                    .unwrap_or(seen_at),
                title,
                summary: None,
                publisher: optional(self.publisher).and_then(plain_text),
                url: optional(self.url).map(str::to_owned),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn watched() -> HashSet<Ticker> {
        ["AAPL", "MSFT"]
            .iter()
            .map(|name| Ticker::parse(name).unwrap())
            .collect()
    }

    fn read(bytes: &[u8]) -> Result<NewsFile, NewsFileError> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("news.csv");
        std::fs::write(&path, bytes).unwrap();
        read_news_file(&path, &watched())
    }

    /// Stock and headline of each story.
    fn stories(file: &NewsFile) -> Vec<(&str, &str)> {
        let stories = file.stories.iter();
        stories
            .map(|story| (story.ticker.as_str(), story.title.as_str()))
            .collect()
    }

    /// A file of the collection of faults.
    fn fault(name: &str) -> Option<NewsFile> {
        let path = test_support::shared(&format!("faults/inputs/{name}"))?;
        Some(read_news_file(&path, &watched()).unwrap())
    }

    const HEADER: &str = "ticker,published_at,first_seen,title,publisher,url\n";

    #[test]
    fn a_row_that_cannot_be_dated_is_named_and_the_others_go_on() {
        let rows = "AAPL,2018-03-01T15:00:00Z,,Acme profit surges,Wire,\n\
                    AAPL,2018-03-01T15:00:00Z,2018-03-01 15:00:00,Acme profit soars,Wire,\n\r\n\
                    AAPL,,2018-03-01 10:00:00-05:00,Acme profit falls,Wire,\n\
                    AAPL,,soon,Acme profit rises,Wire,\n\
                    ?,,2018-03-01T15:00:00Z,Acme profit rises,Wire,\n\
                    AAPL,,2018-03-01T15:00:00Z, ,Wire,\n\
                    AAPL,,2018-03-01T15:00:00Z,Acme \"very\" strong, says chief,Wire,\n\
                    ZZZZ,,2018-03-01T15:00:00Z,Nobody's news,Wire,\n";
        let file = read(format!("{HEADER}{rows}").as_bytes()).unwrap();
        assert_eq!(stories(&file), [("AAPL", "Acme profit falls")]);
        assert_eq!(
            file.stories[0].first_seen_at.to_rfc3339(),
            "2018-03-01T15:00:00+00:00"
        );
        assert_eq!((file.rows, file.foreign), (8, 1));
        let left_out: Vec<(u64, &str)> = file
            .left_out
            .iter()
            .map(|row| (row.line, row.reason.as_str()))
            .collect();
        assert_eq!(
            left_out,
            [
                (2, "first_seen is empty"),
                (
                    3,
                    "first_seen is \"2018-03-01 15:00:00\", a time without a zone"
                ),
                (6, "first_seen is \"soon\", not a time"),
                (7, "ticker is \"?\", which names no stock"),
                (8, "title is empty"),
                (
                    9,
                    "it has 7 cells and the header 6: a comma or a quotation mark may be unquoted"
                ),
            ]
        );
    }

    #[test]
    fn columns_have_many_names_and_files_many_forms() {
        let expected = [("AAPL", "Société Acme: profit surges")];
        let row = "Wire;2018-03-01T15:00:00Z;Société Acme: profit surges;AAPL\n";
        let text = format!("Source;FIRST_SEEN; Headline;Symbol\n{row}");
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let latin1: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            text.replace('\n', "\r\n").replace(';', "\t").into_bytes(),
            ["\u{feff}".as_bytes(), text.as_bytes()].concat(),
            [vec![0xff, 0xfe], utf16].concat(),
            latin1,
        ] {
            assert_eq!(stories(&read(&bytes).unwrap()), expected);
        }
    }

    #[test]
    fn a_missing_column_is_named() {
        let error =
            read(b"ticker,published_at,title\nAAPL,2018-03-01T15:00:00Z,Acme\n").unwrap_err();
        let message = error.to_string();
        assert!(message.contains("no column first_seen"), "{message}");
    }

    #[test]
    fn a_column_that_stands_twice_is_named() {
        let row = "AAPL,2018-03-01T15:00:00Z,Acme,Globex";
        for header in ["ticker,first_seen,title,title", "ticker,first_seen,x,X "] {
            let error = read(format!("{header}\n{row}\n").as_bytes()).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("it has two columns "), "{message}");
        }
    }

    #[test]
    fn the_latest_of_the_times_of_a_row_counts_and_what_is_not_read_is_named() {
        let rows = "2018-03-01T16:00:00Z,AAPL,2018-03-01T15:00:00Z,Acme profit surges,x,,Acme Inc,0\n\
                    2018-03-01T16:00:00Z,AAPL,2018-03-01T17:00:00Z,Acme profit falls,x,,Acme Inc,1\n\
                    ,AAPL,2018-03-01T18:00:00Z,Acme profit rises,x,,Acme Inc,2\n\
                    soon,AAPL,2018-03-01T18:00:00Z,Acme profit doubles,x,,Acme Inc,3\n";
        let header = "available_at,ticker,first_seen,title,Symbol,url, Company ,\n";
        let file = read(format!("{header}{rows}").as_bytes()).unwrap();
        let seen: Vec<String> = file
            .stories
            .iter()
            .map(|story| story.first_seen_at.format("%H %M").to_string())
            .collect();
        assert_eq!(seen, ["16 00", "17 00", "18 00"]);
        assert_eq!(
            file.left_out[0].reason,
            "first_seen is \"soon\", not a time"
        );
        assert_eq!(file.ignored, ["Symbol", "Company"]);
    }

    #[test]
    fn reports_of_one_story_are_one_story() {
        let rows = "\"AAPL,MSFT\",2018-03-01T15:00:00Z,2018-03-01T15:00:30Z,Acme profit surges - Wire,Wire,https://a.com/1\n\
                    AAPL,2018-03-01T15:20:00Z,2018-03-01T15:30:00Z,ACME Profit Surges,Other,https://b.com/2?utm_source=x\n\
                    AAPL,2018-03-03T15:20:00Z,2018-03-03T15:30:00Z,Acme profit surges,Wire,https://a.com/3\n\
                    MSFT,2018-03-01T15:25:00Z,2018-03-01T15:31:00Z,<b>Acme</b> profit&nbsp;surges,Wire,\n";
        let file = read(format!("{HEADER}{rows}").as_bytes()).unwrap();
        assert_eq!(
            stories(&file),
            [
                ("AAPL", "Acme profit surges"),
                ("MSFT", "Acme profit surges"),
                ("AAPL", "Acme profit surges"),
            ]
        );
    }

    #[test]
    fn files_as_they_are_found_are_read() {
        let surges = [("AAPL", "Acme profit surges")];
        let falls = [("AAPL", "Acme profit falls")];
        for (name, expected, left_out) in [
            ("news_bom.csv", &surges, 0),
            ("news_first_seen_empty.csv", &falls, 1),
            ("news_first_seen_space_offset.csv", &surges, 0),
            (
                "news_latin1.csv",
                &[("AAPL", "Société Acme: profit surges")],
                0,
            ),
            ("news_ticker_unknown_row.csv", &falls, 1),
            ("news_unescaped_quotes.csv", &falls, 1),
        ] {
            let Some(file) = fault(name) else { return };
            assert_eq!(stories(&file), *expected, "{name}");
            assert_eq!(file.left_out.len(), left_out, "{name}: {:?}", file.left_out);
        }
        let naive = fault("news_first_seen_naive.csv").unwrap_or_default();
        assert_eq!((naive.stories.len(), naive.left_out.len()), (0, 1));
        let lists = fault("news_ticker_lists.csv").unwrap_or_default();
        assert_eq!(lists.stories.len(), 2);
    }
}
