//! The labelled texts to tune and to check on, and how answers are counted.

use std::{fs::File, io::Read, path::Path};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

/// Negative, neutral, positive.
pub(crate) const CLASSES: usize = 3;

/// A FiQA score within this of 0 is neutral: the scale is -1 to 1, and its annotators rarely used the middle.
const FIQA_NEUTRAL: f64 = 0.1;

pub(crate) struct Labelled {
    pub(crate) text: String,
    /// 0 negative, 1 neutral, 2 positive.
    pub(crate) class: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// Vocabulary, rules and calibration were made with this half in sight.
    Tuned,
    /// Only looked at to see what is left of the figures.
    Checked,
}

/// By the text's hash, so that a text is never in both.
pub(crate) fn half(text: &str) -> Half {
    if Sha256::digest(text.as_bytes())[0].is_multiple_of(2) {
        Half::Tuned
    } else {
        Half::Checked
    }
}

/// Financial PhraseBank, `phrasebank_dev.csv.gz`.
pub(crate) fn phrasebank(path: &Path) -> Vec<Labelled> {
    read(
        GzDecoder::new(File::open(path).unwrap()),
        |row: &csv::StringRecord| {
            let names = ["negative", "neutral", "positive"];
            let class = names.iter().position(|name| *name == &row[1]);
            (row[0].to_owned(), class.unwrap())
        },
    )
}

/// FiQA 2018 task 1, `fiqa_dev.csv`.
pub(crate) fn fiqa(path: &Path) -> Vec<Labelled> {
    read(File::open(path).unwrap(), |row: &csv::StringRecord| {
        let score: f64 = row[5].parse().unwrap();
        let class = match score {
            score if score < -FIQA_NEUTRAL => 0,
            score if score > FIQA_NEUTRAL => 2,
            _ => 1,
        };
        (row[3].to_owned(), class)
    })
}

fn read(file: impl Read, parse: impl Fn(&csv::StringRecord) -> (String, usize)) -> Vec<Labelled> {
    csv::Reader::from_reader(file)
        .records()
        .map(|row| {
            let (text, class) = parse(&row.unwrap());
            Labelled { text, class }
        })
        .collect()
}

/// F1 of each class, weighted by how many texts are of it.
pub(crate) fn weighted_f1(answers: &[(usize, usize)]) -> f64 {
    f1(answers).iter().map(|(f1, share)| f1 * share).sum()
}

/// The mean of the classes' F1.
pub(crate) fn macro_f1(answers: &[(usize, usize)]) -> f64 {
    f1(answers).iter().map(|(f1, _)| f1 / CLASSES as f64).sum()
}

/// F1 and share of each class; `answers` are (right, given).
fn f1(answers: &[(usize, usize)]) -> [(f64, f64); CLASSES] {
    std::array::from_fn(|class| {
        let count = |wanted: &dyn Fn(&(usize, usize)) -> bool| {
            answers.iter().filter(|answer| wanted(answer)).count() as f64
        };
        let of_class = count(&|(right, _)| *right == class);
        let given = count(&|(_, given)| *given == class);
        let hits = count(&|(right, given)| *right == class && *given == class);
        let f1 = 2.0 * hits / (of_class + given).max(1.0);
        (f1, of_class / answers.len().max(1) as f64)
    })
}
