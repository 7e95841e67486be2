//! How fast features are computed, on one core, as one line of JSON:
//!
//! ```text
//! feature_throughput BARS.csv.gz
//! ```
//!
//! The file has the columns `ticker, ts, open, high, low, close, volume`. Beside the bars there are invented events: a
//! story every two hours and a vintage of every economic series each day. `bars_per_second` folds each ticker's history
//! with them (median of the rounds), `bars_alone_per_second` without; `one_bar_*_ms` pushes one new bar of every ticker
//! through warm streams, for each minute of the last session in the file. The slowest minute is the first: it learns the
//! usual volumes anew.
#![expect(clippy::print_stdout, reason = "the result is what the program prints")]

use std::{collections::BTreeMap, env, error::Error, fs::File, hint::black_box, time::Instant};

use calendar::nyse;
use chrono::TimeDelta;
use domain::{Bar, MACRO_SERIES, SeriesId};
use features::{
    FEATURE_COUNT, FeatureStream, MACRO_HORIZON, MacroEvent, NewsEvent, TickerContext, fold,
};
use flate2::read::GzDecoder;

const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args()
        .nth(1)
        .ok_or("usage: feature_throughput BARS.csv.gz")?;
    let tickers = read(&path)?;
    let bars: usize = tickers.values().map(Vec::len).sum();

    let (news, economy) = events(&tickers)?;
    let context = TickerContext {
        news: &news,
        economy: &economy,
    };
    let rate = |context: TickerContext<'_>| {
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                for bars in tickers.values() {
                    black_box(fold(black_box(bars), context));
                }
                bars as f64 / start.elapsed().as_secs_f64()
            })
            .collect();
        quantile(&mut rounds, 0.5)
    };
    let (with_events, alone) = (rate(context), rate(TickerContext::default()));
    let mut one_bar = one_bar_milliseconds(&tickers, context)?;
    println!(
        "{{\"bars\":{bars},\"tickers\":{},\"features\":{FEATURE_COUNT},\"bars_per_second\":{:.0},\
         \"bars_alone_per_second\":{:.0},\"one_bar_all_tickers_median_ms\":{:.4},\"one_bar_all_tickers_p99_ms\":{:.4},\
         \"one_bar_all_tickers_max_ms\":{:.4}}}",
        tickers.len(),
        with_events,
        alone,
        quantile(&mut one_bar, 0.5),
        quantile(&mut one_bar, 0.99),
        quantile(&mut one_bar, 1.0),
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

/// Invented events from before the first bar to the last one.
fn events(
    tickers: &BTreeMap<String, Vec<Bar>>,
) -> Result<(Vec<NewsEvent>, Vec<MacroEvent>), Box<dyn Error>> {
    let starts = || tickers.values().flatten().map(|bar| bar.start);
    let (Some(first), Some(last)) = (starts().min(), starts().max()) else {
        return Err("the file has no bars".into());
    };
    let times = |every: TimeDelta| {
        std::iter::successors(Some(first - MACRO_HORIZON), move |time| Some(*time + every))
            .take_while(move |time| *time <= last)
    };
    let news = times(TimeDelta::hours(2))
        .enumerate()
        .map(|(place, available_at)| NewsEvent {
            available_at,
            score: (place % 21) as f32 / 10.0 - 1.0,
        })
        .collect();
    let mut economy = Vec::new();
    for name in MACRO_SERIES {
        let series = SeriesId::parse(name)?;
        economy.extend(
            times(TimeDelta::days(1))
                .enumerate()
                .map(|(place, available_at)| MacroEvent {
                    available_at,
                    series: series.clone(),
                    period: available_at.date_naive(),
                    value: 3.0 + (place % 17) as f64 / 10.0,
                }),
        );
    }
    Ok((news, economy))
}

fn one_bar_milliseconds(
    tickers: &BTreeMap<String, Vec<Bar>>,
    context: TickerContext<'_>,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let last = tickers
        .values()
        .flatten()
        .map(|bar| bar.start)
        .max()
        .ok_or("the file has no bars")?;
    let session = nyse()
        .session_at(last)
        .ok_or("the last bar lies outside regular trading hours")?;
    let mut minutes = BTreeMap::<_, Vec<(usize, Bar)>>::new();
    let mut streams = Vec::new();
    for (index, bars) in tickers.values().enumerate() {
        let mut stream = FeatureStream::new(nyse());
        stream.push_context(context);
        for bar in bars {
            if bar.start < session.open {
                stream.push(bar)?;
            } else {
                minutes.entry(bar.start).or_default().push((index, *bar));
            }
        }
        streams.push(stream);
    }
    let mut times = Vec::new();
    for bars in minutes.into_values() {
        let start = Instant::now();
        for (index, bar) in &bars {
            if let Some(stream) = streams.get_mut(*index) {
                black_box(stream.push(bar)?);
            }
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// The value at or below which this part of the values lies.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (part * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}
