//! Training speed of a network in windows a second (gathering the batch, forward, backward and optimizer step), as one
//! JSON object on standard output; run each network in a process of its own to measure its memory. The data are as many
//! as a real night's: a made-up market of 20 stocks over 29 sessions. `RAYON_NUM_THREADS` sets the threads.
//!
//! ```text
//! training_throughput lstm|transformer [BATCH STEPS]
//! training_throughput export FOLDER COUNT    that many of the windows, for another program:
//!                                            windows.f32 [COUNT, 60, features] and classes.u8 [COUNT]
//! ```

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a program for benchmarks"
)]

use std::{path::Path, sync::atomic::AtomicBool};

use domain::ModelKind;
use features::FEATURE_COUNT;
use training::{Dataset, Part, TrainingSettings, train};

#[path = "../tests/support/market.rs"]
mod market;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    match words.as_slice() {
        ["export", folder, count] => export(Path::new(folder), number(count)),
        [kind] => measure(kind, 256, 60),
        [kind, batch, steps] => measure(kind, number(batch), number(steps)),
        _ => panic!("usage: training_throughput KIND [BATCH STEPS] | export FOLDER COUNT"),
    }
}

fn dataset(settings: &TrainingSettings) -> Dataset {
    Dataset::build(
        &market::bars(20, 29),
        &features::Context::default(),
        &labels::BarrierSettings::default(),
        settings,
        calendar::nyse(),
    )
    .expect("the made-up market can be learned from")
}

fn measure(kind: &str, batch_size: usize, steps: usize) {
    let kind = ModelKind::ALL.into_iter().find(|one| one.name() == kind);
    let kind = kind.expect("lstm or transformer");
    let settings = TrainingSettings {
        batch_size,
        epochs: 1,
        windows_per_epoch: batch_size * steps,
        validation_windows: 100,
        ..TrainingSettings::default()
    };
    let dataset = dataset(&settings);
    let trained =
        train(&dataset, kind, &settings, &|_| {}, &AtomicBool::new(false)).expect("a training");
    let result = serde_json::json!({
        "batch": batch_size,
        "steps": steps,
        "threads": rayon::current_num_threads(),
        "features": FEATURE_COUNT,
        "windows_of_the_data": dataset.len(Part::Training),
        "windows_per_second": trained.metrics.windows_per_second.round(),
    });
    println!("{result}");
}

fn export(folder: &Path, count: usize) {
    let (windows, classes) = dataset(&TrainingSettings::default()).windows(Part::Training, count);
    let windows: Vec<u8> = windows
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let classes: Vec<u8> = classes.iter().map(|class| class.index() as u8).collect();
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join("windows.f32"), windows).expect("a disk with room");
    std::fs::write(folder.join("classes.u8"), classes).expect("a disk with room");
}
