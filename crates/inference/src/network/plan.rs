//! A network compiled for one batch size.

use std::sync::{Arc, Mutex, PoisonError};

use tract_tflite::internal::{
    Framework, IntoTValue, Tensor, TractResult, TypedModel, TypedSimplePlan, TypedSimpleState,
    anyhow, ensure, tract_core::optim::Optimizer, tvec,
};

use super::{CLASSES, check::Layout, lstm_cell};

/// Passes of tract's that make an unrolled LSTM slower. `PushSliceUp` moves slices towards the input and makes compiling
/// ten times as long; `ConcatThenEinsum` undoes the exporter's one product per step.
const UNWANTED_PASSES: [&str; 2] = ["PushSliceUp", "ConcatThenEinsum"];

pub(crate) struct Plan {
    batch: usize,
    shape: [usize; 3],
    plan: Arc<TypedSimplePlan>,
    /// Buffers of earlier runs, one set for each run that was under way at a time.
    states: Mutex<Vec<TypedSimpleState>>,
}

impl Plan {
    pub(crate) fn compile(tflite: &[u8], layout: &Layout, batch: usize) -> TractResult<Self> {
        let mut tflite = tflite.to_vec();
        let offset = layout.batch_offset;
        let slot = tflite.get_mut(offset..offset + 4);
        let slot = slot.ok_or_else(|| anyhow!("the batch size lies outside of the file"))?;
        // tract wants a concrete batch; all later shapes follow from the input's.
        slot.copy_from_slice(&(batch as i32).to_le_bytes());
        let mut model: TypedModel = tract_tflite::tflite().model_for_read(&mut &*tflite)?;
        let [bars, features] = layout.window;
        let mut declutter = Optimizer::declutter();
        declutter.passes.retain(|pass| {
            let name = format!("{pass:?}");
            !UNWANTED_PASSES
                .iter()
                .any(|unwanted| name.starts_with(unwanted))
        });
        declutter.optimize(&mut model)?;
        lstm_cell::fuse(&mut model)?;
        model.optimize()?;
        let plan = TypedSimplePlan::new(model)?;
        Ok(Self {
            batch,
            shape: [batch, bars, features],
            plan,
            states: Mutex::default(),
        })
    }

    /// Probabilities of `count` windows, at most the plan's batch; the rest of the batch is padding.
    pub(crate) fn run(&self, windows: &[f32], count: usize) -> TractResult<Vec<[f32; CLASSES]>> {
        ensure!(
            count <= self.batch,
            "{count} windows for a batch of {}",
            self.batch
        );
        let mut input = Tensor::zero::<f32>(&self.shape)?;
        input
            .try_as_plain_ram_mut()?
            .as_slice_mut::<f32>()?
            .iter_mut()
            .zip(windows)
            .for_each(|(slot, value)| *slot = *value);
        let state = self
            .states
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut state = match state {
            Some(state) => state,
            None => self.plan.spawn()?,
        };
        let outputs = state.run(tvec!(input.into_tvalue()))?;
        // Only after a run that went well: another one may have left anything behind.
        self.states
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(state);
        let output = outputs.first().ok_or_else(|| anyhow!("no output"))?;
        let output = output.try_as_plain_ram()?;
        let values = output.as_slice::<f32>()?;
        let (rows, rest) = values.as_chunks::<CLASSES>();
        ensure!(
            rows.len() == self.batch && rest.is_empty(),
            "{} outputs",
            values.len()
        );
        Ok(rows.iter().take(count).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use tflite_export::{testing::random_lstm, write_tflite};
    use tract_tflite::internal::tract_core::ops::lstm_cell::LstmEpilogue;

    use super::{super::check::check, *};

    #[test]
    fn all_steps_but_the_first_are_fused() {
        let tflite = write_tflite(&random_lstm(5, 8, 2, 1), &[]).unwrap();
        let layout = check(&tflite, [60, 5]).unwrap();
        let plan = Plan::compile(&tflite, &layout, 4).unwrap();
        let nodes = plan.plan.model().nodes();
        let fused = nodes.iter().filter(|node| node.op_is::<LstmEpilogue>());
        assert_eq!(fused.count(), 2 * 59);
    }
}
