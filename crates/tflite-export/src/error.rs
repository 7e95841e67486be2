/// Weights that make no network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExportError {
    /// A matrix or vector has the wrong number of values.
    #[error("{name} holds {found} values, but its sizes ask for {expected}")]
    Length {
        /// Which weights, such as `layers[0].recurrent`.
        name: String,
        /// Product of the sizes.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// A layer reads another width than the layer before it writes.
    #[error("{name} is {found}, but must be {expected}")]
    Size {
        /// Which size, such as `head.inputs`.
        name: String,
        /// What the rest of the network asks for.
        expected: usize,
        /// What the weights say.
        found: usize,
    },
    /// The network has no layers, or a size is zero.
    #[error("{name} is zero: a network needs at least one")]
    Empty {
        /// What is missing, such as `layers`.
        name: String,
    },
    /// `heads` does not divide `width`.
    #[error("{heads} attention heads do not divide a width of {width}")]
    Heads {
        /// Number of heads.
        heads: usize,
        /// Width of the stream.
        width: usize,
    },
    /// The training diverged: a weight is NaN or infinite.
    #[error(
        "{name}[{index}] is {value}: the training diverged, train again with a smaller learning rate"
    )]
    NotFinite {
        /// Which weights.
        name: String,
        /// Position within them.
        index: usize,
        /// The value found.
        value: f32,
    },
}
