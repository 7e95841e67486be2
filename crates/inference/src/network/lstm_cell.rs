//! An LSTM step's elementwise operators as tract's one fused operator: a dozen dispatches and copies fewer per step.

use tract_tflite::internal::{
    DimLike, ElementWiseMiniOp, OutletId, TractResult, TypedModel, TypedModelPatch,
    tract_core::ops::{
        array::Slice,
        binary::{BinMiniOp, TypedBinOp},
        element_wise::ElementWiseOp,
        lstm_cell::LstmEpilogue,
        math::{Add, Mul, Tanh},
        nn::Sigmoid,
    },
};

/// A step, as the exporter writes it: gates `[batch, 4 * hidden]` in the order i, o, f, g.
struct Step {
    hidden: usize,
    gates: OutletId,
    previous_cell: OutletId,
    cell: OutletId,
    output: OutletId,
}

/// Fuses every step that has the form expected; all others stay as they are.
pub(super) fn fuse(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let Some(step) = find_step(model, OutletId::from(id)) else {
            continue;
        };
        let mut patch = TypedModelPatch::default();
        let inputs = patch.taps(model, &[step.gates, step.previous_cell])?;
        let name = format!("{}.fused", model.node(id).name);
        let fused = patch.wire_node(
            name,
            LstmEpilogue {
                hidden: step.hidden,
            },
            &inputs,
        )?;
        patch.shunt_outside(model, step.output, fused[0])?;
        patch.shunt_outside(model, step.cell, fused[1])?;
        patch.apply(model)?;
    }
    model.compact()
}

/// `output = o * tanh(cell)` with `cell = f * previous_cell + i * g`.
fn find_step(model: &TypedModel, output: OutletId) -> Option<Step> {
    let [output_gate, squashed] = binary::<Mul>(model, output)?;
    let cell = element_wise::<Tanh>(model, squashed)?;
    let [kept, written] = binary::<Add>(model, cell)?;
    let [forget_gate, previous_cell] = binary::<Mul>(model, kept)?;
    let [input_gate, candidate] = binary::<Mul>(model, written)?;
    let (candidate, start, end) = columns(model, element_wise::<Tanh>(model, candidate)?)?;
    let hidden = end.checked_sub(start)?;
    let gate = |outlet, position: usize| {
        let (opened, start, end) = columns(model, outlet)?;
        let expected = (position * hidden, (position + 1) * hidden);
        ((start, end) == expected).then_some(opened)
    };
    let opened = gate(input_gate, 0)?;
    let one_source = gate(output_gate, 1)? == opened && gate(forget_gate, 2)? == opened;
    let gates = element_wise::<Sigmoid>(model, opened)?;
    let fits = one_source && candidate == gates && start == 3 * hidden;
    fits.then_some(Step {
        hidden,
        gates,
        previous_cell,
        cell,
        output,
    })
}

fn binary<Operation: BinMiniOp>(model: &TypedModel, outlet: OutletId) -> Option<[OutletId; 2]> {
    let node = model.node(outlet.node);
    let operation = node.op_as::<TypedBinOp>()?;
    let inputs = <[OutletId; 2]>::try_from(node.inputs.as_slice()).ok()?;
    operation.0.is::<Operation>().then_some(inputs)
}

fn element_wise<Operation: ElementWiseMiniOp>(
    model: &TypedModel,
    outlet: OutletId,
) -> Option<OutletId> {
    let node = model.node(outlet.node);
    let operation = node.op_as::<ElementWiseOp>()?;
    operation
        .0
        .is::<Operation>()
        .then(|| node.inputs.first().copied())?
}

/// What a slice over the columns of a matrix takes, and of what.
fn columns(model: &TypedModel, outlet: OutletId) -> Option<(OutletId, usize, usize)> {
    let node = model.node(outlet.node);
    let slice = node.op_as::<Slice>()?;
    let source = *node.inputs.first()?;
    let matrix = model.outlet_fact(source).ok()?.rank() == 2 && slice.axis == 1;
    let range = (slice.start.to_usize().ok()?, slice.end.to_usize().ok()?);
    matrix.then_some((source, range.0, range.1))
}
