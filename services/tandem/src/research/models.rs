use std::path::Path;

use anyhow::{Context, bail};
use domain::{Bar, ModelKind, Probabilities};
use features::{FEATURE_COUNT, StreamError, TickerContext, WINDOW};
use inference::{Champions, LiveTicker, Model};
use model_registry::ChampionsFile;

/// Windows given to a network at once.
const BATCH: usize = 32;

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
        let lstm = scope.spawn(|| ask(&champions.lstm, bars, context, &wanted));
        let transformer = ask(&champions.transformer, bars, context, &wanted);
        (lstm.join(), transformer)
    });
    let lstm = lstm.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let both = lstm.into_iter().zip(transformer?);
    Ok(both
        .map(|((index, lstm), (_, transformer))| Answer {
            index,
            lstm,
            transformer,
        })
        .collect())
}

fn ask(
    model: &Model,
    bars: &[Bar],
    context: TickerContext<'_>,
    wanted: impl Fn(&Bar) -> bool,
) -> anyhow::Result<Vec<(usize, Probabilities)>> {
    let mut live = LiveTicker::new();
    live.push_context(context);
    let mut windows = Vec::with_capacity(BATCH * WINDOW * FEATURE_COUNT);
    let mut waiting = Vec::with_capacity(BATCH);
    let mut answers = Vec::new();
    for (index, bar) in bars.iter().enumerate() {
        match live.push(bar) {
            Ok(true) if wanted(bar) => {
                let filled = windows.len();
                windows.resize(filled + WINDOW * FEATURE_COUNT, 0.0);
                live.write_window(model.scaler(), &mut windows[filled..]);
                waiting.push(index);
            }
            Ok(_) | Err(StreamError::OutsideSession { .. }) => (),
            Err(error) => return Err(error.into()),
        }
        if waiting.len() == BATCH {
            answers.extend(waiting.drain(..).zip(model.predict(&windows, BATCH)?));
            windows.clear();
        }
    }
    let rest = model.predict(&windows, waiting.len())?;
    answers.extend(waiting.into_iter().zip(rest));
    Ok(answers)
}
