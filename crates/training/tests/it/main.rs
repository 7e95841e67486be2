//! From bars to a model's folder.

mod artifact;
mod data;

#[path = "../support/market.rs"]
mod market;

use std::collections::BTreeMap;

use domain::{Bar, Ticker};
use features::Context;
use labels::BarrierSettings;
use training::{Dataset, LstmSettings, TrainingError, TrainingSettings, TransformerSettings};

/// Small networks, trained for a moment.
fn small() -> TrainingSettings {
    TrainingSettings {
        news_sessions: 1,
        economy_sessions: 1,
        batch_size: 64,
        epochs: 1,
        windows_per_epoch: 256,
        validation_windows: 200,
        lstm: LstmSettings {
            hidden: 16,
            layers: 2,
        },
        transformer: TransformerSettings {
            width: 16,
            heads: 2,
            inner: 32,
            layers: 2,
        },
        ..TrainingSettings::default()
    }
}

fn build(bars: &BTreeMap<Ticker, Vec<Bar>>, context: &Context) -> Result<Dataset, TrainingError> {
    let barriers = BarrierSettings::default();
    Dataset::build(bars, context, &barriers, &small(), calendar::nyse())
}

fn dataset(tickers: usize, sessions: usize) -> Result<Dataset, TrainingError> {
    build(&market::bars(tickers, sessions), &Context::default())
}
