use calendar::nyse;
use domain::Bar;
use features::{FeatureSchema, MACRO_HORIZON, NEWS_HORIZON, WARM_UP_SESSIONS};

use crate::market::{Events, Market, fold};

/// Bars from this session of the market on.
fn from_session(bars: &[Bar], session: usize) -> &[Bar] {
    let first =
        nyse().sessions("2018-11-12".parse().unwrap(), "2019-12-31".parse().unwrap())[session];
    &bars[bars.partition_point(|bar| bar.start < first.open)..]
}

fn assert_equal_where_warm(long: &[Bar], short: &[Bar]) -> usize {
    // Of events the short history has those of the horizons before its first vector.
    let events = Events::around(long, 5, MACRO_HORIZON * 2);
    let first = fold(short).iter().position(Option::is_some).unwrap();
    let since = short[first].close_time();
    let recent = Events {
        news: events
            .news
            .iter()
            .filter(|event| event.available_at > since - NEWS_HORIZON)
            .copied()
            .collect(),
        economy: events
            .economy
            .iter()
            .filter(|event| event.available_at > since - MACRO_HORIZON)
            .cloned()
            .collect(),
    };
    assert!(recent.news.len() < events.news.len() && recent.economy.len() < events.economy.len());
    let (long, short) = (
        features::fold(long, events.context()),
        features::fold(short, recent.context()),
    );
    let mut compared = 0;
    for (long, short) in long[long.len() - short.len()..].iter().zip(&short) {
        let Some(short) = short else { continue };
        for (name, (long, short)) in FeatureSchema::current()
            .names
            .iter()
            .zip(long.unwrap().iter().zip(short))
        {
            let scale = long.abs().max(1e-3);
            assert!(
                (long - short).abs() <= 1e-5 * scale,
                "{name}: {long} after a long, {short} after a short history"
            );
        }
        compared += 1;
    }
    compared
}

#[test]
fn the_first_session_after_the_warm_up_has_features_from_its_first_bar() {
    let bars = Market {
        seed: 3,
        sessions: WARM_UP_SESSIONS + 2,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    let first = fold(&bars).iter().position(Option::is_some).unwrap();
    assert_eq!(first, WARM_UP_SESSIONS * 390);
}

#[test]
fn a_short_history_gives_what_a_long_one_gives() {
    for (missing, silent) in [(0.0, 0.0), (0.05, 0.05), (0.6, 0.3)] {
        let bars = Market {
            seed: 11,
            sessions: 30,
            missing,
            silent,
        }
        .bars();
        // Session 20 is the first compared; the half days lie before and within the warm-up.
        let compared = assert_equal_where_warm(&bars, from_session(&bars, 20 - WARM_UP_SESSIONS));
        assert!(compared > 1_000, "{compared}");
    }
}

#[test]
fn a_stream_that_starts_in_the_middle_of_a_day_waits_one_session_more() {
    let bars = Market {
        seed: 5,
        sessions: WARM_UP_SESSIONS + 3,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    let late = &bars[100..];
    let first = fold(late).iter().position(Option::is_some).unwrap();
    assert_eq!(late[first].start, bars[(WARM_UP_SESSIONS + 1) * 390].start);
    assert_equal_where_warm(&bars, late);
}
