//! The champions that come along for the simulated market, as the services load them.

use std::path::Path;

use domain::ModelKind;
use features::{FEATURE_COUNT, WINDOW};
use inference::Champions;
use model_registry::{ChampionsFile, artifact_dir, read_drift_reference};

/// Every clone carries them: a megabyte and a half.
const LARGEST_BYTES: u64 = 3 * 512 * 1024;

#[test]
fn the_demo_champions_fit_this_version() {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo"));
    let file = ChampionsFile::new(dir.join("model_config.json"))
        .read()
        .unwrap();
    let champions = Champions::load(dir, &file).unwrap_or_else(|error| {
        panic!("{error}: make the demo's champions anew with scripts/demo-models")
    });
    let mut bytes = 0;
    for kind in ModelKind::ALL {
        let model = champions.of(kind);
        let folder = artifact_dir(dir, kind, model.id());
        for entry in folder.read_dir().unwrap() {
            bytes += entry.unwrap().metadata().unwrap().len();
        }
        assert!(
            read_drift_reference(&folder, model.manifest())
                .unwrap()
                .is_some(),
            "{kind}: drift cannot be told"
        );
        assert!(
            model.manifest().abstention.is_some(),
            "{kind}: never confirms a direction"
        );
        let said = model.predict(&[0.5; WINDOW * FEATURE_COUNT], 1).unwrap();
        assert_eq!(said.len(), 1);
    }
    assert!(bytes < LARGEST_BYTES, "{bytes} bytes");
}
