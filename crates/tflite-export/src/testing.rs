//! Random networks and a plain forward pass, for the tests of this crate and of those that use it.

use crate::weights::{
    CLASSES, DenseWeights, EncoderLayerWeights, LstmLayerWeights, LstmWeights, NetworkWeights,
    NormWeights, TransformerWeights, WINDOW,
};

/// Repeatable random numbers (SplitMix64); good enough for tests.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed, the same numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, evenly spread over `-limit..limit`.
    pub fn next(&mut self, limit: f32) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        ((bits >> 40) as f32 / (1_u64 << 23) as f32 - 1.0) * limit
    }

    /// `count` numbers evenly spread over `-limit..limit`.
    pub fn values(&mut self, count: usize, limit: f32) -> Vec<f32> {
        (0..count).map(|_| self.next(limit)).collect()
    }

    fn dense(&mut self, inputs: usize, outputs: usize) -> DenseWeights {
        let limit = (inputs as f32).sqrt().recip() * 1.5;
        let weight = self.values(inputs * outputs, limit);
        DenseWeights {
            inputs,
            outputs,
            weight,
            bias: self.values(outputs, limit),
        }
    }

    fn norm(&mut self, width: usize) -> NormWeights {
        let scale = self
            .values(width, 0.5)
            .into_iter()
            .map(|value| 1.0 + value)
            .collect();
        NormWeights {
            scale,
            bias: self.values(width, 0.5),
            epsilon: 1e-5,
        }
    }
}

/// An LSTM with random weights.
pub fn random_lstm(features: usize, hidden: usize, layers: usize, seed: u64) -> NetworkWeights {
    let mut random = Random::new(seed);
    let limit = (hidden as f32).sqrt().recip() * 1.5;
    let layers = (0..layers)
        .map(|index| {
            let inputs = if index == 0 { features } else { hidden };
            LstmLayerWeights {
                hidden,
                input: random.values(inputs * 4 * hidden, limit),
                recurrent: random.values(hidden * 4 * hidden, limit),
                bias: random.values(4 * hidden, limit),
            }
        })
        .collect();
    NetworkWeights::Lstm(LstmWeights {
        features,
        layers,
        head: random.dense(hidden, CLASSES),
    })
}

/// A Transformer with random weights and a feed-forward width of twice the stream's.
pub fn random_transformer(
    features: usize,
    width: usize,
    heads: usize,
    layers: usize,
    seed: u64,
) -> NetworkWeights {
    let mut random = Random::new(seed);
    let embed = random.dense(features, width);
    let position = random.values(WINDOW * width, 0.5);
    let layers = (0..layers)
        .map(|_| EncoderLayerWeights {
            norm1: random.norm(width),
            qkv: random.dense(width, 3 * width),
            attention_out: random.dense(width, width),
            norm2: random.norm(width),
            feed_forward_in: random.dense(width, 2 * width),
            feed_forward_out: random.dense(2 * width, width),
        })
        .collect();
    NetworkWeights::Transformer(TransformerWeights {
        features,
        width,
        heads,
        embed,
        position,
        layers,
        final_norm: random.norm(width),
        head: random.dense(width, CLASSES),
    })
}

/// The network's probabilities for one window `[60, features]`, straight from the definitions in [`crate::weights`],
/// in double precision.
pub fn reference_probabilities(weights: &NetworkWeights, window: &[f32]) -> [f64; CLASSES] {
    let window: Vec<f64> = window.iter().map(|value| f64::from(*value)).collect();
    let (last, head) = match weights {
        NetworkWeights::Lstm(lstm) => (reference_lstm(lstm, window), &lstm.head),
        NetworkWeights::Transformer(transformer) => (
            reference_transformer(transformer, window),
            &transformer.head,
        ),
    };
    let mut probabilities = [0.0; CLASSES];
    probabilities.copy_from_slice(&softmax(&reference_dense(head, &last)));
    probabilities
}

fn reference_lstm(weights: &LstmWeights, window: Vec<f64>) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = window
        .chunks_exact(weights.features)
        .map(<[f64]>::to_vec)
        .collect();
    let logistic = |value: f64| 1.0 / (1.0 + (-value).exp());
    for layer in &weights.layers {
        let hidden = layer.hidden;
        let (mut state, mut cell) = (vec![0.0; hidden], vec![0.0; hidden]);
        for row in &mut rows {
            let gates = affine(&layer.input, &layer.bias, row);
            let recurrent = affine(&layer.recurrent, &vec![0.0; 4 * hidden], &state);
            let gate = |index: usize, unit: usize| {
                gates[index * hidden + unit] + recurrent[index * hidden + unit]
            };
            for unit in 0..hidden {
                cell[unit] = logistic(gate(1, unit)) * cell[unit]
                    + logistic(gate(0, unit)) * gate(2, unit).tanh();
                state[unit] = logistic(gate(3, unit)) * cell[unit].tanh();
            }
            row.clone_from(&state);
        }
    }
    rows.pop().unwrap_or_default()
}

fn reference_transformer(weights: &TransformerWeights, window: Vec<f64>) -> Vec<f64> {
    let (width, head_width) = (weights.width, weights.width / weights.heads);
    let mut stream: Vec<Vec<f64>> = window
        .chunks_exact(weights.features)
        .zip(weights.position.chunks_exact(width))
        .map(|(row, position)| sum(&reference_dense(&weights.embed, row), position))
        .collect();
    for layer in &weights.layers {
        let qkv: Vec<Vec<f64>> = stream
            .iter()
            .map(|row| reference_dense(&layer.qkv, &reference_norm(&layer.norm1, row)))
            .collect();
        for (row, own) in stream.iter_mut().zip(&qkv) {
            let mut mixed = Vec::with_capacity(width);
            for start in (0..width).step_by(head_width) {
                let part = |row: &[f64], block: usize| {
                    row[block * width + start..block * width + start + head_width].to_vec()
                };
                let query = part(own, 0);
                let scores: Vec<f64> = qkv
                    .iter()
                    .map(|other| dot(&query, &part(other, 1)) / (head_width as f64).sqrt())
                    .collect();
                let shares = softmax(&scores);
                mixed.extend((0..head_width).map(|unit| {
                    qkv.iter()
                        .zip(&shares)
                        .map(|(row, share)| share * part(row, 2)[unit])
                        .sum::<f64>()
                }));
            }
            *row = sum(row, &reference_dense(&layer.attention_out, &mixed));
            let mut inner =
                reference_dense(&layer.feed_forward_in, &reference_norm(&layer.norm2, row));
            inner.iter_mut().for_each(|value| *value = value.max(0.0));
            *row = sum(row, &reference_dense(&layer.feed_forward_out, &inner));
        }
    }
    reference_norm(
        &weights.final_norm,
        stream.last().map_or(&[], Vec::as_slice),
    )
}

fn reference_norm(norm: &NormWeights, row: &[f64]) -> Vec<f64> {
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let deviation = (variance + f64::from(norm.epsilon)).sqrt();
    row.iter()
        .zip(norm.scale.iter().zip(&norm.bias))
        .map(|(value, (scale, bias))| {
            (value - mean) / deviation * f64::from(*scale) + f64::from(*bias)
        })
        .collect()
}

fn reference_dense(dense: &DenseWeights, row: &[f64]) -> Vec<f64> {
    affine(&dense.weight, &dense.bias, row)
}

/// `row W + b`.
fn affine<B: Copy + Into<f64>>(weight: &[f32], bias: &[B], row: &[f64]) -> Vec<f64> {
    let mut out: Vec<f64> = bias.iter().map(|value| (*value).into()).collect();
    for (value, weights) in row.iter().zip(weight.chunks_exact(bias.len())) {
        out.iter_mut()
            .zip(weights)
            .for_each(|(sum, weight)| *sum += value * f64::from(*weight));
    }
    out
}

fn sum<B: Copy + Into<f64>>(a: &[f64], b: &[B]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + (*b).into()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn softmax(values: &[f64]) -> Vec<f64> {
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = values.iter().map(|value| (value - highest).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.iter().map(|value| value / total).collect()
}
