//! Weights before training, drawn from a seed.

use domain::ModelKind;
use features::{FEATURE_COUNT, WINDOW};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    DenseWeights, EncoderLayerWeights, LstmLayerWeights, LstmWeights, NetworkWeights, NormWeights,
    TransformerWeights, kernels::encoder::EPSILON, settings::TrainingSettings,
};

/// Min-max scaled features fill 0..=1 with their middle near 0.5 and a standard deviation near 1/5. The first layer
/// starts as if it read them centred and with unit deviation.
const FEATURE_MIDDLE: f32 = 0.5;
const FEATURE_GAIN: f32 = 5.0;

/// A network of this kind with the settings' sizes: uniform weights of Glorot and Bengio (2010), forget gates open
/// (bias 1), the rest and the head zero.
pub(crate) fn initial_weights(kind: ModelKind, settings: &TrainingSettings) -> NetworkWeights {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    match kind {
        ModelKind::Lstm => NetworkWeights::Lstm(lstm(settings, &mut random)),
        ModelKind::Transformer => NetworkWeights::Transformer(transformer(settings, &mut random)),
    }
}

fn lstm(settings: &TrainingSettings, random: &mut ChaCha8Rng) -> LstmWeights {
    let hidden = settings.lstm.hidden;
    let mut inputs = FEATURE_COUNT;
    let mut layers = Vec::new();
    for index in 0..settings.lstm.layers {
        let mut input = uniform(random, inputs, hidden, 4 * inputs * hidden);
        let recurrent = uniform(random, hidden, hidden, 4 * hidden * hidden);
        let mut bias = vec![0.0; 4 * hidden];
        bias[hidden..2 * hidden].fill(1.0);
        if index == 0 {
            adapt_to_features(&mut input, &mut bias);
        }
        layers.push(LstmLayerWeights {
            hidden,
            input,
            recurrent,
            bias,
        });
        inputs = hidden;
    }
    LstmWeights {
        features: FEATURE_COUNT,
        layers,
        head: dense(random, hidden, 3),
    }
}

fn transformer(settings: &TrainingSettings, random: &mut ChaCha8Rng) -> TransformerWeights {
    let sizes = &settings.transformer;
    let width = sizes.width;
    let mut embed = dense(random, FEATURE_COUNT, width);
    adapt_to_features(&mut embed.weight, &mut embed.bias);
    let position = (0..WINDOW * width)
        .map(|_| random.random_range(-0.1..0.1))
        .collect();
    let layers = (0..sizes.layers).map(|_| EncoderLayerWeights {
        norm1: norm(width),
        qkv: DenseWeights {
            inputs: width,
            outputs: 3 * width,
            weight: uniform(random, width, width, 3 * width * width),
            bias: vec![0.0; 3 * width],
        },
        attention_out: dense(random, width, width),
        norm2: norm(width),
        feed_forward_in: dense(random, width, sizes.inner),
        feed_forward_out: dense(random, sizes.inner, width),
    });
    TransformerWeights {
        features: FEATURE_COUNT,
        width,
        heads: sizes.heads,
        embed,
        position,
        layers: layers.collect(),
        final_norm: norm(width),
        head: head(width),
    }
}

/// Makes a first layer (`[features, outputs]`) treat scaled features as centred and of unit deviation.
fn adapt_to_features(weight: &mut [f32], bias: &mut [f32]) {
    for row in weight.chunks_exact_mut(bias.len()) {
        for (weight, bias) in row.iter_mut().zip(bias.iter_mut()) {
            *weight *= FEATURE_GAIN;
            *bias -= FEATURE_MIDDLE * *weight;
        }
    }
}

fn dense(random: &mut ChaCha8Rng, inputs: usize, outputs: usize) -> DenseWeights {
    let weight = uniform(random, inputs, outputs, inputs * outputs);
    DenseWeights {
        inputs,
        outputs,
        weight,
        bias: vec![0.0; outputs],
    }
}

/// Starts without an opinion, so that what is learned first is what most windows agree on.
fn head(inputs: usize) -> DenseWeights {
    DenseWeights {
        inputs,
        outputs: 3,
        weight: vec![0.0; 3 * inputs],
        bias: vec![0.0; 3],
    }
}

fn norm(width: usize) -> NormWeights {
    NormWeights {
        scale: vec![1.0; width],
        bias: vec![0.0; width],
        epsilon: EPSILON,
    }
}

fn uniform(random: &mut ChaCha8Rng, inputs: usize, outputs: usize, length: usize) -> Vec<f32> {
    let limit = (6.0 / (inputs + outputs) as f32).sqrt();
    (0..length)
        .map(|_| random.random_range(-limit..limit))
        .collect()
}
