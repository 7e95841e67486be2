//! One pre-norm encoder layer, `x += attention(norm1(x))`, then `x += W2 relu(W1 norm2(x))`, and its backward pass.
//!
//! A few windows at a time go through the whole layer, so that their activations stay in the cache.

use rayon::prelude::*;

use super::{
    Positions,
    activation::{dot, row_sum, simd, softmax},
    dropout::Dropout,
    matrix::{View, ViewMut, add_column_sums, add_product, fill_rows, product},
    split, split_mut, sum,
};

/// Windows that go through the layer together.
const CHUNK: usize = 8;
/// Windows whose parameter gradients are summed up in one place.
const SHARD: usize = 4 * CHUNK;
/// Added to the variance in both norms.
pub(crate) const EPSILON: f32 = 1e-5;

/// Sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncoderShape {
    /// Time steps of a window.
    pub(crate) steps: usize,
    /// Width of the residual stream.
    pub(crate) width: usize,
    /// Attention heads; divides `width`.
    pub(crate) heads: usize,
    /// Width of the feed-forward part.
    pub(crate) inner: usize,
}

/// The flat parameters, cut into their matrices (row-major, `[in, out]`).
struct Parameters<'a> {
    norm1_scale: &'a [f32],
    norm1_bias: &'a [f32],
    qkv_weight: &'a [f32],
    qkv_bias: &'a [f32],
    out_weight: &'a [f32],
    out_bias: &'a [f32],
    norm2_scale: &'a [f32],
    norm2_bias: &'a [f32],
    inner_weight: &'a [f32],
    inner_bias: &'a [f32],
    outer_weight: &'a [f32],
    outer_bias: &'a [f32],
}

/// The same for their gradients.
struct Gradients<'a> {
    norm1_scale: &'a mut [f32],
    norm1_bias: &'a mut [f32],
    qkv_weight: &'a mut [f32],
    qkv_bias: &'a mut [f32],
    out_weight: &'a mut [f32],
    out_bias: &'a mut [f32],
    norm2_scale: &'a mut [f32],
    norm2_bias: &'a mut [f32],
    inner_weight: &'a mut [f32],
    inner_bias: &'a mut [f32],
    outer_weight: &'a mut [f32],
    outer_bias: &'a mut [f32],
}

impl EncoderShape {
    fn lengths(self) -> [usize; 12] {
        let Self { width, inner, .. } = self;
        [
            width,
            width,
            width * 3 * width,
            3 * width,
            width * width,
            width,
            width,
            width,
            width * inner,
            inner,
            inner * width,
            width,
        ]
    }

    fn parameters(self, flat: &[f32]) -> Parameters<'_> {
        let [
            norm1_scale,
            norm1_bias,
            qkv_weight,
            qkv_bias,
            out_weight,
            out_bias,
            norm2_scale,
            norm2_bias,
            inner_weight,
            inner_bias,
            outer_weight,
            outer_bias,
        ] = split(flat, self.lengths());
        Parameters {
            norm1_scale,
            norm1_bias,
            qkv_weight,
            qkv_bias,
            out_weight,
            out_bias,
            norm2_scale,
            norm2_bias,
            inner_weight,
            inner_bias,
            outer_weight,
            outer_bias,
        }
    }

    fn gradients(self, flat: &mut [f32]) -> Gradients<'_> {
        let [
            norm1_scale,
            norm1_bias,
            qkv_weight,
            qkv_bias,
            out_weight,
            out_bias,
            norm2_scale,
            norm2_bias,
            inner_weight,
            inner_bias,
            outer_weight,
            outer_bias,
        ] = split_mut(flat, self.lengths());
        Gradients {
            norm1_scale,
            norm1_bias,
            qkv_weight,
            qkv_bias,
            out_weight,
            out_bias,
            norm2_scale,
            norm2_bias,
            inner_weight,
            inner_bias,
            outer_weight,
            outer_bias,
        }
    }

    fn head_width(self) -> usize {
        self.width / self.heads
    }

    /// Scale of the attention scores.
    fn score_scale(self) -> f32 {
        1.0 / (self.head_width() as f32).sqrt()
    }
}

/// One call of the layer: its sizes, the wanted positions and the dropout of this step (none outside training).
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncoderCall {
    pub(crate) shape: EncoderShape,
    pub(crate) positions: Positions,
    pub(crate) dropout: Option<Dropout>,
}

impl EncoderCall {
    /// Queries of a window.
    fn queries(&self) -> usize {
        self.positions.count(self.shape.steps)
    }

    /// Drops numbers of a sublayer's output; `place` tells the two sublayers apart.
    pub(crate) fn drop_out(&self, values: &mut [f32], place: u64, first_window: usize) {
        if let Some(dropout) = self.dropout {
            // A multiple of 8, as `first_window` is.
            let offset = first_window * self.queries() * self.shape.width;
            dropout.at(place).apply(values, offset);
        }
    }
}

/// What the backward pass of a few windows needs. `queries` is the number of queries of all of them together.
#[derive(Clone, Debug)]
pub(crate) struct EncoderChunk {
    windows: usize,
    first_window: usize,
    /// `[windows * steps, width]`
    normed1: Normed,
    /// `[queries, width]`, scaled.
    query: Vec<f32>,
    /// `[windows * steps, 2 width]`: keys, values.
    keys_values: Vec<f32>,
    /// `[windows, heads, queries of a window, steps]`, after the softmax.
    attention: Vec<f32>,
    /// `[queries, width]`
    context: Vec<f32>,
    /// `[queries, width]`
    normed2: Normed,
    /// `[queries, inner]`, after the ReLU.
    inner: Vec<f32>,
}

/// Rows brought to mean 0 and variance 1, before scale and bias.
#[derive(Clone, Debug)]
struct Normed {
    values: Vec<f32>,
    /// One number a row.
    inverse_deviation: Vec<f32>,
}

/// `input` `[windows, steps, width]` to `[windows, positions, width]`, with what the backward pass needs.
pub(crate) fn forward(
    call: EncoderCall,
    parameters: &[f32],
    input: &[f32],
) -> (Vec<f32>, Vec<EncoderChunk>) {
    let EncoderShape { steps, width, .. } = call.shape;
    let (window, answer) = (steps * width, call.queries() * width);
    let mut output = vec![0.0; input.len() / window * answer];
    let parameters = call.shape.parameters(parameters);
    let chunks = input
        .par_chunks(CHUNK * window)
        .zip(output.par_chunks_mut(CHUNK * answer))
        .enumerate()
        .map(|(index, (input, output))| {
            forward_chunk(call, &parameters, input, output, index * CHUNK)
        })
        .collect();
    (output, chunks)
}

fn forward_chunk(
    call: EncoderCall,
    parameters: &Parameters<'_>,
    input: &[f32],
    output: &mut [f32],
    first_window: usize,
) -> EncoderChunk {
    let EncoderShape {
        steps,
        width,
        inner: inner_width,
        ..
    } = call.shape;
    let rows = input.len() / width;
    let windows = rows / steps;
    let queries = windows * call.queries();

    let normed1 = normalise(input, width);
    let attended = affine(
        &normed1.values,
        parameters.norm1_scale,
        parameters.norm1_bias,
    );
    let mut keys_values = vec![0.0; rows * 2 * width];
    fill_rows(&mut keys_values, &parameters.qkv_bias[width..]);
    add_product(
        ViewMut::new(&mut keys_values, rows, 2 * width),
        View::new(&attended, rows, width),
        View::strided(&parameters.qkv_weight[width..], width, 2 * width, 3 * width),
    );
    let asking = wanted(&attended, call);
    let mut query = vec![0.0; queries * width];
    fill_rows(&mut query, &parameters.qkv_bias[..width]);
    add_product(
        ViewMut::new(&mut query, queries, width),
        View::new(&asking, queries, width),
        View::strided(parameters.qkv_weight, width, width, 3 * width),
    );
    let scale = call.shape.score_scale();
    query.iter_mut().for_each(|number| *number *= scale);

    let mut attention = vec![0.0; queries * call.shape.heads * steps];
    let mut context = vec![0.0; queries * width];
    for (head, scores) in attention
        .chunks_exact_mut(call.queries() * steps)
        .enumerate()
    {
        let place = HeadPlace::new(call, head);
        product(
            ViewMut::new(scores, call.queries(), steps),
            place.query(&query),
            place.key(&keys_values).transposed(),
        );
        simd(
            #[inline(always)]
            || scores.chunks_exact_mut(steps).for_each(softmax),
        );
        product(
            place.query_mut(&mut context),
            View::new(scores, call.queries(), steps),
            place.value(&keys_values),
        );
    }

    let mut update = vec![0.0; queries * width];
    fill_rows(&mut update, parameters.out_bias);
    add_product(
        ViewMut::new(&mut update, queries, width),
        View::new(&context, queries, width),
        View::new(parameters.out_weight, width, width),
    );
    call.drop_out(&mut update, 1, first_window);
    let mut stream = wanted(input, call);
    add(&mut stream, &update);

    let normed2 = normalise(&stream, width);
    let transformed = affine(
        &normed2.values,
        parameters.norm2_scale,
        parameters.norm2_bias,
    );
    let mut inner = vec![0.0; queries * inner_width];
    fill_rows(&mut inner, parameters.inner_bias);
    add_product(
        ViewMut::new(&mut inner, queries, inner_width),
        View::new(&transformed, queries, width),
        View::new(parameters.inner_weight, width, inner_width),
    );
    inner
        .iter_mut()
        .for_each(|number| *number = if *number > 0.0 { *number } else { 0.0 });
    fill_rows(output, parameters.outer_bias);
    add_product(
        ViewMut::new(output, queries, width),
        View::new(&inner, queries, inner_width),
        View::new(parameters.outer_weight, inner_width, width),
    );
    call.drop_out(output, 2, first_window);
    add(output, &stream);
    EncoderChunk {
        windows,
        first_window,
        normed1,
        query,
        keys_values,
        attention,
        context,
        normed2,
        inner,
    }
}

/// Gradients of the input and of the flat parameters, given the gradient of the output.
pub(crate) fn backward(
    call: EncoderCall,
    parameters: &[f32],
    chunks: &[EncoderChunk],
    output_gradient: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let EncoderShape { steps, width, .. } = call.shape;
    let (window, answer) = (steps * width, call.queries() * width);
    let mut input_gradient = vec![0.0; output_gradient.len() / answer * window];
    let length = parameters.len();
    let parameters = call.shape.parameters(parameters);
    let gradients: Vec<Vec<f32>> = chunks
        .par_chunks(SHARD / CHUNK)
        .zip(output_gradient.par_chunks(SHARD * answer))
        .zip(input_gradient.par_chunks_mut(SHARD * window))
        .map(|((chunks, output), input)| {
            let mut flat = vec![0.0; length];
            let mut gradients = call.shape.gradients(&mut flat);
            let outputs = output.chunks(CHUNK * answer);
            for ((chunk, output), input) in chunks
                .iter()
                .zip(outputs)
                .zip(input.chunks_mut(CHUNK * window))
            {
                backward_chunk(call, &parameters, chunk, output, input, &mut gradients);
            }
            flat
        })
        .collect();
    (input_gradient, sum(gradients))
}

fn backward_chunk(
    call: EncoderCall,
    parameters: &Parameters<'_>,
    chunk: &EncoderChunk,
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    gradients: &mut Gradients<'_>,
) {
    let EncoderShape {
        steps,
        width,
        inner: inner_width,
        ..
    } = call.shape;
    let rows = chunk.windows * steps;
    let queries = chunk.windows * call.queries();

    // Feed-forward part.
    let mut update = output_gradient.to_vec();
    call.drop_out(&mut update, 2, chunk.first_window);
    add_column_sums(gradients.outer_bias, &update);
    add_product(
        ViewMut::new(gradients.outer_weight, inner_width, width),
        View::new(&chunk.inner, queries, inner_width).transposed(),
        View::new(&update, queries, width),
    );
    let mut inner = vec![0.0; queries * inner_width];
    product(
        ViewMut::new(&mut inner, queries, inner_width),
        View::new(&update, queries, width),
        View::new(parameters.outer_weight, inner_width, width).transposed(),
    );
    for (gradient, value) in inner.iter_mut().zip(&chunk.inner) {
        *gradient = if *value > 0.0 { *gradient } else { 0.0 };
    }
    add_column_sums(gradients.inner_bias, &inner);
    let transformed = affine(
        &chunk.normed2.values,
        parameters.norm2_scale,
        parameters.norm2_bias,
    );
    add_product(
        ViewMut::new(gradients.inner_weight, width, inner_width),
        View::new(&transformed, queries, width).transposed(),
        View::new(&inner, queries, inner_width),
    );
    let mut transformed = transformed;
    product(
        ViewMut::new(&mut transformed, queries, width),
        View::new(&inner, queries, inner_width),
        View::new(parameters.inner_weight, width, inner_width).transposed(),
    );
    let mut stream = output_gradient.to_vec();
    add_norm_gradient(
        &mut stream,
        &transformed,
        &chunk.normed2,
        parameters.norm2_scale,
        gradients.norm2_scale,
        gradients.norm2_bias,
    );

    // Attention.
    update.copy_from_slice(&stream);
    call.drop_out(&mut update, 1, chunk.first_window);
    add_column_sums(gradients.out_bias, &update);
    add_product(
        ViewMut::new(gradients.out_weight, width, width),
        View::new(&chunk.context, queries, width).transposed(),
        View::new(&update, queries, width),
    );
    let mut context = vec![0.0; queries * width];
    product(
        ViewMut::new(&mut context, queries, width),
        View::new(&update, queries, width),
        View::new(parameters.out_weight, width, width).transposed(),
    );
    let mut query = vec![0.0; queries * width];
    let mut keys_values = vec![0.0; rows * 2 * width];
    let mut score_gradients = vec![0.0; call.queries() * steps];
    for (head, attention) in chunk
        .attention
        .chunks_exact(call.queries() * steps)
        .enumerate()
    {
        let place = HeadPlace::new(call, head);
        product(
            ViewMut::new(&mut score_gradients, call.queries(), steps),
            place.query(&context),
            place.value(&chunk.keys_values).transposed(),
        );
        product(
            place.value_mut(&mut keys_values),
            View::new(attention, call.queries(), steps).transposed(),
            place.query(&context),
        );
        simd(
            #[inline(always)]
            || {
                let rows = score_gradients.chunks_exact_mut(steps);
                for (gradient, probabilities) in rows.zip(attention.chunks_exact(steps)) {
                    let mean = dot(gradient, probabilities);
                    for (gradient, probability) in gradient.iter_mut().zip(probabilities) {
                        *gradient = probability * (*gradient - mean);
                    }
                }
            },
        );
        product(
            place.query_mut(&mut query),
            View::new(&score_gradients, call.queries(), steps),
            place.key(&chunk.keys_values),
        );
        product(
            place.key_mut(&mut keys_values),
            View::new(&score_gradients, call.queries(), steps).transposed(),
            place.query(&chunk.query),
        );
    }
    let scale = call.shape.score_scale();
    query.iter_mut().for_each(|number| *number *= scale);

    let attended = affine(
        &chunk.normed1.values,
        parameters.norm1_scale,
        parameters.norm1_bias,
    );
    let asking = wanted(&attended, call);
    let (query_bias, rest_bias) = gradients.qkv_bias.split_at_mut(width);
    add_column_sums(query_bias, &query);
    add_column_sums(rest_bias, &keys_values);
    add_product(
        ViewMut::strided(gradients.qkv_weight, width, width, 3 * width),
        View::new(&asking, queries, width).transposed(),
        View::new(&query, queries, width),
    );
    add_product(
        ViewMut::strided(
            &mut gradients.qkv_weight[width..],
            width,
            2 * width,
            3 * width,
        ),
        View::new(&attended, rows, width).transposed(),
        View::new(&keys_values, rows, 2 * width),
    );
    let mut attended = attended;
    product(
        ViewMut::new(&mut attended, rows, width),
        View::new(&keys_values, rows, 2 * width),
        View::strided(&parameters.qkv_weight[width..], width, 2 * width, 3 * width).transposed(),
    );
    let mut asking = asking;
    product(
        ViewMut::new(&mut asking, queries, width),
        View::new(&query, queries, width),
        View::strided(parameters.qkv_weight, width, width, 3 * width).transposed(),
    );
    add_wanted(&mut attended, &asking, call);
    add_norm_gradient(
        input_gradient,
        &attended,
        &chunk.normed1,
        parameters.norm1_scale,
        gradients.norm1_scale,
        gradients.norm1_bias,
    );
    add_wanted(input_gradient, &stream, call);
}

/// Where one head of one window lies in the chunk's matrices.
struct HeadPlace {
    shape: EncoderShape,
    /// Queries of a window.
    queries: usize,
    window: usize,
    /// First column of the head.
    column: usize,
}

impl HeadPlace {
    /// `index` counts the heads of the chunk's first window, then those of its second, and so on.
    fn new(call: EncoderCall, index: usize) -> Self {
        let shape = call.shape;
        Self {
            shape,
            queries: call.queries(),
            window: index / shape.heads,
            column: index % shape.heads * shape.head_width(),
        }
    }

    fn query_start(&self) -> usize {
        self.window * self.queries * self.shape.width + self.column
    }

    fn key_start(&self) -> usize {
        self.window * self.shape.steps * 2 * self.shape.width + self.column
    }

    /// `[queries, head width]` of a matrix `[all queries, width]`.
    fn query<'a>(&self, matrix: &'a [f32]) -> View<'a> {
        let data = &matrix[self.query_start()..];
        View::strided(
            data,
            self.queries,
            self.shape.head_width(),
            self.shape.width,
        )
    }

    fn query_mut<'a>(&self, matrix: &'a mut [f32]) -> ViewMut<'a> {
        let data = &mut matrix[self.query_start()..];
        ViewMut::strided(
            data,
            self.queries,
            self.shape.head_width(),
            self.shape.width,
        )
    }

    /// `[steps, head width]`: the keys of a matrix `[all steps, 2 width]`.
    fn key<'a>(&self, matrix: &'a [f32]) -> View<'a> {
        self.past(&matrix[self.key_start()..])
    }

    /// Its values.
    fn value<'a>(&self, matrix: &'a [f32]) -> View<'a> {
        self.past(&matrix[self.key_start() + self.shape.width..])
    }

    fn key_mut<'a>(&self, matrix: &'a mut [f32]) -> ViewMut<'a> {
        self.past_mut(&mut matrix[self.key_start()..])
    }

    fn value_mut<'a>(&self, matrix: &'a mut [f32]) -> ViewMut<'a> {
        self.past_mut(&mut matrix[self.key_start() + self.shape.width..])
    }

    fn past<'a>(&self, data: &'a [f32]) -> View<'a> {
        View::strided(
            data,
            self.shape.steps,
            self.shape.head_width(),
            2 * self.shape.width,
        )
    }

    fn past_mut<'a>(&self, data: &'a mut [f32]) -> ViewMut<'a> {
        ViewMut::strided(
            data,
            self.shape.steps,
            self.shape.head_width(),
            2 * self.shape.width,
        )
    }
}

/// The rows of the wanted positions of each window.
fn wanted(rows: &[f32], call: EncoderCall) -> Vec<f32> {
    let EncoderShape { steps, width, .. } = call.shape;
    let before = (steps - call.queries()) * width;
    rows.chunks_exact(steps * width)
        .flat_map(|window| &window[before..])
        .copied()
        .collect()
}

/// Adds `update`, which has the wanted positions of each window, to `rows`, which has all.
fn add_wanted(rows: &mut [f32], update: &[f32], call: EncoderCall) {
    let EncoderShape { steps, width, .. } = call.shape;
    let length = call.queries() * width;
    for (window, update) in rows
        .chunks_exact_mut(steps * width)
        .zip(update.chunks_exact(length))
    {
        add(&mut window[steps * width - length..], update);
    }
}

fn add(sum: &mut [f32], values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}

/// Brings each row to mean 0 and variance 1.
fn normalise(rows: &[f32], width: usize) -> Normed {
    let mut values = rows.to_vec();
    let mut inverse_deviation = vec![0.0; rows.len() / width];
    simd(
        #[inline(always)]
        || {
            let share = 1.0 / width as f32;
            for (row, inverse) in values.chunks_exact_mut(width).zip(&mut inverse_deviation) {
                let mean = row_sum(row) * share;
                row.iter_mut().for_each(|value| *value -= mean);
                *inverse = 1.0 / (dot(row, row) * share + EPSILON).sqrt();
                row.iter_mut().for_each(|value| *value *= *inverse);
            }
        },
    );
    Normed {
        values,
        inverse_deviation,
    }
}

/// `values * scale + bias`, row by row.
fn affine(values: &[f32], scale: &[f32], bias: &[f32]) -> Vec<f32> {
    let mut result = values.to_vec();
    for row in result.chunks_exact_mut(scale.len()) {
        for ((value, scale), bias) in row.iter_mut().zip(scale).zip(bias) {
            *value = *value * scale + bias;
        }
    }
    result
}

/// Adds the gradient that goes through a norm to `input`, and the gradients of its scale and bias to theirs.
fn add_norm_gradient(
    input: &mut [f32],
    output: &[f32],
    normed: &Normed,
    scale: &[f32],
    scale_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) {
    let width = scale.len();
    let share = 1.0 / width as f32;
    let mut scaled = vec![0.0; width];
    simd(
        #[inline(always)]
        || {
            let rows = output
                .chunks_exact(width)
                .zip(normed.values.chunks_exact(width));
            for (((output, values), inverse), input) in rows
                .zip(&normed.inverse_deviation)
                .zip(input.chunks_exact_mut(width))
            {
                for k in 0..width {
                    bias_gradient[k] += output[k];
                    scale_gradient[k] += output[k] * values[k];
                    scaled[k] = output[k] * scale[k];
                }
                let mean = row_sum(&scaled) * share;
                let slope = dot(&scaled, values) * share;
                for ((input, scaled), value) in input.iter_mut().zip(&scaled).zip(values) {
                    *input += inverse * (scaled - mean - value * slope);
                }
            }
        },
    );
}
