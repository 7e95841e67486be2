//! One task that reads what is new: text to sentiment, in batches, off the async threads.

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use domain::Sentiment;
use sentiment::{Lexicon, SentimentModel};
use storage::{ArticleSentiment, StorageError, UnscoredArticle};

use crate::source::Newsroom;

/// How often it looks for unread stories that nobody announced, in system time.
const SAFETY_INTERVAL: Duration = Duration::from_secs(30);

/// First and longest pause while the database is away, in system time.
const OUTAGE_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Reads stories until it is dropped.
///
/// # Errors
/// When no model can read, not even the lexicon.
pub(crate) async fn run(
    room: Arc<Newsroom>,
    models_dir: PathBuf,
    batch: u32,
) -> anyhow::Result<()> {
    let loading = tokio::task::spawn_blocking(move || SentimentModel::load(&models_dir));
    let mut model = Arc::new(
        loading
            .await
            .context("loading the sentiment model panicked")??,
    );
    let mut failures = 0;
    loop {
        let articles = match unread(&room, &model, batch).await {
            Ok(articles) => articles,
            Err(error) => {
                wait_out(&mut failures, &error).await;
                continue;
            }
        };
        if articles.is_empty() {
            failures = 0;
            // Either way it looks again.
            let _ = tokio::time::timeout(SAFETY_INTERVAL, room.fresh.notified()).await;
            continue;
        }
        let sentiments = match read(Arc::clone(&model), &articles).await {
            Ok(sentiments) => sentiments,
            Err(error) if is_lexicon(&model) => return Err(error),
            Err(error) => {
                tracing::warn!(
                    model.id = model.name(),
                    error = format!("{error:#}"),
                    "{} cannot read any more; the lexicon takes its place until the next start",
                    model.name()
                );
                model = Arc::new(SentimentModel::Lexicon(Lexicon::default()));
                continue;
            }
        };
        let scored_at = room.clock.now();
        let rows: Vec<ArticleSentiment> = articles
            .iter()
            .zip(sentiments)
            .map(|(article, sentiment)| ArticleSentiment {
                article_id: article.article_id,
                model: model.name().to_owned(),
                sentiment,
                scored_at,
            })
            .collect();
        match storage::store_sentiments(&room.pool, &rows).await {
            Ok(stored) => {
                failures = 0;
                tracing::debug!(stored, model.id = model.name(), "read headlines");
            }
            Err(error) => wait_out(&mut failures, &error).await,
        }
    }
}

/// The lexicon reads only what nobody has read: it takes the place of a model that cannot, it does not correct it.
async fn unread(
    room: &Newsroom,
    model: &SentimentModel,
    batch: u32,
) -> Result<Vec<UnscoredArticle>, StorageError> {
    let limit = i64::from(batch);
    if is_lexicon(model) {
        storage::unread_articles(&room.pool, limit).await
    } else {
        storage::unscored_articles(&room.pool, model.name(), limit).await
    }
}

const fn is_lexicon(model: &SentimentModel) -> bool {
    matches!(model, SentimentModel::Lexicon(_))
}

/// Headlines only: all sources have them, and summaries are cut, machine-written or missing.
async fn read(
    model: Arc<SentimentModel>,
    articles: &[UnscoredArticle],
) -> anyhow::Result<Vec<Sentiment>> {
    let titles: Vec<String> = articles
        .iter()
        .map(|article| article.title.clone())
        .collect();
    let reading = tokio::task::spawn_blocking(move || {
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        model.score(&titles)
    });
    let sentiments = reading.await.context("the sentiment model panicked")??;
    anyhow::ensure!(
        sentiments.len() == articles.len(),
        "the sentiment model gave {} answers to {} headlines",
        sentiments.len(),
        articles.len()
    );
    Ok(sentiments)
}

/// Waits longer each time, and says so the first.
async fn wait_out(failures: &mut u32, error: &StorageError) {
    let (first, longest) = OUTAGE_PAUSES;
    if *failures == 0 {
        tracing::warn!(
            error = error as &dyn Error,
            "the sentiment of news cannot be stored; trying again"
        );
    }
    let pause = first.saturating_mul(1 << (*failures).min(10)).min(longest);
    *failures = failures.saturating_add(1);
    tokio::time::sleep(pause).await;
}
