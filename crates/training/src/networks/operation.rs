//! The kernels as one differentiable operation of the framework.

use std::sync::Arc;

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Tensor, TensorData},
};

use crate::kernels::{
    Positions,
    encoder::{self, EncoderCall, EncoderChunk},
    lstm::{self, LstmShape, LstmShard},
};

/// A layer over windows: which one, and with what sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layer {
    Lstm(LstmShape, Positions),
    Encoder(EncoderCall),
}

/// Runs the layer: `input` `[windows, steps, inputs]` and the layer's flat parameters to
/// `[windows, positions, outputs]`.
pub(crate) fn sequence_layer(input: Tensor<3>, parameters: Tensor<1>, layer: Layer) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as SequenceOperation>::sequence_layer(
        input.into_dispatch(),
        parameters.into_dispatch(),
        layer,
    ))
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait SequenceOperation: Backend {
    fn sequence_layer(
        input: FloatTensor<Self>,
        parameters: FloatTensor<Self>,
        layer: Layer,
    ) -> FloatTensor<Self>;
}

type FlexTensor = FloatTensor<Flex>;

impl SequenceOperation for Flex {
    fn sequence_layer(input: FlexTensor, parameters: FlexTensor, layer: Layer) -> FlexTensor {
        layer
            .forward(&input.to_contiguous(), &parameters.to_contiguous())
            .0
    }
}

impl<C: CheckpointStrategy> SequenceOperation for Autodiff<Flex, C> {
    fn sequence_layer(
        input: FloatTensor<Self>,
        parameters: FloatTensor<Self>,
        layer: Layer,
    ) -> FloatTensor<Self> {
        let (input, input_node) = input.into_parts();
        let (parameters, parameters_node) = parameters.into_parts();
        let (input, parameters) = (input.to_contiguous(), parameters.to_contiguous());
        let (output, saved) = layer.forward(&input, &parameters);
        let prepared = LayerBackward
            .prepare::<C>([input_node, parameters_node])
            .compute_bound()
            .stateful();
        match prepared {
            OpsKind::Tracked(prepared) => {
                let state = LayerState {
                    layer,
                    parameters,
                    saved: Arc::new(saved),
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// What a layer's forward pass keeps for its backward pass.
#[derive(Clone, Debug)]
enum Saved {
    Lstm(Vec<LstmShard>),
    Encoder(Vec<EncoderChunk>),
}

#[derive(Clone, Debug)]
struct LayerState {
    layer: Layer,
    parameters: FlexTensor,
    saved: Arc<Saved>,
}

#[derive(Debug)]
struct LayerBackward;

impl Backward<Flex, 2> for LayerBackward {
    type State = LayerState;

    fn backward(
        self,
        ops: Ops<LayerState, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [input_node, parameters_node] = ops.parents;
        let LayerState {
            layer,
            parameters,
            saved,
        } = ops.state;
        let saved = Arc::unwrap_or_clone(saved);
        let (input, parameters) = layer.backward(&parameters, saved, &output, input_node.is_some());
        if let (Some(node), Some(gradient)) = (input_node, input) {
            gradients.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = parameters_node {
            gradients.register::<Flex>(node.id, parameters);
        }
    }
}

impl Layer {
    fn forward(self, input: &FlexTensor, parameters: &FlexTensor) -> (FlexTensor, Saved) {
        let (input, parameters) = (input.storage(), parameters.storage());
        let (output, saved) = match self {
            Self::Lstm(shape, positions) => {
                let (output, shards) = lstm::forward(shape, positions, parameters, input);
                (output, Saved::Lstm(shards))
            }
            Self::Encoder(call) => {
                let (output, chunks) = encoder::forward(call, parameters, input);
                (output, Saved::Encoder(chunks))
            }
        };
        let (positions, width) = self.output_shape();
        let windows = output.len() / (positions * width);
        (tensor(output, vec![windows, positions, width]), saved)
    }

    /// Gradients of the input, if wanted, and of the parameters.
    fn backward(
        self,
        parameters: &FlexTensor,
        saved: Saved,
        output: &FlexTensor,
        wants_input: bool,
    ) -> (Option<FlexTensor>, FlexTensor) {
        let (parameters, output) = (parameters.storage(), output.storage());
        let (input, parameters) = match (self, saved) {
            (Self::Lstm(shape, positions), Saved::Lstm(shards)) => {
                lstm::backward(shape, positions, parameters, shards, output, wants_input)
            }
            (Self::Encoder(call), Saved::Encoder(chunks)) => {
                let (input, parameters) = encoder::backward(call, parameters, &chunks, output);
                (Some(input), parameters)
            }
            // A layer saves its own kind; this pair cannot be made.
            _ => (None, Vec::new()),
        };
        let (steps, width) = self.input_shape();
        let input = input.map(|input| {
            let windows = input.len() / (steps * width);
            tensor(input, vec![windows, steps, width])
        });
        let length = parameters.len();
        (input, tensor(parameters, vec![length]))
    }

    /// Steps and width of what the layer reads.
    fn input_shape(self) -> (usize, usize) {
        match self {
            Self::Lstm(shape, _) => (shape.steps, shape.inputs),
            Self::Encoder(call) => (call.shape.steps, call.shape.width),
        }
    }

    /// Positions and width of what it writes.
    fn output_shape(self) -> (usize, usize) {
        match self {
            Self::Lstm(shape, positions) => (positions.count(shape.steps), shape.hidden),
            Self::Encoder(call) => (call.positions.count(call.shape.steps), call.shape.width),
        }
    }
}

fn tensor(values: Vec<f32>, shape: Vec<usize>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
