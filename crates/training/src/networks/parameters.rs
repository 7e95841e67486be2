//! A network's parameters in the order of its fields.

use burn::{
    module::{ModuleMapper, ModuleVisitor, Param, ParamId},
    tensor::{Tensor, TensorData},
};

use super::Network;

/// Names the parameters by their place. The framework draws new names in every process, and the optimizer keeps what it
/// knows of a parameter under its name.
pub(crate) fn numbered<N: Network>(network: N) -> N {
    struct Number(u64);
    impl ModuleMapper for Number {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let (_, tensor, mapper) = parameter.consume();
            Param::from_mapped_value(ParamId::from(self.0), tensor, mapper)
        }
    }
    network.map(&mut Number(0))
}

/// All numbers, one parameter after the other, row-major.
pub(crate) fn collect<N: Network>(network: &N) -> Vec<f32> {
    struct Collect(Vec<f32>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.0.extend(parameter.val().into_data().iter::<f32>());
        }
    }
    let mut all = Collect(Vec::new());
    network.visit(&mut all);
    all.0
}

/// The network with other numbers, as many as it has, in the order of [`collect`].
pub(crate) fn replaced<N: Network>(network: N, numbers: &[f32]) -> N {
    struct Replace<'a>(&'a [f32]);
    impl ModuleMapper for Replace<'_> {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, mapper) = parameter.consume();
            let shape = tensor.dims();
            let (own, rest) = self.0.split_at(shape.iter().product());
            self.0 = rest;
            let own = TensorData::new(own.to_vec(), shape);
            let fresh = Tensor::from_data(own, &tensor.device());
            let fresh = fresh.set_require_grad(tensor.is_require_grad());
            Param::from_mapped_value(id, fresh, mapper)
        }
    }
    network.map(&mut Replace(numbers))
}
