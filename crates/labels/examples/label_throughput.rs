//! How fast bars are labelled and weighted, on one core, as one line of JSON:
//!
//! ```text
//! label_throughput BARS.csv.gz
//! ```
//!
//! The file has the columns `ticker, ts, open, high, low, close, volume`. `bars_per_second` takes volatility, barriers and
//! uniqueness weights together (median of the rounds).
#![expect(clippy::print_stdout, reason = "the result is what the program prints")]

use std::{collections::BTreeMap, env, error::Error, fs::File, hint::black_box, time::Instant};

use calendar::nyse;
use domain::Bar;
use flate2::read::GzDecoder;
use labels::{BarrierSettings, triple_barrier, uniqueness_weights};

const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args()
        .nth(1)
        .ok_or("usage: label_throughput BARS.csv.gz")?;
    let tickers = read(&path)?;
    let bars: usize = tickers.values().map(Vec::len).sum();
    let settings = BarrierSettings::default();
    let mut labelled = 0;
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            labelled = 0;
            for bars in tickers.values() {
                let labels = triple_barrier(black_box(bars), &settings, nyse());
                labelled += labels.len();
                black_box(uniqueness_weights(&labels, bars.len()));
            }
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(ROUNDS / 2).copied().unwrap_or(f64::NAN);
    println!(
        "{{\"bars\":{bars},\"tickers\":{},\"labels\":{labelled},\"bars_per_second\":{:.0}}}",
        tickers.len(),
        bars as f64 / median,
    );
    Ok(())
}

fn read(path: &str) -> Result<BTreeMap<String, Vec<Bar>>, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("cannot open {path}: {error}"))?;
    let mut tickers = BTreeMap::<String, Vec<Bar>>::new();
    for row in csv::Reader::from_reader(GzDecoder::new(file)).deserialize() {
        let (ticker, start, open, high, low, close, volume): (
            String,
            String,
            f64,
            f64,
            f64,
            f64,
            f64,
        ) = row?;
        let bar = Bar::new(start.parse()?, open, high, low, close, volume)?;
        tickers.entry(ticker).or_default().push(bar);
    }
    Ok(tickers)
}
