//! Which reports are the same story.

use std::collections::HashMap;

use chrono::TimeDelta;
use domain::NewsArticle;
use sha2::{Digest, Sha256};
use storage::{KnownStory, Story};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Reports of one story are published within this time of its first one. Columns that appear daily under the same
/// headline come 23 hours apart or more, rewritten reports on a page of their own within hours.
const SAME_STORY: TimeDelta = TimeDelta::hours(12);

/// Parameters of addresses that say where the reader came from, not what he reads.
const TRACKING: [&str; 17] = [
    ".tsrc",
    "cid",
    "cmpid",
    "fbclid",
    "ftag",
    "gclid",
    "guccounter",
    "guce_referrer",
    "mod",
    "ncid",
    "partner",
    "ref",
    "siteid",
    "soc_src",
    "src",
    "tsrc",
    "yptr",
];

/// Ends of a headline that may be no part of it.
const SEPARATORS: [&str; 4] = [" - ", " | ", " – ", " — "];

/// Stories that may be reported again.
///
/// Two reports are one story when headline and page are the same, however the page is dated; or when one of the two is
/// and they were published within 12 hours. So a story under many tickers, ids and publishers is one, and a column that
/// appears every day or a page that is rewritten the next day is another each time.
#[derive(Debug, Default)]
pub(crate) struct Stories {
    stories: Vec<KnownStory>,
    by_title: HashMap<String, Vec<usize>>,
    by_url: HashMap<String, Vec<usize>>,
}

impl Stories {
    pub(crate) fn new(known: impl IntoIterator<Item = KnownStory>) -> Self {
        let mut stories = Self::default();
        for story in known {
            stories.add(story);
        }
        stories
    }

    /// Finds the story that each report tells.
    pub(crate) fn recognise(&mut self, articles: Vec<NewsArticle>) -> Vec<Story> {
        articles
            .into_iter()
            .map(|article| Story {
                key: self.key_of(&article),
                article,
            })
            .collect()
    }

    /// The key of the story that this reports: that of a known one, else a new one, which is known from now on.
    fn key_of(&mut self, article: &NewsArticle) -> String {
        let title = title_key(article);
        let titled = self.by_title.get(&title);
        let placed = article.url.as_ref().and_then(|url| self.by_url.get(url));
        let candidates = titled.into_iter().chain(placed).flatten();
        let nearest = candidates
            .filter_map(|place| self.stories.get(*place))
            .map(|story| ((story.published_at - article.published_at).abs(), story))
            .filter(|(apart, story)| {
                let same_page = story.url.is_some() && story.url == article.url;
                *apart <= SAME_STORY || (same_page && title_of(&story.key) == title)
            })
            .min_by(|(left, one), (right, other)| {
                left.cmp(right).then_with(|| one.key.cmp(&other.key))
            });
        if let Some((_, story)) = nearest {
            return story.key.clone();
        }
        let story = KnownStory {
            key: format!("{title}-{}", article.published_at.timestamp()),
            url: article.url.clone(),
            published_at: article.published_at,
        };
        let key = story.key.clone();
        self.add(story);
        key
    }

    fn add(&mut self, story: KnownStory) {
        let place = self.stories.len();
        self.by_title
            .entry(title_of(&story.key).to_owned())
            .or_default()
            .push(place);
        if let Some(url) = &story.url {
            self.by_url.entry(url.clone()).or_default().push(place);
        }
        self.stories.push(story);
    }
}

/// The headline's part of a story's key: 128 bits of a hash, in hexadecimal digits.
pub(crate) fn title_key(article: &NewsArticle) -> String {
    let letters = title_letters(&article.title, article.publisher.as_deref());
    let hash = Sha256::digest(letters.as_bytes());
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn title_of(key: &str) -> &str {
    key.split_once('-').map_or(key, |(title, _)| title)
}

/// The headline without the publisher's name before or behind it ("Reuters: ...", "... - Reuters"): it says nothing of the
/// news.
pub(crate) fn without_publisher<'a>(title: &'a str, publisher: Option<&str>) -> &'a str {
    let publisher = publisher.map(words).unwrap_or_default();
    if publisher.is_empty() {
        return title;
    }
    let is_name = |part: &str| without_article(&words(part)) == without_article(&publisher);
    let behind = SEPARATORS
        .iter()
        .filter_map(|separator| title.rsplit_once(separator))
        .find(|(_, end)| is_name(end))
        .map_or(title, |(headline, _)| headline);
    let headline = SEPARATORS
        .iter()
        .chain([&": "])
        .filter_map(|separator| behind.split_once(separator))
        .find(|(beginning, _)| is_name(beginning))
        .map_or(behind, |(_, headline)| headline)
        .trim();
    if headline.is_empty() { title } else { headline }
}

/// A headline's letters and digits: no case, accents, spaces and punctuation, and no name of the publisher. Vendors differ
/// in what stands within a word too: "U.S." and "US", "chip-maker" and "chipmaker".
fn title_letters(title: &str, publisher: Option<&str>) -> String {
    let letters = joined(&words(without_publisher(title, publisher)));
    // Something like "???" has no letters and is still a headline.
    if letters.is_empty() {
        title.trim().to_lowercase()
    } else {
        letters
    }
}

/// Without the spaces, but for those between two digits: "1-2 %" is not "12 %".
fn joined(words: &str) -> String {
    let mut joined = String::with_capacity(words.len());
    for word in words.split(' ') {
        let is_digit = |character: char| character.is_ascii_digit();
        if joined.ends_with(is_digit) && word.starts_with(is_digit) {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    joined
}

/// Its words without case, accents and punctuation, a space between two. The point of a number stays.
fn words(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut characters = text
        .nfkd()
        .filter(|character| !is_combining_mark(*character))
        .peekable();
    while let Some(character) = characters.next() {
        let is_point = character == '.'
            && normal.ends_with(|before: char| before.is_ascii_digit())
            && characters.peek().is_some_and(char::is_ascii_digit);
        if character.is_alphanumeric() || is_point {
            normal.extend(character.to_lowercase());
        } else if !normal.ends_with(' ') && !normal.is_empty() {
            normal.push(' ');
        }
    }
    normal.truncate(normal.trim_end().len());
    normal
}

fn without_article(words: &str) -> &str {
    words.strip_prefix("the ").unwrap_or(words)
}

/// The address without what only says how the reader came there; `None` for what is no web address.
pub(crate) fn canonical_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.trim().split_once("://")?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (page, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = page.split_once('/').unwrap_or((page, ""));
    if host.is_empty() {
        return None;
    }
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !is_tracking(pair))
        .collect();
    let (path, mark) = (
        path.trim_end_matches('/'),
        if kept.is_empty() { "" } else { "?" },
    );
    let slash = if path.is_empty() { "" } else { "/" };
    Some(format!(
        "https://{}{slash}{path}{mark}{}",
        host.to_ascii_lowercase(),
        kept.join("&")
    ))
}

fn is_tracking(pair: &str) -> bool {
    let name = pair
        .split('=')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    name.starts_with("utm_") || TRACKING.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use domain::NewsSource;

    use super::*;

    fn article(title: &str, url: &str, published_at: &str) -> NewsArticle {
        NewsArticle {
            source: NewsSource::Yahoo,
            vendor_id: url.to_owned(),
            tickers: Vec::new(),
            published_at: published_at.parse().unwrap(),
            title: title.to_owned(),
            summary: None,
            publisher: None,
            url: canonical_url(url),
        }
    }

    #[test]
    fn a_headline_is_its_letters_and_digits() {
        let same = [
            "Apple’s Café & Co: up 3.5%!",
            "  APPLE'S CAFE & CO — up 3.5 %",
            "Apples Cafe\u{301} & Co. up 3.5",
        ];
        for title in same {
            assert_eq!(title_letters(title, None), "applescafecoup3.5");
        }
        for (one, other) in [("Oil up 3%", "Oil up 4%"), ("Oil up 3.5%", "Oil up 35%")] {
            assert_ne!(title_letters(one, None), title_letters(other, None));
        }
        assert_eq!(title_letters("???", None), "???");
        let chips = title_letters("U.S. chip-makers rally", None);
        assert_eq!(title_letters("US chipmakers rally", None), chips);
        assert_ne!(
            title_letters("Dow falls 1-2%", None),
            title_letters("Dow falls 12%", None)
        );
    }

    #[test]
    fn the_publisher_s_name_is_no_part_of_the_headline() {
        for (title, publisher) in [
            ("New chips - 9to5Mac", "9to5Mac"),
            ("New chips | The Motley Fool", "Motley Fool"),
            ("New chips — Reuters", "Reuters"),
            ("Reuters: New chips", "Reuters"),
            ("Reuters: New chips - Reuters", "reuters"),
        ] {
            assert_eq!(title_letters(title, Some(publisher)), "newchips");
        }
        assert_eq!(
            title_letters("Sell-off - or not", Some("Reuters")),
            "selloffornot"
        );
        assert_eq!(
            without_publisher("Reuters - Reuters", Some("Reuters")),
            "Reuters"
        );
        assert_eq!(
            without_publisher(" - Reuters", Some("Reuters")),
            " - Reuters"
        );
    }

    #[test]
    fn an_address_loses_only_what_tracks() {
        for (url, canonical) in [
            (
                "https://www.barrons.com/articles/a-5f1b?siteid=yhoof2&yptr=yahoo",
                "https://www.barrons.com/articles/a-5f1b",
            ),
            (
                "http://Example.com/News/?id=7&utm_source=x#top",
                "https://example.com/News?id=7",
            ),
            ("https://example.com/", "https://example.com"),
            (
                "https://finnhub.io/api/news?id=148c",
                "https://finnhub.io/api/news?id=148c",
            ),
        ] {
            assert_eq!(canonical_url(url).as_deref(), Some(canonical));
        }
        for bad in ["", "not an address", "javascript://x", "https://"] {
            assert_eq!(canonical_url(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_story_is_one_whoever_tells_it() {
        let mut stories = Stories::default();
        let first = stories.key_of(&article(
            "Chips fall",
            "https://a.com/1",
            "2026-03-09T14:00:00Z",
        ));
        let elsewhere = article(
            "CHIPS FALL",
            "https://b.com/9?utm_source=rss",
            "2026-03-09T23:59:00Z",
        );
        assert_eq!(stories.key_of(&elsewhere), first);
        let rewritten = article(
            "Chips fall and recover",
            "https://a.com/1?src=x",
            "2026-03-09T16:00:00Z",
        );
        assert_eq!(stories.key_of(&rewritten), first, "the page is the same");
        let without_page = NewsArticle {
            url: None,
            ..elsewhere
        };
        assert_eq!(stories.key_of(&without_page), first);
    }

    #[test]
    fn a_column_is_another_story_each_day_and_a_redated_page_is_not() {
        let mut stories = Stories::default();
        let monday = stories.key_of(&article(
            "Tech fall",
            "https://a.com/1",
            "2026-03-09T19:50:00Z",
        ));
        let tuesday = stories.key_of(&article(
            "Tech fall",
            "https://a.com/2",
            "2026-03-10T19:20:00Z",
        ));
        assert_ne!(monday, tuesday);
        let repeated = article("Tech fall", "https://c.com/2", "2026-03-10T19:30:00Z");
        assert_eq!(stories.key_of(&repeated), tuesday, "the nearest in time");
        let redated = article("Tech fall", "https://a.com/1", "2026-06-01T00:00:00Z");
        assert_eq!(stories.key_of(&redated), monday);
        let rewritten = article("Tech rises", "https://a.com/1", "2026-03-10T12:00:00Z");
        assert_ne!(
            stories.key_of(&rewritten),
            monday,
            "a new headline the next day is news"
        );
    }

    #[test]
    fn what_is_stored_is_recognised() {
        let first = article("Chips fall", "https://a.com/1", "2026-03-09T14:00:00Z");
        let key = Stories::default().key_of(&first);
        let known = KnownStory {
            key: key.clone(),
            url: first.url.clone(),
            published_at: first.published_at,
        };
        assert_eq!(title_of(&key), title_key(&first));
        assert_eq!(Stories::new([known]).key_of(&first), key);
    }
}
