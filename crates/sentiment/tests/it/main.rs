//! The transformer against onnxruntime, the lexicon against labelled texts, fetching against a hub on this machine.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod fetching;
mod labelled;
mod lexicon;
mod loading;
mod parity;
mod tiny;
