//! Headlines of a file are read, admitted and scored as those that come in live.

use std::{fmt::Write, path::Path};

use tempfile::TempDir;

use crate::commands::{market, rows, tandem};

/// Days of sessions that lie more than a day apart, so that each headline is alone in its day.
const DAYS: [&str; 7] = [
    "2018-03-12",
    "2018-03-14",
    "2018-03-16",
    "2018-03-20",
    "2018-03-22",
    "2018-03-26",
    "2018-03-28",
];

/// A headline as people read it, the same as it arrives, and one that says nothing.
const HEADLINES: [(&str, &str, &str); 7] = [
    (
        "Acme didn't miss its profit target",
        "Acme didn&#39;t miss its profit target",
        "🚀🚀🚀",
    ),
    (
        "Acme isn't profitable this year",
        "Acme isn&amp;rsquo;t profitable this year",
        "https://example.com/profit-surges",
    ),
    (
        "Acme doesn't expect losses",
        "Acme doesnâ€™t expect losses",
        "Acme senkt Gewinnprognose",
    ),
    (
        "Acme profit surges",
        "<b>Acme</b> profit<br>surges - Wire",
        "公司利润下降",
    ),
    (
        "FDA declines to approve Acme drug",
        "Wire: FDA declines to\u{a0}approve Acme drug",
        "Acme to report results on Thursday",
    ),
    (
        "Acme downgraded to sell from buy",
        "ACME DOWNGRADED TO SELL FROM BUY (NASDAQ: BEST)",
        "Will Acme miss estimates?",
    ),
    (
        "Acme's quarter is not as bad as feared",
        "\u{202b}Acme’s quarter is not as bad as feared\u{202c}",
        "...",
    ),
];

/// Count and mean score of the news at the bar after each day's headlines, by ticker, and what was said on standard error.
fn news_features(bars: &str, news: &Path) -> (impl Fn(&str, &str) -> [f32; 2], String) {
    let output = tandem(&["features", "--bars", bars, "--news", news.to_str().unwrap()]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    let features = String::from_utf8(output.stdout).unwrap();
    let header: Vec<&str> = features.lines().next().unwrap().split(',').collect();
    let columns = ["news_count", "news_sentiment"]
        .map(|name| header.iter().position(|other| *other == name).unwrap());
    let at = move |ticker: &str, day: &str| {
        let minute = format!("{day}T15:00");
        let row = rows(&features)
            .find(|row| row[0] == ticker && row[1].contains(&minute))
            .unwrap();
        columns.map(|column| row[column].parse().unwrap())
    };
    (at, message)
}

fn row(text: &mut String, ticker: &str, day: &str, title: &str) {
    writeln!(
        text,
        "{ticker},{day}T15:00:00Z,{day}T15:00:30Z,{title},Wire,"
    )
    .unwrap();
}

#[test]
fn a_headline_has_one_score_however_it_arrives() {
    let folder = TempDir::new().unwrap();
    let bars = market(folder.path());
    let header = "ticker,published_at,first_seen,title,publisher,url\n";
    // In files of their own: in one they are one story with one text.
    let (mut as_read, mut as_arrived) = (header.to_owned(), header.to_owned());
    for (day, (plain, arrived, nothing)) in DAYS.iter().zip(HEADLINES) {
        row(&mut as_read, "AAA", day, plain);
        row(&mut as_read, "CCC", day, nothing);
        row(&mut as_arrived, "AAA", day, arrived);
    }
    as_arrived.push_str("BBB,2018-03-12T15:00:00Z,,Acme profit falls,Wire,\n");
    as_arrived.push_str("BBB,2018-03-12T15:00:00Z,2018-03-12 15:00:00,Acme profit falls,Wire,\n");
    let path = folder.path().join("news.csv");
    std::fs::write(&path, as_read).unwrap();
    let (read, _) = news_features(&bars, &path);
    std::fs::write(&path, as_arrived).unwrap();
    let (arrived, message) = news_features(&bars, &path);

    for part in [
        "2 of 9 headlines left out",
        "line 9: first_seen is empty",
        "line 10: first_seen is \"2018-03-12 15:00:00\", a time without a zone",
    ] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    let one = 2_f32.ln();
    let signs = [1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0];
    for ((day, (plain, garbled, nothing)), sign) in DAYS.iter().zip(HEADLINES).zip(signs) {
        let [count, score] = read("AAA", day);
        assert!(count == one && score * sign > 0.05, "{plain}: {score}");
        assert_eq!(arrived("AAA", day), [count, score], "{garbled}");
        assert_eq!(read("CCC", day), [one, 0.0], "{nothing}");
    }
}
