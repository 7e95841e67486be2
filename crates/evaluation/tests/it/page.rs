//! The report's page says what its JSON says.

use domain::{Class, ModelKind};
use evaluation::{
    Case, Figure, KindReport, LabelCounts, Outcome, Side, ValidationReport, compare, label_counts,
};
use serde_json::Value;

use crate::synthetic::{BLIND, cases, day, network, prior, settings, start};

fn confident(case: &Case, side: Side) -> Option<Class> {
    let said = case.said(side);
    Class::ALL
        .into_iter()
        .find(|class| said[class.index()] > 0.5 && *class != Class::Neutral)
}

fn kind(kind: ModelKind, cases: &[Case]) -> KindReport {
    let (champion, challenger) = (
        network(&format!("{kind}-20180228"), 11),
        network(&format!("{kind}-20180301"), 4_242),
    );
    let baselines = [prior(cases)];
    let found = compare(
        cases,
        &champion,
        &challenger,
        &baselines,
        &settings(),
        confident,
    );
    KindReport {
        kind,
        champion: Some(champion),
        challenger,
        outcome: Outcome::Compared(Box::new(found.unwrap())),
    }
}

fn labels(cases: &[Case]) -> Vec<LabelCounts> {
    label_counts(
        cases
            .iter()
            .map(|case| (case.ticker.clone(), case.session, case.truth)),
    )
}

fn report() -> ValidationReport {
    let wins = cases(12, BLIND, 1.0, 1);
    let loses = cases(12, 0.8, 0.1, 2);
    ValidationReport::new(
        start(day(13), 0),
        Some("2018-03-14".into()),
        true,
        vec![
            kind(ModelKind::Lstm, &wins),
            kind(ModelKind::Transformer, &loses),
        ],
        labels(&wins),
    )
}

/// Every way in which the page may write a number.
fn written(value: f64) -> Vec<String> {
    let mut ways = vec![
        format!("{value:.2}"),
        format!("{value:+.2}"),
        format!("{value:.3}"),
        format!("{value:.4}"),
        format!("{value:.5}"),
        format!("{value:+.5}"),
        format!("{:.2} %", value * 100.0),
        format!("{} %", (value * 1e4).round() / 100.0),
    ];
    if value.fract() == 0.0 {
        ways.push(format!("{value}"));
    }
    ways
}

fn look_for(html: &str, path: &str, value: &Value, missing: &mut Vec<String>) {
    let mut absent = |found: bool| {
        if !found {
            missing.push(format!("{path} = {value}"));
        }
    };
    match value {
        Value::Number(number) => {
            let ways = written(number.as_f64().unwrap());
            absent(ways.iter().any(|way| {
                // The whole number, not a part of a longer one.
                html.match_indices(way.as_str()).any(|(position, _)| {
                    let digit = |character: Option<char>| {
                        character
                            .is_some_and(|character| character.is_ascii_digit() || character == '.')
                    };
                    let after = &html[position + way.len()..];
                    !digit(html[..position].chars().next_back())
                        && !after.starts_with(|next: char| next.is_ascii_digit())
                })
            }));
        }
        Value::String(text) => {
            let time = text.replace('T', " ").replace(":00Z", " UTC");
            let known = ["wins", "does_not_win", "cannot_tell", "lstm", "transformer"];
            absent(
                html.contains(text.as_str())
                    || html.contains(&time)
                    || known.contains(&text.as_str()),
            );
        }
        Value::Array(values) => {
            for (position, value) in values.iter().enumerate() {
                look_for(html, &format!("{path}[{position}]"), value, missing);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                look_for(html, &format!("{path}.{name}"), value, missing);
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

#[test]
fn the_page_holds_every_figure_of_the_json() {
    let report = report();
    let html = report.to_html();
    let mut missing = Vec::new();
    let json = serde_json::to_value(&report).unwrap();
    look_for(&html, "report", &json, &mut missing);
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn the_page_needs_nothing_else_and_is_the_same_each_time() {
    let html = report().to_html();
    for foreign in ["<script", "http://", "https://", "<link", "url(", "@import"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf "));
    assert_eq!(html, report().to_html());
    // Whatever opens is closed.
    for tag in [
        "div", "table", "section", "figure", "svg", "ul", "li", "details", "td", "th",
    ] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_summary_says_it_in_plain_words() {
    let report = report();
    assert!(
        report.summary[0].starts_with("LSTM: the challenger wins. Its log loss is lower by "),
        "{}",
        report.summary[0]
    );
    assert!(
        report.summary[1]
            .starts_with("Transformer: the challenger does not win: its log loss is higher by "),
        "{}",
        report.summary[1]
    );
    let all = report.summary.join("\n");
    assert!(
        all.contains("LSTM champion: not shown to be better than any baseline (class prior)."),
        "{all}"
    );
    assert!(
        all.contains("LSTM challenger: beats every baseline (class prior)."),
        "{all}"
    );
    assert!(
        all.contains("LSTM champion: not a single signal was confirmed."),
        "{all}"
    );
    assert!(all.contains("bp each after 4.00 bp of costs"), "{all}");
}

#[test]
fn text_from_elsewhere_stays_text() {
    let mut report = report();
    report.run = Some("<script>alert('run')</script>".into());
    report.summary[0] = "a & b < c \"d\"".into();
    let html = report.to_html();
    assert!(html.contains("&lt;script&gt;alert(&#39;run&#39;)&lt;/script&gt;"));
    assert!(html.contains("a &amp; b &lt; c &quot;d&quot;"));
    assert!(!html.contains("<script"));
}

#[test]
fn networks_that_were_not_compared_are_reported_with_the_reason() {
    let report = ValidationReport::new(
        start(day(3), 0),
        None,
        false,
        vec![KindReport {
            kind: ModelKind::Lstm,
            champion: None,
            challenger: network("lstm-20180301", 5),
            outcome: Outcome::NotCompared {
                reason: "no session since 2018-03-01 is unseen".into(),
            },
        }],
        Vec::new(),
    );
    assert_eq!(
        report.summary,
        ["LSTM: not compared: no session since 2018-03-01 is unseen."]
    );
    let html = report.to_html();
    assert!(html.contains("not compared") && html.contains("lstm-20180301"));
}

#[test]
fn several_challengers_of_a_kind_are_told_apart() {
    let cases = cases(6, 0.5, 0.5, 4);
    let (first, mut second) = (kind(ModelKind::Lstm, &cases), kind(ModelKind::Lstm, &cases));
    second.challenger.id = network("lstm-20180302", 1).id;
    let kinds = vec![first, second, kind(ModelKind::Transformer, &cases)];
    let report = ValidationReport::new(start(day(6), 0), None, false, kinds, Vec::new());
    for (sentence, title) in report.summary.iter().zip([
        "LSTM (lstm-20180301): ",
        "LSTM (lstm-20180302): ",
        "Transformer: ",
    ]) {
        assert!(sentence.starts_with(title), "{sentence}");
    }
    assert!(report.to_html().contains("<h2>LSTM (lstm-20180302)</h2>"));
}

#[test]
fn few_days_leave_figures_unknown_and_say_so() {
    let few = cases(3, 0.5, 0.5, 4);
    let report = ValidationReport::new(
        start(day(3), 0),
        None,
        false,
        vec![kind(ModelKind::Lstm, &few)],
        labels(&few),
    );
    let Outcome::Compared(comparison) = &report.kinds[0].outcome else {
        panic!("{report:?}");
    };
    assert!(matches!(
        comparison.log_loss_gain.bounds,
        Figure::Unknown(_)
    ));
    assert!(
        report.summary[0].contains("the days cannot tell"),
        "{:?}",
        report.summary
    );
    assert!(report.to_html().contains("3 days are too few"));
}

#[test]
fn labels_are_counted_by_stock_and_session() {
    let counted = labels(&cases(2, 1.0, 1.0, 1));
    assert_eq!(counted.len(), 8);
    assert_eq!(counted[0].ticker.as_str(), "AAPL");
    assert!(
        counted
            .iter()
            .all(|label| label.counts.iter().sum::<u64>() == 40)
    );
}
