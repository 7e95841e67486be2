//! Which night it is, and what its networks may see.

use calendar::Calendar;
use chrono::{DateTime, NaiveDate, Utc};

/// The close up to which the networks of the night after `night` may learn: that of the last session before the
/// `held_out` newest, of which the night's own is one. New York date in, UTC out.
pub(crate) fn training_end(
    calendar: &Calendar,
    night: NaiveDate,
    held_out: usize,
) -> Option<DateTime<Utc>> {
    let mut date = night;
    let mut close = None;
    for _ in 0..held_out {
        let session = calendar.previous_session(date)?;
        date = session.date;
        close = Some(session.close);
    }
    close
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_held_out_sessions_are_the_newest() {
        let night = "2018-04-03".parse().unwrap();
        let end = |held_out| training_end(calendar::nyse(), night, held_out);
        assert_eq!(end(1), Some(at("2018-04-02T20:00:00Z")));
        // 28 March is the last session before 29 March, 2 and 3 April: the 30th is Good Friday.
        assert_eq!(end(3), Some(at("2018-03-28T20:00:00Z")));
    }
}
