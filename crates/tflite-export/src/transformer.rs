//! The encoder, rewritten into an equal but cheaper graph.
//!
//! - Everything that writes into the residual stream is centred beforehand. A layer norm ignores the mean of its input,
//!   so the stream is the same to every reader, its mean is always zero, and the norm is `x / sqrt(mean(x^2) + eps)`.
//! - The norms' scales and biases go into the dense layers that follow them, the attention's scale into the queries.
//! - Of the last layer only the last position's output is read. With one query per head, keys and values need not be
//!   computed at all: `q (x Wk)^T = (q Wk^T) x^T` and `p (x Wv) Wo = (p x) (Wv Wo)`, with both products of weights made
//!   here. What the keys' bias adds is the same for all positions, and the softmax drops it.

use crate::{
    affine::{Affine, Norm, centre, check_not_empty, checked, product, transpose},
    error::ExportError,
    graph::{
        Axis::{Batch, Fixed},
        Graph,
        Operation::{Rsqrt, Softmax, Square},
        TensorId,
    },
    lstm::dense,
    weights::{CLASSES, EncoderLayerWeights, TransformerWeights, WINDOW},
};

/// Sizes that all layers share.
struct Sizes {
    width: usize,
    heads: usize,
}

impl Sizes {
    const fn head_width(&self) -> usize {
        self.width / self.heads
    }
}

/// One layer's weights, checked, with norms folded in and outputs centred.
struct Layer {
    norm1_epsilon: f32,
    query: Affine,
    key: Affine,
    value: Affine,
    attention_out: Affine,
    norm2_epsilon: f32,
    feed_forward_in: Affine,
    feed_forward_out: Affine,
}

impl Layer {
    fn new(index: usize, layer: &EncoderLayerWeights, sizes: &Sizes) -> Result<Self, ExportError> {
        let width = sizes.width;
        let name = |part: &str| format!("layers[{index}].{part}");
        let norm1 = Norm::new(&name("norm1"), &layer.norm1, width)?;
        let norm2 = Norm::new(&name("norm2"), &layer.norm2, width)?;
        let qkv = Affine::new(&name("qkv"), &layer.qkv, width, 3 * width)?.after_norm(&norm1);
        let inner = layer.feed_forward_in.outputs;
        check_not_empty(&name("feed_forward_in.outputs"), inner)?;
        let dense = |part: &str, weights, inputs, outputs| {
            Affine::new(&name(part), weights, inputs, outputs)
        };
        Ok(Self {
            norm1_epsilon: norm1.epsilon,
            query: qkv
                .columns(0, width)
                .scaled(1.0 / (sizes.head_width() as f64).sqrt()),
            key: qkv.columns(width, width),
            value: qkv.columns(2 * width, width),
            attention_out: dense("attention_out", &layer.attention_out, width, width)?.centred(),
            norm2_epsilon: norm2.epsilon,
            feed_forward_in: dense("feed_forward_in", &layer.feed_forward_in, width, inner)?
                .after_norm(&norm2),
            feed_forward_out: dense("feed_forward_out", &layer.feed_forward_out, inner, width)?
                .centred(),
        })
    }
}

pub(crate) fn graph(weights: &TransformerWeights) -> Result<Graph, ExportError> {
    let sizes = Sizes {
        width: weights.width,
        heads: weights.heads,
    };
    check_not_empty("features", weights.features)?;
    check_not_empty("width", sizes.width)?;
    check_not_empty("heads", sizes.heads)?;
    if !sizes.width.is_multiple_of(sizes.heads) {
        return Err(ExportError::Heads {
            heads: sizes.heads,
            width: sizes.width,
        });
    }
    let (last, full) = weights.layers.split_last().ok_or(ExportError::Empty {
        name: "layers".to_owned(),
    })?;
    let embed = Affine::new("embed", &weights.embed, weights.features, sizes.width)?.centred();
    let mut position = checked("position", &weights.position, WINDOW * sizes.width)?;
    // The embedding's bias is the same at all positions: it goes into them.
    for row in position.chunks_exact_mut(sizes.width) {
        row.iter_mut()
            .zip(&embed.bias)
            .for_each(|(value, bias)| *value += bias);
        centre(row);
    }
    let embed = Affine {
        bias: vec![0.0; sizes.width],
        ..embed
    };
    let final_norm = Norm::new("final_norm", &weights.final_norm, sizes.width)?;
    let head = Affine::new("head", &weights.head, sizes.width, CLASSES)?.after_norm(&final_norm);

    let mut graph = Graph::default();
    let window = graph.input(
        "window",
        &[Batch(1), Fixed(WINDOW), Fixed(weights.features)],
    );
    let rows = graph.reshape(
        "window/rows",
        window,
        &[Batch(WINDOW), Fixed(weights.features)],
    );
    let embedded = dense(&mut graph, "embed", rows, &embed, false);
    let embedded = by_window(&mut graph, "embed/by_window", embedded, &sizes);
    let position = position.iter().map(|value| *value as f32).collect();
    let position = graph.constant("position", &[1, WINDOW, sizes.width], position);
    let stream = graph.add("embed/placed", embedded, position);
    let mut stream = graph.reshape("embed/rows", stream, &[Batch(WINDOW), Fixed(sizes.width)]);
    for (index, layer) in full.iter().enumerate() {
        let layer = Layer::new(index, layer, &sizes)?;
        stream = full_layer(&mut graph, &format!("layer{index}"), &layer, stream, &sizes);
    }
    let layer = Layer::new(full.len(), last, &sizes)?;
    let prefix = format!("layer{}", full.len());
    let stream = last_layer(&mut graph, &prefix, &layer, stream, &sizes);
    let normed = norm(&mut graph, "final_norm", stream, final_norm.epsilon, &sizes);
    let logits = dense(&mut graph, "head", normed, &head, false);
    let probabilities = graph.map("probabilities", Softmax, logits);
    graph.outputs.push(probabilities);
    Ok(graph)
}

/// A layer over all positions: stream `[batch * 60, width]` in and out.
fn full_layer(
    graph: &mut Graph,
    prefix: &str,
    layer: &Layer,
    stream: TensorId,
    sizes: &Sizes,
) -> TensorId {
    let name = |part: &str| format!("{prefix}/{part}");
    let normed = norm(graph, &name("norm1"), stream, layer.norm1_epsilon, sizes);
    let mut heads = |part: &str, affine: &Affine| {
        let rows = dense(graph, &name(part), normed, affine, false);
        // [batch, 60, heads, head width] to [batch, heads, 60, head width]
        let shape = [
            Batch(1),
            Fixed(WINDOW),
            Fixed(sizes.heads),
            Fixed(sizes.head_width()),
        ];
        let split = graph.reshape(&name(&format!("{part}/split")), rows, &shape);
        graph.transpose(&name(&format!("{part}/heads")), split, &[0, 2, 1, 3])
    };
    let query = heads("query", &layer.query);
    let key = heads("key", &layer.key);
    let value = heads("value", &layer.value);
    let scores = graph.batch_matmul(&name("scores"), query, key, true);
    let shares = graph.map(&name("shares"), Softmax, scores);
    let mixed = graph.batch_matmul(&name("mixed"), shares, value, false);
    let mixed = graph.transpose(&name("mixed/by_position"), mixed, &[0, 2, 1, 3]);
    let mixed = graph.reshape(
        &name("mixed/rows"),
        mixed,
        &[Batch(WINDOW), Fixed(sizes.width)],
    );
    let attended = dense(
        graph,
        &name("attention_out"),
        mixed,
        &layer.attention_out,
        false,
    );
    let stream = graph.add(&name("attended"), attended, stream);
    feed_forward(graph, prefix, layer, stream, sizes)
}

/// The last layer at the last position: stream `[batch * 60, width]` in, `[batch, width]` out.
fn last_layer(
    graph: &mut Graph,
    prefix: &str,
    layer: &Layer,
    stream: TensorId,
    sizes: &Sizes,
) -> TensorId {
    let name = |part: &str| format!("{prefix}/{part}");
    let width = sizes.width;
    let (query, out) = one_query(layer, sizes);
    let normed = norm(graph, &name("norm1"), stream, layer.norm1_epsilon, sizes);
    let normed = by_window(graph, &name("norm1/by_window"), normed, sizes);
    let stream = by_window(graph, &name("by_window"), stream, sizes);
    let stream = last_position(graph, &name("last"), stream, sizes);
    let normed_last = last_position(graph, &name("norm1/last"), normed, sizes);

    let query = dense(graph, &name("query"), normed_last, &query, false);
    let per_head = [Batch(1), Fixed(sizes.heads), Fixed(width)];
    let query = graph.reshape(&name("query/heads"), query, &per_head);
    let scores = graph.batch_matmul(&name("scores"), query, normed, true);
    let shares = graph.map(&name("shares"), Softmax, scores);
    let mixed = graph.batch_matmul(&name("mixed"), shares, normed, false);
    let all_heads = [Batch(1), Fixed(sizes.heads * width)];
    let mixed = graph.reshape(&name("mixed/rows"), mixed, &all_heads);
    let attended = dense(graph, &name("attention_out"), mixed, &out, false);
    let stream = graph.add(&name("attended"), attended, stream);
    feed_forward(graph, prefix, layer, stream, sizes)
}

/// Queries that read the normed stream directly (`[width, heads * width]`: `Wq Wk^T` of each head), and the output of
/// the mixed stream (`[heads * width, width]`: `Wv Wo` of each head).
fn one_query(layer: &Layer, sizes: &Sizes) -> (Affine, Affine) {
    let (width, head_width) = (sizes.width, sizes.head_width());
    let mut query_heads = Vec::new();
    let mut out = Affine {
        inputs: sizes.heads * width,
        weight: Vec::new(),
        ..layer.attention_out.clone()
    };
    let value_bias = product(&layer.value.bias, &layer.attention_out.weight, width, width);
    out.bias
        .iter_mut()
        .zip(value_bias)
        .for_each(|(bias, value)| *bias += value);
    for head in 0..sizes.heads {
        let start = head * head_width;
        let query = layer.query.columns(start, head_width);
        let key = transpose(&layer.key.columns(start, head_width).weight, head_width);
        query_heads.push(Affine {
            inputs: width,
            outputs: width,
            weight: product(&query.weight, &key, head_width, width),
            bias: product(&query.bias, &key, head_width, width),
        });
        let value = layer.value.columns(start, head_width);
        let out_rows = &layer.attention_out.weight[start * width..(start + head_width) * width];
        out.weight
            .extend(product(&value.weight, out_rows, head_width, width));
    }
    let weight = (0..width)
        .flat_map(|input| {
            query_heads
                .iter()
                .flat_map(move |head| &head.weight[input * width..(input + 1) * width])
        })
        .copied()
        .collect();
    let bias = query_heads
        .iter()
        .flat_map(|head| &head.bias)
        .copied()
        .collect();
    (
        Affine {
            inputs: width,
            outputs: sizes.heads * width,
            weight,
            bias,
        },
        out,
    )
}

fn feed_forward(
    graph: &mut Graph,
    prefix: &str,
    layer: &Layer,
    stream: TensorId,
    sizes: &Sizes,
) -> TensorId {
    let name = |part: &str| format!("{prefix}/{part}");
    let normed = norm(graph, &name("norm2"), stream, layer.norm2_epsilon, sizes);
    let inner = dense(
        graph,
        &name("feed_forward_in"),
        normed,
        &layer.feed_forward_in,
        true,
    );
    let outer = dense(
        graph,
        &name("feed_forward_out"),
        inner,
        &layer.feed_forward_out,
        false,
    );
    graph.add(&name("fed_forward"), outer, stream)
}

/// `x / sqrt(mean(x^2) + epsilon)` of rows with mean zero. The mean is a sum times 1/n: tract's MEAN is wrong on floats.
fn norm(graph: &mut Graph, name: &str, rows: TensorId, epsilon: f32, sizes: &Sizes) -> TensorId {
    let part = |part: &str| format!("{name}/{part}");
    let squares = graph.map(&part("squares"), Square, rows);
    let sum = graph.sum_last(&part("sum"), squares);
    let share = graph.constant(&part("share"), &[1, 1], vec![1.0 / sizes.width as f32]);
    let mean = graph.mul(&part("mean"), sum, share);
    let epsilon = graph.constant(&part("epsilon"), &[1, 1], vec![epsilon]);
    let variance = graph.add(&part("variance"), mean, epsilon);
    let factor = graph.map(&part("factor"), Rsqrt, variance);
    graph.mul(name, rows, factor)
}

/// `[batch * 60, width]` to `[batch, 60, width]`.
fn by_window(graph: &mut Graph, name: &str, rows: TensorId, sizes: &Sizes) -> TensorId {
    graph.reshape(name, rows, &[Batch(1), Fixed(WINDOW), Fixed(sizes.width)])
}

/// `[batch, 60, width]` to `[batch, width]`: the newest bar.
fn last_position(graph: &mut Graph, name: &str, windows: TensorId, sizes: &Sizes) -> TensorId {
    let last = graph.slice(&format!("{name}/slice"), windows, 1, WINDOW - 1, 1);
    graph.reshape(name, last, &[Batch(1), Fixed(sizes.width)])
}
