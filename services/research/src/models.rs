use std::path::Path;

use anyhow::{Context, bail};
use domain::{Bar, ModelKind, Probabilities};
use features::TickerContext;
use inference::{Champions, Model};
use model_registry::ChampionsFile;

/// Name of the file in a folder of models that says which two are meant.
pub(super) const CHAMPIONS_FILE: &str = "model_config.json";

/// What both networks say of one bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Position of the bar in the bars given.
    pub(super) index: usize,
    pub(super) lstm: Probabilities,
    pub(super) transformer: Probabilities,
}

impl Answer {
    pub(super) const fn of(&self, kind: ModelKind) -> Probabilities {
        match kind {
            ModelKind::Lstm => self.lstm,
            ModelKind::Transformer => self.transformer,
        }
    }
}

/// Loads the two models that `tandem train` left in a folder.
pub(super) fn load(folder: &Path) -> anyhow::Result<Champions> {
    let file = folder.join(CHAMPIONS_FILE);
    if !file.is_file() {
        bail!(
            "{} is missing: --models wants a folder that `tandem train --out` wrote",
            file.display()
        );
    }
    let champions = ChampionsFile::new(file).read()?;
    Champions::load(folder, &champions)
        .with_context(|| format!("the models in {} cannot be used", folder.display()))
}

/// Asks both networks, side by side, about every bar of one stock that has a full window and is wanted.
pub(super) fn answers(
    champions: &Champions,
    bars: &[Bar],
    context: TickerContext<'_>,
    wanted: impl Fn(&Bar) -> bool + Sync,
) -> anyhow::Result<Vec<Answer>> {
    let (lstm, transformer) = std::thread::scope(|scope| {
        let ask = |model: &Model| validation::answers(model, bars, context, &wanted);
        let lstm = scope.spawn(move || ask(&champions.lstm));
        let transformer = ask(&champions.transformer);
        (lstm.join(), transformer)
    });
    let lstm = lstm.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let both = lstm.into_iter().zip(transformer?);
    Ok(both
        .map(|(lstm, transformer)| Answer {
            index: lstm.index,
            lstm: lstm.probabilities,
            transformer: transformer.probabilities,
        })
        .collect())
}
