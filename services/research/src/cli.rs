//! The command line of the research commands: what each takes, in the words of its `--help`.

use std::path::PathBuf;

use bar_files::{ColumnMap, DateOrder, Layout, ReadOptions, Stamps, Tz};
use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::Ticker;
use service_kit::SystemArguments;

/// Tandem's research commands: tables from files of bars and from the database, models from bars.
///
/// A person types `tandem`, which hands these commands over.
#[derive(Debug, Parser)]
#[command(name = "tandem", bin_name = "tandem", version, about, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The variables that the commands read beside those of all programs.
const ENVIRONMENT: [&str; 6] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_SENTIMENT_DIR",
    "TANDEM_VENDOR_ADDRESS",
    "TANDEM_VENDOR_CA",
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Calendar(CalendarArguments),
    Features(FeaturesArguments),
    Label(LabelArguments),
    Train(TrainArguments),
    Predict(PredictArguments),
    Evaluate(EvaluateArguments),
    Bars(BarsArguments),
    Backfill(BackfillArguments),
    Export(ExportArguments),
    /// Bring pre-trained models here
    #[command(subcommand)]
    Models(ModelsCommand),
}

/// Write the bars of a file as Tandem reads them: cleaned, sorted, of regular sessions
///
/// One row a ticker and minute, without bad ticks. Columns: ticker, ts, open, high, low, close, volume.
#[derive(Debug, Args)]
pub(crate) struct BarsArguments {
    #[command(flatten)]
    pub(crate) bars: Bars,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    Fetch(FetchArguments),
}

/// List the sessions of the New York Stock Exchange
///
/// Columns: session, open_utc, close_utc, early_close.
#[derive(Debug, Args)]
pub(crate) struct CalendarArguments {
    /// First session's date (New York)
    #[arg(long, value_name = "DATE")]
    pub(crate) from: NaiveDate,
    /// Last session's date (New York), included
    #[arg(long, value_name = "DATE")]
    pub(crate) to: NaiveDate,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Where a table goes.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// File to write: .csv, .csv.gz or .parquet; - is standard output as CSV
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) out: PathBuf,
}

/// Where bars come from.
#[derive(Debug, Args)]
pub(crate) struct Bars {
    /// One-minute bars (CSV, CSV.gz, text or Parquet: ticker, ts, open, high, low, close, volume; ts is the bar's start
    /// with its zone, or seconds since 1970). Other columns are not read; bars outside regular sessions are left out
    #[arg(long, value_name = "FILE")]
    pub(crate) bars: PathBuf,
    #[command(flatten)]
    pub(crate) stock: Stock,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

impl Bars {
    /// How the file is to be read.
    pub(crate) fn options(&self) -> ReadOptions {
        self.reading.options(self.stock.ticker.clone())
    }
}

/// Whose bars a file holds.
#[derive(Debug, Args)]
pub(crate) struct Stock {
    /// Whose bars they are, where no column says so; else only this stock's are read
    #[arg(long, value_name = "SYMBOL")]
    pub(crate) ticker: Option<Ticker>,
}

/// How a file of bars is to be read, where it does not say so itself.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// Whose layout the file has: tandem, yfinance, stooq, alphavantage, polygon, alpaca, ibkr or qlib [default: told by
    /// its columns]
    #[arg(long, value_name = "NAME")]
    pub(crate) layout: Option<Layout>,
    /// The file's own names of columns, such as ts=Date+Time,open=First,close=Last; #3 is the third column, also of a file
    /// without a header
    #[arg(long, value_name = "MAP")]
    pub(crate) columns: Option<ColumnMap>,
    /// Zone of times that state none, such as America/New_York
    #[arg(long, value_name = "ZONE", value_parser = bar_files::parse_zone)]
    pub(crate) zone: Option<Tz>,
    /// Which comes first in dates such as 2/3/2018 [default: told by the dates above the twelfth]
    #[arg(long, value_name = "day|month")]
    pub(crate) dates: Option<DateOrder>,
    /// Whether a time is its bar's start or its end [default: start]
    #[arg(long, value_name = "start|end")]
    pub(crate) stamps: Option<Stamps>,
}

impl Reading {
    /// With the stock whose bars they are, if it is known.
    pub(crate) fn options(&self, ticker: Option<Ticker>) -> ReadOptions {
        ReadOptions {
            layout: self.layout,
            columns: self.columns.clone().unwrap_or_default(),
            zone: self.zone,
            dates: self.dates,
            ticker,
            stamps: self.stamps.unwrap_or_default(),
        }
    }
}

/// What was known beside the bars.
#[derive(Debug, Args)]
pub(crate) struct ContextFiles {
    /// Stories (CSV or CSV.gz: ticker, first_seen, title and, where known, published_at, publisher and url): each counts
    /// once, from first_seen on, and the sentiment model that `tandem models fetch` brought says how it sounds, else a
    /// lexicon. Rows without first_seen and its zone are named and left out
    #[arg(long, value_name = "FILE")]
    pub(crate) news: Option<PathBuf>,
    /// Economic series (CSV or CSV.gz): rows of series, date, value and, where known, available_at or realtime_start; or a
    /// column for each series (FRED's graph download), or for each vintage (ALFRED's); a figure without a release counts
    /// from when its kind has been published at the latest
    #[arg(long, value_name = "FILE")]
    pub(crate) economy: Option<PathBuf>,
}

/// Compute the models' features, or the textbook indicators, of bars in a file
///
/// Columns: ticker, ts and the features, unscaled; rows begin when a stock's history suffices.
#[derive(Debug, Args)]
pub(crate) struct FeaturesArguments {
    #[command(flatten)]
    pub(crate) bars: Bars,
    #[command(flatten)]
    pub(crate) context: ContextFiles,
    /// Write the textbook indicators (rsi_14, macd, …) instead of the models' features
    #[arg(long)]
    pub(crate) indicators: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Label bars by the triple-barrier method: which barrier the price touches first
///
/// Columns: ticker, ts, target, first_touch, ret, bin (-1 lower barrier first, 1 upper, 0 neither in time).
///
/// Settings not given come from section [labels] of the settings file.
#[derive(Debug, Args)]
pub(crate) struct LabelArguments {
    #[command(flatten)]
    pub(crate) bars: Bars,
    /// What touches a barrier: closes only (the textbook's events), or highs and lows with the adverse barrier first
    #[arg(long, value_enum)]
    pub(crate) path: Option<Path>,
    /// Give up after so many minutes of trading: the vertical barrier
    #[arg(long, value_name = "N")]
    pub(crate) horizon: Option<usize>,
    /// Span in bars of the exponentially weighted volatility (the target) that scales the barriers
    #[arg(long, value_name = "N")]
    pub(crate) target_span: Option<usize>,
    /// Upper barrier in targets; 0 is none
    #[arg(long, value_name = "N")]
    pub(crate) profit: Option<f64>,
    /// Lower barrier in targets; 0 is none
    #[arg(long, value_name = "N")]
    pub(crate) stop: Option<f64>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Path {
    /// Closes; the vertical barrier may cross the session's end and barriers have no minimum, as in the textbook
    Close,
    /// Highs and lows; the vertical barrier stays within the session
    HighLow,
}

/// Train both models on bars in a file
///
/// Writes DIR/lstm/ID, DIR/transformer/ID and DIR/model_config.json, which names the two.
#[derive(Debug, Args)]
pub(crate) struct TrainArguments {
    #[command(flatten)]
    pub(crate) bars: Bars,
    #[command(flatten)]
    pub(crate) context: ContextFiles,
    /// Folder for the models
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Use only bars that were closed by then: 2018-03-26T14:31:00Z, 2018-03-26 14:31 (UTC), or 2018-03-26 for the end
    /// of that day (UTC)
    #[arg(long, value_name = "TIME", value_parser = service_kit::parse_moment)]
    pub(crate) until: Option<DateTime<Utc>>,
    /// Same seed and same bars give the same models
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// A demo-sized run of about a minute
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Let trained models predict every closed bar of a file
///
/// Columns: ticker, ts, model, down, neutral, up. A row for each closed bar that completes a window.
#[derive(Debug, Args)]
pub(crate) struct PredictArguments {
    /// Folder that `tandem train` wrote
    #[arg(long, value_name = "DIR")]
    pub(crate) models: PathBuf,
    /// One-minute bars (CSV, CSV.gz, text or Parquet: ticker, ts, open, high, low, close, volume)
    #[arg(long, value_name = "FILE", required_unless_present = "inputs")]
    pub(crate) bars: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) stock: Stock,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Ready windows instead: .npy of f32 [n, 60, features], scaled; the columns are then row, model, down, neutral, up.
    /// Windows that hold no numbers are named and left out
    #[arg(long, value_name = "FILE", conflicts_with = "bars")]
    pub(crate) inputs: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) context: ContextFiles,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Compare trained models with simple baselines on bars that they have never seen
///
/// Prints the figures and, with --json, writes them. Refuses bars that the models were trained on.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArguments {
    /// Folder that `tandem train` wrote
    #[arg(long, value_name = "DIR")]
    pub(crate) models: PathBuf,
    #[command(flatten)]
    pub(crate) bars: Bars,
    #[command(flatten)]
    pub(crate) context: ContextFiles,
    /// First day to judge (New York date) [default: the first session after the models' data]
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<NaiveDate>,
    /// File for the figures
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Bring the one-minute bars of past sessions into the database
///
/// From Yahoo, which keeps one-minute bars for 30 days, or from a file, of any time. Bars that are stored already stay
/// unless the new ones were fetched later; run it again after an interruption and it goes on.
#[derive(Debug, Args)]
pub(crate) struct BackfillArguments {
    /// First day (New York date)
    #[arg(long, value_name = "DATE")]
    pub(crate) from: NaiveDate,
    /// Last day (New York date), included
    #[arg(long, value_name = "DATE")]
    pub(crate) to: NaiveDate,
    /// Take the bars of this file (CSV, CSV.gz, text or Parquet: ticker, ts, open, high, low, close, volume) instead of
    /// the vendor's
    #[arg(long, value_name = "FILE")]
    pub(crate) source: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The file's prices carry all splits up to this day, such as the day of a download from Yahoo; without it they are
    /// as they were traded
    #[arg(long, value_name = "DATE", requires = "source")]
    pub(crate) adjusted_until: Option<NaiveDate>,
    /// Only this stock; repeat it for more [default: all of the file, or all that are watched]. Of a file without a column
    /// of tickers the stock that it is of
    #[arg(long, value_name = "SYMBOL")]
    pub(crate) ticker: Vec<Ticker>,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
}

/// Write what is stored as a table
///
/// bars: ticker, ts, open, high, low, close, volume, on today's share basis. predictions: ticker, ts, as_of, action, the
/// models' ids and six probabilities. news: ticker, published_at, first_seen, title, publisher, url and the sentiment
/// with its model. economy: series, date, value, available_at, every vintage.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// What to write
    #[arg(long, value_enum, default_value = "bars")]
    pub(crate) what: ExportWhat,
    /// Format of the file that is written here when --out does not name one
    #[arg(long, value_enum)]
    pub(crate) format: Option<ExportFormat>,
    /// File to write: .csv, .csv.gz or .parquet; - is standard output as CSV [default: -]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Only this stock; repeat it for more [default: all that are watched]
    #[arg(long, value_name = "SYMBOL")]
    pub(crate) ticker: Vec<Ticker>,
    /// First day (New York date) [default: the first stored]
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<NaiveDate>,
    /// Last day (New York date), included [default: the last stored]
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<NaiveDate>,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportWhat {
    /// One-minute bars
    Bars,
    /// What the models said, and what was recommended
    Predictions,
    /// Stories with their sentiment
    News,
    /// Economic observations
    Economy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Comma-separated, RFC 3339 times in UTC
    Csv,
    /// Parquet, timestamps in UTC
    Parquet,
}

/// Fetch a sentiment model into the folder of models and check its sums
///
/// News is scored by a lexicon until one is there; services use it from their next start on.
#[derive(Debug, Args)]
pub(crate) struct FetchArguments {
    /// Which model
    #[arg(default_value = "finbert")]
    pub(crate) name: String,
    /// Take the files from this folder instead of the network: model.onnx, tokenizer.json, config.json
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
}

impl ExportWhat {
    /// As it is typed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Predictions => "predictions",
            Self::News => "news",
            Self::Economy => "economy",
        }
    }
}

impl ExportFormat {
    /// The ending of such a file's name.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_the_columns() {
        let mut cli = Cli::command();
        for (command, column) in [
            ("label", "first_touch"),
            ("features", "ts"),
            ("predict", "neutral"),
            ("calendar", "early_close"),
        ] {
            let help = cli
                .find_subcommand_mut(command)
                .unwrap()
                .render_long_help()
                .to_string();
            assert!(help.contains(column), "{command}: {help}");
        }
    }
}
