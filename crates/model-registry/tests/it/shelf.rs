use std::{collections::BTreeSet, fs};

use domain::ModelKind;
use model_registry::{ChampionsFile, Manifest, list_artifacts, remove_unneeded, write_artifact};

use crate::{id, manifest, time};

fn names(models: &std::path::Path) -> Vec<String> {
    let listed = list_artifacts(models).unwrap();
    listed
        .iter()
        .map(|found| found.model_id.to_string())
        .collect()
}

#[test]
fn the_newest_comes_first_and_broken_ones_last() {
    let models = tempfile::tempdir().unwrap();
    assert!(list_artifacts(models.path()).unwrap().is_empty());
    for (day, model) in [(2, "b"), (3, "c"), (1, "a")] {
        let manifest = Manifest {
            created_at: time(day),
            ..manifest(model)
        };
        write_artifact(models.path(), manifest, b"network").unwrap();
    }
    fs::create_dir_all(models.path().join("lstm/torn")).unwrap();
    fs::create_dir_all(models.path().join("lstm/.writing-x")).unwrap();
    assert_eq!(names(models.path()), ["c", "b", "a", "torn"]);
    let listed = list_artifacts(models.path()).unwrap();
    let error = listed[3].manifest.as_ref().unwrap_err();
    assert!(error.to_string().contains("torn"), "{error}");
}

#[test]
fn removes_only_what_nothing_names() {
    let models = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(models.path().join("model_config.json"));
    for (day, model) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let manifest = Manifest {
            created_at: time(u32::try_from(day).unwrap() + 1),
            ..manifest(model)
        };
        write_artifact(models.path(), manifest, b"network").unwrap();
    }
    for model in ["a", "b"] {
        file.promote(ModelKind::Lstm, id(model), time(9), "better")
            .unwrap();
    }
    let champions = file.read().unwrap();
    let named = BTreeSet::from([id("c")]);
    let removed = remove_unneeded(models.path(), &champions, &named, 1).unwrap();
    let removed: Vec<_> = removed
        .iter()
        .map(|(_, model_id)| model_id.as_str())
        .collect();
    assert_eq!(removed, ["e", "d"], "f is the newest, a and b are history");
    assert_eq!(names(models.path()), ["f", "c", "b", "a"]);
    let again = remove_unneeded(models.path(), &champions, &named, 1).unwrap();
    assert!(again.is_empty());
    let left = fs::read_dir(models.path().join("lstm")).unwrap().count();
    assert_eq!(left, 4 + 1, "the lock, and nothing half removed");
}
