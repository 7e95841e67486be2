//! Champion against challenger.

use domain::Class;
use evaluation::{
    Baseline, Case, CompareError, Comparison, ComparisonSettings, FEWEST_DAYS, Figure, Side,
    Verdict, compare,
};
use proptest::prelude::*;

use crate::synthetic::{BLIND, cases, day, network, prior, settings, start, ticker};

/// Recommends what is more probable than not.
fn confident(case: &Case, side: Side) -> Option<Class> {
    let said = case.said(side);
    Class::ALL
        .into_iter()
        .find(|class| said[class.index()] > 0.5 && *class != Class::Neutral)
}

fn compared(cases: &[Case], settings: &ComparisonSettings) -> Comparison {
    let (champion, challenger) = (network("lstm-1", 1), network("lstm-2", 2));
    compare(
        cases,
        &champion,
        &challenger,
        &[prior(cases)],
        settings,
        confident,
    )
    .unwrap()
}

#[test]
fn figures_are_those_worked_out_by_hand() {
    // Two cases a day: the champion gives what happens a half, the challenger three quarters and a quarter.
    let cases: Vec<Case> = (0..6)
        .flat_map(|number| {
            let said = |share: f64| [share, 1.0 - share, 0.0];
            [(0, 0.75, -0.0010), (1, 0.25, -0.0002)].map(|(minute, share, gross_return)| Case {
                ticker: ticker("AAPL"),
                session: day(number),
                bar_start: start(day(number), minute),
                truth: Class::Down,
                gross_return,
                champion: said(0.5),
                challenger: said(share),
            })
        })
        .collect();
    let found = compared(&cases, &settings());
    assert_eq!((found.sessions, found.tickers, found.cases), (6, 1, 12));
    assert_eq!(found.class_shares, [1.0, 0.0, 0.0]);
    assert_eq!((found.from, found.to), (start(day(0), 0), start(day(5), 1)));
    let gain = (0.75_f64.ln() + 0.25_f64.ln()) / 2.0 - 0.5_f64.ln();
    assert!((found.log_loss_gain.mean - gain).abs() < 1e-12);
    assert!(matches!(found.verdict, Verdict::DoesNotWin { .. }));
    assert_eq!(found.log_loss_gain.sessions.len(), 6);
    assert_eq!(found.log_loss_gain.sessions[2].cases, 2);

    // Only the challenger is ever above a half: one Sell a day that earns 10 bp and costs 4.
    let own = found.challenger.confirmed.unwrap();
    assert_eq!((own.signals.signals, own.signals.coverage), (6, 0.5));
    assert!((own.signals.mean_net_return_bps - 6.0).abs() < 1e-9);
    assert!(
        own.sessions
            .iter()
            .all(|session| session.signals == 1 && (session.net_return_bps - 6.0).abs() < 1e-9)
    );
    assert!(matches!(&own.sharpe, Figure::Unknown(reason) if reason.contains("equal")));
    let silent = found.champion.confirmed.unwrap();
    assert_eq!(silent.signals.signals, 0);
    assert_eq!(silent.sessions.len(), 6);
    assert!((found.net_return_gain_bps.mean - 3.0).abs() < 1e-9);

    // Sets hold "down" from 0.12 on: always.
    let coverage = found.champion.coverage.unwrap();
    assert_eq!((coverage.asked, coverage.found.all), (0.8, 1.0));
    assert!(coverage.found.classes[2].is_nan());
}

#[test]
fn a_better_challenger_wins_and_an_equal_one_hardly_ever_does() {
    let wins = |champion: f64, challenger: f64, days: u64| {
        (0..40)
            .filter(|seed| {
                let cases = cases(days, champion, challenger, *seed);
                compared(&cases, &settings()).verdict == Verdict::Wins
            })
            .count()
    };
    let better = wins(0.2, 1.0, 10);
    assert!(better >= 38, "{better} of 40");
    let equal = wins(0.7, 0.7, 10);
    assert!(equal <= 4, "{equal} of 40, promised are 2");
    let worse = wins(1.0, 0.2, 10);
    assert_eq!(worse, 0);
}

#[test]
fn few_days_cannot_tell_however_clear_they_look() {
    let cases = cases(FEWEST_DAYS as u64 - 1, BLIND, 1.0, 5);
    let found = compared(&cases, &settings());
    assert!(
        matches!(&found.verdict, Verdict::CannotTell { reason } if reason.contains("4 days are too few")),
        "{:?}",
        found.verdict
    );
    assert!(found.log_loss_gain.mean > 0.01);
    assert!(found.log_loss_gain.bounds.known().is_none());
    assert!(
        found
            .against_baselines
            .iter()
            .all(|against| !against.beats && against.statement.contains("not shown to beat"))
    );
}

#[test]
fn a_gain_below_the_margin_does_not_win() {
    let cases = cases(12, 0.2, 1.0, 3);
    assert_eq!(compared(&cases, &settings()).verdict, Verdict::Wins);
    let demanding = ComparisonSettings {
        margin: 0.5,
        ..settings()
    };
    let found = compared(&cases, &demanding);
    assert!(
        matches!(&found.verdict, Verdict::DoesNotWin { reason } if reason.contains("margin of 0.50000")),
        "{:?}",
        found.verdict
    );
    // Between its mean and its lower bound it may be luck.
    let bounds = *compared(&cases, &settings())
        .log_loss_gain
        .bounds
        .known()
        .unwrap();
    let between = ComparisonSettings {
        margin: f64::midpoint(bounds.lower, bounds.mean),
        ..settings()
    };
    let found = compared(&cases, &between);
    assert!(
        matches!(&found.verdict, Verdict::CannotTell { reason } if reason.contains("at 95 % certainty")),
        "{:?}",
        found.verdict
    );
}

#[test]
fn networks_are_told_whether_they_beat_a_baseline() {
    let cases = cases(12, BLIND, 1.0, 11);
    let found = compared(&cases, &settings());
    let [champion, challenger] = &found.against_baselines[..] else {
        panic!("{:?}", found.against_baselines);
    };
    assert!(
        !champion.beats && champion.statement.contains("does not beat the class prior"),
        "{}",
        champion.statement
    );
    assert!(
        challenger.beats && challenger.statement.contains("beats the class prior"),
        "{}",
        challenger.statement
    );
    let gain = found.baselines[0].scores.log_loss - found.challenger.scores.log_loss;
    assert!((challenger.log_loss_gain.mean - gain).abs() < 1e-9);
}

#[test]
fn a_baseline_may_choose_what_is_not_most_probable() {
    let cases = cases(6, 1.0, 1.0, 1);
    let stubborn = Baseline {
        name: "stubborn".into(),
        probabilities: vec![[0.2, 0.2, 0.6]; cases.len()],
        chosen: Some(vec![Class::Down; cases.len()]),
    };
    let (champion, challenger) = (network("lstm-1", 1), network("lstm-2", 2));
    let found = compare(
        &cases,
        &champion,
        &challenger,
        &[stubborn],
        &settings(),
        confident,
    )
    .unwrap();
    let predicted = found.baselines[0].scores.confusion.map(|row| row[0]);
    assert_eq!(predicted.iter().sum::<u64>(), cases.len() as u64);
}

#[test]
fn refuses_what_is_no_comparison() {
    let (champion, challenger) = (network("lstm-1", 1), network("lstm-2", 2));
    let ask = |cases: &[Case], baselines: &[Baseline], settings: &ComparisonSettings| {
        compare(
            cases,
            &champion,
            &challenger,
            baselines,
            settings,
            confident,
        )
        .unwrap_err()
    };
    let mut cases = cases(6, 1.0, 1.0, 1);
    let error = ask(&[], &[], &settings());
    assert!(matches!(&error, CompareError::Score { name, .. } if name == "champion"));

    let short = Baseline {
        name: "short".into(),
        probabilities: vec![[0.2, 0.2, 0.6]],
        chosen: None,
    };
    let error = ask(&cases, &[short], &settings());
    assert!(matches!(&error, CompareError::Score { name, .. } if name == "short"));

    let settings_of = |margin: f64, level: f64, trials: usize| ComparisonSettings {
        margin,
        level,
        trials,
        ..settings()
    };
    for (broken, field) in [
        (settings_of(-0.1, 0.95, 1), "margin"),
        (settings_of(f64::NAN, 0.95, 1), "margin"),
        (settings_of(0.0, 0.5, 1), "level"),
        (settings_of(0.0, 0.95, 0), "trials"),
    ] {
        let error = ask(&cases, &[], &broken);
        assert!(error.to_string().contains(field), "{error}");
    }

    cases.push(cases[0].clone());
    let error = ask(&cases, &[], &settings());
    assert!(
        error
            .to_string()
            .contains("AAPL at 2018-03-01 14:30:00 UTC occurs twice"),
        "{error}"
    );
    cases[3].gross_return = f64::INFINITY;
    assert!(matches!(
        ask(&cases, &[], &settings()),
        CompareError::Return { .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn swapping_the_two_turns_every_sign(
        days in 1_u64..9,
        champion in 0.0..1.2_f64,
        challenger in 0.0..1.2_f64,
        seed in any::<u64>(),
    ) {
        let there = cases(days, champion, challenger, seed);
        let back: Vec<Case> = there
            .iter()
            .map(|case| Case {
                champion: case.challenger,
                challenger: case.champion,
                ..case.clone()
            })
            .collect();
        let (there, back) = (compared(&there, &settings()), compared(&back, &settings()));
        for (there, back) in [
            (&there.log_loss_gain, &back.log_loss_gain),
            (&there.net_return_gain_bps, &back.net_return_gain_bps),
        ] {
            prop_assert_eq!(there.mean, -back.mean);
            match (&there.bounds, &back.bounds) {
                (Figure::Known(there), Figure::Known(back)) => {
                    prop_assert_eq!(there.lower, -back.upper);
                    prop_assert_eq!(there.upper, -back.lower);
                }
                (there, back) => prop_assert_eq!(there, back),
            }
        }
        prop_assert!(!(there.verdict == Verdict::Wins && back.verdict == Verdict::Wins));
        prop_assert_eq!(there.champion.scores, back.challenger.scores);
    }

    #[test]
    fn identical_predictions_never_win(
        days in 1_u64..12,
        sight in 0.0..1.5_f64,
        seed in any::<u64>(),
    ) {
        let same: Vec<Case> = cases(days, sight, sight, seed)
            .into_iter()
            .map(|case| Case { challenger: case.champion, ..case })
            .collect();
        let forgiving = ComparisonSettings { margin: 0.0, ..settings() };
        let found = compared(&same, &forgiving);
        prop_assert!(found.verdict != Verdict::Wins);
        prop_assert_eq!(found.log_loss_gain.mean, 0.0);
    }
}
