use std::{fs, path::Path, thread};

use domain::ModelKind;
use model_registry::{
    AbstentionRecord, DRIFT_REFERENCE_FILE, MANIFEST_FILE, MANIFEST_SCHEMA_VERSION, Manifest,
    NETWORK_FILE, RegistryError, TimeRange, artifact_dir, checksum, read_artifact,
    read_drift_reference, write_artifact, write_artifact_with_drift_reference,
};
use proptest::prelude::*;

use crate::{id, manifest};

/// Names of what lies in a folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn comes_back_as_it_was_written() {
    let models = tempfile::tempdir().unwrap();
    let dir = write_artifact(models.path(), manifest("lstm-1"), b"network").unwrap();
    assert_eq!(
        dir,
        artifact_dir(models.path(), ModelKind::Lstm, &id("lstm-1"))
    );
    assert!(dir.ends_with("lstm/lstm-1"));
    let artifact = read_artifact(&dir).unwrap();
    assert_eq!(artifact.tflite, b"network");
    let mut expected = manifest("lstm-1");
    expected.schema_version = MANIFEST_SCHEMA_VERSION;
    expected.tflite_sha256 = checksum(b"network");
    assert_eq!(artifact.manifest, expected);
}

#[test]
fn what_drift_is_measured_against_comes_with_its_checksum() {
    let models = tempfile::tempdir().unwrap();
    let write = |name: &str, reference: &[u8]| {
        let manifest = manifest(name);
        write_artifact_with_drift_reference(models.path(), manifest, b"network", reference).unwrap()
    };
    let dir = write("lstm-1", b"a reference");
    let read = || {
        let artifact = read_artifact(&dir).unwrap();
        read_drift_reference(&dir, &artifact.manifest)
    };
    assert_eq!(read().unwrap().unwrap(), b"a reference");
    fs::write(dir.join(DRIFT_REFERENCE_FILE), b"another").unwrap();
    let message = read().unwrap_err().to_string();
    assert!(
        message.contains("drift_reference.json is corrupt"),
        "{message}"
    );

    let dir = write_artifact(models.path(), manifest("lstm-2"), b"network").unwrap();
    let artifact = read_artifact(&dir).unwrap();
    assert_eq!(
        read_drift_reference(&dir, &artifact.manifest).unwrap(),
        None
    );
}

#[test]
fn label_settings_are_named_by_what_they_say() {
    let mut first = manifest("lstm-1");
    let mut second = manifest("lstm-2");
    first.labels = serde_json::json!({"horizon": 30, "stop": 1.0});
    second.labels = serde_json::json!({"stop": 1.0, "horizon": 30});
    assert_eq!(first.label_settings(), second.label_settings());
    second.labels = serde_json::json!({"stop": 1.0, "horizon": 20});
    assert_ne!(first.label_settings(), second.label_settings());
}

#[test]
fn checksum_is_sha256() {
    // FIPS 180-2, appendix B.1.
    assert_eq!(
        checksum(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn is_never_overwritten_and_leaves_nothing_behind() {
    let models = tempfile::tempdir().unwrap();
    let dir = write_artifact(models.path(), manifest("lstm-1"), b"first").unwrap();
    let error = write_artifact(models.path(), manifest("lstm-1"), b"second").unwrap_err();
    assert!(matches!(error, RegistryError::Exists { .. }), "{error}");
    assert_eq!(read_artifact(&dir).unwrap().tflite, b"first");
    assert_eq!(entries(&models.path().join("lstm")), [".lock", "lstm-1"]);
}

#[test]
fn of_two_writers_of_one_id_one_wins_whole() {
    let models = tempfile::tempdir().unwrap();
    let write = |text: &'static [u8]| write_artifact(models.path(), manifest("lstm-1"), text);
    let written = thread::scope(|scope| {
        let writers = [scope.spawn(|| write(b"one")), scope.spawn(|| write(b"two"))];
        writers.map(|writer| writer.join().unwrap().is_ok())
    });
    assert_eq!(written.iter().filter(|ok| **ok).count(), 1);
    let dir = artifact_dir(models.path(), ModelKind::Lstm, &id("lstm-1"));
    assert_eq!(
        read_artifact(&dir).unwrap().tflite,
        if written[0] { b"one" } else { b"two" }
    );
}

#[test]
fn a_torn_network_is_refused_by_its_checksum() {
    let models = tempfile::tempdir().unwrap();
    let dir = write_artifact(models.path(), manifest("lstm-1"), b"a network").unwrap();
    fs::write(dir.join(NETWORK_FILE), b"a netw").unwrap();
    let message = read_artifact(&dir).unwrap_err().to_string();
    assert!(
        message.contains("model.tflite is corrupt or incomplete"),
        "{message}"
    );
    assert!(message.contains(&checksum(b"a netw")), "{message}");
}

#[test]
fn missing_files_are_named() {
    let models = tempfile::tempdir().unwrap();
    let message = read_artifact(&models.path().join("lstm/nothing"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("lstm/nothing/model.json does not exist"),
        "{message}"
    );
    let dir = write_artifact(models.path(), manifest("lstm-1"), b"network").unwrap();
    fs::remove_file(dir.join(NETWORK_FILE)).unwrap();
    let message = read_artifact(&dir).unwrap_err().to_string();
    assert!(message.contains("model.tflite does not exist"), "{message}");
}

#[test]
fn a_broken_manifest_says_where() {
    let models = tempfile::tempdir().unwrap();
    let dir = write_artifact(models.path(), manifest("lstm-1"), b"network").unwrap();
    let path = dir.join(MANIFEST_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replacen("\"kind\": \"lstm\",", "\"kind\": lstm,", 1),
    )
    .unwrap();
    let message = read_artifact(&dir).unwrap_err().to_string();
    assert!(
        message.contains("model.json is broken at line 4, column"),
        "{message}"
    );
}

#[test]
fn another_schema_version_is_refused_whatever_its_form() {
    let models = tempfile::tempdir().unwrap();
    let dir = write_artifact(models.path(), manifest("lstm-1"), b"network").unwrap();
    for (json, version) in [
        (r#"{"schema_version": 9, "new": true}"#, 9),
        (r#"{"schema_version": 2, "model_id": "lstm-1"}"#, 2),
    ] {
        fs::write(dir.join(MANIFEST_FILE), json).unwrap();
        let message = read_artifact(&dir).unwrap_err().to_string();
        let expected = format!("has schema version {version}, this program reads version 3");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn contradictions_are_refused_on_both_ways() {
    let models = tempfile::tempdir().unwrap();
    let mut short = manifest("lstm-1");
    short.scaler.range.pop();
    let error = write_artifact(models.path(), short, b"network").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("2 features, but a scaler of 2 minima and 1 ranges")
    );
    let dir = write_artifact(models.path(), manifest("lstm-1"), b"network").unwrap();
    let path = dir.join(MANIFEST_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"neutral\"", "\"flat\"", 1)).unwrap();
    let message = read_artifact(&dir).unwrap_err().to_string();
    assert!(message.contains("contradicts itself: classes"), "{message}");
}

#[test]
fn a_record_of_abstention_that_no_data_give_is_refused() {
    let models = tempfile::tempdir().unwrap();
    let write = |model_id: &str, change: &dyn Fn(&mut AbstentionRecord)| {
        let mut manifest = manifest(model_id);
        change(manifest.abstention.as_mut().unwrap());
        write_artifact(models.path(), manifest, b"network").map_err(|error| error.to_string())
    };
    write("lstm-1", &|record| record.thresholds = [0.0, 0.5, 1.0]).unwrap();
    let changes: [&dyn Fn(&mut AbstentionRecord); 7] = [
        &|record| record.coverage = 1.1,
        &|record| record.thresholds[1] = -0.1,
        &|record| record.thresholds[2] = f64::NAN,
        &|record| record.moves[0] = f64::NEG_INFINITY,
        &|record| record.move_reach = Some([0.1, -0.1, 0.1]),
        &|record| record.move_reach = Some([0.1, f64::INFINITY, 0.1]),
        &|record| record.base_rates = Some([0.0, 0.5, 0.5]),
    ];
    for (change, part) in changes.into_iter().zip([
        "a coverage of 1.1",
        "[0.21, -0.1, 0.2]",
        "[0.21, 0.3, NaN]",
        "moves of [-inf, ",
        "moves known to within [0.1, -0.1, 0.1]",
        "moves known to within [0.1, inf, 0.1]",
        "base rates of [0.0, 0.5, 0.5]",
    ]) {
        let message = write("lstm-2", change).unwrap_err();
        assert!(message.contains(part), "{message}");
    }

    // A model that never confirms is none the worse for it.
    let without = Manifest {
        abstention: None,
        ..manifest("lstm-2")
    };
    let dir = write_artifact(models.path(), without, b"network").unwrap();
    assert_eq!(read_artifact(&dir).unwrap().manifest.abstention, None);
}

#[test]
fn a_manifest_of_absurd_ranges_is_refused() {
    let models = tempfile::tempdir().unwrap();
    let write = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest("lstm-1");
        change(&mut manifest);
        write_artifact(models.path(), manifest, b"network").map_err(|error| error.to_string())
    };
    let far = |year: &str| format!("{year}-01-01T00:00:00Z").parse().unwrap();
    type Change<'a> = &'a dyn Fn(&mut Manifest);
    let changes: [(Change<'_>, &str); 8] = [
        (
            &|manifest| manifest.ranges.training.end = far("+262142"),
            "training from 2018",
        ),
        (
            &|manifest| manifest.ranges.training.start = far("-0001"),
            "training from -0001",
        ),
        (
            &|manifest| manifest.ranges.early_stopping.end = manifest.ranges.training.start,
            "early stopping from",
        ),
        (
            &|manifest| {
                manifest.ranges.calibration = Some(TimeRange {
                    start: far("2024"),
                    end: far("9999"),
                });
            },
            "calibration from 2024",
        ),
        (
            &|manifest| manifest.scaler.range[0] = 1e-30,
            "training's own values of return_1",
        ),
        (
            &|manifest| manifest.scaler.minimum[0] = 1e30,
            "training's own values of return_1",
        ),
        (
            &|manifest| manifest.abstention.as_mut().unwrap().delay_minutes = u32::MAX,
            "4294967295 minutes",
        ),
        (
            &|manifest| manifest.abstention.as_mut().unwrap().moves[2] = 1e300,
            "moves of",
        ),
    ];
    for (change, part) in changes {
        let message = write(change).unwrap_err();
        assert!(message.contains(part), "{part}: {message}");
    }
    write(&|_| ()).unwrap();
}

#[test]
fn an_artifact_of_before_says_what_it_can_of_its_moves() {
    let models = tempfile::tempdir().unwrap();
    let read = |model_id: &str, change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest(model_id);
        manifest.labels = serde_json::json!({"horizon": 20});
        manifest.metrics = serde_json::json!({"training": {
            "class_counts": [300, 400, 300], "correction": {"level": 2.0_f64.ln()}
        }});
        // Wednesday to Thursday of the week after.
        manifest.ranges.calibration = Some(TimeRange {
            start: "2024-03-20T13:59:00Z".parse().unwrap(),
            end: "2024-03-28T20:00:00Z".parse().unwrap(),
        });
        let record = manifest.abstention.as_mut().unwrap();
        record.move_reach = None;
        record.base_rates = None;
        record.horizon_minutes = None;
        change(&mut manifest);
        let dir = write_artifact(models.path(), manifest, b"network").unwrap();
        // None of the three stood in the file.
        let path = dir.join(MANIFEST_FILE);
        let text = fs::read_to_string(&path).unwrap();
        let before: String = text
            .lines()
            .filter(|line| {
                !["move_reach", "base_rates", "horizon_minutes"]
                    .iter()
                    .any(|field| line.contains(field))
            })
            .collect();
        fs::write(&path, before).unwrap();
        read_artifact(&dir).unwrap().manifest.abstention.unwrap()
    };
    let record = read("lstm-1", &|_| ());
    assert_eq!(record.horizon_minutes, Some(20));
    // No move is twice as frequent as it was in training: 800 of 1400.
    for (found, expected) in record.base_rates.unwrap().into_iter().zip([3.0, 8.0, 3.0]) {
        assert!((found - expected / 14.0).abs() < 1e-12, "{record:?}");
    }
    // Six sessions of 390 minutes are 117 horizons; the moves are 6.05 volatilities large.
    for reach in record.move_reach.unwrap() {
        assert!(
            (reach - 1.645 * 6.05 / 117.0_f64.sqrt()).abs() < 1e-9,
            "{record:?}"
        );
    }

    // What is not said anywhere stays unknown.
    let nothing = read("lstm-2", &|manifest| {
        manifest.labels = serde_json::Value::Null;
        manifest.metrics = serde_json::Value::Null;
        manifest.ranges.calibration = None;
    });
    assert_eq!(
        (
            nothing.horizon_minutes,
            nothing.base_rates,
            nothing.move_reach
        ),
        (None, None, None)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Cut anywhere, a manifest is an error, never a panic and never half a manifest.
    #[test]
    fn a_cut_manifest_is_an_error(share in 0.0..1.0_f64) {
        let models = tempfile::tempdir().unwrap();
        let dir = write_artifact(models.path(), manifest("lstm-1"), b"network").unwrap();
        let path = dir.join(MANIFEST_FILE);
        let bytes = fs::read(&path).unwrap();
        let cut = (share * bytes.len() as f64) as usize;
        fs::write(&path, &bytes[..cut]).unwrap();
        prop_assert!(read_artifact(&dir).is_err());
    }
}

#[test]
fn what_a_killed_writer_left_is_removed_by_the_next() {
    let models = tempfile::tempdir().unwrap();
    let kind_dir = models.path().join("lstm");
    let leave = || {
        for name in [".writing-x1", ".removing-lstm-0"] {
            fs::create_dir_all(kind_dir.join(name)).unwrap();
            fs::write(kind_dir.join(name).join(NETWORK_FILE), b"half").unwrap();
        }
    };
    leave();
    write_artifact(models.path(), manifest("lstm-1"), b"network").unwrap();
    assert_eq!(entries(&kind_dir), [".lock", "lstm-1"]);
    leave();
    let nobody = model_registry::Champions::default();
    model_registry::remove_unneeded(models.path(), &nobody, &Default::default(), 1).unwrap();
    assert_eq!(entries(&kind_dir), [".lock", "lstm-1"]);

    let config = models.path().join("config");
    let file = model_registry::ChampionsFile::new(config.join("model_config.json"));
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join(".replacing-x1"), b"{").unwrap();
    file.promote(ModelKind::Lstm, id("lstm-1"), crate::time(9), "first")
        .unwrap();
    assert!(!config.join(".replacing-x1").exists());
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_nothing_stays() {
    const MODELS_DIR: &str = "MODEL_REGISTRY_TEST_MODELS_DIR";
    if let Some(models) = std::env::var_os(MODELS_DIR) {
        // The process that is started below.
        let written = write_artifact(models.as_ref(), manifest("lstm-1"), &[7; 64 * 1024]);
        written.unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    let models = tempfile::tempdir().unwrap();
    let write = |limit_kib: &str| {
        // A file that would grow beyond the limit is refused in the middle, as on a full disk.
        let script = format!("ulimit -f {limit_kib}; trap '' XFSZ; exec \"$0\" \"$@\"");
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "artifact::a_full_disk_is_said_and_nothing_stays"])
            .env(MODELS_DIR, models.path())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), words)
    };
    let (succeeded, words) = write("32");
    assert!(!succeeded, "{words}");
    let folder = models.path().join("lstm");
    for part in ["no room to write ", folder.to_str().unwrap(), "free some"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(entries(&folder), [".lock"]);
    // And with room it goes on.
    let (succeeded, words) = write("unlimited");
    assert!(succeeded, "{words}");
    read_artifact(&folder.join("lstm-1")).unwrap();
}
