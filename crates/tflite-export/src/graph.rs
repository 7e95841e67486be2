//! A TFLite graph before it is written: tensors with names and shapes, operators in order.
//!
//! Only operators that both tract and the official interpreter get right. Batch sizes stay open: an axis that grows
//! with the batch is [`Axis::Batch`].

use std::collections::HashMap;

/// One axis of a tensor's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Always this long.
    Fixed(usize),
    /// This long for each window of the batch.
    Batch(usize),
}

use Axis::{Batch, Fixed};

impl Axis {
    /// Length at a batch of one.
    pub(crate) const fn length(self) -> usize {
        match self {
            Fixed(length) | Batch(length) => length,
        }
    }

    /// Length as written in shapes that leave the batch open.
    pub(crate) fn signature(self) -> i32 {
        match self {
            Fixed(length) => length as i32,
            Batch(_) => -1,
        }
    }
}

/// Position of a tensor in [`Graph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TensorId(pub(crate) i32);

/// Constant contents.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Float(Vec<f32>),
    Int(Vec<i32>),
}

pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<Axis>,
    /// `None` for what is computed.
    pub(crate) data: Option<Data>,
}

/// An operator of TFLite and its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    BatchMatMul {
        transpose_second: bool,
    },
    Concatenation {
        axis: i32,
    },
    FullyConnected {
        relu: bool,
    },
    Logistic,
    Mul,
    Reshape,
    Rsqrt,
    Softmax,
    Square,
    /// Masks have a bit for each axis that is taken whole.
    StridedSlice {
        whole_axes: i32,
    },
    Sum,
    Tanh,
    Transpose,
}

pub(crate) struct Operator {
    pub(crate) operation: Operation,
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) output: TensorId,
}

#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) operators: Vec<Operator>,
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) outputs: Vec<TensorId>,
    /// Shapes, axes and ranges, shared among the operators that need the same.
    small_constants: HashMap<Vec<i32>, TensorId>,
}

impl Graph {
    fn tensor(&mut self, name: String, shape: Vec<Axis>, data: Option<Data>) -> TensorId {
        self.tensors.push(Tensor { name, shape, data });
        TensorId(self.tensors.len() as i32 - 1)
    }

    fn operator(
        &mut self,
        name: &str,
        operation: Operation,
        inputs: Vec<TensorId>,
        shape: Vec<Axis>,
    ) -> TensorId {
        let output = self.tensor(name.to_owned(), shape, None);
        self.operators.push(Operator {
            operation,
            inputs,
            output,
        });
        output
    }

    fn shape(&self, tensor: TensorId) -> &[Axis] {
        &self.tensors[tensor.0 as usize].shape
    }

    fn integers(&mut self, values: Vec<i32>) -> TensorId {
        if let Some(known) = self.small_constants.get(&values) {
            return *known;
        }
        let text: Vec<_> = values.iter().map(ToString::to_string).collect();
        let shape = vec![Fixed(values.len())];
        let data = Data::Int(values.clone());
        let id = self.tensor(format!("integers/{}", text.join(",")), shape, Some(data));
        self.small_constants.insert(values, id);
        id
    }

    /// A placeholder for the caller's data.
    pub(crate) fn input(&mut self, name: &str, shape: &[Axis]) -> TensorId {
        let id = self.tensor(name.to_owned(), shape.to_vec(), None);
        self.inputs.push(id);
        id
    }

    /// Weights and other fixed numbers.
    pub(crate) fn constant(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> TensorId {
        let shape = shape.iter().map(|length| Fixed(*length)).collect();
        self.tensor(name.to_owned(), shape, Some(Data::Float(values)))
    }

    /// `x W + b`: x `[rows, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`.
    pub(crate) fn fully_connected(
        &mut self,
        name: &str,
        x: TensorId,
        weight: TensorId,
        bias: TensorId,
        relu: bool,
    ) -> TensorId {
        let shape = vec![self.shape(x)[0], self.shape(weight)[0]];
        self.operator(
            name,
            Operation::FullyConnected { relu },
            vec![x, weight, bias],
            shape,
        )
    }

    /// a `[.., m, k]` times b `[.., k, n]`, or b `[.., n, k]` when it is to be transposed.
    pub(crate) fn batch_matmul(
        &mut self,
        name: &str,
        a: TensorId,
        b: TensorId,
        transpose_second: bool,
    ) -> TensorId {
        let mut shape = self.shape(a).to_vec();
        let rank = shape.len();
        shape[rank - 1] = self.shape(b)[if transpose_second { rank - 2 } else { rank - 1 }];
        self.operator(
            name,
            Operation::BatchMatMul { transpose_second },
            vec![a, b],
            shape,
        )
    }

    /// Elementwise; b's axes of length 1 stretch.
    pub(crate) fn add(&mut self, name: &str, a: TensorId, b: TensorId) -> TensorId {
        self.operator(name, Operation::Add, vec![a, b], self.shape(a).to_vec())
    }

    /// Elementwise; b's axes of length 1 stretch.
    pub(crate) fn mul(&mut self, name: &str, a: TensorId, b: TensorId) -> TensorId {
        self.operator(name, Operation::Mul, vec![a, b], self.shape(a).to_vec())
    }

    /// One of the operators that change values but not the shape.
    pub(crate) fn map(&mut self, name: &str, operation: Operation, x: TensorId) -> TensorId {
        self.operator(name, operation, vec![x], self.shape(x).to_vec())
    }

    /// Sum over the last axis, which stays with length 1.
    pub(crate) fn sum_last(&mut self, name: &str, x: TensorId) -> TensorId {
        let mut shape = self.shape(x).to_vec();
        let last = shape.len() - 1;
        shape[last] = Fixed(1);
        let axes = self.integers(vec![last as i32]);
        self.operator(name, Operation::Sum, vec![x, axes], shape)
    }

    /// The same values in another shape with one open axis.
    pub(crate) fn reshape(&mut self, name: &str, x: TensorId, shape: &[Axis]) -> TensorId {
        let wanted = self.integers(shape.iter().map(|axis| axis.signature()).collect());
        self.operator(name, Operation::Reshape, vec![x, wanted], shape.to_vec())
    }

    /// Axis i of the output is axis `order[i]` of x.
    pub(crate) fn transpose(&mut self, name: &str, x: TensorId, order: &[usize]) -> TensorId {
        let shape = order.iter().map(|axis| self.shape(x)[*axis]).collect();
        let order = self.integers(order.iter().map(|axis| *axis as i32).collect());
        self.operator(name, Operation::Transpose, vec![x, order], shape)
    }

    /// `start..start + count` of one axis, all of the others.
    pub(crate) fn slice(
        &mut self,
        name: &str,
        x: TensorId,
        axis: usize,
        start: usize,
        count: usize,
    ) -> TensorId {
        let mut shape = self.shape(x).to_vec();
        let rank = shape.len();
        shape[axis] = Fixed(count);
        let mut range = |bound: usize| {
            let mut values = vec![0; rank];
            values[axis] = bound as i32;
            self.integers(values)
        };
        let (begin, end) = (range(start), range(start + count));
        let strides = self.integers(vec![1; rank]);
        let whole_axes = ((1 << rank) - 1) & !(1 << axis);
        let operation = Operation::StridedSlice { whole_axes };
        self.operator(name, operation, vec![x, begin, end, strides], shape)
    }

    /// Puts matrices with the same number of rows side by side.
    pub(crate) fn join_columns(&mut self, name: &str, parts: Vec<TensorId>) -> TensorId {
        let columns = parts.iter().map(|part| self.shape(*part)[1].length()).sum();
        let shape = vec![self.shape(parts[0])[0], Fixed(columns)];
        self.operator(name, Operation::Concatenation { axis: 1 }, parts, shape)
    }
}
