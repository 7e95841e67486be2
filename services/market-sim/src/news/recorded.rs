use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::Ticker;
use serde::Deserialize;

use super::Story;
use crate::table::{self, TableError};

/// Within so long before it was first seen, a publisher's time is believed.
const BELIEVED: TimeDelta = TimeDelta::hours(26);

/// Headlines of a file.
#[derive(Debug, Default)]
pub(super) struct RecordedNews {
    stories: Vec<RecordedStory>,
    /// Places in `stories`.
    by_ticker: BTreeMap<Ticker, Vec<usize>>,
}

#[derive(Debug)]
struct RecordedStory {
    title: String,
    summary: Option<String>,
    publisher: String,
    url: String,
    published_at: DateTime<Utc>,
    /// From when on it is filed under which stock.
    filed: BTreeMap<Ticker, DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Row {
    ticker: Ticker,
    published_at: DateTime<Utc>,
    first_seen: DateTime<Utc>,
    #[serde(alias = "headline")]
    title: String,
    #[serde(alias = "source")]
    publisher: String,
    url: String,
    #[serde(default)]
    summary: Option<String>,
}

impl RecordedNews {
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, TableError> {
        let mut rows = Vec::new();
        for path in paths {
            rows.extend(read_rows(path)?);
        }
        Ok(Self::of_rows(rows))
    }

    /// Puts rows of one story under several tickers together.
    fn of_rows(rows: Vec<Row>) -> Self {
        let mut places: BTreeMap<(String, DateTime<Utc>, String), usize> = BTreeMap::new();
        let mut news = Self::default();
        for row in rows {
            let visible_at = visible_at(row.published_at, row.first_seen);
            let key = (row.url.clone(), row.published_at, row.title.clone());
            let place = *places.entry(key).or_insert_with(|| {
                news.stories.push(RecordedStory {
                    title: row.title,
                    summary: row.summary.filter(|summary| !summary.is_empty()),
                    publisher: row.publisher,
                    url: row.url,
                    published_at: row.published_at,
                    filed: BTreeMap::new(),
                });
                news.stories.len() - 1
            });
            let Some(story) = news.stories.get_mut(place) else {
                continue;
            };
            match story.filed.get_mut(&row.ticker) {
                Some(known) => *known = visible_at.min(*known),
                None => {
                    story.filed.insert(row.ticker.clone(), visible_at);
                    news.by_ticker.entry(row.ticker).or_default().push(place);
                }
            }
        }
        news
    }

    pub(super) fn until(mut self, now: DateTime<Utc>) -> Self {
        for story in &mut self.stories {
            story.filed.retain(|_, visible_at| *visible_at <= now);
        }
        self
    }

    pub(super) fn of(&self, ticker: &Ticker, since: NaiveDate, now: DateTime<Utc>) -> Vec<Story> {
        let places = self.by_ticker.get(ticker).into_iter().flatten();
        let stories = places.filter_map(|place| self.stories.get(*place));
        stories
            .filter(|story| story.published_at.date_naive() >= since)
            .filter_map(|story| story.as_of(now))
            .filter(|story| story.tickers.contains(ticker))
            .collect()
    }

    pub(super) fn all(&self, since: NaiveDate, now: DateTime<Utc>) -> Vec<Story> {
        let stories = self.stories.iter();
        stories
            .filter(|story| story.published_at.date_naive() >= since)
            .filter_map(|story| story.as_of(now))
            .collect()
    }
}

/// The rows that can be used; of the others it says how many there are and what is wrong with the first.
fn read_rows(path: &Path) -> Result<Vec<Row>, TableError> {
    const EXPECTED: &str = "ticker,published_at,first_seen,title,publisher,url (Finnhub's names headline and source too)";
    let failed = |source| TableError::Row {
        path: path.to_owned(),
        expected: EXPECTED,
        source,
    };
    let mut table = table::open(path)?;
    let header = table.headers().map_err(failed)?.clone();
    let columns = EXPECTED.split([' ', ',']).take(6);
    let mut columns = columns.map(|name| match name {
        "title" => ["title", "headline"],
        "publisher" => ["publisher", "source"],
        name => [name, name],
    });
    if columns.any(|names| !header.iter().any(|cell| names.contains(&cell))) {
        return Err(TableError::Columns {
            path: path.to_owned(),
            expected: EXPECTED,
        });
    }
    let mut rows = Vec::new();
    let mut left_out = Vec::new();
    for row in table.into_deserialize() {
        match row {
            Ok(row) => rows.push(row),
            Err(error) if matches!(error.kind(), csv::ErrorKind::Io(_)) => {
                return Err(failed(error));
            }
            Err(error) => left_out.push(error),
        }
    }
    if let Some(error) = left_out.first() {
        tracing::warn!(
            rows = left_out.len(),
            error = error as &dyn std::error::Error,
            "{} headlines of {} cannot be used and are left out",
            left_out.len(),
            path.display()
        );
    }
    Ok(rows)
}

/// The collectors looked about once a day, so that a story's first sighting can be a day late; its own time is then
/// nearer to the truth.
fn visible_at(published_at: DateTime<Utc>, first_seen: DateTime<Utc>) -> DateTime<Utc> {
    if (first_seen - BELIEVED..=first_seen).contains(&published_at) {
        published_at
    } else {
        first_seen
    }
}

impl RecordedStory {
    /// As it is filed at a moment; None before it is filed at all.
    fn as_of(&self, now: DateTime<Utc>) -> Option<Story> {
        let filed = self.filed.iter().filter(|(_, since)| **since <= now);
        let tickers: BTreeSet<Ticker> = filed.clone().map(|(ticker, _)| ticker.clone()).collect();
        let visible_at = filed.map(|(_, since)| *since).min()?;
        Some(Story {
            title: self.title.clone(),
            summary: self.summary.clone(),
            publisher: self.publisher.clone(),
            url: self.url.clone(),
            published_at: self.published_at,
            tickers,
            visible_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_row_that_cannot_be_used_does_not_cost_the_others() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("news.csv");
        let header = "ticker,published_at,first_seen,title,publisher,url\n";
        let rows = "AAPL,2018-03-01T15:00:00Z,,No time,Wire,\n\
                    AAPL,2018-03-01T15:00:00Z,2018-03-01 15:00:00,No zone,Wire,\n\
                    AAPL,2018-03-01T15:00:00Z,2018-03-01T15:00:30Z,Good,Wire,\n";
        std::fs::write(&path, format!("{header}{rows}")).unwrap();
        let rows = read_rows(&path).unwrap();
        let titles: Vec<&str> = rows.iter().map(|row| row.title.as_str()).collect();
        assert_eq!(titles, ["Good"]);
        std::fs::write(&path, "ticker,title\nAAPL,when?\n").unwrap();
        let message = read_rows(&path).err().unwrap().to_string();
        assert!(message.contains("first_seen"), "{message}");
    }

    #[test]
    fn a_publishers_time_is_believed_when_it_is_near() {
        let seen = time("2026-03-10T22:27:35Z");
        for (published, visible) in [
            ("2026-03-10T14:00:00Z", "2026-03-10T14:00:00Z"),
            ("2026-03-09T20:27:35Z", "2026-03-09T20:27:35Z"),
            // An evergreen page.
            ("2024-04-17T16:18:31Z", "2026-03-10T22:27:35Z"),
            // Dated ahead.
            ("2026-03-11T00:00:00Z", "2026-03-10T22:27:35Z"),
        ] {
            assert_eq!(visible_at(time(published), seen), time(visible));
        }
    }
}
