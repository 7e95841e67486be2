//! News and economic series from files: what was known beside the bars, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use domain::{Bar, Ticker};
use features::{Context, NewsEvent};
use sentiment::SentimentModel;

use crate::cli::ContextFiles;

/// Titles given to the sentiment model at once.
const BATCH: usize = 64;

/// Rows left out that are named.
const SHOWN: usize = 5;

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

/// The stories of the stocks that have bars, admitted as those that come in live. On standard error it says what was left
/// out.
fn read_news(
    path: &Path,
    bars: &BTreeMap<Ticker, Vec<Bar>>,
) -> anyhow::Result<BTreeMap<Ticker, Vec<NewsEvent>>> {
    let file = ingestion::read_news_file(path, &bars.keys().cloned().collect())?;
    let name = path.display();
    if !file.ignored.is_empty() {
        eprintln!("{name}: columns not read: {}", file.ignored.join(", "));
    }
    if !file.left_out.is_empty() {
        let (left_out, rows) = (file.left_out.len(), file.rows);
        eprintln!("{name}: {left_out} of {rows} headlines left out");
        for row in file.left_out.iter().take(SHOWN) {
            eprintln!("  line {}: {}", row.line, row.reason);
        }
        if left_out > SHOWN {
            eprintln!("  and {} more", left_out - SHOWN);
        }
    }
    if file.stories.is_empty() {
        eprintln!(
            "{name}: none of {} headlines concerns a stock with bars and says when it was known: features of news are 0",
            file.rows
        );
    }
    let scores = scores(file.stories.iter().map(|story| story.title.as_str()))?;
    let mut news: BTreeMap<Ticker, Vec<NewsEvent>> = BTreeMap::new();
    for story in &file.stories {
        // It could have been judged when it was seen, as a running system does.
        let event = scores.get(story.title.as_str()).map(|score| NewsEvent {
            available_at: story.first_seen_at,
            score: *score,
        });
        news.entry(story.ticker.clone()).or_default().extend(event);
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
