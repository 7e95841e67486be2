//! From evidence to probabilities: a multinomial logistic regression.

use domain::{InvalidSentiment, Sentiment};

use super::evidence::KINDS;
use crate::softmax::softmax;

/// Weights of negative, neutral and positive for each kind of evidence, then the constants.
///
/// Fitted with an L2 penalty of 1 on the halves of Financial PhraseBank's and FiQA's development parts that
/// `examples/lexicon_fit.rs` tunes on; that program fits them again and prints this table. Refit after every change of
/// vocabulary or rules. Plans, things, figures and the constants weigh the same for good and bad news: they are evidence of
/// neither.
const WEIGHTS: [[f32; 3]; KINDS + 1] = [
    [-2.214, -2.006, 4.220], // improved
    [4.263, -1.947, -2.315], // worsened
    [-1.022, -1.294, 2.316], // rose
    [1.357, -0.767, -0.590], // fell
    [-1.114, -1.728, 2.842], // better
    [2.020, -1.675, -0.345], // worse
    [-1.822, -1.310, 3.131], // praise
    [-1.161, -1.250, 2.411], // strong praise
    [2.414, -1.267, -1.147], // blame
    [2.363, -1.162, -1.202], // strong blame
    [-1.688, -0.062, 1.750], // business
    [2.038, -0.811, -1.227], // loss
    [-2.160, 0.032, 2.128],  // kind words
    [0.801, -0.188, -0.613], // harsh words
    [-0.391, 0.782, -0.391], // plans
    [-0.049, 0.098, -0.049], // things
    [0.209, -0.418, 0.209],  // figures
    [-0.529, 1.058, -0.529], // constants
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
