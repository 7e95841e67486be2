//! Structural check of a TFLite file before tract sees it.
//!
//! tract indexes and allocates by what the file says. A wrong index panics, which can be caught; a wrong size may take
//! all memory there is (a shape that does not fit makes tract look for a way to reshape for ever), which ends the
//! process. So every index and size is checked here.

use tract_tflite::tflite::{self, TensorType};

use super::{
    CLASSES, NetworkError,
    shapes::{Operand, output_shape},
};

/// Largest number of values in one tensor: far above any network here, far below what memory holds.
const MAXIMUM_VALUES: usize = 1 << 24;

/// Largest number of values that are computed for one window, all tensors together: with the largest batch half a
/// gigabyte. The networks here compute some hundred thousand.
const MAXIMUM_COMPUTED_VALUES: usize = 1 << 22;

/// Largest number of operators: an unrolled LSTM of two layers has some two thousand.
const MAXIMUM_OPERATORS: usize = 1 << 15;

/// What of the file's layout is needed to run it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Bars and features of a window.
    pub(crate) window: [usize; 2],
    /// Where in the file the input's batch size stands, a little-endian `i32`.
    pub(crate) batch_offset: usize,
}

pub(crate) fn check(bytes: &[u8], window: [usize; 2]) -> Result<Layout, NetworkError> {
    let fault = |text: String| NetworkError::Structure(text);
    let missing = |what: &str| NetworkError::Structure(format!("it has no {what}"));
    if bytes.get(4..8) != Some(tflite::MODEL_IDENTIFIER.as_bytes()) {
        return Err(fault("it does not start as a TFLite file does".to_owned()));
    }
    let model =
        tflite::root_as_model(bytes).map_err(|error| NetworkError::Flatbuffer(error.into()))?;
    let codes = model
        .operator_codes()
        .ok_or_else(|| missing("operator codes"))?;
    let buffers = model.buffers().ok_or_else(|| missing("buffers"))?;
    let subgraphs = model.subgraphs().filter(|graphs| graphs.len() == 1);
    let graph = subgraphs
        .ok_or_else(|| fault("it must have one graph".to_owned()))?
        .get(0);
    let tensors = graph.tensors().ok_or_else(|| missing("tensors"))?;
    let operators = graph.operators().ok_or_else(|| missing("operators"))?;

    if operators.len() > MAXIMUM_OPERATORS {
        return Err(fault(format!("{} operators", operators.len())));
    }
    let mut computed = 0;
    for (index, tensor) in tensors.iter().enumerate() {
        let name = tensor
            .name()
            .ok_or_else(|| fault(format!("tensor {index} has no name")))?;
        let shape = tensor
            .shape()
            .ok_or_else(|| fault(format!("{name} has no shape")))?;
        let values = shape.iter().try_fold(1_usize, |product, length| {
            let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
            product
                .checked_mul(length)
                .filter(|product| *product <= MAXIMUM_VALUES)
        });
        let values = values.ok_or_else(|| fault(format!("{name} has an impossible shape")))?;
        let known = [TensorType::FLOAT32, TensorType::INT32].contains(&tensor.type_());
        if !known || tensor.quantization().is_some() {
            return Err(fault(format!("{name} holds neither f32 nor i32 values")));
        }
        let buffer = tensor.buffer() as usize;
        if buffer >= buffers.len() {
            return Err(fault(format!(
                "{name} lies in buffer {buffer}, which does not exist"
            )));
        }
        let stored = buffers.get(buffer).data().map_or(0, |data| data.len());
        if buffer == 0 {
            computed += values;
        }
        if computed > MAXIMUM_COMPUTED_VALUES {
            return Err(fault(format!(
                "it computes more than {MAXIMUM_COMPUTED_VALUES} values for a window"
            )));
        }
        // Both types take four bytes a value; what is computed has no buffer.
        if buffer != 0 && stored != 4 * values {
            return Err(fault(format!(
                "{name} takes {} bytes, but has {stored}",
                4 * values
            )));
        }
    }
    let operand = |id: i32| {
        let tensor = tensors.get(id as usize);
        let shape = tensor
            .shape()
            .map(|shape| shape.iter().map(|length| length as usize).collect());
        let data = buffers.get(tensor.buffer() as usize).data();
        let integers = data
            .filter(|_| tensor.type_() == TensorType::INT32)
            .map(|data| {
                let (values, _) = data.bytes().as_chunks::<4>();
                values
                    .iter()
                    .map(|bytes| i32::from_le_bytes(*bytes))
                    .collect()
            });
        Operand {
            shape: shape.unwrap_or_default(),
            integers,
        }
    };
    let in_range = |id: i32| usize::try_from(id).is_ok_and(|id| id < tensors.len());
    let stored = |id: i32| tensors.get(id as usize).buffer() != 0;
    let mut ready: Vec<bool> = (0..tensors.len() as i32).map(stored).collect();
    let inputs: Vec<i32> = graph
        .inputs()
        .map(|ids| ids.iter().collect())
        .unwrap_or_default();
    let outputs: Vec<i32> = graph
        .outputs()
        .map(|ids| ids.iter().collect())
        .unwrap_or_default();
    if !inputs.iter().chain(&outputs).all(|id| in_range(*id)) {
        return Err(fault(
            "an input or output is not one of its tensors".to_owned(),
        ));
    }
    inputs.iter().for_each(|id| ready[*id as usize] = true);
    for (index, operator) in operators.iter().enumerate() {
        let code = operator.opcode_index() as usize;
        if code >= codes.len() {
            return Err(fault(format!(
                "operator {index} has code {code}, which does not exist"
            )));
        }
        let code = codes.get(code);
        let operation = code.builtin_code();
        if i32::from(code.deprecated_builtin_code()) != operation.0 {
            return Err(fault(format!("operator {index} has two codes")));
        }
        let reads = operator
            .inputs()
            .ok_or_else(|| missing("operator inputs"))?;
        let writes = operator
            .outputs()
            .ok_or_else(|| missing("operator outputs"))?;
        // In order, so that everything read was computed before; each tensor is computed once.
        if reads.is_empty() || !reads.iter().all(|id| in_range(id) && ready[id as usize]) {
            return Err(fault(format!(
                "operator {index} reads what no operator before it writes"
            )));
        }
        if writes.len() != 1 || !in_range(writes.get(0)) || ready[writes.get(0) as usize] {
            return Err(fault(format!("operator {index} writes where it must not")));
        }
        ready[writes.get(0) as usize] = true;
        let operands: Vec<Operand> = reads.iter().map(&operand).collect();
        let shape = output_shape(operation, &operator, &operands);
        if shape != Some(operand(writes.get(0)).shape) {
            return Err(fault(format!(
                "operator {index} ({operation:?}) does not fit its tensors"
            )));
        }
    }
    if !outputs.iter().all(|id| ready[*id as usize]) {
        return Err(fault("no operator writes its output".to_owned()));
    }
    interface(bytes, &tensors, &inputs, &outputs, window)
}

type Tensors<'a> = flatbuffers::Vector<'a, flatbuffers::ForwardsUOffset<tflite::Tensor<'a>>>;

/// Checks that the network takes windows and gives probabilities, and finds the batch size.
fn interface(
    bytes: &[u8],
    tensors: &Tensors<'_>,
    inputs: &[i32],
    outputs: &[i32],
    window: [usize; 2],
) -> Result<Layout, NetworkError> {
    let ([input], [output]) = (inputs, outputs) else {
        return Err(NetworkError::Interface(format!(
            "{} inputs and {} outputs, expected one of each",
            inputs.len(),
            outputs.len()
        )));
    };
    let shape_of = |id: i32| {
        tensors
            .get(id as usize)
            .shape()
            .map(|shape| shape.iter().collect::<Vec<_>>())
    };
    let (input_shape, output_shape) = (shape_of(*input), shape_of(*output));
    let [bars, features] = window;
    if input_shape != Some(vec![1, bars as i32, features as i32])
        || output_shape != Some(vec![1, CLASSES as i32])
    {
        return Err(NetworkError::Interface(format!(
            "input {input_shape:?} and output {output_shape:?}, expected [1, {bars}, {features}] and [1, {CLASSES}]"
        )));
    }
    let batch_offset = tensors
        .get(*input as usize)
        .shape()
        .map(|shape| shape.bytes().as_ptr() as usize - bytes.as_ptr() as usize);
    let batch_offset =
        batch_offset.ok_or_else(|| NetworkError::Interface("an input without shape".to_owned()))?;
    Ok(Layout {
        window,
        batch_offset,
    })
}
