//! Dense layers in double precision, for folding neighbouring linear steps into one before they are rounded to `f32`.

use crate::{
    error::ExportError,
    weights::{DenseWeights, NormWeights},
};

/// `y = x W + b` with W `[inputs, outputs]`, row-major.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) weight: Vec<f64>,
    pub(crate) bias: Vec<f64>,
}

impl Affine {
    /// Checks sizes and values of a trained layer that must read `inputs` values.
    pub(crate) fn new(
        name: &str,
        dense: &DenseWeights,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ExportError> {
        check_size(&format!("{name}.inputs"), dense.inputs, inputs)?;
        check_size(&format!("{name}.outputs"), dense.outputs, outputs)?;
        let weight = checked(&format!("{name}.weight"), &dense.weight, inputs * outputs)?;
        let bias = checked(&format!("{name}.bias"), &dense.bias, outputs)?;
        Ok(Self {
            inputs,
            outputs,
            weight,
            bias,
        })
    }

    fn row(&self, input: usize) -> &[f64] {
        &self.weight[input * self.outputs..(input + 1) * self.outputs]
    }

    /// The layer that does the scale and the bias of a layer norm first: `(x * scale + bias) W + b`.
    pub(crate) fn after_norm(mut self, norm: &Norm) -> Self {
        for input in 0..self.inputs {
            let row = input * self.outputs..(input + 1) * self.outputs;
            for (weight, bias) in self.weight[row].iter_mut().zip(&mut self.bias) {
                *bias += norm.bias[input] * *weight;
                *weight *= norm.scale[input];
            }
        }
        self
    }

    /// The layer whose outputs have mean zero: every row of W and b lose their mean.
    pub(crate) fn centred(mut self) -> Self {
        for row in self.weight.chunks_exact_mut(self.outputs) {
            centre(row);
        }
        centre(&mut self.bias);
        self
    }

    /// Multiplies W and b.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        self.weight
            .iter_mut()
            .chain(&mut self.bias)
            .for_each(|value| *value *= factor);
        self
    }

    /// Output columns `start..start + count` alone.
    pub(crate) fn columns(&self, start: usize, count: usize) -> Self {
        let weight = (0..self.inputs)
            .flat_map(|input| &self.row(input)[start..start + count])
            .copied()
            .collect();
        let bias = self.bias[start..start + count].to_vec();
        Self {
            inputs: self.inputs,
            outputs: count,
            weight,
            bias,
        }
    }

    /// W transposed, `[outputs, inputs]` as FULLY_CONNECTED wants it, in `f32`.
    pub(crate) fn transposed_weight(&self) -> Vec<f32> {
        let column = |output| (0..self.inputs).map(move |input| (input, output));
        (0..self.outputs)
            .flat_map(column)
            .map(|(input, output)| self.weight[input * self.outputs + output] as f32)
            .collect()
    }

    /// b in `f32`.
    pub(crate) fn bias(&self) -> Vec<f32> {
        self.bias.iter().map(|value| *value as f32).collect()
    }
}

/// Scale and bias of a layer norm, checked.
pub(crate) struct Norm {
    pub(crate) scale: Vec<f64>,
    pub(crate) bias: Vec<f64>,
    pub(crate) epsilon: f32,
}

impl Norm {
    pub(crate) fn new(name: &str, norm: &NormWeights, width: usize) -> Result<Self, ExportError> {
        let scale = checked(&format!("{name}.scale"), &norm.scale, width)?;
        let bias = checked(&format!("{name}.bias"), &norm.bias, width)?;
        checked(&format!("{name}.epsilon"), &[norm.epsilon], 1)?;
        Ok(Self {
            scale,
            bias,
            epsilon: norm.epsilon,
        })
    }
}

/// `a b` for row-major `[rows, inner]` and `[inner, columns]`.
pub(crate) fn product(a: &[f64], b: &[f64], inner: usize, columns: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(a.len() / inner * columns);
    for row in a.chunks_exact(inner) {
        let mut sums = vec![0.0; columns];
        for (value, b_row) in row.iter().zip(b.chunks_exact(columns)) {
            sums.iter_mut()
                .zip(b_row)
                .for_each(|(sum, other)| *sum += value * other);
        }
        out.extend(sums);
    }
    out
}

/// `[rows, columns]` to `[columns, rows]`.
pub(crate) fn transpose(matrix: &[f64], columns: usize) -> Vec<f64> {
    (0..columns)
        .flat_map(|column| matrix.iter().skip(column).step_by(columns))
        .copied()
        .collect()
}

pub(crate) fn centre(row: &mut [f64]) {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    row.iter_mut().for_each(|value| *value -= mean);
}

/// The values in double precision, when there are as many as expected and all are finite.
pub(crate) fn checked(
    name: &str,
    values: &[f32],
    expected: usize,
) -> Result<Vec<f64>, ExportError> {
    if values.len() != expected {
        return Err(ExportError::Length {
            name: name.to_owned(),
            expected,
            found: values.len(),
        });
    }
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(ExportError::NotFinite {
            name: name.to_owned(),
            index,
            value: values[index],
        });
    }
    Ok(values.iter().map(|value| f64::from(*value)).collect())
}

pub(crate) fn check_size(name: &str, found: usize, expected: usize) -> Result<(), ExportError> {
    if found == expected {
        Ok(())
    } else {
        Err(ExportError::Size {
            name: name.to_owned(),
            expected,
            found,
        })
    }
}

pub(crate) fn check_not_empty(name: &str, count: usize) -> Result<(), ExportError> {
    if count == 0 {
        Err(ExportError::Empty {
            name: name.to_owned(),
        })
    } else {
        Ok(())
    }
}
