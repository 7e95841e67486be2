//! A TFLite network compiled by tract.

mod check;
mod lstm_cell;
mod plan;
mod shapes;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use self::{check::Layout, plan::Plan};

/// Batch sizes with a plan of their own; other batches are padded to the next.
const BATCH_SIZES: [usize; 10] = [1, 2, 4, 8, 12, 16, 20, 24, 28, 32];

/// Most windows in one run of a plan; more are split.
pub(crate) const MAXIMUM_BATCH: usize = BATCH_SIZES[BATCH_SIZES.len() - 1];

/// Probabilities per window: down, neutral, up.
pub(crate) const CLASSES: usize = 3;

/// What is wrong with a TFLite file, or with running it.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No flatbuffer of the TFLite schema.
    #[error("not a TFLite file, or one that is corrupt or cut off")]
    Flatbuffer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The graph breaks a rule of the format.
    #[error("corrupt TFLite file: {0}")]
    Structure(String),
    /// Inputs or outputs are not Tandem's.
    #[error("a network with {0}")]
    Interface(String),
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

/// A checked file and its plans, compiled when first needed.
pub(crate) struct Network {
    tflite: Vec<u8>,
    layout: Layout,
    /// One a batch size. Each has its own lock: compiling one does not stop the others.
    plans: [Mutex<Option<Arc<Plan>>>; BATCH_SIZES.len()],
}

impl Network {
    /// Checks the file and compiles the plan for one window, so that a file which tract refuses is found out here.
    /// `window` are bars and features of the input.
    pub(crate) fn new(tflite: Vec<u8>, window: [usize; 2]) -> Result<Self, NetworkError> {
        let layout = check::check(&tflite, window)?;
        let network = Self {
            tflite,
            layout,
            plans: Default::default(),
        };
        network.plan(1)?;
        Ok(network)
    }

    /// Compiles what a batch of `count` windows needs.
    pub(crate) fn prepare(&self, count: usize) -> Result<(), NetworkError> {
        self.plan(count.min(MAXIMUM_BATCH)).map(drop)
    }

    /// Probabilities of each window; `windows` is `[n, bars, features]`.
    pub(crate) fn run(&self, windows: &[f32]) -> Result<Vec<[f32; CLASSES]>, NetworkError> {
        let window_length: usize = self.layout.window.iter().product();
        let mut answers = Vec::with_capacity(windows.len() / window_length);
        for batch in windows.chunks(MAXIMUM_BATCH * window_length) {
            let count = batch.len() / window_length;
            let plan = self.plan(count)?;
            answers.extend(guarded("run", || plan.run(batch, count))?);
        }
        Ok(answers)
    }

    /// The plan of the smallest batch size that holds `count` windows.
    fn plan(&self, count: usize) -> Result<Arc<Plan>, NetworkError> {
        let index = BATCH_SIZES.partition_point(|size| *size < count);
        let (Some(size), Some(slot)) = (BATCH_SIZES.get(index), self.plans.get(index)) else {
            return Err(NetworkError::Interface(format!(
                "a batch of {count} windows"
            )));
        };
        // What a panicking holder leaves behind is still an old plan or none.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = &*slot {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(guarded("compile", || {
            Plan::compile(&self.tflite, &self.layout, *size)
        })?);
        *slot = Some(Arc::clone(&plan));
        Ok(plan)
    }
}

/// Runs something of tract's; its panics become errors.
fn guarded<T>(
    action: &'static str,
    run: impl FnOnce() -> tract_tflite::internal::TractResult<T>,
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
