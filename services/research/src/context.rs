//! News and economic series from files: what was known beside the bars, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use domain::{Bar, Ticker};
use features::{Context, NewsEvent};
use flate2::read::MultiGzDecoder;
use sentiment::SentimentModel;
use serde::Deserialize;

use crate::cli::ContextFiles;

/// Titles given to the sentiment model at once.
const BATCH: usize = 64;

/// Reads the files given, if any, for the stocks that have bars.
pub(super) fn read(
    files: &ContextFiles,
    bars: &BTreeMap<Ticker, Vec<Bar>>,
) -> anyhow::Result<Context> {
    let mut context = Context::default();
    if let Some(path) = &files.news {
        context.news = read_news(path, bars)?;
    }
    if let Some(path) = &files.economy {
        context.economy = super::economy::read(path)?;
    }
    Ok(context)
}

/// The rows of a CSV file with a header, unpacked by the name's ending.
pub(super) fn rows(path: &Path) -> anyhow::Result<csv::Reader<Box<dyn Read>>> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let packed = path.extension().is_some_and(|ending| ending == "gz");
    let bytes: Box<dyn Read> = if packed {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    Ok(csv::Reader::from_reader(bytes))
}

#[derive(Deserialize)]
struct Story {
    ticker: String,
    /// Empty or absent in files that only know what publishers claim: then nobody knows when it could be used.
    first_seen: DateTime<Utc>,
    title: String,
}

fn read_news(
    path: &Path,
    bars: &BTreeMap<Ticker, Vec<Bar>>,
) -> anyhow::Result<BTreeMap<Ticker, Vec<NewsEvent>>> {
    let mut stories = Vec::new();
    for story in rows(path)?.deserialize() {
        let story: Story = story.with_context(|| {
            format!(
                "{} cannot be read as news: expected the columns ticker, first_seen (UTC, RFC 3339) and title",
                path.display()
            )
        })?;
        let ticker = Ticker::parse(&story.ticker)
            .with_context(|| format!("{} names no stock", path.display()))?;
        if bars.contains_key(&ticker) {
            stories.push((ticker, story));
        }
    }
    let scores = scores(stories.iter().map(|(_, story)| story.title.as_str()))?;
    let mut news: BTreeMap<Ticker, Vec<NewsEvent>> = BTreeMap::new();
    for (ticker, story) in &stories {
        // It could have been judged when it was seen, as a running system does.
        let event = scores.get(story.title.as_str()).map(|score| NewsEvent {
            available_at: story.first_seen,
            score: *score,
        });
        news.entry(ticker.clone()).or_default().extend(event);
    }
    Ok(news)
}

/// -1 to 1 for each different title.
fn scores<'a>(titles: impl Iterator<Item = &'a str>) -> anyhow::Result<BTreeMap<&'a str, f32>> {
    let titles: Vec<&str> = titles.collect::<BTreeSet<_>>().into_iter().collect();
    if titles.is_empty() {
        return Ok(BTreeMap::new());
    }
    let model = SentimentModel::load(&service_kit::models_dir().join("sentiment"))?;
    eprintln!("{} headlines are judged by {}", titles.len(), model.name());
    let mut scores = BTreeMap::new();
    for batch in titles.chunks(BATCH) {
        let sentiments = model.score(batch)?;
        let judged = batch.iter().zip(sentiments);
        scores.extend(judged.map(|(title, sentiment)| (*title, sentiment.score())));
    }
    Ok(scores)
}
