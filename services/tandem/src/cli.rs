//! The command line: what each command takes, in the words of its `--help`.

use std::{ffi::OsString, path::PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand};
use domain::ModelKind;
use service_kit::SystemArguments;

/// Tandem: two models watch stocks and speak only when they agree.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The variables that the commands read beside those of all programs.
const ENVIRONMENT: [&str; 18] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_MODELS_DIR",
    "TANDEM_MODEL_CONFIG",
    "TANDEM_NIGHTS_DIR",
    "TANDEM_FRONTEND_DIR",
    "TANDEM_SENTIMENT_DIR",
    "TANDEM_VENDOR_ADDRESS",
    "TANDEM_VENDOR_CA",
    "ALPHA_VANTAGE_API_KEY",
    "NEWSAPI_API_KEY",
    "FINNHUB_API_KEY",
    "FRED_API_KEY",
    "TANDEM_ALERT_WEBHOOK",
    "TANDEM_ALERT_SMTP_URL",
    "TANDEM_ALERT_TO",
    "MLFLOW_TRACKING_URI",
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(UpArguments),
    /// List the sessions of the New York Stock Exchange
    #[command(disable_help_flag = true)]
    Calendar(HandedOver),
    /// Compute the models' features, or the textbook indicators, of bars in a file
    #[command(disable_help_flag = true)]
    Features(HandedOver),
    /// Label bars by the triple-barrier method: which barrier the price touches first
    #[command(disable_help_flag = true)]
    Label(HandedOver),
    /// Train both models on bars in a file
    #[command(disable_help_flag = true)]
    Train(HandedOver),
    /// Let trained models predict every closed bar of a file
    #[command(disable_help_flag = true)]
    Predict(HandedOver),
    /// Compare trained models with simple baselines on bars that they have never seen
    #[command(disable_help_flag = true)]
    Evaluate(HandedOver),
    /// Write the bars of a file as Tandem reads them: cleaned, sorted, of regular sessions
    #[command(disable_help_flag = true)]
    Bars(HandedOver),
    /// Bring the one-minute bars of past sessions into the database
    #[command(disable_help_flag = true)]
    Backfill(HandedOver),
    /// Write what is stored as a table
    #[command(disable_help_flag = true)]
    Export(HandedOver),
    /// Check settings, database, vendors, keys, clock, disk and models: a line each, with the remedy
    ///
    /// Ends with an error when something keeps Tandem from working; what is merely missing is only said.
    Doctor(DoctorArguments),
    Nightly(NightlyArguments),
    #[command(subcommand)]
    Models(ModelsCommand),
}

/// What `tandem-research` is given as it stands: it alone knows the options of these commands.
#[derive(Debug, Args)]
pub(crate) struct HandedOver {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

/// Run the whole system on this machine until Ctrl-C: market, prices, models, dashboard
///
/// Without a choice of market: the live one when Yahoo answers, else the simulated one. The page says which.
///
/// Needs a PostgreSQL server in DATABASE_URL (./scripts/run brings one) and keeps everything else in --state-dir, apart
/// for each market. A second start goes on where the first one ended; --again begins anew. The live market has nights
/// (new data, training, validation) at 20:30 in New York after each session; the others skip theirs.
#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    /// Show the live market, and fail when Yahoo does not answer
    #[arg(long, conflicts_with_all = ["demo", "replay"])]
    pub(crate) live: bool,
    /// Show a simulated market: believable, and no real prices
    #[arg(long, conflicts_with = "replay")]
    pub(crate) demo: bool,
    /// Replay recorded one-minute bars (CSV, text or Parquet, in one of the layouts that README.md names)
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

/// What `tandem doctor` may do.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Make hypertables of tables that TimescaleDB has not taken over yet; locks them meanwhile, so stop the services
    #[arg(long)]
    pub(crate) fix: bool,
    #[command(flatten)]
    pub(crate) system: SystemArguments,
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
    /// Fetch a sentiment model into the folder of models and check its sums
    #[command(disable_help_flag = true)]
    Fetch(HandedOver),
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
    /// Market time: 2018-03-26T14:31:00Z, 2018-03-26 14:31 (UTC), or 2018-03-26 for the end of that day (UTC)
    #[arg(value_parser = service_kit::parse_moment)]
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
    fn a_moment_that_cannot_be_read_is_told_what_is_expected() {
        let parse = |time| Cli::try_parse_from(["tandem", "models", "at", time]);
        for time in ["2018-03-26", "2018-03-26 14:31", "2018-03-26T14:31:00Z"] {
            assert!(parse(time).is_ok(), "{time}");
        }
        let error = parse("yesterday").unwrap_err().to_string();
        assert!(
            error.contains("'yesterday'") && error.contains("expected 2018-03-26T14:31:00Z"),
            "{error}"
        );
    }

    #[test]
    fn one_market_at_a_time() {
        assert!(Cli::try_parse_from(["tandem", "up", "--live", "--demo"]).is_err());
        assert!(Cli::try_parse_from(["tandem", "up", "--from", "2018-03-26"]).is_err());
        assert!(Cli::try_parse_from(["tandem", "up", "--demo", "--speed", "0"]).is_err());
    }
}
