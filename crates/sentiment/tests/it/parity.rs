//! tract and the `tokenizers` crate against onnxruntime and the Python package.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use sentiment::Transformer;
use serde_json::Value;

use crate::tiny;

const TOLERANCE: f32 = 1e-5;

struct Answer {
    ids: Vec<u32>,
    logits: [f32; 3],
}

fn answers(json: &str) -> Vec<Answer> {
    let numbers = |value: &Value| -> Vec<f64> {
        let values = value.as_array().unwrap();
        values.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let rows: Vec<Value> = serde_json::from_str(json).unwrap();
    rows.iter()
        .map(|row| Answer {
            ids: numbers(&row["ids"]).iter().map(|id| *id as u32).collect(),
            logits: numbers(&row["logits"])
                .iter()
                .map(|value| *value as f32)
                .collect::<Vec<f32>>()
                .try_into()
                .unwrap(),
        })
        .collect()
}

fn worst_difference(found: &[[f32; 3]], expected: &[Answer]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    let differences = pairs.flat_map(|(found, expected)| {
        let pairs = found.iter().zip(expected.logits);
        pairs.map(|(found, expected)| (found - expected).abs())
    });
    // max() would pass over a NaN.
    differences.fold(0.0, |worst, next| if next <= worst { worst } else { next })
}

/// In every batch: alone, with others and so padded, and many times over, which makes several batches on several threads.
fn compare(model: &Transformer, texts: &[&str], expected: &[Answer]) -> f32 {
    for (text, answer) in texts.iter().zip(expected) {
        assert_eq!(model.token_ids(text).unwrap(), answer.ids, "{text}");
    }
    let mut worst = 0.0_f32;
    for (text, answer) in texts.iter().zip(expected) {
        let alone = model.logits(&[*text]).unwrap();
        worst = worst.max(worst_difference(&alone, std::slice::from_ref(answer)));
    }
    for size in [2, 3, texts.len()] {
        for (texts, expected) in texts.chunks(size).zip(expected.chunks(size)) {
            worst = worst.max(worst_difference(&model.logits(texts).unwrap(), expected));
        }
    }
    let many = texts.repeat(9);
    for (found, text) in model.logits(&many).unwrap().iter().zip(&many) {
        let index = texts.iter().position(|other| other == text).unwrap();
        let expected = &expected[index..=index];
        worst = worst.max(worst_difference(std::slice::from_ref(found), expected));
    }
    worst
}

#[test]
fn logits_are_those_that_onnxruntime_gave() {
    let dir = tempfile::tempdir().unwrap();
    tiny::install(dir.path());
    let model = Transformer::load(dir.path()).unwrap();
    let texts: Vec<String> = serde_json::from_str(tiny::TEXTS).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let expected = answers(tiny::ANSWERS);
    let worst = compare(&model, &texts, &expected);
    assert!(worst < TOLERANCE, "{worst:e}");
    eprintln!("differs from onnxruntime by at most {worst:.1e}");
    // A network that hardly looks at its input would pass any comparison; one text is longer than the model can read.
    let first = |answer: &Answer| answer.logits[0];
    let low = expected.iter().map(first).fold(f32::INFINITY, f32::min);
    let high = expected.iter().map(first).fold(f32::NEG_INFINITY, f32::max);
    assert!(high - low > 0.3, "{low} to {high}");
    assert!(
        expected
            .iter()
            .any(|answer| answer.ids.len() == tiny::POSITIONS)
    );
}

#[test]
fn onnxruntime_computes_the_same_for_both_styles_of_export() {
    let Some(python) = std::env::var_os("TANDEM_PYTHON") else {
        eprintln!("skipped: TANDEM_PYTHON names no Python with onnx, onnxruntime and tokenizers");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let texts_path = dir.path().join("texts.json");
    fs::write(&texts_path, tiny::TEXTS).unwrap();
    let texts: Vec<String> = serde_json::from_str(tiny::TEXTS).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (style, sizes) in [
        (
            "decomposed",
            ["--hidden=24", "--layers=1", "--heads=3", "--positions=40"],
        ),
        (
            "decomposed",
            ["--hidden=48", "--layers=3", "--heads=4", "--positions=256"],
        ),
        (
            "fused",
            ["--hidden=32", "--layers=2", "--heads=2", "--positions=64"],
        ),
    ] {
        let model_dir = dir.path().join("model");
        let style = format!("--style={style}");
        let mut arguments = vec![
            model_dir.as_os_str(),
            OsStr::new(&style),
            OsStr::new("--seed=7"),
        ];
        arguments.extend(sizes.iter().map(OsStr::new));
        run(&python, include_str!("../bert_onnx.py"), &arguments);
        tiny::vouch_for(&model_dir, "random");
        let positions: usize = sizes[3].rsplit('=').next().unwrap().parse().unwrap();
        let maximum = positions.min(sentiment::MAXIMUM_TOKENS).to_string();
        let json = run(
            &python,
            include_str!("../bert_logits.py"),
            &[
                model_dir.as_os_str(),
                texts_path.as_os_str(),
                OsStr::new(&maximum),
            ],
        );
        let model = Transformer::load(&model_dir).unwrap();
        let worst = compare(&model, &texts, &answers(&json));
        assert!(worst < TOLERANCE, "{style} {sizes:?}: {worst:e}");
        eprintln!("{style} {sizes:?}: differs from onnxruntime by at most {worst:.1e}");
    }
}

/// The script is part of the program, not a path of where it was built: checkouts may share their builds.
fn run(python: &OsStr, script: &str, arguments: &[&OsStr]) -> String {
    let mut command = Command::new(python);
    let output = command.args(["-c", script]).args(arguments).output();
    let output = output.expect("TANDEM_PYTHON starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {said}",
        Path::new(python).display()
    );
    String::from_utf8(output.stdout).unwrap()
}
