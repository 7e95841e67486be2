#![doc = include_str!("../README.md")]

mod affine;
mod error;
mod flatbuffer;
mod graph;
mod lstm;
pub mod testing;
mod transformer;
pub mod weights;

pub use error::ExportError;
pub use weights::NetworkWeights;

/// Writes a network as a complete TFLite file.
///
/// The file's one signature, `serving_default`, takes `window`, `f32 [-1, 60, features]`, scaled and oldest bar first,
/// and gives `probabilities`, `f32 [-1, 3]`, down, neutral, up after the softmax. `metadata` becomes the file's named
/// metadata buffers. The same weights and metadata give the same bytes.
///
/// # Errors
/// [`ExportError`] when a matrix has not the length its sizes ask for, or holds NaN or an infinity.
pub fn write_tflite(
    weights: &NetworkWeights,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>, ExportError> {
    let (graph, description) = match weights {
        NetworkWeights::Lstm(lstm) => (lstm::graph(lstm)?, "Tandem LSTM"),
        NetworkWeights::Transformer(transformer) => {
            (transformer::graph(transformer)?, "Tandem Transformer")
        }
    };
    Ok(flatbuffer::serialize(&graph, description, metadata))
}
