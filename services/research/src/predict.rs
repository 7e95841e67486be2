use std::path::Path;

use anyhow::{Context, bail};
use domain::{Class, ModelKind, Probabilities};
use features::{FEATURE_COUNT, FeatureSchema, WINDOW};
use inference::{Champions, InferenceError, Model};
use ndarray::{Array3, ArrayView2};
use tables::{Column, Values, write_table};

use super::{admission::nothing_came, features::needed_for_features, models};
use crate::cli::PredictArguments;

/// `tandem predict`: both models' probabilities.
pub(crate) fn run(arguments: &PredictArguments) -> anyhow::Result<()> {
    let champions = models::load(&arguments.models)?;
    let columns = match (&arguments.bars, &arguments.inputs) {
        (Some(bars), _) => predict_bars(&champions, bars, arguments)?,
        (None, Some(inputs)) => predict_windows(&champions, inputs)?,
        (None, None) => bail!("predict needs --bars or --inputs"),
    };
    Ok(write_table(&arguments.output.out, columns)?)
}

fn predict_bars(
    champions: &Champions,
    path: &Path,
    arguments: &PredictArguments,
) -> anyhow::Result<Vec<Column>> {
    let options = arguments.reading.options(arguments.stock.ticker.clone());
    let bars = super::read_bars(path, &options)?;
    let context = super::context::read(&arguments.context, &bars)?;
    let (mut tickers, mut starts, mut outputs) = (Vec::new(), Vec::new(), Outputs::default());
    for (ticker, bars) in &bars {
        for answer in models::answers(champions, bars, context.of(ticker), |_| true)? {
            for kind in ModelKind::ALL {
                tickers.push(ticker.to_string());
                starts.push(bars[answer.index].start);
                outputs.push(kind, answer.of(kind));
            }
        }
    }
    if starts.is_empty() {
        let needed = format!(
            "a prediction needs {WINDOW} bars with features, and {}",
            needed_for_features()
        );
        eprintln!("{}", nothing_came(&needed, &bars));
    }
    let keys = vec![
        Column::new("ticker", Values::Text(tickers)),
        Column::new("ts", Values::Time(starts)),
    ];
    Ok(outputs.columns(keys))
}

fn predict_windows(champions: &Champions, path: &Path) -> anyhow::Result<Vec<Column>> {
    if !path.is_file() {
        bail!("there is no file {}", path.display());
    }
    let windows: Array3<f32> = ndarray_npy::read_npy(path)
        .with_context(|| format!("{} is no .npy of f32 with three dimensions", path.display()))?;
    let (count, bars, features) = windows.dim();
    if (bars, features) != (WINDOW, FEATURE_COUNT) {
        bail!(
            "{} holds windows of shape [{bars}, {features}], and these models take [{WINDOW}, {FEATURE_COUNT}]",
            path.display()
        );
    }
    let leave_out = |row: usize, why: &str| {
        eprintln!("{}: window {row} is left out: {why}", path.display());
    };
    let (mut rows, mut usable) = (Vec::new(), Vec::new());
    for (row, window) in windows.outer_iter().enumerate() {
        match largest(window) {
            Some((value, place)) if !value.is_finite() => {
                leave_out(row, &format!("{place} is {value}, no number"));
            }
            _ => {
                rows.push(row);
                usable.extend(window.iter());
            }
        }
    }
    let [lstm, transformer] = ModelKind::ALL.map(|kind| ask(champions.of(kind), &usable));
    let (lstm, transformer) = (lstm?, transformer?);
    let (mut answered, mut outputs) = (Vec::new(), Outputs::default());
    for (row, answers) in rows.iter().zip(lstm.iter().zip(&transformer)) {
        match answers {
            (Some(lstm), Some(transformer)) => answered.push((*row, *lstm, *transformer)),
            _ => {
                let place = windows
                    .outer_iter()
                    .nth(*row)
                    .and_then(largest)
                    .map(|(value, place)| format!("; {place} is {value}"));
                let place = place.unwrap_or_default();
                leave_out(*row, &format!("a model has no answer to it{place}"));
            }
        }
    }
    if answered.len() < count {
        let left_out = count - answered.len();
        eprintln!("{}: {left_out} of {count} windows left out", path.display());
    }
    if count == 0 {
        eprintln!("no rows: {} holds no window", path.display());
    } else if answered.is_empty() {
        bail!("{} holds no window that can be used", path.display());
    }
    let mut numbers = Vec::new();
    for kind in ModelKind::ALL {
        for (row, lstm, transformer) in &answered {
            numbers.push(*row as i64);
            let probabilities = match kind {
                ModelKind::Lstm => lstm,
                ModelKind::Transformer => transformer,
            };
            outputs.push(kind, *probabilities);
        }
    }
    Ok(outputs.columns(vec![Column::new("row", Values::Integer(numbers))]))
}

/// What is farthest from zero in a window, NaN before all, and where it stands.
fn largest(window: ArrayView2<'_, f32>) -> Option<(f32, String)> {
    let farther = |one: f32, other: f32| one.abs().total_cmp(&other.abs());
    let ((bar, feature), value) = window
        .indexed_iter()
        .max_by(|(_, one), (_, other)| farther(**one, **other))?;
    let name = FeatureSchema::current().names.get(feature)?;
    Some((*value, format!("feature {name} of bar {bar}")))
}

/// A model's answers to windows; none to those that it cannot make probabilities of.
fn ask(model: &Model, windows: &[f32]) -> anyhow::Result<Vec<Option<Probabilities>>> {
    let one_by_one = || {
        let windows = windows.chunks_exact(WINDOW * FEATURE_COUNT);
        let answers = windows.map(|window| match model.predict(window, 1) {
            Ok(answers) => Ok(answers.into_iter().next()),
            Err(InferenceError::Answer { .. }) => Ok(None),
            Err(error) => Err(error),
        });
        answers.collect::<Result<Vec<_>, _>>()
    };
    let count = windows.len() / (WINDOW * FEATURE_COUNT);
    let answers = match model.predict(windows, count) {
        // One window that makes no sense spoils all that were asked with it.
        Err(InferenceError::Answer { .. }) => one_by_one()?,
        answers => answers?.into_iter().map(Some).collect(),
    };
    Ok(answers)
}

/// The columns that both kinds of input share.
#[derive(Default)]
struct Outputs {
    models: Vec<String>,
    probabilities: [Vec<Option<f64>>; 3],
}

impl Outputs {
    fn push(&mut self, kind: ModelKind, probabilities: Probabilities) {
        self.models.push(kind.to_string());
        for (column, value) in self.probabilities.iter_mut().zip(probabilities.to_array()) {
            column.push(Some(f64::from(value)));
        }
    }

    fn columns(self, keys: Vec<Column>) -> Vec<Column> {
        let model = Column::new("model", Values::Text(self.models));
        let probabilities = Class::ALL
            .into_iter()
            .zip(self.probabilities)
            .map(|(class, values)| Column::new(class.name(), Values::Float(values)));
        keys.into_iter()
            .chain([model])
            .chain(probabilities)
            .collect()
    }
}
