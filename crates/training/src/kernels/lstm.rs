//! One LSTM layer and its back-propagation through time.

use rayon::prelude::*;

use super::{
    Positions,
    activation::{sigmoid, simd, tanh},
    matrix::{View, ViewMut, add_column_sums, add_product, fill_rows, product},
    split, split_mut, sum,
};

/// Windows of a shard: enough rows for an efficient product at each step, few enough to stay in the cache.
const SHARD: usize = 64;

/// Sizes of a layer. Gate order `i, f, g, o`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LstmShape {
    /// Time steps of a window.
    pub(crate) steps: usize,
    /// Numbers per step that the layer reads.
    pub(crate) inputs: usize,
    /// Numbers per step that it writes.
    pub(crate) hidden: usize,
}

impl LstmShape {
    /// Lengths of the parts of the flat parameters: input `[inputs, 4 hidden]`, recurrent `[hidden, 4 hidden]`, bias
    /// `[4 hidden]`.
    fn lengths(self) -> [usize; 3] {
        let gates = 4 * self.hidden;
        [self.inputs * gates, self.hidden * gates, gates]
    }
}

/// What the backward pass of one shard needs. Time-major, so that a step is one block.
#[derive(Clone, Debug)]
pub(crate) struct LstmShard {
    windows: usize,
    /// `[steps, windows, inputs]`
    input: Vec<f32>,
    /// `[steps, windows, 4 hidden]`, after their activation.
    gates: Vec<f32>,
    /// `[steps, windows, hidden]`
    cells: Vec<f32>,
    /// `[steps, windows, hidden]`: tanh of the cells.
    squashed: Vec<f32>,
    /// `[steps, windows, hidden]`
    hidden: Vec<f32>,
}

/// `input` `[windows, steps, inputs]` to `[windows, positions, hidden]`, with what the backward pass needs.
pub(crate) fn forward(
    shape: LstmShape,
    positions: Positions,
    parameters: &[f32],
    input: &[f32],
) -> (Vec<f32>, Vec<LstmShard>) {
    let LstmShape {
        steps,
        inputs,
        hidden,
    } = shape;
    let window = steps * inputs;
    let answer = positions.count(steps) * hidden;
    let mut output = vec![0.0; input.len() / window * answer];
    let shards = input
        .par_chunks(SHARD * window)
        .zip(output.par_chunks_mut(SHARD * answer))
        .map(|(input, output)| forward_shard(shape, positions, parameters, input, output))
        .collect();
    (output, shards)
}

fn forward_shard(
    shape: LstmShape,
    positions: Positions,
    parameters: &[f32],
    input: &[f32],
    output: &mut [f32],
) -> LstmShard {
    let LstmShape {
        steps,
        inputs,
        hidden: width,
    } = shape;
    let [input_weights, recurrent_weights, bias] = split(parameters, shape.lengths());
    let windows = input.len() / (steps * inputs);
    let mut input_by_step = vec![0.0; input.len()];
    swap_axes(input, &mut input_by_step, windows, steps, inputs);
    let rows = steps * windows;
    let block = windows * width;
    let mut gates = vec![0.0; rows * 4 * width];
    fill_rows(&mut gates, bias);
    add_product(
        ViewMut::new(&mut gates, rows, 4 * width),
        View::new(&input_by_step, rows, inputs),
        View::new(input_weights, inputs, 4 * width),
    );
    let mut cells = vec![0.0; steps * block];
    let mut squashed = vec![0.0; steps * block];
    let mut hidden = vec![0.0; steps * block];
    let start = vec![0.0; block];
    for step in 0..steps {
        let gates = &mut gates[step * 4 * block..(step + 1) * 4 * block];
        let (hidden_before, hidden) = hidden.split_at_mut(step * block);
        let (cells_before, cells) = cells.split_at_mut(step * block);
        let mut previous_cell = start.as_slice();
        if let Some(before) = step.checked_sub(1) {
            previous_cell = &cells_before[before * block..];
            add_product(
                ViewMut::new(gates, windows, 4 * width),
                View::new(&hidden_before[before * block..], windows, width),
                View::new(recurrent_weights, width, 4 * width),
            );
        }
        let squashed = &mut squashed[step * block..(step + 1) * block];
        simd(
            #[inline(always)]
            || {
                gates
                    .chunks_exact_mut(4 * width)
                    .zip(previous_cell.chunks_exact(width))
                    .zip(cells.chunks_exact_mut(width))
                    .zip(squashed.chunks_exact_mut(width))
                    .zip(hidden.chunks_exact_mut(width))
                    .for_each(|((((gates, previous), cell), squashed), hidden)| {
                        advance(gates, previous, cell, squashed, hidden);
                    });
            },
        );
    }
    match positions {
        Positions::All => swap_axes(&hidden, output, steps, windows, width),
        Positions::Last => output.copy_from_slice(&hidden[(steps - 1) * block..]),
    }
    LstmShard {
        windows,
        input: input_by_step,
        gates,
        cells,
        squashed,
        hidden,
    }
}

/// One step of one window: activates the gates in place and writes the new cell and hidden state. Several plain loops,
/// as the compiler turns no loop into SIMD that writes to so many places at once.
#[inline(always)]
fn advance(
    gates: &mut [f32],
    previous: &[f32],
    cell: &mut [f32],
    squashed: &mut [f32],
    hidden: &mut [f32],
) {
    let width = cell.len();
    let (input_forget, rest) = gates.split_at_mut(2 * width);
    let (candidate, output) = rest.split_at_mut(width);
    for gate in input_forget.iter_mut() {
        *gate = sigmoid(*gate);
    }
    for gate in output.iter_mut() {
        *gate = sigmoid(*gate);
    }
    for value in candidate.iter_mut() {
        *value = tanh(*value);
    }
    let (input, forget) = input_forget.split_at(width);
    for (((cell, previous), (input, candidate)), forget) in cell
        .iter_mut()
        .zip(previous)
        .zip(input.iter().zip(&*candidate))
        .zip(forget)
    {
        *cell = forget * previous + input * candidate;
    }
    for (squashed, cell) in squashed.iter_mut().zip(&*cell) {
        *squashed = tanh(*cell);
    }
    for ((hidden, squashed), output) in hidden.iter_mut().zip(&*squashed).zip(&*output) {
        *hidden = output * squashed;
    }
}

/// Gradients of the input (`None` unless wanted) and of the flat parameters, given the gradient of the output.
pub(crate) fn backward(
    shape: LstmShape,
    positions: Positions,
    parameters: &[f32],
    shards: Vec<LstmShard>,
    output_gradient: &[f32],
    wants_input: bool,
) -> (Option<Vec<f32>>, Vec<f32>) {
    let window = shape.steps * shape.inputs;
    let answer = positions.count(shape.steps) * shape.hidden;
    let windows: usize = shards.iter().map(|shard| shard.windows).sum();
    let mut input_gradient = vec![0.0; if wants_input { windows * window } else { 0 }];
    // Without a wanted input gradient each shard gets an empty part.
    let parts: Vec<&mut [f32]> = if wants_input {
        input_gradient.chunks_mut(SHARD * window).collect()
    } else {
        shards.iter().map(|_| <&mut [f32]>::default()).collect()
    };
    let gradients: Vec<Vec<f32>> = shards
        .into_par_iter()
        .zip(output_gradient.par_chunks(SHARD * answer))
        .zip(parts)
        .map(|((shard, output), input)| {
            backward_shard(shape, positions, parameters, shard, output, input)
        })
        .collect();
    (wants_input.then_some(input_gradient), sum(gradients))
}

fn backward_shard(
    shape: LstmShape,
    positions: Positions,
    parameters: &[f32],
    shard: LstmShard,
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) -> Vec<f32> {
    let LstmShape {
        steps,
        inputs,
        hidden: width,
    } = shape;
    let LstmShard {
        windows,
        input,
        mut gates,
        cells,
        squashed,
        hidden,
    } = shard;
    let [input_weights, recurrent_weights, _] = split(parameters, shape.lengths());
    let block = windows * width;
    // Gradients that flow back into a step: from the layer above and from the step after.
    let mut from_above = vec![0.0; steps * block];
    match positions {
        Positions::All => swap_axes(output_gradient, &mut from_above, windows, steps, width),
        Positions::Last => from_above[(steps - 1) * block..].copy_from_slice(output_gradient),
    }
    let mut hidden_gradient = vec![0.0; block];
    let mut cell_gradient = vec![0.0; block];
    let start = vec![0.0; block];
    for step in (0..steps).rev() {
        let range = step * block..(step + 1) * block;
        let gates = &mut gates[4 * range.start..4 * range.end];
        let previous_cell = match step.checked_sub(1) {
            Some(before) => &cells[before * block..range.start],
            None => start.as_slice(),
        };
        let (above, squashed) = (&from_above[range.clone()], &squashed[range]);
        simd(
            #[inline(always)]
            || {
                gates
                    .chunks_exact_mut(4 * width)
                    .zip(previous_cell.chunks_exact(width))
                    .zip(squashed.chunks_exact(width))
                    .zip(
                        above
                            .chunks_exact(width)
                            .zip(hidden_gradient.chunks_exact(width)),
                    )
                    .zip(cell_gradient.chunks_exact_mut(width))
                    .for_each(|((((gates, previous), squashed), (above, after)), cell)| {
                        retreat(gates, previous, squashed, above, after, cell);
                    });
            },
        );
        if step > 0 {
            product(
                ViewMut::new(&mut hidden_gradient, windows, width),
                View::new(gates, windows, 4 * width),
                View::new(recurrent_weights, width, 4 * width).transposed(),
            );
        }
    }
    // `gates` now holds the gradients before the activations.
    let rows = steps * windows;
    if !input_gradient.is_empty() {
        let mut by_step = vec![0.0; rows * inputs];
        product(
            ViewMut::new(&mut by_step, rows, inputs),
            View::new(&gates, rows, 4 * width),
            View::new(input_weights, inputs, 4 * width).transposed(),
        );
        swap_axes(&by_step, input_gradient, steps, windows, inputs);
    }
    let lengths = shape.lengths();
    let mut gradients = vec![0.0; lengths.iter().sum()];
    let [input_weights, recurrent_weights, bias] = split_mut(&mut gradients, lengths);
    product(
        ViewMut::new(input_weights, inputs, 4 * width),
        View::new(&input, rows, inputs).transposed(),
        View::new(&gates, rows, 4 * width),
    );
    product(
        ViewMut::new(recurrent_weights, width, 4 * width),
        View::new(&hidden, rows - windows, width).transposed(),
        View::new(&gates[4 * block..], rows - windows, 4 * width),
    );
    add_column_sums(bias, &gates);
    gradients
}

/// One step of one window backwards: replaces the activated gates by the gradients before their activation and the
/// gradient of this step's cell by that of the step before.
#[inline(always)]
fn retreat(
    gates: &mut [f32],
    previous: &[f32],
    squashed: &[f32],
    above: &[f32],
    after: &[f32],
    cell: &mut [f32],
) {
    let width = cell.len();
    let (i, rest) = gates.split_at_mut(width);
    let (f, rest) = rest.split_at_mut(width);
    let (g, o) = rest.split_at_mut(width);
    let (previous, squashed, o) = (&previous[..width], &squashed[..width], &mut o[..width]);
    let (above, after) = (&above[..width], &after[..width]);
    for k in 0..width {
        let hidden = above[k] + after[k];
        let carried = cell[k] + hidden * o[k] * (1.0 - squashed[k] * squashed[k]);
        let (input, forget, candidate) = (i[k], f[k], g[k]);
        o[k] = hidden * squashed[k] * o[k] * (1.0 - o[k]);
        i[k] = carried * candidate * input * (1.0 - input);
        f[k] = carried * previous[k] * forget * (1.0 - forget);
        g[k] = carried * input * (1.0 - candidate * candidate);
        cell[k] = carried * forget;
    }
}

/// `[first, second, width]` to `[second, first, width]`.
fn swap_axes(source: &[f32], target: &mut [f32], first: usize, second: usize, width: usize) {
    for (row, numbers) in source.chunks_exact(width).enumerate() {
        let start = (row % second * first + row / second) * width;
        target[start..start + width].copy_from_slice(numbers);
    }
}
