//! The command line: what each command takes, in the words of its `--help`.

use std::{ffi::OsString, path::PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::{ModelKind, Ticker};

/// Tandem: two models watch stocks and speak only when they agree.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(UpArguments),
    Calendar(CalendarArguments),
    Features(FeaturesArguments),
    Label(LabelArguments),
    Train(TrainArguments),
    Predict(PredictArguments),
    Evaluate(EvaluateArguments),
    Backfill(BackfillArguments),
    Export(ExportArguments),
    /// Check settings, database, vendors, keys, clock, disk and models: a line each, with the remedy
    ///
    /// Ends with an error when something keeps Tandem from working; what is merely missing is only said.
    Doctor(DoctorArguments),
    Nightly(NightlyArguments),
    #[command(subcommand)]
    Models(ModelsCommand),
}

/// Run the whole system on this machine until Ctrl-C: market, prices, models, dashboard
///
/// Without a choice of market: the live one when Yahoo answers, else the simulated one. The page says which.
///
/// Needs a PostgreSQL server in DATABASE_URL (./scripts/run brings one) and keeps everything else in --state-dir, apart
/// for each market. A second start goes on where the first one ended; --again begins anew.
#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    /// Show the live market, and fail when Yahoo does not answer
    #[arg(long, conflicts_with_all = ["demo", "replay"])]
    pub(crate) live: bool,
    /// Show a simulated market: believable, and no real prices
    #[arg(long, conflicts_with = "replay")]
    pub(crate) demo: bool,
    /// Replay recorded one-minute bars (CSV, CSV.gz or Parquet: ticker, ts, open, high, low, close, volume)
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// News of the replayed days (CSV: ticker, published_at, first_seen, title, publisher, url); repeat it for more
    #[arg(long, value_name = "FILE", requires = "replay")]
    pub(crate) news: Vec<PathBuf>,
    /// Economic series of the replayed days (CSV: series, date, value); repeat it for more
    #[arg(long, value_name = "FILE", requires = "replay")]
    pub(crate) economy: Vec<PathBuf>,
    /// Splits and dividends of the replayed stocks (CSV: ticker, date and ratio or amount); repeat it for more
    #[arg(long, value_name = "FILE", requires = "replay")]
    pub(crate) actions: Vec<PathBuf>,
    /// First day of the replay (New York date); the bars of the 30 days before it train the models
    #[arg(long, value_name = "DATE", requires = "replay")]
    pub(crate) from: Option<NaiveDate>,
    /// Market seconds per second [default: 1 for a replay, 20 for the demo]
    #[arg(long, value_name = "N", value_parser = speed, conflicts_with = "live")]
    pub(crate) speed: Option<f64>,
    /// Seed of the simulated market: the same seed gives the same market
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Train thoroughly at the first start (much longer) instead of demo-sized
    #[arg(long)]
    pub(crate) full_training: bool,
    /// Forget what is stored of the replay or the simulated market, and begin anew
    #[arg(long, conflicts_with = "live")]
    pub(crate) again: bool,
    /// Port of the dashboard on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Folder for models, logs and clocks
    #[arg(long, value_name = "DIR", default_value = ".local")]
    pub(crate) state_dir: PathBuf,
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
    /// One-minute bars (CSV, CSV.gz or Parquet: ticker, ts, open, high, low, close, volume; ts is the bar's start, UTC)
    #[arg(long, value_name = "FILE")]
    pub(crate) bars: PathBuf,
}

/// What was known beside the bars.
#[derive(Debug, Args)]
pub(crate) struct ContextFiles {
    /// Stories (CSV or CSV.gz: ticker, first_seen, title; other columns are left aside): each counts from first_seen on,
    /// and the sentiment model that `tandem models fetch` brought says how it sounds, else a lexicon
    #[arg(long, value_name = "FILE")]
    pub(crate) news: Option<PathBuf>,
    /// Economic series (CSV or CSV.gz: series, date, value and, where known, available_at); without available_at a
    /// figure counts from when its kind has been published at the latest
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
    /// Give up after so many bars: the vertical barrier
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
    /// Use only bars that were closed by then (RFC 3339, such as 2018-03-23T00:00:00Z)
    #[arg(long, value_name = "TS")]
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
    /// One-minute bars (CSV, CSV.gz or Parquet)
    #[arg(long, value_name = "FILE", required_unless_present = "inputs")]
    pub(crate) bars: Option<PathBuf>,
    /// Ready windows instead: .npy of f32 [n, 60, features], scaled; the columns are then row, model, down, neutral, up
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

/// What `tandem doctor` may do.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Make hypertables of tables that TimescaleDB has not taken over yet; locks them meanwhile, so stop the services
    #[arg(long)]
    pub(crate) fix: bool,
}

/// Bring the one-minute bars of past sessions into the database (DATABASE_URL)
///
/// From Yahoo, which keeps one-minute bars for 30 days, or from a file, of any time. Bars that are stored already stay unless the new ones were fetched later; run it again after
/// an interruption and it goes on.
#[derive(Debug, Args)]
pub(crate) struct BackfillArguments {
    /// First day (New York date)
    #[arg(long, value_name = "DATE")]
    pub(crate) from: NaiveDate,
    /// Last day (New York date), included
    #[arg(long, value_name = "DATE")]
    pub(crate) to: NaiveDate,
    /// Take the bars of this file (CSV, CSV.gz or Parquet: ticker, ts, open, high, low, close, volume) instead of the
    /// vendor's
    #[arg(long, value_name = "FILE")]
    pub(crate) source: Option<PathBuf>,
    /// The file's prices carry all splits up to this day, such as the day of a download from Yahoo; without it they are
    /// as they were traded
    #[arg(long, value_name = "DATE", requires = "source")]
    pub(crate) adjusted_until: Option<NaiveDate>,
    /// Only this stock; repeat it for more [default: all of the file, or all that are watched]
    #[arg(long, value_name = "SYMBOL")]
    pub(crate) ticker: Vec<Ticker>,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Comma-separated, RFC 3339 times in UTC
    Csv,
    /// Parquet, timestamps in UTC
    Parquet,
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

/// Which running system a command works on.
#[derive(Debug, Args)]
pub(crate) struct SystemArguments {
    /// Folder of a system that `tandem up` runs or ran, such as .local: its models, database and clock are used, else
    /// those of the environment (TANDEM_MODELS_DIR, TANDEM_MODEL_CONFIG, DATABASE_URL, TANDEM_CLOCK)
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Which of its markets, as its folder is named, such as live or demo_1 [default: the one that runs]
    #[arg(long, value_name = "NAME", requires = "state_dir")]
    pub(crate) market: Option<String>,
}

/// Run the night's steps now: new data, training, validation, report
///
/// Becomes the program `nightly`, which cron calls in Compose. With --state-dir
/// it works on the system that ./scripts/run or `tandem up` runs there; without,
/// on DATABASE_URL and the TANDEM_ variables as they are set. Keys of real vendors
/// (FRED_API_KEY, …) come from the environment.
///
/// What stands after --state-dir and --market goes to nightly:
///
///   --night DATE   the night after that session (New York date)
///                  [default: the last session that has closed]
///   --step STEP    only this step, also if it is done: corporate-actions, gaps,
///                  economy, train, validate, mlflow, cleanup, report
///   --retry        try again what failed for good
///   --again        a new run, though the night's is complete
///   --list         show the newest runs with their steps
///
/// Exit codes: 0 all is done; 1 a step failed; 75 not done, call again.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct NightlyArguments {
    #[command(flatten)]
    pub(crate) system: SystemArguments,
    /// Options of nightly, as above
    #[arg(
        value_name = "NIGHTLY",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) options: Vec<OsString>,
}

/// Look at models, change champions, bring pre-trained models here
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    List(ListArguments),
    Show(ShowArguments),
    At(AtArguments),
    Promote(PromoteArguments),
    Rollback(RollbackArguments),
    Export(ModelExportArguments),
    Fetch(FetchArguments),
}

/// List all models: role, what they have seen, how they did when they were trained
///
/// The log loss is that of the early-stopping part of the training data, beside the prior's: the class frequencies as the
/// only prediction. It had a say in the training and is no test; validation reports are.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only this kind: lstm or transformer
    #[arg(long)]
    pub(crate) kind: Option<ModelKind>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
}

/// Show a model's card, checked against its files, and what happened to it
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// Model, or how its id begins
    pub(crate) id: String,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
}

/// Say who was champion at a moment, from when to when and why
///
/// From the champions' file, which keeps every change. With a database, also since when the api had the model in use.
#[derive(Debug, Args)]
pub(crate) struct AtArguments {
    /// Market time (RFC 3339, such as 2018-03-26T14:31:00Z)
    pub(crate) time: DateTime<Utc>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
}

/// Make a model the champion of its kind, by hand
///
/// Running services take it within seconds. Refuses what they could not use.
#[derive(Debug, Args)]
pub(crate) struct PromoteArguments {
    /// Model, or how its id begins
    pub(crate) id: String,
    /// Why, for whoever reads the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
}

/// Put an earlier champion back
///
/// Without --to the newest one that can be used, that foresees the same as the champion, and that was not rolled back
/// itself.
#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// lstm or transformer
    pub(crate) kind: ModelKind,
    /// This earlier champion, or how its id begins
    #[arg(long, value_name = "ID")]
    pub(crate) to: Option<String>,
    /// Why, for whoever reads the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
}

/// Export models to an MLflow server (MLFLOW_TRACKING_URI)
///
/// A run for each model in the experiment `tandem`, with hyper-parameters, figures, artifacts and the validations' figures
/// where a database is there; the registered models' alias `champion` follows the champions' file. What is there already
/// is not sent again.
#[derive(Debug, Args)]
pub(crate) struct ModelExportArguments {
    /// Model, or how its id begins [default: all models]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
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

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err("expected a number above 0, such as 60".into()),
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

    #[test]
    fn the_nights_options_are_passed_on() {
        let options = |line: &str| match Cli::try_parse_from(line.split_whitespace()) {
            Ok(Cli {
                command: Command::Nightly(arguments),
            }) => Some((arguments.system.state_dir, arguments.options)),
            _ => None,
        };
        assert_eq!(
            options("tandem nightly --state-dir .local --night 2018-03-26 --retry"),
            Some((
                Some(".local".into()),
                vec!["--night".into(), "2018-03-26".into(), "--retry".into()]
            ))
        );
        assert_eq!(
            options("tandem nightly --list"),
            Some((None, vec!["--list".into()]))
        );
    }

    #[test]
    fn one_market_at_a_time() {
        assert!(Cli::try_parse_from(["tandem", "up", "--live", "--demo"]).is_err());
        assert!(Cli::try_parse_from(["tandem", "up", "--from", "2018-03-26"]).is_err());
        assert!(Cli::try_parse_from(["tandem", "up", "--demo", "--speed", "0"]).is_err());
    }
}
