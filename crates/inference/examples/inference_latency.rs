//! Measures how long the models take and prints it as JSON:
//!
//! `inference_latency --random DIR` writes two random models of the usual size below DIR and measures them, so that another
//! runtime can be measured on the same files; `inference_latency LSTM_DIR TRANSFORMER_DIR` measures two artifacts.

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc, time::Instant};

use domain::{ModelKind, Ticker};
use features::{FEATURE_COUNT, WINDOW};
use inference::{Champions, LiveTicker, Model, predict_both, testing};
use model_registry::write_artifact;
use serde::Serialize;
use tflite_export::testing::{random_lstm, random_transformer};

const BATCHES: [usize; 2] = [1, 20];
const ROUNDS: usize = 500;

#[derive(Serialize)]
struct Latency {
    median_ms: f64,
    p99_ms: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let champions = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--random", dir] => random_champions(Path::new(dir))?,
        [lstm, transformer] => Champions {
            lstm: Arc::new(Model::load(Path::new(lstm))?),
            transformer: Arc::new(Model::load(Path::new(transformer))?),
        },
        _ => return Err(
            "usage: inference_latency --random DIR | inference_latency LSTM_DIR TRANSFORMER_DIR"
                .into(),
        ),
    };
    let live = (0..20).map(testing::ready_ticker).collect::<Vec<_>>();
    let mut results: BTreeMap<&str, BTreeMap<String, Latency>> = BTreeMap::new();
    for batch in BATCHES {
        champions.prepare(batch)?;
        let windows = vec![0.5; batch * WINDOW * FEATURE_COUNT];
        for kind in ModelKind::ALL {
            let latency = measure(|| champions.of(kind).predict(&windows, batch).map(drop))?;
            results
                .entry(kind.name())
                .or_default()
                .insert(format!("batch_{batch}"), latency);
        }
        let tickers = (0..batch)
            .map(|index| Ok((Ticker::parse(&format!("T{index}"))?, &live[index])))
            .collect::<Result<Vec<(Ticker, &LiveTicker)>, Box<dyn Error>>>()?;
        let latency = measure(|| predict_both(&champions, &tickers).map(drop))?;
        results
            .entry("both")
            .or_default()
            .insert(format!("batch_{batch}"), latency);
    }
    serde_json::to_writer_pretty(std::io::stdout(), &results)?;
    Ok(())
}

fn measure<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<Latency, E> {
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS + ROUNDS / 10 {
        let start = Instant::now();
        run()?;
        // The first tenth warms caches up.
        if round >= ROUNDS / 10 {
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(Latency {
        median_ms: times[ROUNDS / 2],
        p99_ms: times[ROUNDS * 99 / 100],
    })
}

fn random_champions(dir: &Path) -> Result<Champions, Box<dyn Error>> {
    let load = |weights| -> Result<Arc<Model>, Box<dyn Error>> {
        let artifact = testing::artifact(&weights, 1)?;
        write_artifact(dir, artifact.manifest.clone(), &artifact.tflite)?;
        Ok(Arc::new(Model::from_artifact(artifact)?))
    };
    Ok(Champions {
        lstm: load(random_lstm(FEATURE_COUNT, 64, 2, 1))?,
        transformer: load(random_transformer(FEATURE_COUNT, 64, 4, 2, 1))?,
    })
}
