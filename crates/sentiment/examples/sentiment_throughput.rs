//! Measures headlines a second and prints JSON: `sentiment_throughput TEXTS [MODEL_DIR COUNT]`. The lexicon scores all lines
//! of the file TEXTS, on one core; the transformer in MODEL_DIR the first COUNT of them, on all cores.
//! `sentiment_throughput import EXPORT_DIR MODELS_DIR` makes such a folder, `MODELS_DIR/benchmark`, from an export; apart,
//! because trying the model takes memory.

use std::{error::Error, fs, path::Path, time::Instant};

use sentiment::{Lexicon, Transformer, import};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (texts, model) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["import", from, models] => {
            import(Path::new(from), "benchmark", Path::new(models))?;
            return Ok(());
        }
        [texts] => (texts, None),
        [texts, dir, count] => (texts, Some((Path::new(dir), count.parse::<usize>()?))),
        _ => return Err(
            "usage: sentiment_throughput TEXTS [MODEL_DIR COUNT] | import EXPORT_DIR MODELS_DIR"
                .into(),
        ),
    };
    let texts = fs::read_to_string(texts)?;
    let texts: Vec<&str> = texts.lines().collect();
    let mut results = json!({"headlines": texts.len(), "lexicon": lexicon(&texts)?});
    if let Some((dir, count)) = model {
        results["transformer"] = transformer(dir, texts.get(..count).unwrap_or(&texts))?;
    }
    serde_json::to_writer_pretty(std::io::stdout(), &results)?;
    Ok(())
}

fn lexicon(texts: &[&str]) -> Result<serde_json::Value, Box<dyn Error>> {
    let lexicon = Lexicon::default();
    // The first builds the tables.
    lexicon.score("profit")?;
    let begin = Instant::now();
    for text in texts {
        lexicon.score(text)?;
    }
    Ok(json!({"headlines_per_s": per_second(texts.len(), begin)}))
}

fn transformer(dir: &Path, texts: &[&str]) -> Result<serde_json::Value, Box<dyn Error>> {
    let begin = Instant::now();
    let transformer = Transformer::load(dir)?;
    let load_s = begin.elapsed().as_secs_f64();
    let mut tokens = 0;
    for text in texts {
        tokens += transformer.token_ids(text)?.len();
    }
    // Buffers grow with the first runs.
    transformer.score(texts.get(..32).unwrap_or(texts))?;
    let begin = Instant::now();
    transformer.score(texts)?;
    let headlines_per_s = per_second(texts.len(), begin);
    let begin = Instant::now();
    for text in texts.iter().take(20) {
        transformer.score(&[*text])?;
    }
    let alone_per_s = per_second(texts.len().min(20), begin);
    Ok(json!({
        "headlines": texts.len(),
        "tokens_per_headline": tokens as f64 / texts.len() as f64,
        "headlines_per_s": headlines_per_s,
        "one_at_a_time_per_s": alone_per_s,
        "load_s": load_s,
        "resident_mib": resident_mib("VmRSS:"),
        "peak_resident_mib": resident_mib("VmHWM:"),
    }))
}

fn per_second(count: usize, begin: Instant) -> f64 {
    count as f64 / begin.elapsed().as_secs_f64()
}

/// From Linux's account of this process; nothing elsewhere.
fn resident_mib(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
