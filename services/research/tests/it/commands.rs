use std::{
    fmt::Write,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// Runs `tandem` with the project's settings and a training that takes seconds.
pub(crate) fn tandem(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem-research"))
        .args(arguments)
        .env(
            "TANDEM_CONFIG",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/tandem.toml"),
        )
        .env("TANDEM__TRAINING__EPOCHS", "2")
        .env("TANDEM__TRAINING__WINDOWS_PER_EPOCH", "512")
        .env("TANDEM__TRAINING__VALIDATION_WINDOWS", "256")
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap()
}

pub(crate) fn written(arguments: &[&str]) -> String {
    let output = tandem(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tandem {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn refused(arguments: &[&str]) -> String {
    let output = tandem(arguments);
    assert!(!output.status.success(), "tandem {arguments:?} succeeded");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!message.contains("panicked"), "{message}");
    message
}

fn shared(name: &str) -> Option<String> {
    Some(test_support::shared(name)?.to_string_lossy().into_owned())
}

fn golden(name: &str) -> Option<String> {
    let path = shared(name)?;
    let unpacked = Command::new("gzip").args(["-dc", &path]).output().unwrap();
    Some(String::from_utf8(unpacked.stdout).unwrap())
}

pub(crate) fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().skip(1).map(|line| line.split(',').collect())
}

fn close(ours: &str, theirs: &str, tolerance: f64) -> bool {
    let (ours, theirs): (f64, f64) = (ours.parse().unwrap(), theirs.parse().unwrap());
    (ours - theirs).abs() <= tolerance * theirs.abs().max(1e-3)
}

#[test]
fn calendar_equals_the_reference() {
    let Some(golden) = golden("golden/nyse_sessions_2005_2027.csv.gz") else {
        return;
    };
    let last = golden.lines().last().unwrap().split(',').next().unwrap();
    assert_eq!(
        written(&["calendar", "--from", "2005-01-01", "--to", last]),
        golden
    );
}

#[test]
fn label_equals_the_reference_on_closes() {
    let (Some(bars), Some(golden)) = (
        shared("data/bars_1m/us20_2018-02-16_2018-03-29.csv.gz"),
        golden("golden/triple_barrier_mlfinpy.csv.gz"),
    ) else {
        return;
    };
    let labels = written(&[
        "label",
        "--bars",
        &bars,
        "--path",
        "close",
        "--horizon",
        "30",
        "--target-span",
        "60",
        "--profit",
        "1",
        "--stop",
        "1",
    ]);
    assert!(labels.starts_with("ticker,ts,target,first_touch,ret,bin\n"));
    // The reference knows 1,950 bars: its last labels are cut where ours go on.
    for (ours, theirs) in rows(&labels)
        .filter(|row| row[0] == "AAPL")
        .zip(rows(&golden))
    {
        assert_eq!(
            [ours[1], ours[3], ours[5]],
            [theirs[0], theirs[2], theirs[4]]
        );
        assert!(
            close(ours[2], theirs[1], 1e-9) && close(ours[4], theirs[3], 1e-6),
            "{ours:?} {theirs:?}"
        );
    }
}

#[test]
fn indicators_carry_the_reference_names() {
    let (Some(bars), Some(golden)) = (
        shared("data/bars_1m/us20_2018-02-16_2018-03-29.csv.gz"),
        golden("golden/indicators_talib.csv.gz"),
    ) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("indicators.csv");
    written(&[
        "features",
        "--indicators",
        "--bars",
        &bars,
        "--out",
        &out.to_string_lossy(),
    ]);
    let ours = std::fs::read_to_string(out).unwrap();
    let names: Vec<&str> = golden.lines().next().unwrap().split(',').skip(7).collect();
    assert_eq!(
        ours.lines()
            .next()
            .unwrap()
            .split(',')
            .skip(2)
            .collect::<Vec<_>>(),
        names
    );
    let apple = |row: &Vec<&str>| row[0] == "AAPL";
    let (ours, theirs): (Vec<_>, Vec<_>) = (
        rows(&ours).filter(apple).collect(),
        rows(&golden).filter(apple).collect(),
    );
    let rsi = names.iter().position(|name| *name == "rsi_14").unwrap();
    // The first value is that of the fifteenth bar.
    for (ours, theirs) in ours.iter().zip(&theirs).skip(14) {
        assert!(
            close(ours[2 + rsi], theirs[7 + rsi], 1e-8),
            "{ours:?} {theirs:?}"
        );
    }
}

/// Three invented stocks on the sessions of spring 2018; returns the file.
pub(crate) fn market(folder: &Path) -> String {
    let sessions =
        calendar::nyse().sessions("2018-03-01".parse().unwrap(), "2018-03-29".parse().unwrap());
    let mut text = String::from("ticker,ts,open,high,low,close,volume\n");
    let mut seed = 7_u64;
    let mut draw = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / f64::from(u32::MAX >> 1) - 0.5
    };
    for ticker in ["AAA", "BBB", "CCC"] {
        let mut price = 100.0;
        for session in sessions {
            price *= 1.0 + 0.01 * draw();
            for minute in 0..session.minutes() {
                let start = session.open + chrono::TimeDelta::minutes(i64::from(minute));
                let (open, close) = (price, price * (1.0 + 0.002 * draw()));
                let (high, low) = (open.max(close) * 1.0003, open.min(close) * 0.9997);
                let volume = 1_000.0 + 800.0 * draw();
                let ts = start.format("%Y-%m-%dT%H:%M:%SZ");
                writeln!(
                    text,
                    "{ticker},{ts},{open},{high},{low},{close},{volume:.0}"
                )
                .unwrap();
                price = close;
            }
        }
    }
    let path = folder.join("market.csv");
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn models_are_trained_asked_and_judged_on_what_they_have_not_seen() {
    let folder = TempDir::new().unwrap();
    let bars = market(folder.path());
    let models = folder.path().join("models").to_string_lossy().into_owned();
    let until = "2018-03-23T00:00:00Z";
    written(&[
        "train", "--bars", &bars, "--until", until, "--seed", "3", "--out", &models,
    ]);

    let out = folder
        .path()
        .join("predictions.csv")
        .to_string_lossy()
        .into_owned();
    written(&[
        "predict", "--models", &models, "--bars", &bars, "--out", &out,
    ]);
    let predictions = std::fs::read_to_string(out).unwrap();
    assert!(predictions.starts_with("ticker,ts,model,down,neutral,up\n"));
    let sums_to_one = |row: &Vec<&str>| {
        (row[3..]
            .iter()
            .map(|value| value.parse::<f64>().unwrap())
            .sum::<f64>()
            - 1.0)
            .abs()
            < 1e-5
    };
    assert!(rows(&predictions).count() > 10_000 && rows(&predictions).all(|row| sums_to_one(&row)));

    let json = folder
        .path()
        .join("report.json")
        .to_string_lossy()
        .into_owned();
    let text = written(&[
        "evaluate", "--models", &models, "--bars", &bars, "--json", &json,
    ]);
    for name in [
        "lstm",
        "transformer",
        "class prior",
        "persistence",
        "linear",
        "boosted trees",
        "conformal sets",
        "confirmed signals",
    ] {
        assert!(text.contains(name), "{name} is missing in:\n{text}");
    }
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["sessions"], 5);
    assert!(report["from"].as_str().unwrap() >= report["seen_until"].as_str().unwrap());
    // Invented prices hold nothing to learn: the networks may not look much better than the prior.
    let log_loss = |index: usize| report["judged"][index]["log_loss"].as_f64().unwrap();
    assert!(
        log_loss(0) > log_loss(2) - 0.01 && log_loss(1) > log_loss(2) - 0.01,
        "{report}"
    );

    let message = refused(&[
        "evaluate",
        "--models",
        &models,
        "--bars",
        &bars,
        "--from",
        "2018-03-20",
    ]);
    assert!(
        message.contains("have seen bars until") && message.contains("prove nothing"),
        "{message}"
    );
}

#[test]
fn the_sets_hold_what_happens_on_unseen_recorded_days_as_often_as_asked() {
    let Some(recorded) = golden("data/bars_1m/us20_2018-02-16_2018-03-29.csv.gz") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    // A few stocks of different trades: all twenty take minutes.
    let wanted = [
        "ticker", "AAPL", "BA", "JNJ", "JPM", "KO", "MSFT", "NVDA", "XOM",
    ];
    let lines = recorded.lines();
    let few: Vec<&str> = lines
        .filter(|line| wanted.contains(&line.split(',').next().unwrap()))
        .collect();
    let bars = path("bars.csv");
    std::fs::write(&bars, few.join("\n") + "\n").unwrap();
    let (models, json) = (path("models"), path("report.json"));
    let until = "2018-03-16T00:00:00Z";
    written(&[
        "train", "--quick", "--bars", &bars, "--until", until, "--out", &models,
    ]);
    written(&[
        "evaluate", "--models", &models, "--bars", &bars, "--json", &json,
    ]);
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["sessions"], 10);
    let sets = report["sets"].as_array().unwrap();
    assert_eq!(sets.len(), 2);
    for sets in sets {
        let (asked, found) = (sets["asked"].as_f64().unwrap(), &sets["in_service"]);
        assert_eq!(asked, 0.8);
        let classes = found["classes"].as_array().unwrap();
        for share in classes.iter().chain([&found["all"]]) {
            let share = share.as_f64().unwrap();
            assert!((share - asked).abs() < 0.02, "{sets}");
        }
        // They are not held by always naming all classes.
        assert!(found["sizes"][3].as_f64().unwrap() < 0.6, "{sets}");
    }
}

#[test]
fn news_and_figures_count_from_when_they_were_known() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let bars = market(folder.path());
    std::fs::write(
        path("news.csv"),
        "ticker,published_at,first_seen,title,publisher,url\n\
         AAA,2016-01-04T12:00:00Z,2018-03-20T15:00:30Z,AAA beats expectations and raises its forecast,,\n\
         ZZZ,2018-03-20T12:00:00Z,2018-03-20T15:00:30Z,ZZZ falls,,\n",
    )
    .unwrap();
    std::fs::write(
        path("economy.csv"),
        "series,date,value\nDGS10,2018-03-15,2.82\nDGS10,2018-03-19,2.85\nDGS10,2018-03-20,.\n",
    )
    .unwrap();
    let features = written(&[
        "features",
        "--bars",
        &bars,
        "--news",
        &path("news.csv"),
        "--economy",
        &path("economy.csv"),
    ]);
    let header: Vec<&str> = features.lines().next().unwrap().split(',').collect();
    let column = |name| header.iter().position(|other| *other == name).unwrap();
    let (count, yields) = (column("news_count"), column("ten_year_yield"));
    let at = |ticker: &str, minute: &str| {
        let row = rows(&features)
            .find(|row| row[0] == ticker && row[1].contains(minute))
            .unwrap();
        [count, yields].map(|column| row[column].parse::<f32>().unwrap())
    };
    // The bar 14:59 closes half a minute before the story, the next one after it.
    assert_eq!(at("AAA", "2018-03-20T14:59"), [0.0, 2.82]);
    assert_eq!(at("AAA", "2018-03-20T15:00"), [2_f32.ln(), 2.82]);
    assert_eq!(at("BBB", "2018-03-20T15:00"), [0.0, 2.82]);
    // Monday's yield is known on Tuesday evening.
    assert_eq!(at("AAA", "2018-03-21T13:30"), [2_f32.ln(), 2.85]);

    std::fs::write(path("news.csv"), "ticker,title\nAAA,when?\n").unwrap();
    let message = refused(&["features", "--bars", &bars, "--news", &path("news.csv")]);
    assert!(
        message.contains("news.csv") && message.contains("first_seen"),
        "{message}"
    );
}

#[test]
fn bad_input_is_named_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("columns.csv"), "date,open,close\n2018-03-26,1,2\n").unwrap();
    let message = refused(&["features", "--bars", &path("columns.csv")]);
    assert!(
        message.contains("columns.csv has no column ticker, high, low, volume"),
        "{message}"
    );

    let header = "ticker,ts,open,high,low,close,volume\n";
    std::fs::write(
        path("few.csv"),
        format!("{header}AAPL,2018-03-26T13:30:00Z,1,2,1,2,5\n"),
    )
    .unwrap();
    let message = refused(&[
        "train",
        "--bars",
        &path("few.csv"),
        "--out",
        &path("models"),
    ]);
    assert!(message.contains("too little data"), "{message}");

    let message = refused(&[
        "predict",
        "--models",
        &path("nothing"),
        "--bars",
        &path("few.csv"),
    ]);
    assert!(message.contains("tandem train --out"), "{message}");
    std::fs::create_dir(path("broken")).unwrap();
    std::fs::write(path("broken/model_config.json"), "{\"lstm\": ").unwrap();
    let message = refused(&[
        "predict",
        "--models",
        &path("broken"),
        "--bars",
        &path("few.csv"),
    ]);
    assert!(message.contains("model_config.json"), "{message}");

    let message = refused(&["calendar", "--from", "1999-01-01", "--to", "2018-01-01"]);
    assert!(message.contains("1999-01-01"), "{message}");
}
