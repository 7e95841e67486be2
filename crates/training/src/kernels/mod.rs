//! Forward and backward passes of the two expensive layers on plain slices.
//!
//! A batch is cut into shards of a fixed number of windows, which run in parallel and each keep what their backward
//! pass needs. The cut does not depend on the number of threads and the shards' gradients are added in order, so a
//! result depends on the inputs alone.

pub(crate) mod activation;
pub(crate) mod dropout;
pub(crate) mod encoder;
pub(crate) mod lstm;
mod matrix;

/// Which time steps of a layer's output are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Positions {
    /// Output `[windows, steps, width]`.
    All,
    /// Output `[windows, 1, width]`: the last step only, at a fraction of the cost.
    Last,
}

impl Positions {
    /// How many of `steps` are computed.
    pub(crate) const fn count(self, steps: usize) -> usize {
        match self {
            Self::All => steps,
            Self::Last => 1,
        }
    }
}

/// Adds vectors of equal length element by element, first to last.
fn sum(vectors: impl IntoIterator<Item = Vec<f32>>) -> Vec<f32> {
    let mut vectors = vectors.into_iter();
    let mut total = vectors.next().unwrap_or_default();
    for vector in vectors {
        for (sum, value) in total.iter_mut().zip(&vector) {
            *sum += value;
        }
    }
    total
}

/// Cuts a flat parameter vector into consecutive parts of the given lengths.
fn split<const N: usize>(mut flat: &[f32], lengths: [usize; N]) -> [&[f32]; N] {
    lengths.map(|length| {
        let (part, rest) = flat.split_at(length);
        flat = rest;
        part
    })
}

/// The same for gradients that are written to.
fn split_mut<const N: usize>(mut flat: &mut [f32], lengths: [usize; N]) -> [&mut [f32]; N] {
    lengths.map(|length| {
        let (part, rest) = std::mem::take(&mut flat).split_at_mut(length);
        flat = rest;
        part
    })
}
