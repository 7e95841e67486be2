//! Damaged files are errors, never panics, whatever the checksum says.

use domain::ModelKind;
use inference::{InferenceError, Model, testing};
use model_registry::{Artifact, MANIFEST_FILE, NETWORK_FILE, read_artifact, write_artifact};
use tflite_export::testing::Random;

fn artifact(kind: ModelKind) -> Artifact {
    testing::artifact(&testing::random_weights(kind, 1), 1).unwrap()
}

/// Loads damaged bytes past the registry's checksum and, should they load, asks the model.
fn load(artifact: &Artifact, tflite: Vec<u8>) -> Result<(), InferenceError> {
    let manifest = artifact.manifest.clone();
    let model = Model::from_artifact(Artifact { manifest, tflite })?;
    let windows = vec![0.5; 2 * features::WINDOW * features::FEATURE_COUNT];
    model.predict(&windows, 2).map(drop)
}

#[test]
fn every_truncation_is_an_error() {
    for kind in ModelKind::ALL {
        let artifact = artifact(kind);
        let length = artifact.tflite.len();
        let cuts = (0..64)
            .chain((64..length).step_by(length / 50))
            .chain([length - 1]);
        for cut in cuts {
            let error = load(&artifact, artifact.tflite[..cut].to_vec()).unwrap_err();
            assert!(
                matches!(error, InferenceError::Network { .. }),
                "{kind} cut at {cut}: {error}"
            );
        }
    }
}

/// A flipped bit in a weight goes unseen without the checksum; one in the structure is found. Neither may end the
/// process.
#[test]
fn flipped_bits_never_end_the_process() {
    for kind in ModelKind::ALL {
        let artifact = artifact(kind);
        let mut random = Random::new(2);
        let (mut refused, mut accepted) = (0, 0);
        // Compiling the unrolled LSTM takes its time.
        let flips = if kind == ModelKind::Lstm { 30 } else { 200 };
        for index in 0..flips {
            let mut damaged = artifact.tflite.clone();
            let share = f64::from(random.next(0.5) + 0.5);
            let position = (share * (damaged.len() - 1) as f64) as usize;
            damaged[position] ^= 1 << (index % 8);
            match load(&artifact, damaged) {
                Ok(()) => accepted += 1,
                Err(_) => refused += 1,
            }
        }
        eprintln!("{kind}: {refused} refused, {accepted} went unseen");
        assert!(refused > 0);
    }
}

/// Such a file made tract look for a fitting reshape until the memory was gone.
#[test]
fn a_shape_that_does_not_fit_is_refused() {
    let artifact = artifact(ModelKind::Transformer);
    let bytes = |shape: [i32; 3]| shape.map(i32::to_le_bytes).concat();
    let (stored, other) = (bytes([-1, 60, 16]), bytes([-1, 61, 16]));
    let mut damaged = artifact.tflite.clone();
    for position in 0..damaged.len() - stored.len() {
        let place = &mut damaged[position..position + stored.len()];
        if place == stored {
            place.copy_from_slice(&other);
        }
    }
    let error = load(&artifact, damaged).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("does not fit its tensors"), "{cause}");
}

#[test]
fn other_files_are_refused() {
    let artifact = artifact(ModelKind::Lstm);
    for bytes in [
        Vec::new(),
        b"TFL3".to_vec(),
        vec![0; 4096],
        b"PK\x03\x04TFL3 a zip file".to_vec(),
    ] {
        assert!(matches!(
            load(&artifact, bytes),
            Err(InferenceError::Network { .. })
        ));
    }
}

#[test]
fn a_network_of_other_features_is_refused_with_both_shapes() {
    let artifact = artifact(ModelKind::Lstm);
    let other = tflite_export::testing::random_lstm(5, 8, 1, 1);
    let tflite = tflite_export::write_tflite(&other, &[]).unwrap();
    let error = load(&artifact, tflite).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("[1, 60, 5]") && cause.contains("expected [1, 60, 40]"),
        "{cause}"
    );
}

#[test]
fn on_disk_the_checksum_finds_any_damage() {
    let models = tempfile::tempdir().unwrap();
    let Artifact { manifest, tflite } = artifact(ModelKind::Transformer);
    let dir = write_artifact(models.path(), manifest, &tflite).unwrap();
    Model::load(&dir).unwrap();
    let path = dir.join(NETWORK_FILE);
    for position in [0, tflite.len() / 2, tflite.len() - 1] {
        let mut damaged = tflite.clone();
        damaged[position] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let error = Model::load(&dir).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            cause.contains("model.tflite is corrupt or incomplete"),
            "{cause}"
        );
    }
    std::fs::write(&path, &tflite).unwrap();
    assert!(read_artifact(&dir).is_ok());
    std::fs::remove_file(dir.join(MANIFEST_FILE)).unwrap();
    assert!(matches!(
        Model::load(&dir),
        Err(InferenceError::Registry(_))
    ));
}
