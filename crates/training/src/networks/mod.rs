//! The two networks as modules of the framework, and their way from and to plain weights.

mod initial;
mod lstm;
mod operation;
pub(crate) mod parameters;
#[cfg(test)]
mod tests;
mod transformer;

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor, TensorData},
};

pub(crate) use initial::initial_weights;
pub(crate) use lstm::LstmNetwork;
pub(crate) use transformer::TransformerNetwork;

use crate::{DenseWeights, NetworkWeights, kernels::dropout::Dropout};

/// What the training loop asks of a network.
pub(crate) trait Network: Module + Sized {
    /// Logits `[windows, 3]` of scaled windows `[windows, WINDOW, features]`.
    fn logits(
        &self,
        windows: Tensor<3>,
        dropout: Option<Dropout>,
        execution: Execution,
    ) -> Tensor<2>;

    /// The weights as plain numbers.
    fn to_weights(&self) -> NetworkWeights;
}

/// How the two expensive layers are computed. Both ways give the same numbers but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Execution {
    /// By this crate's kernels, which run on the processor.
    Kernels,
    /// By operations of the framework, which run on any device.
    Composed,
}

impl Execution {
    /// The faster one of those that the device can do.
    pub(crate) fn on(device: &Device) -> Self {
        if *device == Device::flex() {
            Self::Kernels
        } else {
            Self::Composed
        }
    }
}

/// A dense layer `y = x W + b`.
#[derive(Module, Debug)]
pub(crate) struct Dense {
    /// `[inputs, outputs]`
    weight: Param<Tensor<2>>,
    /// `[outputs]`
    bias: Param<Tensor<1>>,
}

impl Dense {
    fn new(weights: &DenseWeights, device: &Device) -> Self {
        let shape = [weights.inputs, weights.outputs];
        Self {
            weight: matrix(&weights.weight, shape, device),
            bias: vector(&weights.bias, device),
        }
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.matmul(self.weight.val()) + self.bias.val().unsqueeze()
    }

    fn to_weights(&self) -> DenseWeights {
        let [inputs, outputs] = self.weight.dims();
        DenseWeights {
            inputs,
            outputs,
            weight: numbers(&self.weight),
            bias: numbers(&self.bias),
        }
    }
}

/// A trainable matrix.
fn matrix(values: &[f32], shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::from_data(
        TensorData::new(values.to_vec(), shape),
        device,
    ))
}

/// A trainable vector.
fn vector(values: &[f32], device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::from_data(
        TensorData::new(values.to_vec(), [values.len()]),
        device,
    ))
}

/// The numbers of a parameter, row-major.
fn numbers<const D: usize>(parameter: &Param<Tensor<D>>) -> Vec<f32> {
    parameter.val().into_data().iter::<f32>().collect()
}

/// Puts parameters one after the other, as the kernels take them.
fn flat<const N: usize>(parameters: [Tensor<1>; N]) -> Tensor<1> {
    Tensor::cat(parameters.to_vec(), 0)
}
