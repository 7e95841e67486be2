//! From evidence to probabilities: a multinomial logistic regression.

use domain::{InvalidSentiment, Sentiment};

use super::evidence::KINDS;
use crate::softmax::softmax;

/// Weights of negative, neutral and positive for each kind of evidence, then the constants.
///
/// Fitted with an L2 penalty of 1 on the halves of Financial PhraseBank's and FiQA's development parts that
/// `examples/lexicon_fit.rs` tunes on; that program fits them again and prints this table. Refit after every change of
/// vocabulary or rules.
const WEIGHTS: [[f32; 3]; KINDS + 1] = [
    [-1.558, -2.241, 3.798], // improved
    [4.934, -2.404, -2.530], // worsened
    [-0.089, -1.431, 1.519], // rose
    [2.086, -0.992, -1.094], // fell
    [-0.966, -1.620, 2.586], // better
    [2.195, -1.660, -0.535], // worse
    [-1.362, -1.194, 2.555], // praise
    [-0.794, -1.371, 2.165], // strong praise
    [3.088, -1.648, -1.441], // blame
    [3.270, -1.512, -1.758], // strong blame
    [-0.902, -0.180, 1.083], // business
    [2.399, -0.999, -1.400], // loss
    [-0.723, -0.485, 1.208], // kind words
    [1.734, -1.417, -0.316], // harsh words
    [-0.675, 0.770, -0.094], // plans
    [0.227, 0.063, -0.290],  // things
    [0.505, -0.634, 0.130],  // figures
    [-1.244, 1.253, -0.010], // constants
];

/// `evidence` as [`super::evidence::Evidence::values`] gives it.
///
/// # Errors
/// [`InvalidSentiment`] when the evidence is not finite.
pub(super) fn sentiment(evidence: &[f32; KINDS]) -> Result<Sentiment, InvalidSentiment> {
    let mut logits = WEIGHTS[KINDS];
    for (weights, value) in WEIGHTS.iter().zip(evidence) {
        for (logit, weight) in logits.iter_mut().zip(weights) {
            *logit += weight * value;
        }
    }
    let [negative, neutral, positive] = softmax(logits);
    Sentiment::new(negative, neutral, positive)
}
