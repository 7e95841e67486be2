use std::{fmt, io, path::PathBuf};

use chrono::NaiveDate;
use domain::Ticker;

use crate::{LeftOut, RejectedRow};

/// A file of bars cannot be read. Every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BarFileError {
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The name does not tell the format.
    #[error("{} has no known format: its name must end in {endings}", path.display())]
    UnknownFormat {
        /// The path given.
        path: PathBuf,
        /// The endings that are known.
        endings: &'static str,
    },
    /// The system refuses to read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The compressed data end too early or are damaged.
    #[error("{} is torn or no gzip file: fetch or write it again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The decompressor's reason.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{} is empty: it has no header", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The header lacks columns.
    #[error("{} has no column {}: found {}; expected {EXPECTED}{}", path.display(), List(missing), List(found), missing_cure(missing))]
    MissingColumns {
        /// The file.
        path: PathBuf,
        /// The columns it lacks.
        missing: Vec<&'static str>,
        /// The columns it has.
        found: Vec<String>,
    },
    /// A column that is needed stands in the header twice.
    #[error("{} has the column {column} twice: name the one that is meant by its position, such as --columns close=#6", path.display())]
    ColumnTwice {
        /// The file.
        path: PathBuf,
        /// Its name.
        column: String,
    },
    /// Times state no zone, and none was given.
    #[error("{}: the times of column {column} state no zone: give it by --zone, such as --zone America/New_York or --zone UTC", path.display())]
    NoZone {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A column holds nothing that it could be read as.
    #[error("{}: column {column} holds {found}, expected {expected}", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// Most rows are no bars.
    #[error("{}: {rejected} of {rows} rows cannot be read, the first of them row {}: {}{}", path.display(), first.row, first.reason, rejection_cure(first.kind))]
    MostRejected {
        /// The file.
        path: PathBuf,
        /// How many.
        rejected: usize,
        /// Of how many.
        rows: usize,
        /// The first of the commonest kind.
        first: RejectedRow,
    },
    /// The bars are of less than a minute.
    #[error("{}: {off} of {rows} rows do not begin on the minute, the first of them row {}: {}; these are bars of less than a minute, and Tandem works on bars of one minute", path.display(), first.row, first.reason)]
    OffMinute {
        /// The file.
        path: PathBuf,
        /// How many rows.
        off: usize,
        /// Of how many.
        rows: usize,
        /// The first of them.
        first: RejectedRow,
    },
    /// The bars are not of one minute.
    #[error("{}: the bars of {ticker} are {minutes} minutes apart on {day}: Tandem works on bars of one minute", path.display())]
    WrongInterval {
        /// The file.
        path: PathBuf,
        /// The first stock concerned.
        ticker: Ticker,
        /// Its first day with such bars, New York date.
        day: NaiveDate,
        /// Minutes from bar to bar.
        minutes: i64,
    },
    /// Bars of another interval stand among those of one minute.
    #[error("{}: on {day} the bars of {ticker} from {first} to {last} in New York are {minutes} minutes apart, or a second row each {minutes} minutes, among bars of one minute: take the rows of {minutes} minutes out of the file", path.display())]
    MixedIntervals {
        /// The file.
        path: PathBuf,
        /// The first stock concerned.
        ticker: Ticker,
        /// Its first day with such bars, New York date.
        day: NaiveDate,
        /// Minutes from one of them to the next.
        minutes: i64,
        /// The first of them, wall clock of New York.
        first: String,
        /// The last.
        last: String,
    },
    /// There is one row a day.
    #[error("{}: {ticker} has one row a day: Tandem works on bars of one minute", path.display())]
    DailyBars {
        /// The file.
        path: PathBuf,
        /// The first stock concerned.
        ticker: Ticker,
    },
    /// Bars are stamped at their end.
    #[error("{}: its bars are stamped at their end, a session's first at 09:31 and its last at 16:00 in New York: add --stamps end", path.display())]
    EndStamps {
        /// The file.
        path: PathBuf,
    },
    /// Times are not what they say.
    #[error("{}: {outside} of {rows} rows lie outside regular sessions; on {day} they run from {first} to {last} in New York{hint}", path.display())]
    OutsideSessions {
        /// The file.
        path: PathBuf,
        /// How many rows.
        outside: usize,
        /// Of how many.
        rows: usize,
        /// A day that shows it, New York date.
        day: NaiveDate,
        /// Its first row, wall clock of New York.
        first: String,
        /// Its last.
        last: String,
        /// What may be wrong, from `: ` on.
        hint: &'static str,
    },
    /// Most rows lie where the calendar does not reach.
    #[error("{}: {outside} of {rows} rows lie outside the calendar, which covers {from} to {to}", path.display())]
    OutsideCalendar {
        /// The file.
        path: PathBuf,
        /// How many rows.
        outside: usize,
        /// Of how many.
        rows: usize,
        /// First day that the calendar covers.
        from: NaiveDate,
        /// Last day.
        to: NaiveDate,
    },
    /// Parquet is read by the research commands only.
    #[error("{0} is Parquet, which is not read here: `tandem bars --bars {0} --out BARS.csv.gz` writes it as CSV", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
    },
}

/// Our own layout, for messages.
const EXPECTED: &str =
    "ticker,ts,open,high,low,close,volume with ts the bar's start such as 2018-03-26T13:30:00Z";

/// What to do about missing columns.
fn missing_cure(missing: &[&str]) -> &'static str {
    match missing {
        ["ticker"] => "; name its stock by --ticker SYMBOL",
        _ => {
            "; other names are given by --columns ts=Date,open=First,..., a file without a header by --columns ts=#1,open=#2,..."
        }
    }
}

/// What to do about rows of a kind.
const fn rejection_cure(kind: LeftOut) -> &'static str {
    match kind {
        LeftOut::NoZone => {
            "; give the zone by --zone, such as --zone America/New_York or --zone UTC"
        }
        LeftOut::NoTime => {
            "; expected the bar's start with its zone, such as 2018-03-26T13:30:00Z, a wall clock's time with --zone, or seconds since 1970"
        }
        LeftOut::NoTimeOfDay => {
            "; where the time of day stands in a column of its own, name both: --columns ts=DATE+TIME"
        }
        LeftOut::DayOrMonth => ", or say which of them comes first: --dates day or --dates month",
        LeftOut::NoNumber => "; another column is named by --columns open=First,...",
        _ => "",
    }
}

struct List<'a, T>(&'a [T]);

impl<T: AsRef<str>> fmt::Display for List<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            formatter.write_str(item.as_ref())?;
        }
        if self.0.is_empty() {
            formatter.write_str("nothing")
        } else {
            Ok(())
        }
    }
}
