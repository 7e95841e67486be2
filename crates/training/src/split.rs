//! The chronological split, with purge and embargo (Lopez de Prado, 2018, chapter 7).

use chrono::{DateTime, TimeDelta, Utc};

/// When a sample was decided (its bar's close) and when its label was known (close of the bar that ended it), UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) decided_at: DateTime<Utc>,
    pub(crate) resolved_at: DateTime<Utc>,
}

/// Indices of the samples of each part, in their given order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) training: Vec<usize>,
    pub(crate) early_stopping: Vec<usize>,
    pub(crate) calibration: Vec<usize>,
}

/// Cuts the samples at two boundaries. A sample belongs to the part it was decided in, and is dropped when
/// - its label was known only after that part's end (purge), or
/// - it was decided less than `embargo` after that part's beginning.
pub(crate) fn split(
    spans: impl IntoIterator<Item = Span>,
    early_stopping: DateTime<Utc>,
    calibration: DateTime<Utc>,
    embargo: TimeDelta,
) -> Split {
    let mut split = Split::default();
    for (index, span) in spans.into_iter().enumerate() {
        let (part, start, end) = if span.decided_at <= early_stopping {
            (&mut split.training, None, Some(early_stopping))
        } else if span.decided_at <= calibration {
            (
                &mut split.early_stopping,
                Some(early_stopping),
                Some(calibration),
            )
        } else {
            (&mut split.calibration, Some(calibration), None)
        };
        let purged = end.is_some_and(|end| span.resolved_at > end);
        let embargoed = start.is_some_and(|start| span.decided_at < start + embargo);
        if !purged && !embargoed {
            part.push(index);
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2018, 3, 26, 13, 30, 0).unwrap() + TimeDelta::minutes(minute)
    }

    fn spans(minutes: &[(i64, i64)]) -> Vec<Span> {
        minutes
            .iter()
            .map(|(decided, resolved)| Span {
                decided_at: at(*decided),
                resolved_at: at(*resolved),
            })
            .collect()
    }

    #[test]
    fn purges_and_embargoes_by_hand() {
        let spans = spans(&[
            (10, 40),   // 0: training
            (80, 100),  // 1: training, known just in time
            (80, 101),  // 2: purged, its label saw the first bar of the early stopping
            (99, 129),  // 3: purged
            (101, 110), // 4: embargoed
            (129, 140), // 5: embargoed
            (130, 160), // 6: early stopping, first after the embargo
            (190, 200), // 7: early stopping
            (195, 201), // 8: purged, reaches into the calibration
            (229, 240), // 9: embargoed
            (230, 999), // 10: calibration; nothing comes after it
        ]);
        let split = split(spans, at(100), at(200), TimeDelta::minutes(30));
        assert_eq!(split.training, [0, 1]);
        assert_eq!(split.early_stopping, [6, 7]);
        assert_eq!(split.calibration, [10]);
    }

    #[test]
    fn no_label_window_overlaps_a_later_part() {
        let spans: Vec<Span> = (0..1_000)
            .map(|minute| Span {
                decided_at: at(minute),
                resolved_at: at(minute + 1 + minute * 7 % 30),
            })
            .collect();
        let split = split(
            spans.iter().copied(),
            at(600),
            at(800),
            TimeDelta::minutes(30),
        );
        let last = |part: &[usize]| {
            part.iter()
                .map(|index| spans[*index].resolved_at)
                .max()
                .unwrap()
        };
        let first = |part: &[usize]| {
            part.iter()
                .map(|index| spans[*index].decided_at)
                .min()
                .unwrap()
        };
        assert!(last(&split.training) + TimeDelta::minutes(30) <= first(&split.early_stopping));
        assert!(last(&split.early_stopping) + TimeDelta::minutes(30) <= first(&split.calibration));
        assert!(split.training.len() > 550 && split.calibration.len() == 170);
    }
}
