//! What shape an operator's output has, by TFLite's rules for the operators that Tandem uses.

use tract_tflite::tflite::{BuiltinOperator, Operator};

/// Something an operator reads.
pub(super) struct Operand {
    pub(super) shape: Vec<usize>,
    /// Contents, where they are integers and constant: shapes, axes, ranges.
    pub(super) integers: Option<Vec<i32>>,
}

/// The output's shape at a batch of one; `None` when the operator cannot take these operands.
pub(super) fn output_shape(
    code: BuiltinOperator,
    operator: &Operator<'_>,
    operands: &[Operand],
) -> Option<Vec<usize>> {
    let shapes: Vec<&[usize]> = operands
        .iter()
        .map(|operand| operand.shape.as_slice())
        .collect();
    let integers = |index: usize| operands.get(index)?.integers.as_deref();
    match (code, shapes.as_slice()) {
        (BuiltinOperator::ADD | BuiltinOperator::MUL | BuiltinOperator::SUB, [a, b]) => {
            broadcast(a, b)
        }
        (
            BuiltinOperator::LOGISTIC
            | BuiltinOperator::RSQRT
            | BuiltinOperator::SOFTMAX
            | BuiltinOperator::SQUARE
            | BuiltinOperator::TANH,
            [x],
        ) => Some(x.to_vec()),
        (BuiltinOperator::FULLY_CONNECTED, [x, weight, bias]) => match (*x, *weight, *bias) {
            ([rows, inputs], [outputs, weight_inputs], [biases]) => {
                let fits = inputs == weight_inputs && outputs == biases;
                fits.then(|| vec![*rows, *outputs])
            }
            _ => None,
        },
        (BuiltinOperator::BATCH_MATMUL, [a, b]) => {
            let options = operator.builtin_options_as_batch_mat_mul_options()?;
            let (batch, [m, k]) = a.split_last_chunk()?;
            let (other_batch, last) = b.split_last_chunk()?;
            let [other_k, n] = if options.adj_y() {
                [last[1], last[0]]
            } else {
                *last
            };
            let fits = batch == other_batch && *k == other_k && !options.adj_x();
            fits.then(|| [batch, &[*m, n]].concat())
        }
        (BuiltinOperator::CONCATENATION, [first, rest @ ..]) => {
            let options = operator.builtin_options_as_concatenation_options()?;
            let axis = usize::try_from(options.axis()).ok()?;
            let mut shape = first.to_vec();
            for part in rest {
                let length = shape.get(axis)? + part.get(axis)?;
                let others = |shape: &[usize]| {
                    let mut others = shape.to_vec();
                    others.remove(axis);
                    others
                };
                if others(&shape) != others(part) {
                    return None;
                }
                *shape.get_mut(axis)? = length;
            }
            Some(shape)
        }
        (BuiltinOperator::RESHAPE, [x, _]) => reshape(x, integers(1)?),
        (BuiltinOperator::STRIDED_SLICE, [x, _, _, _]) => {
            let options = operator.builtin_options_as_strided_slice_options()?;
            let other_masks = [
                options.ellipsis_mask(),
                options.new_axis_mask(),
                options.shrink_axis_mask(),
            ];
            let (begin, end, strides) = (integers(1)?, integers(2)?, integers(3)?);
            let lengths = [begin.len(), end.len(), strides.len()];
            if other_masks != [0; 3] || lengths != [x.len(); 3] || strides.iter().any(|s| *s != 1) {
                return None;
            }
            let bounds = x.iter().zip(begin.iter().zip(end)).enumerate();
            let axis = |(axis, (length, (begin, end))): (usize, (&usize, (&i32, &i32)))| {
                let masked = |mask: i32| mask >> axis & 1 == 1;
                let begin = if masked(options.begin_mask()) {
                    0
                } else {
                    usize::try_from(*begin).ok()?
                };
                let end = if masked(options.end_mask()) {
                    *length
                } else {
                    usize::try_from(*end).ok()?
                };
                (begin < end && end <= *length).then_some(end.wrapping_sub(begin))
            };
            bounds.map(axis).collect()
        }
        (BuiltinOperator::SUM, [x, _]) => {
            let options = operator.builtin_options_as_reducer_options()?;
            let [axis] = integers(1)? else { return None };
            let mut shape = x.to_vec();
            *shape.get_mut(usize::try_from(*axis).ok()?)? = 1;
            options.keep_dims().then_some(shape)
        }
        (BuiltinOperator::TRANSPOSE, [x, _]) => {
            let order = integers(1)?;
            let mut sorted = order.to_vec();
            sorted.sort_unstable();
            let permutes = sorted.iter().map(|axis| *axis as usize).eq(0..x.len());
            permutes.then(|| order.iter().map(|axis| x[*axis as usize]).collect())
        }
        _ => None,
    }
}

/// Axes are equal, or one of them is 1 and stretches.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let axis = |(a, b): (&usize, &usize)| (a == b || *a == 1 || *b == 1).then(|| *a.max(b));
    (a.len() == b.len()).then(|| a.iter().zip(b).map(axis).collect())?
}

/// The shape asked for, which must leave one axis open for the batch.
fn reshape(x: &[usize], wanted: &[i32]) -> Option<Vec<usize>> {
    let fixed = |length: &&i32| **length != -1;
    let known = wanted
        .iter()
        .filter(fixed)
        .try_fold(1_usize, |product, length| {
            product.checked_mul(usize::try_from(*length).ok().filter(|length| *length > 0)?)
        })?;
    let values: usize = x.iter().product();
    let one_open = wanted.iter().filter(fixed).count() + 1 == wanted.len();
    (one_open && values.is_multiple_of(known)).then(|| {
        let open = values / known;
        wanted
            .iter()
            .map(|length| usize::try_from(*length).unwrap_or(open))
            .collect()
    })
}
