use domain::{Bar, Probabilities};
use features::{FEATURE_COUNT, StreamError, TickerContext, WINDOW};
use inference::{LiveTicker, Model};

use crate::ValidationError;

/// Windows given to a network at once.
const BATCH: usize = 32;

/// What a model says of one bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Position of the bar in the bars given.
    pub index: usize,
    /// What it says.
    pub probabilities: Probabilities,
}

/// Asks a model about every bar of one stock (ascending) that has a full window and is wanted, in order.
///
/// # Errors
/// [`ValidationError::Bars`] for bars out of order, [`ValidationError::Model`] when the network fails.
pub fn answers(
    model: &Model,
    bars: &[Bar],
    context: TickerContext<'_>,
    wanted: impl Fn(&Bar) -> bool,
) -> Result<Vec<Answer>, ValidationError> {
    let ask = |windows: &[f32], waiting: &mut Vec<usize>| {
        let said =
            model
                .predict(windows, waiting.len())
                .map_err(|source| ValidationError::Model {
                    model_id: model.id().clone(),
                    source,
                })?;
        let pairs = waiting.drain(..).zip(said);
        let answers = pairs.map(|(index, probabilities)| Answer {
            index,
            probabilities,
        });
        Ok(answers.collect::<Vec<Answer>>())
    };
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
            Err(source) => {
                let until = bar.start;
                return Err(ValidationError::Bars { until, source });
            }
        }
        if waiting.len() == BATCH {
            answers.extend(ask(&windows, &mut waiting)?);
            windows.clear();
        }
    }
    answers.extend(ask(&windows, &mut waiting)?);
    Ok(answers)
}
