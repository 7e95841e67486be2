//! The edges between crates that must stay as they are; crates/README.md says why.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// The workspace's crates with what each names in `[dependencies]`.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let normal = |package: &cargo_metadata::Package| {
        package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            .map(|dependency| dependency.name.clone())
            .collect()
    };
    metadata
        .packages
        .iter()
        .map(|package| (package.name.to_string(), normal(package)))
        .collect()
}

/// Everything a crate reaches within the workspace.
fn reach(crates: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        for dependency in crates[&name]
            .iter()
            .filter(|dependency| crates.contains_key(*dependency))
        {
            if reached.insert(dependency.clone()) {
                open.push(dependency.clone());
            }
        }
    }
    reached
}

fn users(crates: &BTreeMap<String, BTreeSet<String>>, wanted: impl Fn(&str) -> bool) -> Vec<&str> {
    crates
        .iter()
        .filter(|(_, dependencies)| dependencies.iter().any(|name| wanted(name)))
        .map(|(name, _)| name.as_str())
        .collect()
}

#[test]
fn heavy_libraries_have_one_home_each() {
    let crates = dependencies();
    assert_eq!(users(&crates, |name| name == "sqlx"), ["storage"]);
    assert_eq!(users(&crates, |name| name == "burn"), ["training"]);
    assert_eq!(users(&crates, |name| name == "polars"), ["tables"]);
    assert_eq!(
        users(&crates, |name| name.starts_with("tract")),
        ["inference", "sentiment", "tflite-export"]
    );
    assert_eq!(
        users(&crates, |name| name == "yahoo_finance_api"),
        ["market-data"]
    );
    assert_eq!(users(&crates, |name| name == "tokenizers"), ["sentiment"]);
}

#[test]
fn the_day_never_reaches_the_night() {
    let crates = dependencies();
    for day in ["api", "inference"] {
        let reached = reach(&crates, day);
        for night in ["labels", "training", "evaluation", "validation"] {
            assert!(!reached.contains(night), "{day} reaches {night}");
        }
    }
}

/// What a first start compiles before it opens the page (scripts/run) must not wait for the heaviest libraries.
#[test]
fn the_page_opens_without_the_heavy_libraries() {
    let crates = dependencies();
    for program in [
        "tandem",
        "api",
        "market-sim",
        "price-ingestor",
        "corporate-actions",
        "macro-ingestor",
    ] {
        let reached = reach(&crates, program);
        for heavy in ["tables", "training", "evaluation", "sentiment"] {
            assert!(!reached.contains(heavy), "{program} reaches {heavy}");
        }
    }
}

#[test]
fn ingestors_know_nothing_of_who_reads() {
    let crates = dependencies();
    for ingestor in [
        "price-ingestor",
        "news-ingestor",
        "macro-ingestor",
        "corporate-actions",
    ] {
        let reached = reach(&crates, ingestor);
        for reader in [
            "features",
            "labels",
            "inference",
            "training",
            "model-registry",
            "api",
        ] {
            assert!(!reached.contains(reader), "{ingestor} reaches {reader}");
        }
    }
}

#[test]
fn the_past_stands_between_storage_and_features() {
    let crates = dependencies();
    let own: Vec<&String> = crates["archive"]
        .iter()
        .filter(|name| crates.contains_key(*name))
        .collect();
    assert_eq!(own, ["domain", "features", "storage"]);
    let reached = reach(&crates, "validation");
    for database in ["storage", "archive", "service-kit"] {
        assert!(!reached.contains(database), "validation reaches {database}");
    }
}

#[test]
fn simulator_and_test_support_are_known_to_nobody_but_tests() {
    for name in ["market-sim", "test-support"] {
        assert_eq!(
            users(&dependencies(), |user| user == name),
            Vec::<&str>::new()
        );
    }
}

#[test]
fn pure_crates_do_no_io() {
    let crates = dependencies();
    let io = [
        "tokio",
        "reqwest",
        "sqlx",
        "axum",
        "polars",
        "service-kit",
        "storage",
        "tracing-subscriber",
    ];
    for pure in ["domain", "calendar", "features", "labels", "evaluation"] {
        let named: Vec<&str> = io
            .into_iter()
            .filter(|name| crates[pure].contains(*name))
            .collect();
        assert!(named.is_empty(), "{pure} names {named:?}");
    }
}

#[test]
fn pure_crates_never_read_the_clock_or_the_disk() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates");
    for pure in ["domain", "calendar", "features", "labels", "evaluation"] {
        let mut open = vec![std::path::PathBuf::from(root).join(pure).join("src")];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(
                    std::fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for forbidden in [
                "Utc::now",
                "Local::now",
                "SystemTime::now",
                "Instant::now",
                "std::fs",
                "std::env",
                "std::net",
            ] {
                assert!(
                    !text.contains(forbidden),
                    "{} names {forbidden}: callers pass as_of and data",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_crate_stands_on_the_map() {
    let map = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../crates/README.md"
    ))
    .unwrap();
    for name in dependencies().keys() {
        assert!(
            map.contains(&format!("`{name}`")),
            "crates/README.md does not name `{name}`"
        );
    }
}
