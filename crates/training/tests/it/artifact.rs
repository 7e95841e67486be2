use std::{cell::Cell, sync::atomic::AtomicBool};

use chrono::{TimeZone, Utc};
use domain::{Class, ModelKind};
use features::{FeatureSchema, WARM_UP_SESSIONS};
use training::{Part, TrainingError, train, write_model};

use crate::{dataset, small};

#[test]
fn a_trained_model_predicts_the_same_after_its_way_through_the_file() {
    let dataset = dataset(3, WARM_UP_SESSIONS + 6).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let created_at = Utc.with_ymd_and_hms(2018, 3, 23, 1, 2, 3).unwrap();
    for kind in ModelKind::ALL {
        let trained = train(&dataset, kind, &small(), &|_| {}, &AtomicBool::new(false)).unwrap();
        let figures = serde_json::Map::from_iter([("tested".to_owned(), serde_json::json!(false))]);
        let manifest =
            write_model(&trained, &dataset, 0.8, folder.path(), figures, created_at).unwrap();
        assert!(
            manifest
                .model_id
                .as_str()
                .starts_with(&format!("{kind}-20180323T010203Z-"))
        );

        let path = model_registry::artifact_dir(folder.path(), kind, &manifest.model_id);
        let model = inference::Model::load(&path).unwrap();
        let stored = model.manifest();
        assert_eq!(stored.features.hash, FeatureSchema::current().hash());
        assert_eq!(stored.ranges, *dataset.ranges());
        assert_eq!(stored.metrics["tested"], false);
        assert!(
            stored.metrics["training"]["early_stopping"]["log_loss"]
                .as_f64()
                .unwrap()
                > 0.0
        );
        assert_eq!(stored.hyper_parameters["batch_size"], 64);
        let reference = model_registry::read_drift_reference(&path, stored).unwrap();
        let reference: evaluation::DriftReference =
            serde_json::from_slice(&reference.unwrap()).unwrap();
        let times_of_day = reference.features.unwrap();
        assert!(times_of_day.sessions >= 2 && times_of_day.usual.sessions >= 2);
        assert_eq!(times_of_day.features, FeatureSchema::current().names);
        assert_eq!(reference.closes.len(), 3);
        assert!(reference.confidence.is_sorted() && reference.confidence[0] > 1.0 / 3.0);
        assert!((reference.class_shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);

        let record = stored.abstention.unwrap();
        assert_eq!((record.coverage, record.cases), (0.8, 200));
        let (windows, truth) = dataset.windows(Part::Calibration, 200);
        let said = trained.predict(&windows).unwrap();
        for class in Class::ALL {
            let own = said
                .iter()
                .zip(&truth)
                .filter(|(_, truth)| **truth == class);
            let (cases, held) = own.fold((0, 0), |(cases, held), (said, _)| {
                let inside = f64::from(said.of(class)) >= record.thresholds[class.index()];
                (cases + 1, held + usize::from(inside))
            });
            // Exactly at the threshold rounding decides.
            let (held, cases) = (f64::from(held as u32), f64::from(cases));
            assert!(
                (held - 0.8 * cases).abs() <= 2.0,
                "{class}: {held} of {cases}"
            );
        }
        assert_eq!(record.horizon_minutes, Some(30));
        let rates = record.base_rates.unwrap();
        assert!((rates.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{rates:?}");
        let reach = record.move_reach.unwrap();
        assert!(reach.iter().all(|it| (0.0..20.0).contains(it)), "{reach:?}");
        let [down, neutral, up] = record.moves;
        assert!(down < -2.0 && neutral.abs() < 2.0 && up > 2.0, "{record:?}");

        for count in [1, 7, 20] {
            let (windows, _) = dataset.windows(Part::Calibration, count);
            let expected = trained.predict(&windows).unwrap();
            let found = model.predict(&windows, count).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                for (found, expected) in found.to_array().iter().zip(expected.to_array()) {
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{kind}: {found} {expected}"
                    );
                }
            }
        }
        // The same model again is refused, not overwritten.
        let error = write_model(
            &trained,
            &dataset,
            0.8,
            folder.path(),
            serde_json::Map::new(),
            created_at,
        );
        assert!(matches!(error.unwrap_err(), TrainingError::Artifact { .. }));
    }
}

#[test]
fn the_same_seed_gives_the_same_file() {
    let dataset = dataset(2, WARM_UP_SESSIONS + 6).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let steps = Cell::new(0);
    let file = |second: u32| {
        let progress = |_| steps.set(steps.get() + 1);
        let trained = train(
            &dataset,
            ModelKind::Lstm,
            &small(),
            &progress,
            &AtomicBool::new(false),
        )
        .unwrap();
        let at = Utc.with_ymd_and_hms(2018, 3, 23, 0, 0, second).unwrap();
        let id = write_model(
            &trained,
            &dataset,
            0.8,
            folder.path(),
            serde_json::Map::new(),
            at,
        )
        .unwrap()
        .model_id;
        // The id ends with the checksum of the weights.
        id.as_str().rsplit('-').next().unwrap().to_owned()
    };
    assert_eq!(file(1), file(2));
    assert_eq!(steps.get(), 2 * 256 / 64);
}
