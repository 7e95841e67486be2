//! A trained network as plain numbers: what the exporter writes and what nothing of the framework leaks into.
//!
//! All matrices are row-major `f32`. `[in, out]` means `y = x W + b` with `x` a row vector.

use serde::{Deserialize, Serialize};

/// Bars per window; the same number as `features::WINDOW`, which a test of `inference` compares.
pub const WINDOW: usize = 60;

/// Classes of every head: down, neutral, up.
pub const CLASSES: usize = 3;

/// A trained network of either kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NetworkWeights {
    /// The recurrent network.
    Lstm(LstmWeights),
    /// The attention network.
    Transformer(TransformerWeights),
}

/// Stacked LSTM layers; the last hidden state of the last layer goes through the head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LstmWeights {
    /// Numbers per time step.
    pub features: usize,
    /// First layer first; the first reads `features`, each other the layer before it.
    pub layers: Vec<LstmLayerWeights>,
    /// `[hidden, 3]`: logits in the order down, neutral, up.
    pub head: DenseWeights,
}

/// One LSTM layer. Gate order `i, f, g, o`; the hidden and the cell state start at zero.
///
/// `c = sigmoid(f) * c + sigmoid(i) * tanh(g)`, `h = sigmoid(o) * tanh(c)`, where
/// `[i, f, g, o] = x W_input + h W_recurrent + bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LstmLayerWeights {
    /// Width of the hidden state.
    pub hidden: usize,
    /// `[in, 4 * hidden]`.
    pub input: Vec<f32>,
    /// `[hidden, 4 * hidden]`.
    pub recurrent: Vec<f32>,
    /// `[4 * hidden]`.
    pub bias: Vec<f32>,
}

/// A dense layer `y = x W + b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DenseWeights {
    /// Rows of `weight`.
    pub inputs: usize,
    /// Columns of `weight`.
    pub outputs: usize,
    /// `[inputs, outputs]`.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

/// A pre-norm encoder; only its last position is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransformerWeights {
    /// Numbers per time step.
    pub features: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// `[features, width]`.
    pub embed: DenseWeights,
    /// `[WINDOW, width]`, learned, added to the embedding.
    pub position: Vec<f32>,
    /// First layer first. In the last one only the last position's query is needed.
    pub layers: Vec<EncoderLayerWeights>,
    /// Applied to the last position only.
    pub final_norm: NormWeights,
    /// `[width, 3]`: logits in the order down, neutral, up.
    pub head: DenseWeights,
}

/// One encoder layer: `x += attention(norm1(x))`, then `x += W2 relu(W1 norm2(x))`.
///
/// Full (non-causal) attention over the window's positions, scores scaled by `1 / sqrt(width / heads)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderLayerWeights {
    /// Before the attention.
    pub norm1: NormWeights,
    /// `[width, 3 * width]`: queries, keys, values; within each, head after head.
    pub qkv: DenseWeights,
    /// `[width, width]`.
    pub attention_out: DenseWeights,
    /// Before the feed-forward part.
    pub norm2: NormWeights,
    /// `[width, feed_forward]`, followed by a ReLU.
    pub feed_forward_in: DenseWeights,
    /// `[feed_forward, width]`.
    pub feed_forward_out: DenseWeights,
}

/// Layer normalisation over the last axis: `(x - mean) / sqrt(variance + epsilon) * scale + bias`, with the
/// population variance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormWeights {
    /// `[width]`.
    pub scale: Vec<f32>,
    /// `[width]`.
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}
