use std::path::Path;

use anyhow::{Context, bail};
use domain::{Class, ModelKind, Probabilities};
use features::{FEATURE_COUNT, WINDOW};
use inference::Champions;
use ndarray::Array3;
use tables::{Column, Values, write_table};

use super::models;
use crate::cli::{ContextFiles, PredictArguments};

/// `tandem predict`: both models' probabilities.
pub(crate) fn run(arguments: &PredictArguments) -> anyhow::Result<()> {
    let champions = models::load(&arguments.models)?;
    let columns = match (&arguments.bars, &arguments.inputs) {
        (Some(bars), _) => predict_bars(&champions, bars, &arguments.context)?,
        (None, Some(inputs)) => predict_windows(&champions, inputs)?,
        (None, None) => bail!("predict needs --bars or --inputs"),
    };
    Ok(write_table(&arguments.output.out, columns)?)
}

fn predict_bars(
    champions: &Champions,
    path: &Path,
    context: &ContextFiles,
) -> anyhow::Result<Vec<Column>> {
    let bars = super::read_bars(path)?;
    let context = super::context::read(context, &bars)?;
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
    let windows: Vec<f32> = windows.iter().copied().collect();
    let (mut rows, mut outputs) = (Vec::new(), Outputs::default());
    for kind in ModelKind::ALL {
        for (row, probabilities) in champions
            .of(kind)
            .predict(&windows, count)?
            .into_iter()
            .enumerate()
        {
            rows.push(row as i64);
            outputs.push(kind, probabilities);
        }
    }
    Ok(outputs.columns(vec![Column::new("row", Values::Integer(rows))]))
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
