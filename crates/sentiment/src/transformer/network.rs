//! A BERT's ONNX file compiled by tract: one plan for every batch and length.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use tract_onnx::{
    prelude::*,
    tract_core::internal::{ToDim, TypedSimplePlan, TypedSimpleState, anyhow, bail, ensure},
    tract_hir::infer::Factoid,
};

/// Logits per text, in the file's order of labels.
pub(super) const CLASSES: usize = 3;

/// What is wrong with an ONNX file, or with running it.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// tract refuses the graph or fails on it.
    #[error("tract cannot {action} it")]
    Tract {
        /// What was tried.
        action: &'static str,
        /// What tract says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// tract panicked.
    #[error("tract panicked while it tried to {action} it: {message}")]
    Panic {
        /// What was tried.
        action: &'static str,
        /// The panic's message.
        message: String,
    },
}

/// What a graph reads, by the names that exports give its inputs.
#[derive(Clone, Copy)]
enum Input {
    Ids,
    Mask,
    Types,
}

/// Texts as token ids, cut already; rows may have different lengths.
pub(super) struct Batch<'a> {
    pub(super) rows: Vec<&'a [u32]>,
    /// The id that fills rows up; the attention mask hides it.
    pub(super) padding: u32,
}

pub(super) struct Network {
    inputs: Vec<(Input, DatumType)>,
    plan: Arc<TypedSimplePlan>,
    /// Buffers of earlier runs, one set for each run that was under way at a time.
    states: Mutex<Vec<TypedSimpleState>>,
}

impl Network {
    /// Compiles an ONNX file. Batch and length stay symbols: a plan for each size would hold a copy of the weights each.
    pub(super) fn new(onnx: &[u8]) -> Result<Self, NetworkError> {
        guarded("compile", || {
            let mut model = tract_onnx::onnx().model_for_read(&mut &*onnx)?;
            let inputs = model
                .input_outlets()?
                .iter()
                .map(|outlet| {
                    let name = model.node(outlet.node).name.as_str();
                    let input = match name {
                        "input_ids" => Input::Ids,
                        "attention_mask" => Input::Mask,
                        "token_type_ids" => Input::Types,
                        _ => bail!(
                            "it wants an input named {name}; a BERT reads input_ids, attention_mask and token_type_ids"
                        ),
                    };
                    let datum_type = model.outlet_fact(*outlet)?.datum_type.concretize();
                    let datum_type = datum_type.unwrap_or(DatumType::I64);
                    ensure!(
                        matches!(datum_type, DatumType::I64 | DatumType::I32),
                        "its input {name} is {datum_type:?}, not an integer of 32 or 64 bits"
                    );
                    Ok((input, datum_type))
                })
                .collect::<TractResult<Vec<_>>>()?;
            ensure!(
                inputs.iter().any(|(input, _)| matches!(input, Input::Ids)),
                "it has no input named input_ids"
            );
            let batch = model.symbols.sym("texts").to_dim();
            let length = model.symbols.sym("tokens").to_dim();
            for (index, (_, datum_type)) in inputs.iter().enumerate() {
                let shape = [batch.clone(), length.clone()];
                model.set_input_fact(index, datum_type.fact(shape).into())?;
            }
            let plan = TypedSimplePlan::new(model.into_optimized()?)?;
            Ok(Self {
                inputs,
                plan,
                states: Mutex::default(),
            })
        })
    }

    /// The logits of each row.
    pub(super) fn run(&self, batch: &Batch<'_>) -> Result<Vec<[f32; CLASSES]>, NetworkError> {
        guarded("run", || self.run_unguarded(batch))
    }

    fn run_unguarded(&self, batch: &Batch<'_>) -> TractResult<Vec<[f32; CLASSES]>> {
        let inputs = self
            .inputs
            .iter()
            .map(|(input, datum_type)| Ok(batch.tensor(*input, *datum_type)?.into_tvalue()))
            .collect::<TractResult<TVec<TValue>>>()?;
        let state = self
            .states
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut state = match state {
            Some(state) => state,
            None => self.plan.spawn()?,
        };
        let outputs = state.run(inputs)?;
        // Only after a run that went well: another one may have left anything behind.
        self.states
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(state);
        let output = outputs.first().ok_or_else(|| anyhow!("no output"))?;
        ensure!(
            *output.shape() == [batch.rows.len(), CLASSES],
            "it answers {:?} numbers for {} texts instead of {CLASSES} each",
            output.shape(),
            batch.rows.len()
        );
        let output = output.try_as_plain_ram()?;
        Ok(output.as_slice::<f32>()?.as_chunks().0.to_vec())
    }
}

impl Batch<'_> {
    /// `[texts, tokens]`, padded to the longest text.
    fn tensor(&self, input: Input, datum_type: DatumType) -> TractResult<Tensor> {
        let length = self.rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let mut values = Vec::with_capacity(self.rows.len() * length);
        for row in &self.rows {
            for index in 0..length {
                values.push(match (input, row.get(index)) {
                    (Input::Ids, token) => i64::from(*token.unwrap_or(&self.padding)),
                    (Input::Mask, token) => i64::from(token.is_some()),
                    // One text is one segment.
                    (Input::Types, _) => 0,
                });
            }
        }
        let tensor = Tensor::from_shape(&[self.rows.len(), length], &values)?;
        Ok(tensor.cast_to_dt(datum_type)?.into_owned())
    }
}

/// Runs something of tract's; its panics become errors.
fn guarded<T>(
    action: &'static str,
    run: impl FnOnce() -> TractResult<T>,
) -> Result<T, NetworkError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(NetworkError::Tract {
            action,
            source: source.into(),
        }),
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message")
                .to_owned();
            Err(NetworkError::Panic { action, message })
        }
    }
}
