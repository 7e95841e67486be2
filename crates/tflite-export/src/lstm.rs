//! The LSTM unrolled over the window's bars.
//!
//! Time comes first, so that a step's share of a product is one contiguous block. The projection of the inputs of all
//! steps is one product; each step adds its hidden state's. The logistic is taken of all four gates at once, one of
//! which does not need it: that costs less than another two slices.

use crate::{
    affine::{Affine, check_not_empty, checked},
    error::ExportError,
    graph::{
        Axis::{Batch, Fixed},
        Graph,
        Operation::{Logistic, Softmax, Tanh},
        TensorId,
    },
    weights::{CLASSES, LstmLayerWeights, LstmWeights, WINDOW},
};

pub(crate) fn graph(weights: &LstmWeights) -> Result<Graph, ExportError> {
    check_not_empty("features", weights.features)?;
    check_not_empty("layers", weights.layers.len())?;
    let mut graph = Graph::default();
    let window = graph.input(
        "window",
        &[Batch(1), Fixed(WINDOW), Fixed(weights.features)],
    );
    let by_step = graph.transpose("window/by_step", window, &[1, 0, 2]);
    // [60 * batch, inputs], step after step.
    let mut rows = graph.reshape(
        "window/rows",
        by_step,
        &[Batch(WINDOW), Fixed(weights.features)],
    );
    let mut inputs = weights.features;
    let mut last_hidden = rows;
    for (index, layer) in weights.layers.iter().enumerate() {
        let hidden = lstm_layer(&mut graph, index, layer, rows, inputs)?;
        last_hidden = hidden[hidden.len() - 1];
        if index + 1 < weights.layers.len() {
            rows = graph.stack_rows(&format!("layer{index}/hidden"), hidden);
        }
        inputs = layer.hidden;
    }
    let head = Affine::new("head", &weights.head, inputs, CLASSES)?;
    let logits = dense(&mut graph, "head", last_hidden, &head, false);
    let probabilities = graph.map("probabilities", Softmax, logits);
    graph.outputs.push(probabilities);
    Ok(graph)
}

/// One layer over rows `[60 * batch, inputs]`; gives the hidden state `[batch, hidden]` after each step.
fn lstm_layer(
    graph: &mut Graph,
    index: usize,
    layer: &LstmLayerWeights,
    rows: TensorId,
    inputs: usize,
) -> Result<Vec<TensorId>, ExportError> {
    let hidden = layer.hidden;
    let name = format!("layers[{index}]");
    check_not_empty(&format!("{name}.hidden"), hidden)?;
    let gates = 4 * hidden;
    let input = Affine {
        inputs,
        outputs: gates,
        weight: checked(&format!("{name}.input"), &layer.input, inputs * gates)?,
        bias: checked(&format!("{name}.bias"), &layer.bias, gates)?,
    };
    let recurrent = Affine {
        inputs: hidden,
        outputs: gates,
        weight: checked(
            &format!("{name}.recurrent"),
            &layer.recurrent,
            hidden * gates,
        )?,
        bias: vec![0.0; gates],
    };

    let prefix = format!("layer{index}");
    let projected = dense(graph, &format!("{prefix}/input"), rows, &input, false);
    let projected = graph.reshape(
        &format!("{prefix}/input_by_step"),
        projected,
        &[Fixed(WINDOW), Batch(1), Fixed(gates)],
    );
    let weight = graph.constant(
        &format!("{prefix}/recurrent/weight"),
        &[gates, hidden],
        recurrent.transposed_weight(),
    );
    let bias = graph.constant(
        &format!("{prefix}/recurrent/bias"),
        &[gates],
        recurrent.bias(),
    );

    let mut states = Vec::with_capacity(WINDOW);
    let mut previous: Option<(TensorId, TensorId)> = None;
    for step in 0..WINDOW {
        let name = |part: &str| format!("{prefix}/step{step}/{part}");
        let part = graph.slice(&name("input_block"), projected, 0, step, 1);
        let mut gate_sums = graph.reshape(&name("input"), part, &[Batch(1), Fixed(gates)]);
        if let Some((hidden_state, _)) = previous {
            let product =
                graph.fully_connected(&name("recurrent"), hidden_state, weight, bias, false);
            gate_sums = graph.add(&name("gates"), product, gate_sums);
        }
        let opened = graph.map(&name("opened"), Logistic, gate_sums);
        let input_gate = graph.slice(&name("i"), opened, 1, 0, hidden);
        let candidate = graph.slice(&name("g_sums"), gate_sums, 1, 2 * hidden, hidden);
        let candidate = graph.map(&name("g"), Tanh, candidate);
        let mut cell = graph.mul(&name("written"), input_gate, candidate);
        if let Some((_, previous_cell)) = previous {
            let forget_gate = graph.slice(&name("f"), opened, 1, hidden, hidden);
            let kept = graph.mul(&name("kept"), forget_gate, previous_cell);
            cell = graph.add(&name("cell"), kept, cell);
        }
        let output_gate = graph.slice(&name("o"), opened, 1, 3 * hidden, hidden);
        let squashed = graph.map(&name("cell_tanh"), Tanh, cell);
        let hidden_state = graph.mul(&name("hidden"), output_gate, squashed);
        states.push(hidden_state);
        previous = Some((hidden_state, cell));
    }
    Ok(states)
}

/// A dense layer with its own constants.
pub(crate) fn dense(
    graph: &mut Graph,
    name: &str,
    x: TensorId,
    affine: &Affine,
    relu: bool,
) -> TensorId {
    let shape = [affine.outputs, affine.inputs];
    let weight = graph.constant(
        &format!("{name}/weight"),
        &shape,
        affine.transposed_weight(),
    );
    let bias = graph.constant(&format!("{name}/bias"), &shape[..1], affine.bias());
    graph.fully_connected(name, x, weight, bias, relu)
}
