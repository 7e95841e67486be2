//! What a training needs to go on after its process ended.
//!
//! A file holds the SHA-256 of all that follows (64 hexadecimal digits, line feed), a header (JSON, line feed),
//! little-endian numbers (the network's and the best network's parameters as `f32`, training and validation loss of
//! each pass as `f64`), and the optimizer's state as the framework writes it. The order of the samples follows from the
//! seed and the number of passes.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use domain::ModelKind;
use features::FeatureSchema;
use model_registry::checksum;
use serde::{Deserialize, Serialize};

use crate::{Dataset, EpochRecord, TrainingError, TrainingSettings, code_version::code_version};

/// Changes with the form of the file.
const FORMAT: u32 = 1;

/// A folder in which trainings keep where they are, so that the next process can go on there.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// In `folder`, which need not exist yet. One training of a kind at a time may use it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Removes the checkpoints of both kinds: what they led to is written.
    ///
    /// # Errors
    /// When the system refuses. A checkpoint that stays costs room only: the next training replaces it.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// The checkpoint of one training.
    pub(crate) fn of(
        &self,
        dataset: &Dataset,
        kind: ModelKind,
        settings: &TrainingSettings,
        device: &str,
    ) -> Result<Checkpoint, TrainingError> {
        let decides = (
            FORMAT,
            kind,
            dataset.fingerprint(),
            dataset.barriers(),
            settings,
            FeatureSchema::current().hash(),
            code_version(),
            build(),
            device,
        );
        let decides = serde_json::to_vec(&decides).map_err(|error| TrainingError::Describe {
            kind,
            source: error.into(),
        })?;
        Ok(Checkpoint {
            path: self.folder.join(format!("{kind}.checkpoint")),
            kind,
            fingerprint: checksum(&decides),
        })
    }
}

/// Size and time of the running program, different with each build: what other code began is not gone on with.
fn build() -> Option<(u64, SystemTime)> {
    let program = std::env::current_exe().ok()?.metadata().ok()?;
    Some((program.len(), program.modified().ok()?))
}

/// Where one training keeps its state.
pub(crate) struct Checkpoint {
    path: PathBuf,
    kind: ModelKind,
    /// Of all that decides the weights: the state of another training is of no use.
    fingerprint: String,
}

/// A training after a pass.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// All parameters.
    pub(crate) network: Vec<f32>,
    /// All parameters of the best network so far.
    pub(crate) best: Vec<f32>,
    /// The passes done, never empty.
    pub(crate) history: Vec<EpochRecord>,
    /// Time spent on steps.
    pub(crate) stepping: Duration,
    /// The optimizer's state in the framework's form.
    pub(crate) optimizer: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    fingerprint: String,
    /// Of one network.
    parameters: usize,
    passes: usize,
    stepping_s: f64,
}

impl Checkpoint {
    /// Where the training was, if it was ever begun. What cannot be used is said in the log and counts as nothing.
    pub(crate) fn read(&self) -> Option<State> {
        let path = self.path.display();
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(
                    model.kind = %self.kind,
                    %error,
                    "failed to read the checkpoint {path}: the {} is trained from the start",
                    self.kind
                );
                return None;
            }
        };
        match parse(&bytes) {
            None => {
                tracing::warn!(
                    model.kind = %self.kind,
                    "the checkpoint {path} is broken: the {} is trained from the start",
                    self.kind
                );
                None
            }
            Some((header, _)) if header.fingerprint != self.fingerprint => {
                tracing::info!(
                    model.kind = %self.kind,
                    "the checkpoint {path} is of other data, settings or code: the {} is trained from the start",
                    self.kind
                );
                None
            }
            Some((_, state)) => Some(state),
        }
    }

    /// Replaces the checkpoint. A failure is said in the log and is not the end of the training.
    pub(crate) fn write(&self, state: &State) {
        let begin = Instant::now();
        let written = compose(&self.fingerprint, state)
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&self.path, &bytes));
        match written {
            Ok(()) => {
                tracing::debug!(model.kind = %self.kind, took_ms = begin.elapsed().as_secs_f64() * 1e3, "checkpoint");
            }
            Err(error) => {
                tracing::warn!(
                    model.kind = %self.kind,
                    %error,
                    "failed to write the checkpoint {}: training goes on, and would begin anew if it were stopped",
                    self.path.display()
                );
            }
        }
    }

    /// For the log.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn compose(fingerprint: &str, state: &State) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(&Header {
        fingerprint: fingerprint.to_owned(),
        parameters: state.network.len(),
        passes: state.history.len(),
        stepping_s: state.stepping.as_secs_f64(),
    })?;
    bytes.push(b'\n');
    let parameters = state.network.iter().chain(&state.best);
    bytes.extend(parameters.flat_map(|number| number.to_le_bytes()));
    let losses = state
        .history
        .iter()
        .flat_map(|record| [record.training_loss, record.validation_log_loss]);
    bytes.extend(losses.flat_map(f64::to_le_bytes));
    bytes.extend(&state.optimizer);
    let mut file = checksum(&bytes).into_bytes();
    file.push(b'\n');
    file.extend(bytes);
    Ok(file)
}

/// `None` when the bytes are not as they were written.
fn parse(file: &[u8]) -> Option<(Header, State)> {
    let (sum, bytes) = file.split_at_checked(64)?;
    let bytes = bytes.strip_prefix(b"\n")?;
    if checksum(bytes).as_bytes() != sum {
        return None;
    }
    let line = bytes.iter().position(|byte| *byte == b'\n')?;
    let header: Header = serde_json::from_slice(bytes.get(..line)?).ok()?;
    let rest = bytes.get(line + 1..)?;
    let (network, rest) = rest.split_at_checked(4 * header.parameters)?;
    let (best, rest) = rest.split_at_checked(4 * header.parameters)?;
    let (losses, optimizer) = rest.split_at_checked(16 * header.passes)?;
    let numbers = |bytes: &[u8]| -> Vec<f32> {
        let numbers = bytes.as_chunks().0.iter();
        numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let losses: Vec<f64> = losses
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f64::from_le_bytes(*bytes))
        .collect();
    let history = losses.as_chunks::<2>().0.iter().enumerate();
    let history: Vec<EpochRecord> = history
        .map(
            |(index, [training_loss, validation_log_loss])| EpochRecord {
                epoch: index + 1,
                training_loss: *training_loss,
                validation_log_loss: *validation_log_loss,
            },
        )
        .collect();
    let state = State {
        network: numbers(network),
        best: numbers(best),
        history,
        stepping: Duration::try_from_secs_f64(header.stepping_s).ok()?,
        optimizer: optimizer.to_vec(),
    };
    (!state.history.is_empty()).then_some((header, state))
}

/// The old bytes or the new ones are there, also when the power fails. A failure leaves nothing else behind, and what a
/// killed process left is overwritten by the next.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let temporary = path.with_added_extension("writing");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
        // Often the disk is full: half a file would keep it so. There may be none.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            network: vec![0.1, -2.5, f32::MIN_POSITIVE],
            best: vec![1.0, 2.0, 3.0],
            history: vec![EpochRecord {
                epoch: 1,
                training_loss: 0.1 + 0.2,
                validation_log_loss: 1.0 / 3.0,
            }],
            stepping: Duration::from_millis(1_500),
            optimizer: vec![0, 10, 255],
        }
    }

    fn checkpoint(folder: &Path, fingerprint: &str) -> Checkpoint {
        Checkpoint {
            path: folder.join("checkpoints/lstm.checkpoint"),
            kind: ModelKind::Lstm,
            fingerprint: fingerprint.to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_of_another_training_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let own = checkpoint(folder.path(), "a");
        assert_eq!(own.read(), None);
        own.write(&state());
        let newer = State {
            best: vec![4.0; 3],
            ..state()
        };
        own.write(&newer);
        assert_eq!(own.read(), Some(newer));
        assert_eq!(checkpoint(folder.path(), "b").read(), None);
        let entries = fs::read_dir(folder.path().join("checkpoints")).unwrap();
        assert_eq!(entries.count(), 1);
    }

    #[test]
    fn torn_and_changed_bytes_are_nothing() {
        let whole = compose("a", &state()).unwrap();
        assert!(parse(&whole).is_some());
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_none(), "cut to {length}");
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert!(parse(&changed).is_none(), "changed at {place}");
        }
    }

    #[test]
    fn where_no_file_can_be_written_none_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("checkpoints"), "in the way").unwrap();
        let checkpoint = checkpoint(folder.path(), "a");
        checkpoint.write(&state());
        assert_eq!(checkpoint.read(), None);
    }
}
