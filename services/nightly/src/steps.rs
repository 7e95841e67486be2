//! What a night consists of.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::ValueEnum;

/// A step of the night.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Step {
    /// Splits, spin-offs and dividends.
    CorporateActions,
    /// Bars that are missing.
    Gaps,
    /// Economic series.
    Economy,
    /// Both challengers.
    Train,
    /// Champions against challengers.
    Validate,
    /// The models to an MLflow server.
    Mlflow,
    /// Models and folders that nobody needs any more.
    Cleanup,
    /// What the night came to.
    Report,
}

/// How a step is done.
pub(crate) enum Work {
    /// By a program, with these arguments.
    Program(&'static str, Vec<String>),
    /// By a program that a system may do without.
    OptionalProgram(&'static str, Vec<String>),
    /// By [`crate::export`].
    Mlflow,
    /// By [`crate::cleanup`].
    Cleanup,
    /// By [`crate::report`].
    Report,
}

impl Step {
    /// All steps in their order.
    pub(crate) const ALL: [Self; 8] = [
        Self::CorporateActions,
        Self::Gaps,
        Self::Economy,
        Self::Train,
        Self::Validate,
        Self::Mlflow,
        Self::Cleanup,
        Self::Report,
    ];

    /// The name in tables, logs and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CorporateActions => "corporate-actions",
            Self::Gaps => "gaps",
            Self::Economy => "economy",
            Self::Train => "train",
            Self::Validate => "validate",
            Self::Mlflow => "mlflow",
            Self::Cleanup => "cleanup",
            Self::Report => "report",
        }
    }

    /// The steps without which this one makes no sense: wrong or missing prices teach nothing.
    pub(crate) const fn needs(self) -> &'static [Self] {
        match self {
            Self::Train => &[Self::CorporateActions, Self::Gaps],
            Self::Validate => &[Self::Train],
            _ => &[],
        }
    }

    /// How it is done on a night whose networks may learn up to `training_end` (UTC); `quick` in a training of demo size.
    pub(crate) fn work(self, training_end: DateTime<Utc>, quick: bool) -> Work {
        let words = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        match self {
            Self::CorporateActions => Work::Program("corporate-actions", words(&["--once"])),
            Self::Gaps => Work::Program("price-ingestor", words(&["--once", "--review"])),
            Self::Economy => Work::OptionalProgram("macro-ingestor", words(&["--once"])),
            Self::Train => {
                let until = training_end.to_rfc3339_opts(SecondsFormat::Secs, true);
                let mut arguments = words(&["--until", &until]);
                arguments.extend(quick.then(|| "--quick".to_owned()));
                Work::Program("trainer", arguments)
            }
            Self::Validate => Work::Program("validator", Vec::new()),
            Self::Mlflow => Work::Mlflow,
            Self::Cleanup => Work::Cleanup,
            Self::Report => Work::Report,
        }
    }
}
