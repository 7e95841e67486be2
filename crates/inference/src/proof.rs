//! What a model has to show before it is put to use: probabilities for windows of every kind that a scaler can write, in
//! time. A checksum tells that a file is the one that was written, not that it is any good.

use std::{
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use features::{FEATURE_COUNT, SCALED_MAXIMUM, SCALED_MINIMUM, WINDOW};
use model_registry::Artifact;

use crate::{InferenceError, Model};

/// How long a model may take to be compiled and asked; it takes a second, or a few on a busy machine.
const LONGEST_PROOF: Duration = Duration::from_secs(30);

/// How long a batch may take; it takes milliseconds.
const LONGEST_BATCH: Duration = Duration::from_secs(2);

/// Windows of random numbers.
const RANDOM_WINDOWS: usize = 24;

/// Loads a model and has it prove itself on a thread of its own, which nobody waits for longer than [`LONGEST_PROOF`]. It
/// comes back compiled for single windows and for batches of `usual_batch`.
pub(crate) fn load_proved(artifact: Artifact, usual_batch: usize) -> Result<Model, InferenceError> {
    let model_id = artifact.manifest.model_id.clone();
    within(LONGEST_PROOF, move || {
        let model = Model::from_artifact(artifact)?;
        prove(&model, usual_batch)?;
        Ok(model)
    })
    .unwrap_or_else(|problem| Err(InferenceError::Unproved { model_id, problem }))
}

/// What the work comes to, or why nothing came. A thread cannot be ended: one that takes too long goes on unheard.
fn within<T: Send + 'static>(
    longest: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = sync_channel(1);
    let started = thread::Builder::new()
        .name("model-proof".to_owned())
        // Nobody may be waiting any more.
        .spawn(move || drop(sender.send(work())));
    if let Err(error) = started {
        return Err(format!("no thread could be started: {error}"));
    }
    receiver.recv_timeout(longest).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            format!(
                "compiling and asking it takes longer than {} s",
                longest.as_secs_f64()
            )
        }
        RecvTimeoutError::Disconnected => "compiling or asking it panicked".to_owned(),
    })
}

fn prove(model: &Model, usual_batch: usize) -> Result<(), InferenceError> {
    let windows = windows();
    let length = WINDOW * FEATURE_COUNT;
    for batch in [1, usual_batch.max(1)] {
        model.prepare(batch)?;
        // Each is asked in a batch of the size at least once, the rest of the last one is filled up by the first.
        let padded: Vec<f32> = windows
            .iter()
            .chain(windows.iter().cycle().take(length * batch))
            .copied()
            .collect();
        // The fastest counts: the machine may have been held up.
        let mut fastest = Duration::MAX;
        for part in padded.chunks_exact(length * batch) {
            let started = Instant::now();
            model.predict(part, batch)?;
            fastest = fastest.min(started.elapsed());
        }
        if fastest > LONGEST_BATCH {
            return Err(InferenceError::Unproved {
                model_id: model.id().clone(),
                problem: format!("{batch} windows take it {:.1} s", fastest.as_secs_f64()),
            });
        }
    }
    Ok(())
}

/// Scaled windows, row-major: constant ones, jumps from one end of the scale to the other, and random ones.
fn windows() -> Vec<f32> {
    let length = WINDOW * FEATURE_COUNT;
    let middle = 0.5 * (SCALED_MINIMUM + SCALED_MAXIMUM);
    let mut windows = Vec::new();
    for level in [0.0, 1.0, middle, SCALED_MINIMUM, SCALED_MAXIMUM] {
        windows.extend(std::iter::repeat_n(level, length));
    }
    let ends = |high: bool| if high { SCALED_MAXIMUM } else { SCALED_MINIMUM };
    windows.extend((0..length).map(|place| ends(place.is_multiple_of(2))));
    windows.extend((0..length).map(|place| ends((place / FEATURE_COUNT).is_multiple_of(2))));
    windows.extend((0..length).map(|place| ends(place >= length / 2)));
    // A linear congruential generator (Knuth's MMIX): the same windows for every model.
    let mut state = 1_u64;
    let mut share = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    windows.extend(
        (0..RANDOM_WINDOWS * length)
            .map(|_| SCALED_MINIMUM + (SCALED_MAXIMUM - SCALED_MINIMUM) * share()),
    );
    windows
}

#[cfg(test)]
mod tests {
    use domain::ModelKind;

    use super::*;
    use crate::testing::{artifact, random_weights};

    #[test]
    fn windows_are_whole_and_on_the_scale() {
        let windows = windows();
        assert_eq!(windows.len() % (WINDOW * FEATURE_COUNT), 0);
        assert!(
            windows
                .iter()
                .all(|value| (SCALED_MINIMUM..=SCALED_MAXIMUM).contains(value))
        );
    }

    #[test]
    fn sound_models_prove_themselves_at_any_batch() {
        for kind in ModelKind::ALL {
            for usual_batch in [0, 1, 3, 20] {
                let artifact = artifact(&random_weights(kind, 1), 1).unwrap();
                load_proved(artifact, usual_batch).unwrap();
            }
        }
    }

    #[test]
    fn work_that_takes_too_long_or_panics_is_given_up() {
        let problem = |longest, work: fn()| within(longest, work).unwrap_err();
        let slow = problem(Duration::from_millis(20), || {
            thread::sleep(Duration::from_secs(2));
        });
        assert!(slow.contains("longer than 0.02 s"), "{slow}");
        let panicked = problem(Duration::from_secs(60), || panic!("injected"));
        assert!(panicked.contains("panicked"), "{panicked}");
    }
}
