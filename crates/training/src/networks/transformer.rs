use burn::{
    module::{Module, Param},
    tensor::{
        Device, Tensor, TensorData,
        activation::{relu, softmax},
    },
};

use super::{
    Dense, Execution, Network, flat, matrix, numbers,
    operation::{Layer, sequence_layer},
    vector,
};
use crate::{
    EncoderLayerWeights, NetworkWeights, NormWeights, TransformerWeights,
    kernels::{
        Positions,
        dropout::Dropout,
        encoder::{EPSILON, EncoderCall, EncoderShape},
    },
};

/// A pre-norm encoder with a learned position embedding and a dense head on the last position.
#[derive(Module, Debug)]
pub(crate) struct TransformerNetwork {
    heads: usize,
    embed: Dense,
    /// `[steps, width]`
    position: Param<Tensor<2>>,
    layers: Vec<EncoderLayer>,
    final_norm: Norm,
    head: Dense,
}

#[derive(Module, Debug)]
struct EncoderLayer {
    norm1: Norm,
    qkv: Dense,
    attention_out: Dense,
    norm2: Norm,
    feed_forward_in: Dense,
    feed_forward_out: Dense,
}

#[derive(Module, Debug)]
struct Norm {
    scale: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl TransformerNetwork {
    pub(crate) fn new(weights: &TransformerWeights, device: &Device) -> Self {
        let steps = weights.position.len() / weights.width;
        Self {
            heads: weights.heads,
            embed: Dense::new(&weights.embed, device),
            position: matrix(&weights.position, [steps, weights.width], device),
            layers: weights
                .layers
                .iter()
                .map(|layer| EncoderLayer::new(layer, device))
                .collect(),
            final_norm: Norm::new(&weights.final_norm, device),
            head: Dense::new(&weights.head, device),
        }
    }
}

impl Network for TransformerNetwork {
    fn logits(
        &self,
        windows: Tensor<3>,
        dropout: Option<Dropout>,
        execution: Execution,
    ) -> Tensor<2> {
        let [count, steps, features] = windows.dims();
        let [_, width] = self.position.dims();
        let embedded = self
            .embed
            .forward(windows.reshape([count * steps, features]));
        let mut stream =
            embedded.reshape([count, steps, width]) + self.position.val().unsqueeze::<3>();
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            let positions = if index == last {
                Positions::Last
            } else {
                Positions::All
            };
            let [inner, _] = layer.feed_forward_out.weight.dims();
            let call = EncoderCall {
                shape: EncoderShape {
                    steps,
                    width,
                    heads: self.heads,
                    inner,
                },
                positions,
                dropout: dropout.map(|dropout| dropout.at(index as u64)),
            };
            stream = match execution {
                Execution::Kernels => {
                    sequence_layer(stream, layer.parameters(), Layer::Encoder(call))
                }
                Execution::Composed => layer.forward_composed(stream, call),
            };
        }
        self.head
            .forward(self.final_norm.forward(stream.reshape([count, width])))
    }

    fn to_weights(&self) -> NetworkWeights {
        let [_, width] = self.position.dims();
        let embed = self.embed.to_weights();
        NetworkWeights::Transformer(TransformerWeights {
            features: embed.inputs,
            width,
            heads: self.heads,
            embed,
            position: numbers(&self.position),
            layers: self.layers.iter().map(EncoderLayer::to_weights).collect(),
            final_norm: self.final_norm.to_weights(),
            head: self.head.to_weights(),
        })
    }
}

impl EncoderLayer {
    fn new(weights: &EncoderLayerWeights, device: &Device) -> Self {
        Self {
            norm1: Norm::new(&weights.norm1, device),
            qkv: Dense::new(&weights.qkv, device),
            attention_out: Dense::new(&weights.attention_out, device),
            norm2: Norm::new(&weights.norm2, device),
            feed_forward_in: Dense::new(&weights.feed_forward_in, device),
            feed_forward_out: Dense::new(&weights.feed_forward_out, device),
        }
    }

    /// What the kernel computes, by operations of the framework: `[windows, steps, width]` to
    /// `[windows, positions, width]`.
    fn forward_composed(&self, input: Tensor<3>, call: EncoderCall) -> Tensor<3> {
        let [windows, steps, width] = input.dims();
        let EncoderShape { heads, .. } = call.shape;
        let queries = call.positions.count(steps);
        let rows = |tensor: Tensor<3>| {
            let [windows, positions, width] = tensor.dims();
            tensor.reshape([windows * positions, width])
        };
        let attended = self.norm1.forward(rows(input.clone()));
        let projected = self.qkv.forward(attended);
        // Queries, keys and values, each `[windows, heads, steps, head width]`.
        let part = |index: usize| -> Tensor<4> {
            let columns = projected.clone().narrow(1, index * width, width);
            columns
                .reshape([windows, steps, heads, width / heads])
                .swap_dims(1, 2)
        };
        let asking = part(0).narrow(2, steps - queries, queries);
        let scores = asking.matmul(part(1).swap_dims(2, 3)) / ((width / heads) as f64).sqrt();
        let context = softmax(scores, 3).matmul(part(2)).swap_dims(1, 2);
        let update = self
            .attention_out
            .forward(context.reshape([windows * queries, width]))
            .reshape([windows, queries, width]);
        let stream = input.narrow(1, steps - queries, queries) + drop_out(update, call, 1);

        let inner = self.norm2.forward(rows(stream.clone()));
        let inner = relu(self.feed_forward_in.forward(inner));
        let update = self
            .feed_forward_out
            .forward(inner)
            .reshape([windows, queries, width]);
        stream + drop_out(update, call, 2)
    }

    /// All parameters in the order of the kernel.
    fn parameters(&self) -> Tensor<1> {
        flat([
            self.norm1.scale.val(),
            self.norm1.bias.val(),
            self.qkv.weight.val().flatten(0, 1),
            self.qkv.bias.val(),
            self.attention_out.weight.val().flatten(0, 1),
            self.attention_out.bias.val(),
            self.norm2.scale.val(),
            self.norm2.bias.val(),
            self.feed_forward_in.weight.val().flatten(0, 1),
            self.feed_forward_in.bias.val(),
            self.feed_forward_out.weight.val().flatten(0, 1),
            self.feed_forward_out.bias.val(),
        ])
    }

    fn to_weights(&self) -> EncoderLayerWeights {
        EncoderLayerWeights {
            norm1: self.norm1.to_weights(),
            qkv: self.qkv.to_weights(),
            attention_out: self.attention_out.to_weights(),
            norm2: self.norm2.to_weights(),
            feed_forward_in: self.feed_forward_in.to_weights(),
            feed_forward_out: self.feed_forward_out.to_weights(),
        }
    }
}

/// The mask that the kernel applies to the output of a sublayer, `[windows, queries, width]`.
fn drop_out(update: Tensor<3>, call: EncoderCall, place: u64) -> Tensor<3> {
    if call.dropout.is_none() {
        return update;
    }
    let shape = update.dims();
    let mut mask = vec![1.0; shape.iter().product()];
    call.drop_out(&mut mask, place, 0);
    let device = update.device();
    update * Tensor::from_data(TensorData::new(mask, shape), &device)
}

impl Norm {
    fn new(weights: &NormWeights, device: &Device) -> Self {
        Self {
            scale: vector(&weights.scale, device),
            bias: vector(&weights.bias, device),
        }
    }

    /// `[rows, width]` to the same.
    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let centred = rows.clone() - rows.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        let normed = centred / (variance + EPSILON).sqrt();
        normed * self.scale.val().unsqueeze() + self.bias.val().unsqueeze()
    }

    fn to_weights(&self) -> NormWeights {
        NormWeights {
            scale: numbers(&self.scale),
            bias: numbers(&self.bias),
            epsilon: EPSILON,
        }
    }
}
