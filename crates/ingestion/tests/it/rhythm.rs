//! Gaps and volumes of the recorded files.

use std::collections::{BTreeMap, BTreeSet};

use bar_files::read_bars;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Bar, Ticker};
use ingestion::{MissingStretch, QualitySettings, check_volumes, missing_stretches};
use storage::{Finding, GapReason, SessionVolume};

use crate::market::ticker;

const LATE_2026: &str = "data/bars_1m/us20_yahoo_2026-03-09_2026-04-17.csv.gz";
const EARLY_2018: &str = "data/bars_1m/us20_2018-02-16_2018-03-29.csv.gz";
const THIN: &str = "data/bars_1m/thin8_yahoo_2026-03-09_2026-05-05.csv.gz";

fn recorded(path: &str) -> Option<BTreeMap<Ticker, Vec<Bar>>> {
    Some(read_bars(&test_support::shared(path)?).unwrap().bars)
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn gaps(
    bars: &BTreeMap<Ticker, Vec<Bar>>,
    from: &str,
    to: &str,
) -> BTreeMap<Ticker, Vec<MissingStretch>> {
    let sessions = calendar::nyse().sessions(date(from), date(to));
    let session_of = |bar: &Bar| calendar::nyse().session_at(bar.start);
    let traded: BTreeSet<NaiveDate> = bars
        .values()
        .flatten()
        .filter_map(|bar| Some(session_of(bar)?.date))
        .collect();
    bars.iter()
        .map(|(ticker, bars)| {
            let starts: Vec<DateTime<Utc>> = bars.iter().map(|bar| bar.start).collect();
            let found = missing_stretches(&starts, sessions, |date| traded.contains(&date));
            (ticker.clone(), found)
        })
        .collect()
}

fn minutes(stretches: &[MissingStretch]) -> i64 {
    stretches
        .iter()
        .map(|stretch| (stretch.end - stretch.start).num_minutes())
        .sum()
}

#[test]
fn every_hole_of_the_recording_of_2026_is_a_gap() {
    let Some(bars) = recorded(LATE_2026) else {
        return;
    };
    let found = gaps(&bars, "2026-03-09", "2026-04-17");
    for (ticker, stretches) in &found {
        let sessions: Vec<NaiveDate> = stretches
            .iter()
            .filter(|stretch| stretch.reason == GapReason::MissingSession)
            .filter_map(|stretch| Some(calendar::nyse().session_at(stretch.start)?.date))
            .collect();
        let expected: Vec<NaiveDate> = calendar::nyse()
            .sessions(date("2026-03-20"), date("2026-04-02"))
            .iter()
            .map(|session| session.date)
            .collect();
        assert_eq!(sessions, expected, "{ticker}");
        // And every single minute besides.
        let missing = 29 * 390 - i64::try_from(bars[ticker].len()).unwrap();
        assert_eq!(minutes(stretches), missing, "{ticker}");
    }
    let of_arm = &found[&ticker("ARM")];
    assert_eq!(of_arm.len(), 10 + 30, "single minutes of a liquid ticker");
}

#[test]
fn thin_tickers_of_2018_and_2026_are_left_in_peace() {
    if let Some(bars) = recorded(EARLY_2018) {
        let found = gaps(&bars, "2018-02-16", "2018-03-29");
        let of_googl = &found[&ticker("GOOGL")];
        assert!(
            minutes(of_googl) <= 3,
            "100 of its minutes are missing, one by one: {of_googl:?}"
        );
        let count = |of| minutes(&found[&ticker(of)]);
        assert_eq!(["UNH", "TSLA", "PFE", "AAPL"].map(count), [8, 6, 3, 0]);
    }
    if let Some(bars) = recorded(THIN) {
        // The sessions that the source has; two holes lie between.
        let found = gaps(&bars, "2026-03-09", "2026-05-05");
        for (ticker, stretches) in &found {
            let within: Vec<_> = stretches
                .iter()
                .filter(|stretch| stretch.reason == GapReason::MissingMinutes)
                .collect();
            assert!(within.len() <= 1, "{ticker}: {within:?}");
        }
        // Taken over: the file has no session after 2026-03-16, the others have four more before the first hole.
        let of_cflt = &found[&ticker("CFLT")];
        assert_eq!(of_cflt.len(), 1, "{of_cflt:?}");
        assert_eq!(of_cflt[0].reason, GapReason::Stopped);
        let day = TimeDelta::days(1);
        assert_eq!(
            of_cflt[0].start,
            "2026-03-17T13:30:00Z".parse::<DateTime<Utc>>().unwrap()
        );
        assert!(of_cflt[0].end - of_cflt[0].start <= day * 3);
    }
}

fn findings(bars: &BTreeMap<Ticker, Vec<Bar>>) -> Vec<Finding> {
    let calendar = calendar::nyse();
    bars.iter()
        .flat_map(|(ticker, bars)| {
            let mut volumes: Vec<SessionVolume> = Vec::new();
            for bar in bars {
                let Some(session) = calendar.session_at(bar.start) else {
                    continue;
                };
                if volumes
                    .last()
                    .is_none_or(|last| last.session != session.date)
                {
                    volumes.push(SessionVolume {
                        ticker: ticker.clone(),
                        session: session.date,
                        bars: 0,
                        zero_volume_bars: 0,
                        volume: 0.0,
                        close: bar.close.get(),
                        largest_step: None,
                    });
                }
                let last = volumes.last_mut().unwrap();
                last.bars += 1;
                last.zero_volume_bars += u32::from(bar.volume == 0.0);
                last.volume += bar.volume;
            }
            let minutes =
                |volume: &SessionVolume| calendar.session_on(volume.session).unwrap().minutes();
            let settings = QualitySettings::default();
            check_volumes(&volumes, minutes, &settings, DateTime::UNIX_EPOCH).findings
        })
        .collect()
}

#[test]
fn the_wrong_volumes_of_march_2026_are_reported_and_nothing_else() {
    if let Some(bars) = recorded(LATE_2026) {
        let found = findings(&bars);
        let wrong = date("2026-03-16")..=date("2026-03-19");
        // The fault concerned the Nasdaq's tickers only: those of the NYSE have their usual volumes.
        let nyse = ["CRM", "IBM", "MA", "ORCL", "V"].map(ticker);
        for ticker in bars.keys().filter(|ticker| !nyse.contains(ticker)) {
            for session in calendar::nyse().sessions(*wrong.start(), *wrong.end()) {
                let checks: Vec<&str> = found
                    .iter()
                    .filter(|row| row.ticker == *ticker && row.session == session.date)
                    .map(|row| row.check.as_str())
                    .collect();
                let expected = ["zero_volume_minutes", "session_volume"];
                assert_eq!(checks, expected, "{ticker} on {}", session.date);
            }
        }
        let others: Vec<_> = found
            .iter()
            .filter(|row| !wrong.contains(&row.session) || nyse.contains(&row.ticker))
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }
    if let Some(bars) = recorded(EARLY_2018) {
        let found = findings(&bars);
        assert!(found.is_empty(), "{found:?}");
    }
}
