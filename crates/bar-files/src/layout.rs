//! Which column of a file holds what: by our names, by those of the vendors and tools that people have files of, or as
//! they say.

use std::{fmt, path::Path, str::FromStr};

use chrono_tz::Tz;
use domain::Ticker;

use crate::{BarFileError, ReadOptions};

/// The columns of a file of bars.
pub(crate) const COLUMNS: [&str; 7] = ["ticker", "ts", "open", "high", "low", "close", "volume"];
/// Those that hold numbers.
pub(crate) const NUMBERS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// Whose layout a file has. It decides what a time without a zone means; columns are found by their names in any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Ours, and any with columns of the usual names: each time states its zone.
    Tandem,
    /// yfinance's `Ticker.history` and `download`, one stock or several side by side.
    Yfinance,
    /// Stooq's text files: date and time apart, New York's clock, symbols with the ending `.US`.
    Stooq,
    /// Alpha Vantage's `TIME_SERIES_INTRADAY` as CSV: New York's clock, the newest row first.
    AlphaVantage,
    /// Polygon's flat files of minute aggregates: nanoseconds since 1970.
    Polygon,
    /// Alpaca's bars as the data frame of its client.
    Alpaca,
    /// Interactive Brokers' bars as `ib_async` or `ib_insync` write them: the clock that its program was set to.
    Ibkr,
    /// qlib's files of its Yahoo collector: New York's clock.
    Qlib,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Tandem,
        Self::Yfinance,
        Self::Stooq,
        Self::AlphaVantage,
        Self::Polygon,
        Self::Alpaca,
        Self::Ibkr,
        Self::Qlib,
    ];

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tandem => "tandem",
            Self::Yfinance => "yfinance",
            Self::Stooq => "stooq",
            Self::AlphaVantage => "alphavantage",
            Self::Polygon => "polygon",
            Self::Alpaca => "alpaca",
            Self::Ibkr => "ibkr",
            Self::Qlib => "qlib",
        }
    }

    /// What times without a zone are in, where the vendor says so.
    pub const fn zone(self) -> Option<Tz> {
        match self {
            Self::Stooq | Self::AlphaVantage | Self::Qlib => Some(Tz::America__New_York),
            Self::Tandem | Self::Yfinance | Self::Polygon | Self::Alpaca | Self::Ibkr => None,
        }
    }

    /// Tells the layout by the header, names in small letters. Whose times would be taken for New York's must be named
    /// by columns that nobody else has.
    fn of(header: &[String]) -> Self {
        let has = |name: &str| header.iter().any(|column| column == name);
        let is_only = |names: &[&str]| header.iter().all(|name| names.contains(&name.as_str()));
        if has("per") && has("openint") {
            Self::Stooq
        } else if has("window_start") {
            Self::Polygon
        } else if has("timestamp") && (has("trade_count") || has("vwap")) {
            Self::Alpaca
        } else if has("barcount") || (has("date") && has("average")) {
            Self::Ibkr
        } else if has("symbol") && has("date") && has("adjclose") && is_only(&QLIB) {
            Self::Qlib
        } else if has("datetime") || has("adj close") {
            Self::Yfinance
        } else {
            Self::Tandem
        }
    }
}

/// The columns of qlib's collector, and those that its normalisation adds.
const QLIB: [&str; 11] = [
    "symbol", "date", "open", "high", "low", "close", "volume", "adjclose", "factor", "change",
    "vwap",
];

/// Whether a table is Alpha Vantage's by its header and its first two rows. The names are everybody's; their order with
/// the newest row first is its own.
pub(crate) fn is_alpha_vantage(header: &[String], first: &[String], second: &[String]) -> bool {
    let names = ["timestamp", "open", "high", "low", "close", "volume"];
    let times = first.first().zip(second.first());
    header.iter().map(|name| plain(name)).eq(names)
        && times.is_some_and(|(first, second)| first.len() == second.len() && first > second)
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|layout| layout.name() == text)
            .ok_or_else(|| format!("expected one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Where a file's columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Whose layout it is.
    pub layout: Layout,
    /// Zone of times that state none.
    pub zone: Option<Tz>,
    /// The column of times.
    pub time: usize,
    /// The column of the time of day, where it stands apart from the date.
    pub time_of_day: Option<usize>,
    /// The stocks of a row: one, or several side by side.
    pub stocks: Vec<Stock>,
}

/// Where a row says what one stock did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Whose numbers they are.
    pub ticker: TickerFrom,
    /// Columns of open, high, low, close and volume.
    pub numbers: [usize; 5],
}

/// Where the name of a stock comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TickerFrom {
    /// This column.
    Column(usize),
    /// It is the same for all rows.
    Fixed(Ticker),
}

/// Usual names of a column, the surest first; in small letters.
fn usual_names(column: &str) -> &'static [&'static str] {
    match column {
        "ticker" => &["ticker", "symbol"],
        // The last two: what pandas calls an index without a name, in Parquet and in CSV.
        "ts" => &[
            "ts",
            "timestamp",
            "datetime",
            "window_start",
            "date",
            "time",
            "t",
            "__index_level_0__",
            "",
        ],
        "open" => &["open", "o"],
        "high" => &["high", "h"],
        "low" => &["low", "l"],
        "close" => &["close", "c"],
        "volume" => &["volume", "vol", "v"],
        _ => &[],
    }
}

/// A name as it is compared: without marks, quotes and capitals.
fn plain(name: &str) -> String {
    name.trim_matches(|character: char| {
        character.is_whitespace() || matches!(character, '\u{feff}' | '<' | '>' | '"' | '\'')
    })
    .to_lowercase()
}

/// Finds the columns of a file by its header.
///
/// # Errors
/// [`BarFileError`] when columns are missing, or one that is needed stands there twice.
pub fn locate(
    path: &Path,
    header: &[String],
    options: &ReadOptions,
) -> Result<Located, BarFileError> {
    let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
    if let Some(wide) = locate_side_by_side(header, options) {
        return Ok(wide);
    }
    let layout = options.layout.unwrap_or_else(|| Layout::of(&names));
    let mut missing = Vec::new();
    let mut found = |column: &'static str| -> Result<Option<usize>, BarFileError> {
        let position = match options.columns.get(column) {
            Some(theirs) => position(path, &names, &[theirs])?,
            None => position(path, &names, usual_names(column))?,
        };
        if position.is_none() {
            missing.push(column);
        }
        Ok(position)
    };
    let mut numbers = [0; 5];
    for (place, column) in numbers.iter_mut().zip(NUMBERS) {
        *place = found(column)?.unwrap_or_default();
    }
    let (time, time_of_day) = match options.columns.get("ts").and_then(|ts| ts.split_once('+')) {
        Some((date, time)) => {
            let date = position(path, &names, &[date])?;
            let time = position(path, &names, &[time])?;
            if date.is_none() || time.is_none() {
                missing.push("ts");
            }
            (date, time)
        }
        None => {
            let time = found("ts")?;
            let is_date =
                time.is_some_and(|index| names.get(index).is_some_and(|name| name == "date"));
            let apart = is_date && options.columns.get("ts").is_none();
            let time_of_day = if apart {
                position(path, &names, &["time", "tod"])?
            } else {
                None
            };
            (time, time_of_day)
        }
    };
    let ticker = match (
        position(
            path,
            &names,
            options
                .columns
                .get("ticker")
                .map_or(usual_names("ticker").to_vec(), |theirs| vec![theirs])
                .as_slice(),
        )?,
        &options.ticker,
    ) {
        (Some(index), _) => TickerFrom::Column(index),
        (None, Some(ticker)) if options.columns.get("ticker").is_none() => {
            TickerFrom::Fixed(ticker.clone())
        }
        (None, _) => {
            missing.insert(0, "ticker");
            TickerFrom::Column(0)
        }
    };
    match time {
        Some(time) if missing.is_empty() => Ok(Located {
            layout,
            zone: options.zone.or_else(|| layout.zone()),
            time,
            time_of_day,
            stocks: vec![Stock { ticker, numbers }],
        }),
        _ => {
            missing.sort_by_key(|column| COLUMNS.iter().position(|known| known == column));
            Err(BarFileError::MissingColumns {
                path: path.to_owned(),
                missing,
                found: header.to_vec(),
            })
        }
    }
}

/// Position of the first of some names that the header has; `#3` is the third column, whatever its name.
fn position(path: &Path, header: &[String], names: &[&str]) -> Result<Option<usize>, BarFileError> {
    for name in names {
        if let Some(number) = name.strip_prefix('#').and_then(|text| text.parse().ok()) {
            return Ok(usize::checked_sub(number, 1).filter(|index| *index < header.len()));
        }
        let name = plain(name);
        let mut found = (0..header.len()).filter(|index| header.get(*index) == Some(&name));
        let first = found.next();
        if found.next().is_some() {
            return Err(BarFileError::ColumnTwice {
                path: path.to_owned(),
                column: name,
            });
        }
        if first.is_some() {
            return Ok(first);
        }
    }
    Ok(None)
}

/// Whether a cell where a time belongs is the header's: files that were put together repeat it.
pub(crate) fn is_header_of_times(cell: &str) -> bool {
    let cell = plain(cell);
    let words = usual_names("ts")
        .iter()
        .chain(&["date time", "price", "ticker"]);
    words.into_iter().any(|word| *word == cell)
}

/// Several stocks side by side, as yfinance's `download` gives them: each column is named by its price and its stock, in
/// pandas' words `('Close', 'AAPL')`.
fn locate_side_by_side(header: &[String], options: &ReadOptions) -> Option<Located> {
    let mut stocks: Vec<(Ticker, [Option<usize>; 5])> = Vec::new();
    let mut time = None;
    for (index, name) in header.iter().enumerate() {
        let pair = name
            .trim()
            .strip_prefix('(')
            .and_then(|name| name.strip_suffix(')'))
            .and_then(|name| name.split_once(','));
        let Some((first, second)) = pair else {
            let name = plain(name);
            if usual_names("ts").contains(&&*name) {
                time = time.or(Some(index));
            }
            continue;
        };
        let (first, second) = (plain(first), plain(second));
        let is_price = |name: &str| NUMBERS.iter().position(|column| *column == name);
        let (number, ticker) = match (is_price(&first), is_price(&second)) {
            (Some(number), _) => (number, second),
            (None, Some(number)) => (number, first),
            (None, None) => {
                // An index has nothing on its second level.
                if usual_names("ts").contains(&&*first) {
                    time = time.or(Some(index));
                }
                continue;
            }
        };
        let ticker = Ticker::parse(&ticker).ok()?;
        let stock = match stocks.iter().position(|(known, _)| *known == ticker) {
            Some(place) => place,
            None => {
                stocks.push((ticker, [None; 5]));
                stocks.len() - 1
            }
        };
        *stocks.get_mut(stock)?.1.get_mut(number)? = Some(index);
    }
    let stocks: Vec<Stock> = stocks
        .into_iter()
        .filter_map(|(ticker, numbers)| {
            let [Some(open), Some(high), Some(low), Some(close), Some(volume)] = numbers else {
                return None;
            };
            Some(Stock {
                ticker: TickerFrom::Fixed(ticker),
                numbers: [open, high, low, close, volume],
            })
        })
        .collect();
    (!stocks.is_empty()).then_some(Located {
        layout: Layout::Yfinance,
        zone: options.zone,
        time: time?,
        time_of_day: None,
        stocks,
    })
}

/// Puts the three lines above a table of yfinance's `download` into one header of names like `('Close', 'AAPL')`:
/// prices and stocks in either order, then the index's name with nothing beside it. `None` for another table, such as
/// one whose third line is empty.
pub(crate) fn join_levels(levels: [&[String]; 3]) -> Option<Vec<String>> {
    let [first, second, index] = levels;
    let [index_name, rest @ ..] = index else {
        return None;
    };
    let index_name = plain(index_name);
    let is_index = !index_name.is_empty() && usual_names("ts").contains(&&*index_name);
    let names_prices = |level: &[String]| {
        let names: Vec<String> = level.iter().map(|name| plain(name)).collect();
        NUMBERS
            .iter()
            .all(|number| names.iter().any(|name| name == number))
    };
    let is_joined = is_index
        && (names_prices(first) || names_prices(second))
        && !rest.is_empty()
        && rest.iter().all(|cell| cell.trim().is_empty())
        && first.len() == second.len();
    is_joined.then(|| {
        let pairs = first.iter().zip(second).skip(1);
        std::iter::once(index_name)
            .chain(pairs.map(|(first, second)| format!("('{first}', '{second}')")))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(header: &str) -> Result<Located, BarFileError> {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        let options = ReadOptions {
            ticker: Ticker::parse("AAPL").ok(),
            ..ReadOptions::default()
        };
        locate(Path::new("bars.csv"), &header, &options)
    }

    #[test]
    fn layouts_are_told_by_their_headers() {
        for (header, layout) in [
            ("ticker,ts,open,high,low,close,volume", Layout::Tandem),
            (
                "Symbol,Timestamp,Open,High,Low,Close,Volume",
                Layout::Tandem,
            ),
            (
                "Datetime,Open,High,Low,Close,Adj Close,Volume",
                Layout::Yfinance,
            ),
            (
                "Datetime,Open,High,Low,Close,Volume,Dividends,Stock Splits",
                Layout::Yfinance,
            ),
            (
                "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
                Layout::Stooq,
            ),
            // Everybody's names.
            ("timestamp,open,high,low,close,volume", Layout::Tandem),
            ("time,open,high,low,close,volume", Layout::Tandem),
            ("date,open,high,low,close,volume,change", Layout::Tandem),
            (
                "ticker,volume,open,close,high,low,window_start,transactions",
                Layout::Polygon,
            ),
            (
                "symbol,timestamp,open,high,low,close,volume,trade_count,vwap",
                Layout::Alpaca,
            ),
            (
                ",date,open,high,low,close,volume,average,barCount",
                Layout::Ibkr,
            ),
            (
                "symbol,date,close,low,volume,high,open,adjclose",
                Layout::Qlib,
            ),
        ] {
            assert_eq!(located(header).unwrap().layout, layout, "{header}");
        }
        let stooq =
            located("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>");
        let stooq = stooq.unwrap();
        assert_eq!((stooq.time, stooq.time_of_day), (2, Some(3)));
        assert_eq!(stooq.zone, Some(Tz::America__New_York));
    }

    #[test]
    fn a_column_twice_and_a_missing_one_are_refused() {
        let error = located("ticker,ts,open,high,low,close,Close,volume").unwrap_err();
        assert!(matches!(error, BarFileError::ColumnTwice { .. }), "{error}");
        // One that nobody needs may stand there as often as it likes.
        assert!(located("note,note,ticker,ts,open,high,low,close,volume").is_ok());
        let error = located("ticker,open,high,low,close").unwrap_err();
        assert!(
            matches!(&error, BarFileError::MissingColumns { missing, .. } if *missing == ["ts", "volume"]),
            "{error}"
        );
    }

    #[test]
    fn stocks_may_stand_side_by_side_in_either_order() {
        let level = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
        let prices = level("Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume");
        let tickers = level("Ticker,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT");
        let index = level("Datetime,,,,,,,,,,");
        for levels in [
            [&*prices, &*tickers, &*index],
            [&*tickers, &*prices, &*index],
        ] {
            let header = join_levels(levels).unwrap();
            let located = locate(Path::new("x"), &header, &ReadOptions::default()).unwrap();
            let stocks: Vec<_> = located.stocks.iter().map(|stock| stock.numbers).collect();
            assert_eq!(stocks, [[7, 3, 5, 1, 9], [8, 4, 6, 2, 10]]);
            assert_eq!(located.time, 0);
        }
        let data = level("2018-02-20,1,2,3");
        assert_eq!(join_levels([&data, &data, &data]), None);
        let header = level("ts,open,high,low,close,volume");
        let row = level("2018-02-20T14:30:00Z,1,2,1,2,100");
        assert_eq!(join_levels([&header, &row, &level(",,,,,")]), None);
        let named = level("Datetime,,,,,");
        assert_eq!(join_levels([&row, &row, &named]), None);
    }
}
