use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::{
    StorageError, UnscoredArticle,
    error::{Answered as _, failed},
};

/// What a stored story is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownStory {
    /// Its identity: the key of its headline, a hyphen, and what tells stories of the same headline apart.
    pub key: String,
    /// The page of its first report, without tracking parameters.
    pub url: Option<String>,
    /// When its first report says that it appeared, UTC.
    pub published_at: DateTime<Utc>,
}

/// The stored stories under any of these headlines or on any of these pages.
///
/// `titles` are the first parts of story keys, up to the hyphen; `urls` as they are stored.
///
/// # Errors
/// When the database is lost.
pub async fn known_stories(
    executor: impl PgExecutor<'_>,
    titles: &[String],
    urls: &[String],
) -> Result<Vec<KnownStory>, StorageError> {
    // '.' is the character after '-': all keys that begin with the headline's key and a hyphen lie between.
    let rows = sqlx::query!(
        r#"
        select news_article.story_key as "story_key!", news_article.url, news_article.published_at as "published_at!"
        from unnest($1::text[]) as title (key)
        join news_article on news_article.story_key > title.key || '-' and news_article.story_key < title.key || '.'
        union
        select story_key, url, published_at
        from news_article
        where url = any($2)
        "#,
        titles,
        urls,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed("look for stories"))?;
    Ok(rows
        .into_iter()
        .map(|row| KnownStory {
            key: row.story_key,
            url: row.url,
            published_at: row.published_at,
        })
        .collect())
}

/// At most `limit` stories that no model has read, the newest first.
///
/// # Errors
/// When the database is lost.
pub async fn unread_articles(
    executor: impl PgExecutor<'_>,
    limit: i64,
) -> Result<Vec<UnscoredArticle>, StorageError> {
    sqlx::query_as!(
        UnscoredArticle,
        r#"
        select article_id, title, summary
        from news_article
        where available_at is null
        order by article_id desc
        limit $1
        "#,
        limit,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed("read the stories without sentiment"))
}
