//! Which night it is, and how it found the champions.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use calendar::{Calendar, Session};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::ModelId;
use model_registry::{Change, KindRecord};

/// A night's validation.
#[derive(Clone, Copy, Debug)]
pub struct Night {
    /// The session that the night follows; sessions after it are not looked at.
    pub session: Session,
    /// The night's run; nothing when a person asked.
    pub run_id: Option<i64>,
    /// Market time, UTC.
    pub as_of: DateTime<Utc>,
}

impl Night {
    /// The night after a session (New York date), else after the last one that has closed by `as_of`.
    ///
    /// # Errors
    /// For a date without a session, a session that has not closed, or a time before the calendar begins.
    pub fn of(
        asked: Option<NaiveDate>,
        run_id: Option<i64>,
        as_of: DateTime<Utc>,
        calendar: &Calendar,
    ) -> anyhow::Result<Self> {
        let session = match asked {
            Some(date) => calendar
                .session_on(date)
                .filter(|session| session.close <= as_of)
                .with_context(|| format!("no session of {date} has closed by {as_of}"))?,
            None => {
                // No time zone is two days ahead of UTC.
                let latest = (as_of + TimeDelta::days(2)).date_naive();
                let sessions = calendar.sessions(*calendar.coverage().start(), latest);
                let closed = |session: &&Session| session.close <= as_of;
                let last = sessions.iter().rev().find(closed);
                last.copied()
                    .with_context(|| format!("no session has closed by {as_of}"))?
            }
        };
        Ok(Self {
            session,
            run_id,
            as_of,
        })
    }

    /// Where this night's files go.
    pub(crate) fn folder(&self, nights: &Path) -> PathBuf {
        nights.join(self.session.date.to_string())
    }

    /// How the reason of every change begins that this night's validation makes: a second one knows by it what the first
    /// one did.
    pub(crate) fn signature(&self) -> String {
        format!("validator (night of {}): ", self.session.date)
    }

    /// The change that this night's validation made, if it has been here before and nobody has changed the champion since.
    pub(crate) fn own_change<'a>(&self, record: &'a KindRecord) -> Option<&'a Change> {
        let newest = record.changes.first();
        newest.filter(|change| change.why.starts_with(&self.signature()))
    }

    /// The champion and the earlier ones as the night found them: what its own validation has changed is left out, so that
    /// a second validation compares what the first one did and comes to the same.
    pub(crate) fn found(&self, record: &KindRecord) -> (Option<ModelId>, Vec<ModelId>) {
        let mut previous = record.previous.clone();
        let champion = match self.own_change(record) {
            None => Some(record.champion.clone()),
            Some(change) => {
                previous.retain(|model_id| Some(model_id) != change.from.as_ref());
                change.from.clone()
            }
        };
        (champion, previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn id(text: &str) -> ModelId {
        ModelId::parse(text).unwrap()
    }

    fn night(as_of: &str, asked: Option<&str>) -> anyhow::Result<Night> {
        let asked = asked.map(|date| date.parse().unwrap());
        Night::of(asked, None, at(as_of), calendar::nyse())
    }

    #[test]
    fn a_night_follows_a_session_that_has_closed() {
        let date = |as_of, asked| night(as_of, asked).unwrap().session.date.to_string();
        assert_eq!(date("2018-03-27T05:30:00Z", None), "2018-03-26");
        assert_eq!(date("2018-03-26T19:59:59Z", None), "2018-03-23");
        // Good Friday's eve.
        assert_eq!(date("2018-04-02T12:00:00Z", None), "2018-03-29");
        assert_eq!(
            date("2018-03-28T05:30:00Z", Some("2018-03-26")),
            "2018-03-26"
        );
        for wrong in ["2018-03-25", "2018-03-28"] {
            let error = night("2018-03-28T05:30:00Z", Some(wrong)).unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn what_the_night_has_done_itself_is_taken_back_in_thought() {
        let change = |why: &str| Change {
            at: at("2018-03-29T05:29:00Z"),
            why: why.to_owned(),
            from: Some(id("old")),
            to: id("new"),
        };
        let found = |change: Change| {
            let record = KindRecord {
                champion: id("new"),
                previous: vec![id("old"), id("older")],
                changes: vec![change],
            };
            let night = night("2018-03-27T05:30:00Z", None).unwrap();
            night.found(&record)
        };
        let before = (Some(id("old")), vec![id("older")]);
        let after = (Some(id("new")), vec![id("old"), id("older")]);
        assert_eq!(
            found(change("validator (night of 2018-03-26): it is better")),
            before
        );
        assert_eq!(
            found(change("validator (night of 2018-03-23): it is better")),
            after
        );
        assert_eq!(found(change("rolled back: worse")), after);
    }
}
