use burn::{
    module::{Module, Param},
    tensor::{
        Device, Tensor, TensorData,
        activation::{sigmoid, tanh},
    },
};

use super::{
    Dense, Execution, Network, flat, matrix, numbers,
    operation::{Layer, sequence_layer},
    vector,
};
use crate::{
    LstmLayerWeights, LstmWeights, NetworkWeights,
    kernels::{Positions, dropout::Dropout, lstm::LstmShape},
};

/// Stacked LSTM layers and a dense head on the last hidden state.
#[derive(Module, Debug)]
pub(crate) struct LstmNetwork {
    layers: Vec<LstmLayer>,
    head: Dense,
}

#[derive(Module, Debug)]
struct LstmLayer {
    /// `[inputs, 4 hidden]`
    input: Param<Tensor<2>>,
    /// `[hidden, 4 hidden]`
    recurrent: Param<Tensor<2>>,
    /// `[4 hidden]`
    bias: Param<Tensor<1>>,
}

impl LstmNetwork {
    pub(crate) fn new(weights: &LstmWeights, device: &Device) -> Self {
        let mut inputs = weights.features;
        let layers = weights.layers.iter().map(|layer| {
            let input = matrix(&layer.input, [inputs, 4 * layer.hidden], device);
            inputs = layer.hidden;
            LstmLayer {
                input,
                recurrent: matrix(&layer.recurrent, [inputs, 4 * inputs], device),
                bias: vector(&layer.bias, device),
            }
        });
        Self {
            layers: layers.collect(),
            head: Dense::new(&weights.head, device),
        }
    }
}

impl Network for LstmNetwork {
    fn logits(
        &self,
        windows: Tensor<3>,
        dropout: Option<Dropout>,
        execution: Execution,
    ) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let mut hidden = windows;
        for (index, layer) in self.layers.iter().enumerate() {
            let positions = if index == last {
                Positions::Last
            } else {
                Positions::All
            };
            hidden = match execution {
                Execution::Kernels => layer.forward(hidden, positions),
                Execution::Composed => layer.forward_composed(hidden, positions),
            };
            if let Some(dropout) = dropout {
                hidden = drop_out(hidden, dropout.at(index as u64));
            }
        }
        let [windows, _, width] = hidden.dims();
        self.head.forward(hidden.reshape([windows, width]))
    }

    fn to_weights(&self) -> NetworkWeights {
        NetworkWeights::Lstm(LstmWeights {
            features: self.layers.first().map_or(0, |layer| layer.input.dims()[0]),
            layers: self.layers.iter().map(LstmLayer::to_weights).collect(),
            head: self.head.to_weights(),
        })
    }
}

impl LstmLayer {
    /// `[windows, steps, inputs]` to `[windows, positions, hidden]`.
    fn forward(&self, input: Tensor<3>, positions: Positions) -> Tensor<3> {
        let [_, steps, inputs] = input.dims();
        let [hidden, _] = self.recurrent.dims();
        let parameters = flat([
            self.input.val().flatten(0, 1),
            self.recurrent.val().flatten(0, 1),
            self.bias.val(),
        ]);
        let shape = LstmShape {
            steps,
            inputs,
            hidden,
        };
        sequence_layer(input, parameters, Layer::Lstm(shape, positions))
    }

    /// The same by operations of the framework, see [`LstmLayerWeights`] for the formulas.
    fn forward_composed(&self, input: Tensor<3>, positions: Positions) -> Tensor<3> {
        let [windows, steps, inputs] = input.dims();
        let [width, _] = self.recurrent.dims();
        let mut outputs = Vec::with_capacity(steps);
        let mut state: Option<(Tensor<2>, Tensor<2>)> = None;
        for step in 0..steps {
            let now = input.clone().narrow(1, step, 1).reshape([windows, inputs]);
            let mut gates = now.matmul(self.input.val()) + self.bias.val().unsqueeze();
            if let Some((hidden, _)) = &state {
                gates = gates + hidden.clone().matmul(self.recurrent.val());
            }
            let gate = |index| gates.clone().narrow(1, index * width, width);
            let mut cell = sigmoid(gate(0)) * tanh(gate(2));
            if let Some((_, before)) = state {
                cell = cell + sigmoid(gate(1)) * before;
            }
            let hidden = sigmoid(gate(3)) * tanh(cell.clone());
            match positions {
                Positions::All => outputs.push(hidden.clone()),
                Positions::Last => outputs = vec![hidden.clone()],
            }
            state = Some((hidden, cell));
        }
        Tensor::stack(outputs, 1)
    }

    fn to_weights(&self) -> LstmLayerWeights {
        LstmLayerWeights {
            hidden: self.recurrent.dims()[0],
            input: numbers(&self.input),
            recurrent: numbers(&self.recurrent),
            bias: numbers(&self.bias),
        }
    }
}

/// Drops the same hidden units in all steps of a window: what a recurrent network wants (Gal and Ghahramani, 2016).
fn drop_out(hidden: Tensor<3>, dropout: Dropout) -> Tensor<3> {
    let [windows, _, width] = hidden.dims();
    let mut mask = vec![1.0; windows * width];
    dropout.apply(&mut mask, 0);
    let mask = TensorData::new(mask, [windows, 1, width]);
    let device = hidden.device();
    hidden * Tensor::from_data(mask, &device)
}
