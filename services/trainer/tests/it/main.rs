//! The program on a real database with bars of a made-up market: whole, killed, and with bad input.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod policy;
mod resume;
mod world;

#[path = "../../../../crates/training/tests/support/market.rs"]
mod market;

/// Who reads the file sees what is in force.
#[test]
fn the_settings_file_shows_the_defaults() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/tandem.toml");
    let settings: training::TrainingSettings =
        service_kit::load_settings_from(file.as_ref(), std::iter::empty()).unwrap();
    assert_eq!(settings, training::TrainingSettings::default());
    let text = std::fs::read_to_string(file).unwrap();
    let (_, section) = text.split_once("[training]\n").unwrap();
    let (section, _) = section.split_once("\n[policy]").unwrap();
    let shown = section.lines().filter(|line| line.contains(" = "));
    let fields = serde_json::to_value(&settings).unwrap();
    let nested = ["lstm", "transformer"].map(|name| fields[name].as_object().unwrap().len());
    let all = fields.as_object().unwrap().len() - nested.len() + nested.iter().sum::<usize>();
    assert_eq!(shown.count(), all);
}
