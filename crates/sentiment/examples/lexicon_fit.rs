//! Fits the lexicon's calibration anew and reports what it reaches: `lexicon_fit PHRASEBANK_DEV FIQA_DEV` prints the table
//! of `src/lexicon/calibration.rs` and the scores of both halves of both data sets, fitted with the table just printed.
//! One half of each, by the texts' hash, is tuned on; the other only shows how much of the figures is left there.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for developers that prints its result"
)]

#[path = "../tests/it/labelled.rs"]
mod labelled;

use std::path::PathBuf;

use labelled::{CLASSES, Half, Labelled, half, macro_f1, weighted_f1};
use sentiment::Lexicon;

/// Strength of the L2 penalty on all weights but the constants.
const PENALTY: f64 = 1.0;
const STEPS: usize = 20_000;
const MOMENTUM: f64 = 0.95;

/// A weight for each class, of each kind of evidence and then the constants.
type Weights = Vec<[f64; CLASSES]>;

struct Example {
    /// The evidence, and 1 for the constant.
    inputs: Vec<f64>,
    class: usize,
    half: Half,
}

fn main() {
    let paths: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let [phrasebank, fiqa] = &paths[..] else {
        println!("usage: lexicon_fit phrasebank_dev.csv.gz fiqa_dev.csv");
        return;
    };
    let lexicon = Lexicon::default();
    let sets = [
        (
            "phrasebank",
            examples(&lexicon, &labelled::phrasebank(phrasebank)),
        ),
        ("fiqa", examples(&lexicon, &labelled::fiqa(fiqa))),
    ];
    let tuned: Vec<&Example> = sets
        .iter()
        .flat_map(|(_, examples)| examples)
        .filter(|example| example.half == Half::Tuned)
        .collect();
    let names: Vec<&str> = lexicon
        .evidence("")
        .into_iter()
        .map(|(name, _)| name)
        .chain(["constants"])
        .collect();
    let neutral: Vec<bool> = names
        .iter()
        .map(|name| *name == "constants" || lexicon.neutral_evidence().contains(name))
        .collect();
    let weights = fit(&tuned, &neutral);
    for (row, name) in weights.iter().zip(names) {
        let [negative, neutral, positive] = row;
        println!("    [{negative:.3}, {neutral:.3}, {positive:.3}], // {name}");
    }
    for (name, examples) in &sets {
        for half in [Half::Tuned, Half::Checked] {
            let examples: Vec<&Example> = examples
                .iter()
                .filter(|example| example.half == half)
                .collect();
            let answers: Vec<(usize, usize)> = examples
                .iter()
                .map(|example| (example.class, likeliest(&weights, &example.inputs)))
                .collect();
            let loss = loss(&weights, &examples);
            println!(
                "{name}, {half:?}: {} texts, weighted F1 {:.4}, macro F1 {:.4}, log loss {loss:.4}",
                answers.len(),
                weighted_f1(&answers),
                macro_f1(&answers),
            );
        }
    }
}

fn examples(lexicon: &Lexicon, labelled: &[Labelled]) -> Vec<Example> {
    labelled
        .iter()
        .map(|labelled| {
            let evidence = lexicon.evidence(&labelled.text).into_iter();
            Example {
                inputs: evidence
                    .map(|(_, value)| f64::from(value))
                    .chain([1.0])
                    .collect(),
                class: labelled.class,
                half: half(&labelled.text),
            }
        })
        .collect()
}

/// Gradient descent on a convex loss: where it ends does not depend on where it starts. The weights of `neutral` kinds are
/// the same for good and bad news, so that a text with nothing else scores 0.
fn fit(examples: &[&Example], neutral: &[bool]) -> Weights {
    let kinds = examples[0].inputs.len();
    let mut weights = vec![[0.0; CLASSES]; kinds];
    let mut speed = vec![[0.0; CLASSES]; kinds];
    for _ in 0..STEPS {
        let mut gradient = vec![[0.0; CLASSES]; kinds];
        for example in examples {
            let mut errors = probabilities(&weights, &example.inputs);
            errors[example.class] -= 1.0;
            for (sum, input) in gradient.iter_mut().zip(&example.inputs) {
                (0..CLASSES).for_each(|class| sum[class] += errors[class] * input);
            }
        }
        for kind in 0..kinds {
            if neutral[kind] {
                let [negative, _, positive] = gradient[kind];
                let mean = (negative + positive) / 2.0;
                (gradient[kind][0], gradient[kind][2]) = (mean, mean);
            }
            for class in 0..CLASSES {
                let penalty = if kind + 1 < kinds { PENALTY } else { 0.0 };
                let slope = gradient[kind][class] + penalty * weights[kind][class];
                speed[kind][class] = MOMENTUM * speed[kind][class] - slope / examples.len() as f64;
                weights[kind][class] += speed[kind][class];
            }
        }
    }
    weights
}

fn probabilities(weights: &Weights, inputs: &[f64]) -> [f64; CLASSES] {
    let mut powers = [0.0; CLASSES];
    for (row, input) in weights.iter().zip(inputs) {
        (0..CLASSES).for_each(|class| powers[class] += row[class] * input);
    }
    powers = powers.map(f64::exp);
    let sum: f64 = powers.iter().sum();
    powers.map(|power| power / sum)
}

fn likeliest(weights: &Weights, inputs: &[f64]) -> usize {
    let probabilities = probabilities(weights, inputs);
    let by_probability = |a: &usize, b: &usize| probabilities[*a].total_cmp(&probabilities[*b]);
    (0..CLASSES).max_by(by_probability).unwrap()
}

fn loss(weights: &Weights, examples: &[&Example]) -> f64 {
    let losses = examples
        .iter()
        .map(|example| -probabilities(weights, &example.inputs)[example.class].ln());
    losses.sum::<f64>() / examples.len() as f64
}
