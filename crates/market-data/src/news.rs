//! What the vendors of news have in common.

use domain::NewsArticle;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Asked, VendorError};

/// Reads a list of stories item by item, so that an odd one does not cost the others. `article` leaves out what is no
/// story.
///
/// # Errors
/// [`VendorError::Shape`] when there is no list, or not one item of it can be read: then the vendor has changed its
/// format.
pub(crate) fn articles<T: DeserializeOwned>(
    items: Option<Vec<Value>>,
    asked: &Asked,
    article: impl Fn(T) -> Option<NewsArticle>,
) -> Result<Vec<NewsArticle>, VendorError> {
    let shape = |detail: &str| VendorError::Shape {
        asked: asked.clone(),
        detail: detail.to_owned(),
    };
    let items = items.ok_or_else(|| shape("it has no list of news"))?;
    let sent = items.len();
    let readable: Vec<T> = items
        .into_iter()
        .filter_map(|item| serde_json::from_value(item).ok())
        .collect();
    if readable.is_empty() && sent > 0 {
        return Err(shape("not one item of its news can be read"));
    }
    Ok(readable.into_iter().filter_map(article).collect())
}

/// The address of a story, unless it is empty or no web address.
pub(crate) fn address(url: Option<String>) -> Option<String> {
    url.map(|url| url.trim().to_owned())
        .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
}
