//! Training speed of both networks in windows a second (gathering the batch, forward, backward and optimizer step), as
//! one JSON object on standard output. `RAYON_NUM_THREADS` sets the threads.
//!
//! `cargo run -p training --example training_throughput -- [BATCH [STEPS]]`

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a program for benchmarks"
)]

use std::sync::atomic::AtomicBool;

use domain::ModelKind;
use training::{Dataset, TrainingSettings, train};

#[path = "../tests/support/market.rs"]
mod market;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<usize>().expect("a number"));
    let batch_size = arguments.next().unwrap_or(256);
    let steps = arguments.next().unwrap_or(60);
    let settings = TrainingSettings {
        batch_size,
        epochs: 1,
        windows_per_epoch: batch_size * steps,
        validation_windows: 100,
        ..TrainingSettings::default()
    };
    let dataset = Dataset::build(
        &market::bars(8, 16),
        &features::Context::default(),
        &labels::BarrierSettings::default(),
        &settings,
        calendar::nyse(),
    )
    .expect("the made-up market can be learned from");
    let speeds = ModelKind::ALL.map(|kind| {
        let trained =
            train(&dataset, kind, &settings, &|_| {}, &AtomicBool::new(false)).expect("a training");
        trained.metrics.windows_per_second
    });
    let result = serde_json::json!({
        "batch": batch_size,
        "steps": steps,
        "threads": rayon::current_num_threads(),
        "lstm_windows_per_second": speeds[ModelKind::Lstm as usize],
        "transformer_windows_per_second": speeds[ModelKind::Transformer as usize],
    });
    println!("{result}");
}
