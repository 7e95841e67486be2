//! What is joined by when it could be known, beside the naive joins that look into the future. Each naive join is made
//! here and shown to give something else.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Bar, SeriesId};
use features::{FeatureSchema, FeatureVector, MacroEvent, NewsEvent, TickerContext, fold};
use flate2::read::GzDecoder;

use crate::market::Market;

fn feature(vector: &FeatureVector, name: &str) -> f32 {
    let names = FeatureSchema::current().names;
    vector[names.iter().position(|other| *other == name).unwrap()]
}

fn market() -> Vec<Bar> {
    Market {
        seed: 12,
        sessions: 9,
        missing: 0.0,
        silent: 0.0,
    }
    .bars()
}

struct Story {
    published_at: DateTime<Utc>,
    first_seen_at: DateTime<Utc>,
    score: f32,
}

/// `news_count` and `news_sentiment` at every bar, with the stories joined by the time given.
fn joined(bars: &[Bar], stories: &[Story], time: fn(&Story) -> DateTime<Utc>) -> Vec<[f32; 2]> {
    let news: Vec<NewsEvent> = stories
        .iter()
        .map(|story| NewsEvent {
            available_at: time(story),
            score: story.score,
        })
        .collect();
    let context = TickerContext {
        news: &news,
        economy: &[],
    };
    fold(bars, context)
        .iter()
        .flatten()
        .map(|vector| ["news_count", "news_sentiment"].map(|name| feature(vector, name)))
        .collect()
}

const ONE_STORY: f32 = std::f32::consts::LN_2;

#[test]
fn an_evergreen_story_counts_from_when_it_was_first_seen() {
    let bars = market();
    let warm = bars.len()
        - fold(&bars, TickerContext::default())
            .iter()
            .flatten()
            .count();
    let seen = bars.len() - 300;
    let first_seen_at = bars[seen].close_time();
    let by_first_seen = |story: &Story| story.first_seen_at;
    let by_published = |story: &Story| story.published_at;
    let before = |joined: &[[f32; 2]]| joined[seen - warm - 1];
    let after = |joined: &[[f32; 2]]| joined[seen - warm];

    // The page keeps a date of long ago: the naive join never sees it.
    let evergreen = [Story {
        published_at: first_seen_at - TimeDelta::days(700),
        first_seen_at,
        score: -0.75,
    }];
    let right = joined(&bars, &evergreen, by_first_seen);
    assert_eq!(before(&right), [0.0, 0.0]);
    assert_eq!(after(&right), [ONE_STORY, -0.75]);
    let naive = joined(&bars, &evergreen, by_published);
    assert_ne!(after(&right), after(&naive));

    // Published two hours before anybody here saw it: the naive join knows it too early.
    let slow = [Story {
        published_at: first_seen_at - TimeDelta::hours(2),
        ..evergreen[0]
    }];
    assert_eq!(joined(&bars, &slow, by_first_seen), right);
    let naive = joined(&bars, &slow, by_published);
    assert_eq!(before(&naive), [ONE_STORY, -0.75]);
    assert_ne!(before(&naive), before(&right));

    // Dated anew two hours later: the naive join forgets that it was there, and finds it fresh then.
    let redated = [Story {
        published_at: first_seen_at + TimeDelta::hours(2),
        ..evergreen[0]
    }];
    assert_eq!(joined(&bars, &redated, by_first_seen), right);
    let naive = joined(&bars, &redated, by_published);
    assert_ne!(after(&naive), after(&right));
}

/// A value as it was published at some time.
struct Vintage {
    period: NaiveDate,
    released_at: DateTime<Utc>,
    value: f64,
}

fn by_release(vintages: &[Vintage]) -> Vec<MacroEvent> {
    let event = |vintage: &Vintage| prices(vintage.released_at, vintage.period, vintage.value);
    vintages.iter().map(event).collect()
}

/// What a table of today gives: one value for each period, the newest, as if it had been known from the period on.
fn by_period(vintages: &[Vintage]) -> Vec<MacroEvent> {
    let mut newest = BTreeMap::new();
    for vintage in vintages {
        let known = newest.entry(vintage.period).or_insert(vintage);
        if vintage.released_at > known.released_at {
            *known = vintage;
        }
    }
    newest
        .into_iter()
        .map(|(period, vintage)| {
            prices(
                period.and_time(Default::default()).and_utc(),
                period,
                vintage.value,
            )
        })
        .collect()
}

fn prices(available_at: DateTime<Utc>, period: NaiveDate, value: f64) -> MacroEvent {
    MacroEvent {
        available_at,
        series: SeriesId::parse("CPIAUCSL").unwrap(),
        period,
        value,
    }
}

fn inflation(bars: &[Bar], economy: &[MacroEvent]) -> BTreeMap<DateTime<Utc>, f32> {
    let context = TickerContext { news: &[], economy };
    bars.iter()
        .zip(fold(bars, context))
        .filter_map(|(bar, vector)| Some((bar.close_time(), feature(&vector?, "inflation"))))
        .collect()
}

#[test]
fn a_revised_index_of_prices_counts_with_the_value_of_its_time() {
    let bars = market();
    let vintage = |period: &str, released_at: &str, value| Vintage {
        period: period.parse().unwrap(),
        released_at: released_at.parse().unwrap(),
        value,
    };
    let vintages = [
        vintage("2017-10-01", "2017-11-15T13:30:00Z", 250.0),
        vintage("2018-10-01", "2018-11-19T15:00:00Z", 255.0),
        vintage("2018-10-01", "2018-11-20T18:30:00Z", 256.0),
    ];
    let right = inflation(&bars, &by_release(&vintages));
    let at = |time: &str| right[&time.parse::<DateTime<Utc>>().unwrap()];
    let growth = |value: f64| (100.0 * (value / 250.0 - 1.0)) as f32;
    assert_eq!(at("2018-11-19T14:59:00Z"), 0.0);
    assert_eq!(at("2018-11-19T15:00:00Z"), growth(255.0));
    assert_eq!(at("2018-11-20T18:29:00Z"), growth(255.0));
    assert_eq!(at("2018-11-20T18:30:00Z"), growth(256.0));

    let naive = inflation(&bars, &by_period(&vintages));
    for (time, right) in &right {
        let revised = *time >= "2018-11-20T18:30:00Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(naive[time] == *right, revised, "{time}");
    }
}

#[test]
fn the_recorded_revisions_of_2026_are_not_known_before_they_were_made() {
    let (Some(bars), Some(table)) = (
        test_support::shared("data/bars_1m/us20_yahoo_2026-03-09_2026-04-17.csv.gz"),
        test_support::shared("data/macro/fred_two_vintages.csv"),
    ) else {
        return;
    };
    let mut reader = csv::Reader::from_reader(GzDecoder::new(std::fs::File::open(bars).unwrap()));
    let bars: Vec<Bar> = reader
        .records()
        .map(Result::unwrap)
        .filter(|row| &row[0] == "AAPL")
        .map(|row| {
            let number = |column: usize| row[column].parse().unwrap();
            let start = row[1].parse().unwrap();
            Bar::new(start, number(2), number(3), number(4), number(5), number(6)).unwrap()
        })
        .collect();
    let mut vintages = Vec::new();
    for row in csv::Reader::from_path(table)
        .unwrap()
        .records()
        .map(Result::unwrap)
    {
        for (column, day) in [(2, "2026-01-03"), (3, "2026-07-30")] {
            if &row[0] == "CPIAUCSL"
                && let Ok(value) = row[column].parse()
            {
                vintages.push(Vintage {
                    period: row[1].parse().unwrap(),
                    released_at: format!("{day}T23:00:00Z").parse().unwrap(),
                    value,
                });
            }
        }
    }
    let right = inflation(&bars, &by_release(&vintages));
    let naive = inflation(&bars, &by_period(&vintages));
    assert!(right.len() > 5_000);
    // November 2025 was the newest month known in spring; both its value and that of a year before were revised since.
    let known_in_spring = |month: &str| {
        let month: NaiveDate = month.parse().unwrap();
        vintages
            .iter()
            .find(|vintage| vintage.period == month)
            .unwrap()
            .value
    };
    let expected = 100.0 * (known_in_spring("2025-11-01") / known_in_spring("2024-11-01") - 1.0);
    for (time, right) in &right {
        assert_eq!(*right, expected as f32, "{time}");
        assert_ne!(*right, naive[time], "{time}");
    }
}
