use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use domain::{NewsArticle, NewsSource, Sentiment, Ticker};
use sqlx::{PgExecutor, PgPool};

use crate::{
    Channel, StorageError,
    bars::{read_ticker, texts},
    error::{Answered as _, corrupt, failed},
    listener,
};

/// A story as a source reported it, with what makes it the same story elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Equal for reports of the same story, whatever their source.
    pub key: String,
    /// The report.
    pub article: NewsArticle,
}

/// What became of the stories given to [`store_articles`]; their sum is the number given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArticleCounts {
    /// Stories not known before.
    pub stored: u64,
    /// Reports of a known story by another source, under another id, or under another stock.
    pub merged: u64,
    /// Reports that were known.
    pub known: u64,
}

/// A story that a model has not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnscoredArticle {
    /// Number of the story.
    pub article_id: i64,
    /// Headline.
    pub title: String,
    /// The first sentences, if any.
    pub summary: Option<String>,
}

/// How a story sounds to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ArticleSentiment {
    /// Number of the story.
    pub article_id: i64,
    /// Name and version of the model.
    pub model: String,
    /// What it says.
    pub sentiment: Sentiment,
    /// When it said so, UTC, market clock.
    pub scored_at: DateTime<Utc>,
}

/// A stored story, as one stock has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredArticle {
    /// Number of the story.
    pub article_id: i64,
    /// Where it was seen.
    pub sources: Vec<NewsSource>,
    /// Headline.
    pub title: String,
    /// The first sentences, if any.
    pub summary: Option<String>,
    /// Name of the publisher.
    pub publisher: Option<String>,
    /// Address of the story.
    pub url: Option<String>,
    /// When the publisher says it appeared, UTC.
    pub published_at: DateTime<Utc>,
    /// When it was first seen under this stock, UTC, market clock.
    pub first_seen_at: DateTime<Utc>,
    /// Since when features of this stock may use it, UTC, market clock; nothing before its first sentiment.
    pub available_at: Option<DateTime<Utc>>,
    /// All stocks that it is filed under.
    pub tickers: Vec<Ticker>,
    /// The newest sentiment and the model that made it.
    pub sentiment: Option<(String, Sentiment)>,
}

/// A story's sentiment, since when it could be used for one stock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewsScore {
    /// Number of the story.
    pub article_id: i64,
    /// When features of this stock may use it from, UTC, market clock.
    pub available_at: DateTime<Utc>,
    /// -1 bad news to 1 good news, by the newest model that read it.
    pub score: f32,
}

/// Stores stories in one transaction. A story that is known keeps its text and its times; a source, id or stock that is
/// new to it is added with `first_seen_at` (UTC, market clock: just after the answer that held it).
///
/// # Errors
/// Nothing is stored if the database is lost or refuses a row.
pub async fn store_articles(
    pool: &PgPool,
    stories: &[Story],
    first_seen_at: DateTime<Utc>,
) -> Result<ArticleCounts, StorageError> {
    let error = || failed("store news");
    let mut transaction = pool.begin().answered().await.map_err(error())?;
    let mut fresh = insert_articles(&mut *transaction, stories, first_seen_at)
        .answered()
        .await
        .map_err(error())?;
    let mut sightings = insert_sightings(&mut *transaction, stories, first_seen_at)
        .answered()
        .await
        .map_err(error())?;
    let mut filings = insert_filings(&mut *transaction, stories, first_seen_at)
        .answered()
        .await
        .map_err(error())?;
    transaction.commit().answered().await.map_err(error())?;

    let mut counts = ArticleCounts::default();
    for Story { key, article } in stories {
        let sighted = sightings.remove(&(
            key.clone(),
            article.source.as_str().to_owned(),
            article.vendor_id.clone(),
        ));
        let mut filed = false;
        for ticker in &article.tickers {
            filed |= filings.remove(&(key.clone(), ticker.to_string()));
        }
        if fresh.remove(key) {
            counts.stored += 1;
        } else if sighted || filed {
            counts.merged += 1;
        } else {
            counts.known += 1;
        }
    }
    Ok(counts)
}

/// Keys of the stories that are new.
async fn insert_articles(
    executor: impl PgExecutor<'_>,
    stories: &[Story],
    first_seen_at: DateTime<Utc>,
) -> Result<HashSet<String>, sqlx::Error> {
    // Of each story the report that appeared first. In the order of the keys, so that two writers wait for each other
    // in the same order.
    let mut first = BTreeMap::<&str, &NewsArticle>::new();
    for Story { key, article } in stories {
        first
            .entry(key)
            .and_modify(|known| {
                if article.published_at < known.published_at {
                    *known = article;
                }
            })
            .or_insert(article);
    }
    let optional = |value: fn(&NewsArticle) -> Option<&String>| -> Vec<Option<String>> {
        first
            .values()
            .map(|article| value(article).map(|text| without_nul(text)))
            .collect()
    };
    let keys = sqlx::query_scalar!(
        r#"
        insert into news_article (story_key, title, summary, publisher, url, published_at, first_seen_at)
        select story_key, title, summary, publisher, url, published_at, $7
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
            as new (story_key, title, summary, publisher, url, published_at)
        on conflict (story_key) do nothing
        returning story_key
        "#,
        &first.keys().map(|key| (*key).to_owned()).collect::<Vec<_>>(),
        &first.values().map(|article| without_nul(&article.title)).collect::<Vec<_>>(),
        &optional(|article| article.summary.as_ref()) as &[Option<String>],
        &optional(|article| article.publisher.as_ref()) as &[Option<String>],
        &optional(|article| article.url.as_ref()) as &[Option<String>],
        &first.values().map(|article| article.published_at).collect::<Vec<_>>(),
        first_seen_at,
    )
    .fetch_all(executor)
    .await?;
    Ok(keys.into_iter().collect())
}

/// PostgreSQL refuses a text with a NUL, and one such headline would stop all those beside it.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

/// Key, source and id of the reports that are new.
async fn insert_sightings(
    executor: impl PgExecutor<'_>,
    stories: &[Story],
    first_seen_at: DateTime<Utc>,
) -> Result<HashSet<(String, String, String)>, sqlx::Error> {
    let written = sqlx::query!(
        r#"
        with written as (
            insert into news_sighting (article_id, source, vendor_id, published_at, first_seen_at)
            select article_id, source, vendor_id, min(new.published_at), $5
            from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
                as new (story_key, source, vendor_id, published_at)
            join news_article using (story_key)
            group by 1, 2, 3
            order by 1, 2, 3
            on conflict do nothing
            returning article_id, source, vendor_id
        )
        select story_key, source, vendor_id from written join news_article using (article_id)
        "#,
        &stories
            .iter()
            .map(|story| story.key.clone())
            .collect::<Vec<_>>(),
        &stories
            .iter()
            .map(|story| story.article.source.as_str().to_owned())
            .collect::<Vec<_>>(),
        &stories
            .iter()
            .map(|story| story.article.vendor_id.clone())
            .collect::<Vec<_>>(),
        &stories
            .iter()
            .map(|story| story.article.published_at)
            .collect::<Vec<_>>(),
        first_seen_at,
    )
    .fetch_all(executor)
    .await?;
    Ok(written
        .into_iter()
        .map(|row| (row.story_key, row.source, row.vendor_id))
        .collect())
}

/// Key and ticker of the stocks that are new to a story.
async fn insert_filings(
    executor: impl PgExecutor<'_>,
    stories: &[Story],
    first_seen_at: DateTime<Utc>,
) -> Result<HashSet<(String, String)>, sqlx::Error> {
    let (keys, tickers): (Vec<String>, Vec<String>) = stories
        .iter()
        .flat_map(|story| {
            let tickers = story.article.tickers.iter();
            tickers.map(|ticker| (story.key.clone(), ticker.to_string()))
        })
        .unzip();
    let written = sqlx::query!(
        r#"
        with written as (
            insert into news_article_ticker (article_id, ticker, first_seen_at)
            select distinct article_id, ticker, $3::timestamptz
            from unnest($1::text[], $2::text[]) as new (story_key, ticker)
            join news_article using (story_key)
            order by 1, 2
            on conflict do nothing
            returning article_id, ticker
        )
        select story_key, ticker from written join news_article using (article_id)
        "#,
        &keys,
        &tickers,
        first_seen_at,
    )
    .fetch_all(executor)
    .await?;
    Ok(written
        .into_iter()
        .map(|row| (row.story_key, row.ticker))
        .collect())
}

/// At most `limit` stories that `model` has not read, the newest first.
///
/// # Errors
/// When the database is lost.
pub async fn unscored_articles(
    executor: impl PgExecutor<'_>,
    model: &str,
    limit: i64,
) -> Result<Vec<UnscoredArticle>, StorageError> {
    sqlx::query_as!(
        UnscoredArticle,
        r#"
        select article_id, title, summary
        from news_article
        where not exists (
            select from news_sentiment
            where news_sentiment.article_id = news_article.article_id and news_sentiment.model = $1
        )
        order by article_id desc
        limit $2
        "#,
        model,
        limit,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed("read the stories without sentiment"))
}

/// Stores sentiments in one transaction, makes the stories that had none available from then on, and notifies the
/// listeners of [`Channel::NewsScored`]. What a model said first stands, and so does the time since when a story is
/// available. Returns how many sentiments are new.
///
/// # Errors
/// Nothing is stored if the database is lost or a story is not there.
pub async fn store_sentiments(
    pool: &PgPool,
    sentiments: &[ArticleSentiment],
) -> Result<u64, StorageError> {
    let error = || failed("store sentiments");
    let part = |value: fn(Sentiment) -> f32| -> Vec<f32> {
        sentiments.iter().map(|row| value(row.sentiment)).collect()
    };
    let mut transaction = pool.begin().answered().await.map_err(error())?;
    let scored = sqlx::query_scalar!(
        r#"
        insert into news_sentiment (article_id, model, negative, neutral, positive, scored_at)
        select *
        from unnest($1::bigint[], $2::text[], $3::real[], $4::real[], $5::real[], $6::timestamptz[])
            as new (article_id, model, negative, neutral, positive, scored_at)
        order by article_id, model
        on conflict do nothing
        returning article_id
        "#,
        &sentiments
            .iter()
            .map(|row| row.article_id)
            .collect::<Vec<_>>(),
        &sentiments
            .iter()
            .map(|row| row.model.clone())
            .collect::<Vec<_>>(),
        &part(Sentiment::negative),
        &part(Sentiment::neutral),
        &part(Sentiment::positive),
        &sentiments
            .iter()
            .map(|row| row.scored_at)
            .collect::<Vec<_>>(),
    )
    .fetch_all(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    if scored.is_empty() {
        return Ok(0);
    }
    sqlx::query!(
        r#"
        update news_article
        set available_at = greatest(first_seen_at, first.scored_at)
        from (
            select article_id, min(scored_at) as scored_at
            from news_sentiment
            where article_id = any($1)
            group by article_id
        ) as first
        where news_article.article_id = first.article_id and available_at is null
        "#,
        &scored,
    )
    .execute(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    let tickers = sqlx::query_scalar!(
        "select distinct ticker from news_article_ticker where article_id = any($1)",
        &scored,
    )
    .fetch_all(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    listener::notify_tickers(
        &mut *transaction,
        Channel::NewsScored,
        BTreeSet::from_iter(tickers),
    )
    .answered()
    .await
    .map_err(error())?;
    transaction.commit().answered().await.map_err(error())?;
    Ok(scored.len() as u64)
}

/// A page of a stock's stories, those first seen last first. The next page is the one `before` the `first_seen_at`
/// (UTC) and `article_id` of the last story of this one; a page shorter than `limit` is the last.
///
/// # Errors
/// When the database is lost.
pub async fn news_page(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    before: Option<(DateTime<Utc>, i64)>,
    limit: u32,
) -> Result<Vec<StoredArticle>, StorageError> {
    let action = "read news";
    let (before_time, before_id) = before.unzip();
    let rows = sqlx::query!(
        r#"
        select
            article.article_id,
            article.title,
            article.summary,
            article.publisher,
            article.url,
            article.published_at,
            filing.first_seen_at,
            case when article.available_at is not null
                then greatest(article.available_at, filing.first_seen_at)
            end as available_at,
            array(
                select distinct source from news_sighting where news_sighting.article_id = article.article_id order by 1
            ) as "sources!",
            array(
                select ticker from news_article_ticker where news_article_ticker.article_id = article.article_id order by 1
            ) as "tickers!",
            newest.model as "model?",
            newest.negative as "negative?",
            newest.neutral as "neutral?",
            newest.positive as "positive?"
        from news_article_ticker as filing
        join news_article as article using (article_id)
        left join lateral (
            select model, negative, neutral, positive
            from news_sentiment
            where news_sentiment.article_id = article.article_id
            order by scored_at desc, model
            limit 1
        ) as newest on true
        where filing.ticker = $1
            and (filing.first_seen_at, filing.article_id)
                < (coalesce($2, 'infinity'::timestamptz), coalesce($3::bigint, 0))
        order by filing.first_seen_at desc, filing.article_id desc
        limit $4
        "#,
        ticker.as_str(),
        before_time,
        before_id,
        i64::from(limit),
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            let sentiment = match (row.model, row.negative, row.neutral, row.positive) {
                (Some(model), Some(negative), Some(neutral), Some(positive)) => Some((
                    model,
                    read_sentiment(action, [negative, neutral, positive])?,
                )),
                _ => None,
            };
            Ok(StoredArticle {
                article_id: row.article_id,
                sources: row
                    .sources
                    .iter()
                    .map(|text| read_source(action, text))
                    .collect::<Result<_, _>>()?,
                title: row.title,
                summary: row.summary,
                publisher: row.publisher,
                url: row.url,
                published_at: row.published_at,
                first_seen_at: row.first_seen_at,
                available_at: row.available_at,
                tickers: row
                    .tickers
                    .iter()
                    .map(|text| read_ticker(action, text))
                    .collect::<Result<_, _>>()?,
                sentiment,
            })
        })
        .collect()
}

/// The sentiments of the stories that became available for each of the tickers with `from <= available_at < to` (UTC,
/// market clock), ascending by that time. A story filed under a stock later than under another counts for it from
/// then on.
///
/// # Errors
/// When the database is lost.
pub async fn news_events(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<(Ticker, NewsScore)>, StorageError> {
    let action = "read the sentiment of news";
    let rows = sqlx::query!(
        r#"
        select
            filing.ticker,
            filing.article_id,
            greatest(article.available_at, filing.first_seen_at) as "available_at!",
            newest.score as "score!"
        from news_article_ticker as filing
        join news_article as article using (article_id)
        cross join lateral (
            select positive - negative as score
            from news_sentiment
            where news_sentiment.article_id = article.article_id
            order by scored_at desc, model
            limit 1
        ) as newest
        where filing.ticker = any($1)
            and article.available_at < $3
            and filing.first_seen_at < $3
            and greatest(article.available_at, filing.first_seen_at) >= $2
        order by 3, 2, 1
        "#,
        &texts(tickers),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            let event = NewsScore {
                article_id: row.article_id,
                available_at: row.available_at,
                score: row.score,
            };
            Ok((read_ticker(action, &row.ticker)?, event))
        })
        .collect()
}

fn read_sentiment(
    action: &'static str,
    [negative, neutral, positive]: [f32; 3],
) -> Result<Sentiment, StorageError> {
    Sentiment::new(negative, neutral, positive).map_err(corrupt(action, negative))
}

fn read_source(action: &'static str, text: &str) -> Result<NewsSource, StorageError> {
    NewsSource::ALL
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| corrupt(action, text)(UnknownSource))
}

#[derive(Debug, thiserror::Error)]
#[error("expected yahoo, news_api, finnhub or alpha_vantage")]
struct UnknownSource;
