use calendar::nyse;
use chrono::TimeDelta;
use domain::Bar;
use features::{FeatureStream, StreamError};

use crate::market::{Market, fold};

#[test]
fn a_refused_bar_leaves_the_stream_as_it_was() {
    let bars = Market {
        seed: 1,
        sessions: 7,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    let expected = fold(&bars);
    let mut stream = FeatureStream::new(nyse());
    for (bar, expected) in bars.iter().zip(&expected) {
        let session = nyse().session_at(bar.start).unwrap();
        let early = Bar {
            start: session.open - TimeDelta::minutes(1),
            ..*bar
        };
        if bar.start == session.open {
            assert_eq!(
                stream.push(&early),
                Err(StreamError::OutsideSession { start: early.start })
            );
        }
        assert_eq!(stream.push(bar).unwrap(), *expected);
        assert_eq!(
            stream.push(bar),
            Err(StreamError::OutOfOrder {
                start: bar.start,
                last: bar.start
            })
        );
        if bar.close_time() == session.close {
            let late = Bar {
                start: session.close,
                ..*bar
            };
            assert_eq!(
                stream.push(&late),
                Err(StreamError::OutsideSession { start: late.start })
            );
            let past = Bar {
                start: session.open,
                ..*bar
            };
            assert_eq!(
                stream.push(&past),
                Err(StreamError::OutOfOrder {
                    start: past.start,
                    last: bar.start
                })
            );
        }
    }
}

#[test]
fn messages_name_the_bar_and_the_rule() {
    let bar = Bar::new(
        "2018-03-30T15:00:00Z".parse().unwrap(),
        1.0,
        1.0,
        1.0,
        1.0,
        0.0,
    )
    .unwrap();
    let error = FeatureStream::new(nyse()).push(&bar).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bar 2018-03-30 15:00:00 UTC lies outside the regular session: features use regular trading hours only"
    );
}

#[test]
fn fold_answers_none_for_refused_bars() {
    let mut bars = Market {
        seed: 2,
        sessions: 7,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    let expected = fold(&bars);
    let extra = Bar {
        start: bars[2_000].start - TimeDelta::hours(8),
        ..bars[2_000]
    };
    bars.insert(2_001, extra);
    let mut actual = fold(&bars);
    assert_eq!(actual.remove(2_001), None);
    assert_eq!(actual, expected);
}
