//! The commands on models, on real folders with small real artifacts.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Barrier},
};

use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use inference::testing::{artifact, random_weights};
use model_registry::{Artifact, ChampionsFile, Manifest, artifact_dir, write_artifact};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, PgPool};
use storage::{ModelEvent, ModelEventKind, recent_model_events};
use tempfile::TempDir;

/// A folder of models with its champions' file.
struct Shelf {
    folder: TempDir,
    database_url: Option<String>,
}

impl Shelf {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            database_url: None,
        }
    }

    fn on(pool: &PgPool) -> Self {
        let database_url = Some(pool.connect_options().to_url_lossy().to_string());
        Self {
            database_url,
            ..Self::new()
        }
    }

    fn models_dir(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn champions(&self) -> ChampionsFile {
        ChampionsFile::new(self.folder.path().join("model_config.json"))
    }

    /// Writes a small random model, changed before.
    fn write(&self, kind: ModelKind, seed: u64, change: impl FnOnce(&mut Manifest)) -> ModelId {
        let Artifact {
            mut manifest,
            tflite,
        } = artifact(&random_weights(kind, seed), seed).unwrap();
        manifest.created_at = at(&format!("2018-03-{:02}T22:00:00Z", 10 + seed));
        manifest.metrics = json!({ "training": {
            "best_epoch": 3,
            "early_stopping": { "log_loss": 1.02, "prior_log_loss": 1.05 },
            "history": [{ "epoch": 1 }],
        }});
        change(&mut manifest);
        let model_id = manifest.model_id.clone();
        write_artifact(&self.models_dir(), manifest, &tflite).unwrap();
        model_id
    }

    fn lstm(&self, seed: u64) -> ModelId {
        self.write(ModelKind::Lstm, seed, |_| ())
    }

    /// Makes models LSTM champion one after the other, a day each from 1 March on.
    fn promote(&self, seeds: &[u64]) {
        for (day, seed) in (1..).zip(seeds) {
            let time = at(&format!("2018-03-{day:02}T23:00:00Z"));
            let model_id = id(&format!("lstm-{seed}"));
            self.champions()
                .promote(ModelKind::Lstm, model_id, time, "better")
                .unwrap();
        }
    }

    fn champion(&self) -> String {
        let champions = self.champions().read().unwrap();
        champions.of(ModelKind::Lstm).unwrap().champion.to_string()
    }

    fn spoil(&self, model: &str) {
        let folder = artifact_dir(&self.models_dir(), ModelKind::Lstm, &id(model));
        std::fs::write(folder.join("model.tflite"), b"half").unwrap();
    }

    fn tandem(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command
            .arg("models")
            .args(arguments)
            .env("TANDEM_MODELS_DIR", self.models_dir())
            .env("TANDEM_MODEL_CONFIG", self.champions().path())
            .env_remove("TANDEM_CLOCK")
            .env_remove("MLFLOW_TRACKING_URI")
            .env_remove("DATABASE_URL");
        command.envs(self.database_url.iter().map(|url| ("DATABASE_URL", url)));
        command.output().unwrap()
    }

    /// What a command prints, and what it says on the side.
    fn said(&self, arguments: &[&str]) -> (String, String) {
        let output = self.tandem(arguments);
        let (printed, aside) = texts(output.stdout, output.stderr);
        assert!(
            output.status.success(),
            "tandem models {arguments:?}: {aside}"
        );
        (printed, aside)
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.tandem(arguments);
        let (printed, aside) = texts(output.stdout, output.stderr);
        assert!(
            !output.status.success(),
            "tandem models {arguments:?}: {printed}"
        );
        aside
    }
}

fn texts(printed: Vec<u8>, aside: Vec<u8>) -> (String, String) {
    (
        String::from_utf8(printed).unwrap(),
        String::from_utf8(aside).unwrap(),
    )
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn id(text: &str) -> ModelId {
    ModelId::parse(text).unwrap()
}

#[test]
fn all_models_are_listed_with_their_roles_and_what_is_wrong_with_them() {
    let shelf = Shelf::new();
    let (nothing, _) = shelf.said(&["list"]);
    assert!(nothing.contains("no models in"), "{nothing}");
    for seed in [1, 2, 3, 4, 5] {
        shelf.lstm(seed);
    }
    shelf.write(ModelKind::Lstm, 6, |manifest| {
        manifest.features.hash = "other".to_owned()
    });
    shelf.write(ModelKind::Transformer, 1, |_| ());
    shelf.promote(&[1, 2, 3]);
    shelf.spoil("lstm-5");
    std::fs::remove_dir_all(artifact_dir(
        &shelf.models_dir(),
        ModelKind::Lstm,
        &id("lstm-2"),
    ))
    .unwrap();

    let (table, _) = shelf.said(&["list"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..4], ["KIND", "MODEL", "CREATED", "ROLE"]);
    assert_eq!(
        rows[1],
        [
            "lstm",
            "lstm-3",
            "2018-03-13",
            "22:00",
            "champion",
            "1970-01-01",
            "00:00",
            "1.0200",
            "1.0500",
            rows[1][9],
            "kB"
        ]
    );
    let column = table.lines().next().unwrap().find("ROLE").unwrap();
    let roles: Vec<(&str, &str)> = table
        .lines()
        .skip(1)
        .map(|line| {
            let model = line.split_whitespace().nth(1).unwrap();
            (model, line[column..].split("  ").next().unwrap())
        })
        .collect();
    assert_eq!(
        roles,
        [
            ("lstm-3", "champion"),
            ("lstm-2", "previous 1"),
            ("lstm-1", "previous 2"),
            ("lstm-6", "spare"),
            ("lstm-5", "spare"),
            ("lstm-4", "spare"),
            ("transformer-1", "spare"),
        ]
    );
    let line = |model: &str| table.lines().find(|line| line.contains(model)).unwrap();
    assert!(
        line("lstm-2").contains("model.json does not exist"),
        "{table}"
    );
    assert!(
        line("lstm-5").contains("broken: ") && line("lstm-5").contains("sha256"),
        "{table}"
    );
    assert!(line("lstm-6").contains("other features"), "{table}");
    assert!(line("lstm-4").ends_with("kB"), "{table}");

    let (text, _) = shelf.said(&["list", "--json", "--kind", "transformer"]);
    let models: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(models.as_array().unwrap().len(), 1);
    assert_eq!(models[0]["role"], "spare");
    assert_eq!(models[0]["prior_log_loss"], 1.05);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_card_tells_what_a_model_is_and_what_happened_to_it(pool: PgPool) {
    let shelf = Shelf::on(&pool);
    for seed in [1, 2] {
        shelf.lstm(seed);
    }
    shelf.promote(&[1, 2]);
    let event = ModelEvent {
        event_time: at("2018-03-11T22:00:00Z"),
        kind: ModelKind::Lstm,
        event: ModelEventKind::Trained,
        model_id: id("lstm-1"),
        previous_model_id: None,
        reason: "the night's challenger".to_owned(),
    };
    storage::record_model_event(&pool, &event).await.unwrap();
    let (card, aside) = shelf.said(&["show", "lstm-1"]);
    assert_eq!(aside, "");
    for part in [
        "role             previous 1",
        "state            whole",
        "1.0200, by 0.0300 better than the prior's 1.0500",
        "windows of 60 bars",
        "2018-03-02 23:00:00 UTC  replaced by lstm-2: better",
        "2018-03-01 23:00:00 UTC  champion in place of nothing: better",
        "2018-03-11 22:00:00 UTC  trained     the night's challenger",
    ] {
        assert!(card.contains(part), "{part} in {card}");
    }
    assert!(!card.contains("history"), "{card}");
    let (text, _) = shelf.said(&["show", "lstm-1", "--json"]);
    let card: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        card["manifest"]["metrics"]["training"]["history"][0]["epoch"],
        1
    );
    assert_eq!(card["events"][0]["event"], "trained");
    assert_eq!(card["changes"].as_array().unwrap().len(), 2);

    shelf.spoil("lstm-1");
    let (card, _) = shelf.said(&["show", "lstm-1"]);
    assert!(
        card.contains("broken: ") && card.contains("sha256"),
        "{card}"
    );
    let unknown = shelf.refused(&["show", "gru"]);
    assert!(
        unknown.contains("no model \"gru\"") || unknown.contains("models list"),
        "{unknown}"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn who_was_champion_is_known_for_every_moment(pool: PgPool) {
    let shelf = Shelf::on(&pool);
    shelf.promote(&[1, 2]);
    let event = ModelEvent {
        event_time: at("2018-03-02T23:00:05Z"),
        kind: ModelKind::Lstm,
        event: ModelEventKind::Loaded,
        model_id: id("lstm-2"),
        previous_model_id: Some(id("lstm-1")),
        reason: "in use".to_owned(),
    };
    storage::record_model_event(&pool, &event).await.unwrap();
    let lstm = |time: &str| shelf.said(&["at", time]).0;
    assert!(
        lstm("2018-03-01T22:59:59Z").contains("lstm: no champion yet: the first, lstm-1, came at")
    );
    let first = lstm("2018-03-02T22:59:59Z");
    assert!(
        first.contains(
            "lstm: lstm-1, from 2018-03-01 23:00:00 UTC to 2018-03-02 23:00:00 UTC (better)"
        ),
        "{first}"
    );
    assert!(
        first.contains("transformer: no champion, then or now"),
        "{first}"
    );
    assert!(!first.contains("the api"), "{first}");
    let second = lstm("2018-03-05T00:00:00Z");
    assert!(
        second.contains("lstm-2, from 2018-03-02 23:00:00 UTC to now"),
        "{second}"
    );
    assert!(
        second.contains("the api has used lstm-2 since 2018-03-02 23:00:05 UTC"),
        "{second}"
    );
    let (text, _) = shelf.said(&["at", "2018-03-02T22:59:59Z", "--json"]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["champions"][0]["champion"], "lstm-1");
    assert_eq!(answer["champions"][0]["to"], "2018-03-02T23:00:00Z");
    assert_eq!(answer["champions"][1]["champion"], Value::Null);
    let wrong = shelf.refused(&["at", "yesterday"]);
    assert!(wrong.contains("yesterday"), "{wrong}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_model_is_promoted_and_rolled_back_by_hand(pool: PgPool) {
    let shelf = Shelf::on(&pool);
    for seed in [1, 2] {
        shelf.lstm(seed);
    }
    let (first, _) = shelf.said(&["promote", "lstm-1"]);
    assert_eq!(first, "lstm-1 is the first lstm champion\n");
    let (second, _) = shelf.said(&["promote", "lstm-2", "--reason", "it is calmer"]);
    assert_eq!(
        second,
        "lstm-2 is the lstm champion now, in place of lstm-1\nto go back: tandem models rollback lstm\n"
    );
    let again = shelf.refused(&["promote", "lstm-2"]);
    assert!(
        again.contains("lstm-2 is the lstm champion already"),
        "{again}"
    );
    let (back, _) = shelf.said(&["rollback", "lstm", "--reason", "it was not"]);
    assert_eq!(
        back,
        "lstm-1 is the lstm champion now, in place of lstm-2\nto undo it: tandem models promote lstm-2\n"
    );
    let champions = shelf.champions().read().unwrap();
    let record = champions.of(ModelKind::Lstm).unwrap();
    let reasons: Vec<_> = record
        .changes
        .iter()
        .map(|change| change.why.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "rolled back by hand: it was not",
            "promoted by hand: it is calmer",
            "promoted by hand"
        ]
    );
    let events = recent_model_events(&pool, 10).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.event, event.model_id.as_str(), event.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (ModelEventKind::RolledBack, "lstm-1", reasons[0]),
            (ModelEventKind::Promoted, "lstm-2", reasons[1]),
            (ModelEventKind::Promoted, "lstm-1", reasons[2]),
        ]
    );
    assert_eq!(events[0].previous_model_id, Some(id("lstm-2")));
    assert_eq!(events[0].event_time, record.changes[0].at);
}

#[test]
fn what_services_could_not_use_is_not_promoted() {
    let mut shelf = Shelf::new();
    // Nobody listens there, which keeps nobody from changing champions.
    shelf.database_url = Some("postgres://tandem@127.0.0.1:9/tandem".to_owned());
    for seed in [1, 2, 3] {
        shelf.lstm(seed);
    }
    shelf.write(ModelKind::Lstm, 4, |manifest| {
        manifest.features.hash = "other".to_owned()
    });
    shelf.write(ModelKind::Lstm, 5, |manifest| manifest.window = 30);
    let (_, aside) = shelf.said(&["promote", "lstm-1"]);
    assert!(
        aside.contains("warning: the database does not answer"),
        "{aside}"
    );
    shelf.spoil("lstm-2");
    for (model, reason) in [
        ("lstm-2", "sha256"),
        ("lstm-4", "feature schema"),
        ("lstm-5", "windows of 30 bars"),
    ] {
        let refused = shelf.refused(&["promote", model]);
        assert!(
            refused.contains(&format!("{model} cannot be champion")),
            "{refused}"
        );
        assert!(refused.contains(reason), "{refused}");
    }
    assert_eq!(shelf.champion(), "lstm-1");
    std::fs::write(shelf.champions().path(), "{").unwrap();
    let broken = shelf.refused(&["promote", "lstm-3"]);
    assert!(
        broken.contains("model_config.json is broken at line 1"),
        "{broken}"
    );
}

#[test]
fn a_rollback_passes_over_what_would_be_worse() {
    let shelf = Shelf::new();
    for seed in [1, 2, 4, 5, 6] {
        shelf.lstm(seed);
    }
    shelf.write(ModelKind::Lstm, 3, |manifest| {
        manifest.labels = json!({ "horizon": 90 })
    });
    shelf.promote(&[1, 2, 3, 4, 5, 6]);
    shelf.spoil("lstm-4");
    // Back from 6 to 5, and from 5 on: 6 was rolled back itself, 4 is broken, 3 foresees something else.
    let (_, aside) = shelf.said(&["rollback", "lstm"]);
    assert!(!aside.contains("passed over"), "{aside}");
    assert_eq!(shelf.champion(), "lstm-5");
    let (_, aside) = shelf.said(&["rollback", "lstm"]);
    assert_eq!(shelf.champion(), "lstm-2");
    let passed: Vec<&str> = aside
        .lines()
        .filter(|line| line.starts_with("passed over"))
        .collect();
    assert_eq!(passed.len(), 3, "{aside}");
    assert!(
        passed[0].contains("lstm-6: it was rolled back itself"),
        "{aside}"
    );
    assert!(
        passed[1].contains("lstm-4: ") && passed[1].contains("sha256"),
        "{aside}"
    );
    assert!(
        passed[2].contains("lstm-3: it foresees something else"),
        "{aside}"
    );

    // A person may insist, but not on what is broken or never was champion.
    shelf.said(&["rollback", "lstm", "--to", "lstm-6"]);
    assert_eq!(shelf.champion(), "lstm-6");
    let broken = shelf.refused(&["rollback", "lstm", "--to", "lstm-4"]);
    assert!(broken.contains("lstm-4 cannot be put back"), "{broken}");
    let never = shelf.refused(&["rollback", "lstm", "--to", "lstm-9"]);
    assert!(never.contains("no lstm champion before"), "{never}");
    let none = shelf.refused(&["rollback", "transformer"]);
    assert!(none.contains("no transformer champion"), "{none}");
    shelf.spoil("lstm-1");
    let nobody = shelf.refused(&["rollback", "lstm"]);
    assert!(
        nobody.contains("lstm-6 stays the lstm champion"),
        "{nobody}"
    );
    assert_eq!(shelf.champion(), "lstm-6");
}

#[test]
fn of_two_that_decide_at_once_one_is_told_to_look_again() {
    let shelf = Arc::new(Shelf::new());
    for seed in 1..=4 {
        shelf.lstm(seed);
    }
    shelf.promote(&[1, 2, 3]);
    let start = Arc::new(Barrier::new(2));
    let commands: [&'static [&'static str]; 2] = [&["rollback", "lstm"], &["promote", "lstm-4"]];
    let threads = commands.map(|arguments| {
        let (shelf, start) = (Arc::clone(&shelf), Arc::clone(&start));
        std::thread::spawn(move || {
            start.wait();
            let output = shelf.tandem(arguments);
            (
                output.status.success(),
                texts(output.stdout, output.stderr).1,
            )
        })
    });
    let outcomes = threads.map(|thread| thread.join().unwrap());
    let champions = shelf.champions().read().unwrap();
    let record = champions.of(ModelKind::Lstm).unwrap();
    let done = outcomes.iter().filter(|(success, _)| *success).count();
    // Whoever comes second saw the new champion, or is refused: no decision is made about a champion that is gone.
    assert_eq!(record.changes.len(), 3 + done, "{outcomes:?}");
    for change in record.changes.windows(2) {
        assert_eq!(change[0].from.as_ref(), Some(&change[1].to), "{outcomes:?}");
    }
    for (success, aside) in &outcomes {
        assert!(
            *success || aside.contains("has changed meanwhile"),
            "{aside}"
        );
    }
}

#[test]
fn the_models_of_a_running_system_are_found() {
    let shelf = Shelf::new();
    shelf.lstm(1);
    let state_dir = TempDir::new().unwrap();
    let folder = state_dir.path().join("live");
    std::fs::create_dir(&folder).unwrap();
    let environment = json!({
        "DATABASE_URL": "postgres://tandem@127.0.0.1:9/tandem",
        "TANDEM_MODELS_DIR": shelf.models_dir(),
        "TANDEM_MODEL_CONFIG": shelf.champions().path(),
    });
    std::fs::write(folder.join("environment.json"), environment.to_string()).unwrap();
    let elsewhere = Shelf::new();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (table, _) = elsewhere.said(&["list", "--state-dir", &path(state_dir.path())]);
    assert!(table.contains("lstm-1"), "{table}");
    let refused = elsewhere.refused(&["list", "--state-dir", &path(elsewhere.folder.path())]);
    assert!(refused.contains("no market was ever started"), "{refused}");
}

#[test]
fn an_export_needs_a_server() {
    let shelf = Shelf::new();
    let refused = shelf.refused(&["export"]);
    assert!(
        refused.contains("MLFLOW_TRACKING_URI is not set"),
        "{refused}"
    );
}
