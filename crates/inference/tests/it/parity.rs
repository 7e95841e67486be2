//! Exported networks against their definition and against the official interpreter.

use std::{ffi::OsString, path::Path, process::Command};

use features::{FEATURE_COUNT, WINDOW};
use inference::{MAXIMUM_BATCH, Model, testing};
use tflite_export::{
    NetworkWeights,
    testing::{Random, random_lstm, random_transformer, reference_probabilities},
    write_tflite,
};

const TOLERANCE: f64 = 1e-5;
const WINDOW_LENGTH: usize = WINDOW * FEATURE_COUNT;

/// Every shape that the exporter treats in its own way: one layer and several, one head and several.
fn networks() -> Vec<(&'static str, NetworkWeights)> {
    vec![
        ("LSTM, 1 layer", random_lstm(FEATURE_COUNT, 32, 1, 1)),
        ("LSTM, 2 layers", random_lstm(FEATURE_COUNT, 16, 2, 2)),
        (
            "Transformer, 1 layer",
            random_transformer(FEATURE_COUNT, 24, 3, 1, 3),
        ),
        (
            "Transformer, 2 layers",
            random_transformer(FEATURE_COUNT, 64, 4, 2, 4),
        ),
        (
            "Transformer, 3 layers, 1 head",
            random_transformer(FEATURE_COUNT, 16, 1, 3, 5),
        ),
    ]
}

/// As scaled windows are: mostly in 0..=1, now and then at the clamp's ends.
fn windows(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..count * WINDOW_LENGTH)
        .map(|_| (0.5 + random.next(0.8)).clamp(-0.5, 1.5))
        .collect()
}

fn worst_difference(
    answers: impl IntoIterator<Item = [f32; 3]>,
    expected: impl IntoIterator<Item = [f64; 3]>,
) -> f64 {
    let differences = answers
        .into_iter()
        .zip(expected)
        .flat_map(|(answer, expected)| {
            answer
                .into_iter()
                .zip(expected)
                .map(|(a, b)| (f64::from(a) - b).abs())
        });
    differences.fold(0.0, f64::max)
}

#[test]
fn one_window_length_everywhere() {
    assert_eq!(tflite_export::weights::WINDOW, WINDOW);
}

#[test]
fn tract_computes_the_definition_at_every_batch() {
    for (name, weights) in networks() {
        let model = Model::from_artifact(testing::artifact(&weights, 1).unwrap()).unwrap();
        for batch in [1, 7, 20, MAXIMUM_BATCH + 3] {
            let inputs = windows(batch, 10 + batch as u64);
            let answers = model.predict(&inputs, batch).unwrap();
            assert_eq!(answers.len(), batch);
            let expected = inputs
                .chunks_exact(WINDOW_LENGTH)
                .map(|window| reference_probabilities(&weights, window));
            let worst = worst_difference(answers.iter().map(|answer| answer.to_array()), expected);
            assert!(worst < TOLERANCE, "{name}, batch {batch}: {worst:e}");
        }
    }
}

/// A network whose answer hardly depends on its input would pass any comparison.
#[test]
fn the_networks_compared_react_to_their_inputs() {
    for (name, weights) in networks() {
        let inputs = windows(20, 3);
        let answers: Vec<[f64; 3]> = inputs
            .chunks_exact(WINDOW_LENGTH)
            .map(|window| reference_probabilities(&weights, window))
            .collect();
        let (low, high) = answers
            .iter()
            .fold((1.0_f64, 0.0_f64), |(low, high), answer| {
                (low.min(answer[0]), high.max(answer[0]))
            });
        assert!(high - low > 100.0 * TOLERANCE, "{name}: {low} to {high}");
    }
}

#[test]
fn a_window_has_the_same_answer_in_any_batch() {
    for (name, weights) in networks() {
        let model = Model::from_artifact(testing::artifact(&weights, 1).unwrap()).unwrap();
        let inputs = windows(20, 4);
        let together = model.predict(&inputs, 20).unwrap();
        for (index, window) in inputs.chunks_exact(WINDOW_LENGTH).enumerate().step_by(9) {
            let alone = model.predict(window, 1).unwrap()[0].to_array();
            let expected = together[index].to_array().map(f64::from);
            let difference = worst_difference([alone], [expected]);
            assert!(difference < 1e-6, "{name}, window {index}: {difference:e}");
        }
    }
}

#[test]
fn the_official_interpreter_computes_the_same() {
    let Some(python) = std::env::var_os("TANDEM_PYTHON") else {
        eprintln!("skipped: TANDEM_PYTHON names no Python with ai-edge-litert and numpy");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let inputs = windows(7 * 20, 5);
    let inputs_path = dir.path().join("windows.f32");
    let bytes: Vec<u8> = inputs
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    std::fs::write(&inputs_path, bytes).unwrap();
    for (name, weights) in networks() {
        let model = Model::from_artifact(testing::artifact(&weights, 1).unwrap()).unwrap();
        let expected: Vec<[f64; 3]> = model
            .predict(&inputs, 7 * 20)
            .unwrap()
            .iter()
            .map(|answer| answer.to_array().map(f64::from))
            .collect();
        let path = dir.path().join("model.tflite");
        std::fs::write(&path, write_tflite(&weights, &[("model_id", "x")]).unwrap()).unwrap();
        for batch in [1, 7, 20] {
            let answers = official(&python, &path, &inputs_path, batch);
            assert_eq!(answers.len(), expected.len());
            let worst = worst_difference(answers, expected.iter().copied());
            assert!(worst < TOLERANCE, "{name}, batch {batch}: {worst:e}");
            eprintln!("{name}, batch {batch}: differs from tract by at most {worst:.1e}");
        }
    }
}

fn official(python: &OsString, model: &Path, inputs: &Path, batch: usize) -> Vec<[f32; 3]> {
    // Part of the program, not a path of where it was built: checkouts may share their builds.
    let output = Command::new(python)
        .args(["-c", include_str!("../litert_predict.py")])
        .args([model, inputs])
        .args([batch, WINDOW, FEATURE_COUNT].map(|number| number.to_string()))
        .output()
        .expect("TANDEM_PYTHON starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let values: Vec<f32> = output
        .stdout
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    values.as_chunks::<3>().0.to_vec()
}
