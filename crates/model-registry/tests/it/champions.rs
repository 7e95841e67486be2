use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use domain::ModelKind;
use model_registry::{Champions, ChampionsFile};

use crate::{id, time};

#[test]
fn no_file_means_no_champions_yet() {
    let config = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(config.path().join("model_config.json"));
    assert_eq!(file.read().unwrap(), Champions::default());
}

#[test]
fn keeps_the_history_newest_first() {
    let config = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(config.path().join("new/model_config.json"));
    for (day, model) in [(1, "a"), (2, "b"), (3, "c")] {
        file.promote(
            ModelKind::Lstm,
            id(model),
            time(day),
            "better on held-out days",
        )
        .unwrap();
    }
    // Back to an earlier one.
    file.promote(ModelKind::Lstm, id("a"), time(4), "drift")
        .unwrap();
    // Once more: nothing to do.
    file.promote(ModelKind::Lstm, id("a"), time(5), "again")
        .unwrap();
    let champions = file.read().unwrap();
    assert_eq!(champions.transformer, None);
    let record = champions.of(ModelKind::Lstm).unwrap();
    assert_eq!(record.champion, id("a"));
    assert_eq!(record.previous, [id("c"), id("b")]);
    let changes: Vec<_> = record
        .changes
        .iter()
        .map(|change| {
            (
                change.at,
                change.from.as_ref().map(|id| id.as_str()),
                change.to.as_str(),
            )
        })
        .collect();
    assert_eq!(
        changes,
        [
            (time(4), Some("c"), "a"),
            (time(3), Some("b"), "c"),
            (time(2), Some("a"), "b"),
            (time(1), None, "a"),
        ]
    );
    assert_eq!(record.changes[0].why, "drift");
}

#[test]
fn a_decision_that_is_out_of_date_changes_nothing() {
    let config = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(config.path().join("model_config.json"));
    let kind = ModelKind::Lstm;
    let decide = |expected: Option<&str>, to: &str, day| {
        let expected = expected.map(id);
        file.promote_in_place_of(expected.as_ref(), kind, id(to), time(day), "better")
            .unwrap()
    };
    assert!(decide(None, "a", 1));
    assert!(decide(Some("a"), "b", 2));
    let before = file.read().unwrap();
    assert!(!decide(Some("a"), "c", 3));
    assert!(!decide(None, "c", 3));
    assert_eq!(file.read().unwrap(), before);
}

#[test]
fn says_who_was_champion_when_and_who_was_rolled_back() {
    let config = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(config.path().join("model_config.json"));
    for (day, model, why) in [
        (2, "a", "first"),
        (4, "b", "better"),
        (6, "a", "rolled back: b failed"),
        (8, "c", "better"),
    ] {
        file.promote(ModelKind::Lstm, id(model), time(day), why)
            .unwrap();
    }
    let champions = file.read().unwrap();
    let record = champions.of(ModelKind::Lstm).unwrap();
    let at = |day| {
        let (change, until) = record.at(time(day))?;
        Some((change.to.to_string(), until))
    };
    assert_eq!(at(1), None);
    assert_eq!(at(2), Some(("a".to_owned(), Some(time(4)))));
    assert_eq!(at(5), Some(("b".to_owned(), Some(time(6)))));
    assert_eq!(at(9), Some(("c".to_owned(), None)));
    let rolled_back = |model| record.left(&id(model)).map(|change| change.is_rollback());
    assert_eq!(rolled_back("b"), Some(true));
    assert_eq!(rolled_back("a"), Some(false), "left for a better one");
    assert_eq!((rolled_back("c"), rolled_back("x")), (None, None));
}

#[test]
fn a_broken_file_says_where_and_is_left_alone() {
    let config = tempfile::tempdir().unwrap();
    let path = config.path().join("model_config.json");
    let broken = "{\n  \"lstm\": null,\n  \"transformer\": {\"champion\": \"../x\"}\n}";
    fs::write(&path, broken).unwrap();
    let file = ChampionsFile::new(&path);
    let message = file.read().unwrap_err().to_string();
    assert!(
        message.contains("model_config.json is broken at line 3, column"),
        "{message}"
    );
    file.promote(ModelKind::Lstm, id("a"), time(1), "first")
        .unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), broken);
}

#[test]
fn two_writers_lose_nothing_and_a_reader_never_sees_half() {
    const EACH: usize = 40;
    let config = tempfile::tempdir().unwrap();
    let path = config.path().join("model_config.json");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = ["x", "y"]
            .into_iter()
            .map(|name| {
                // Each through its own handle, as two processes would.
                let file = ChampionsFile::new(&path);
                scope.spawn(move || {
                    for number in 0..EACH {
                        let model = id(&format!("{name}-{number}"));
                        file.promote(ModelKind::Transformer, model, time(1), name)
                            .unwrap();
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let file = ChampionsFile::new(&path);
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                if let Some(record) = file.read().unwrap().transformer {
                    assert_eq!(record.changes.len(), record.previous.len() + 1);
                    assert!(record.changes.len() >= seen);
                    seen = record.changes.len();
                }
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    let record = ChampionsFile::new(&path)
        .read()
        .unwrap()
        .transformer
        .unwrap();
    assert_eq!(record.changes.len(), 2 * EACH);
    let left: Vec<_> = fs::read_dir(config.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
}
