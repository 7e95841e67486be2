//! Days on which nobody traded though the calendar expects it: closures and early closes that it does not know.

use std::collections::BTreeMap;

use calendar::{OPEN_MINUTE_OF_DAY, Session};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{BAR_SECONDS, Ticker};
use market_data::MAX_AGE;
use storage::{Finding, Gap, GapOutcome, SoundCheck};

use crate::{IngestError, Ingestor, backfill::MARGIN};

/// The check that a finding is of.
const NOBODY_TRADED: &str = "nobody_traded";

/// Without a bar of anybody for so long before the close, the market has closed early.
const EARLY_CLOSE: TimeDelta = TimeDelta::minutes(30);

/// Fewer stocks may all be quiet, or halted, at one time.
const FEWEST_TICKERS: usize = 3;

/// The sessions as the market kept them.
#[derive(Debug, Default)]
pub(crate) struct MarketDays {
    /// Ascending; without closures, with early closes.
    pub(crate) sessions: Vec<Session>,
    /// Close of the last bar of anybody on each date on which there was one, UTC.
    pub(crate) last_closes: BTreeMap<NaiveDate, DateTime<Utc>>,
    /// Parts of sessions in which nobody traded.
    closed: Vec<Closed>,
}

/// A part of a session, to its end, in which nobody traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Closed {
    session: Session,
    /// From when on, UTC: the open, or the end of the last bar of all.
    since: DateTime<Utc>,
}

impl Ingestor {
    /// Compares the sessions with what anybody traded, and writes a finding down for each in which nobody did: one, not
    /// a gap for each stock. What traded after all is withdrawn.
    pub(crate) async fn market_days(
        &self,
        sessions: &[Session],
        now: DateTime<Utc>,
    ) -> Result<MarketDays, IngestError> {
        let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else {
            return Ok(MarketDays::default());
        };
        let pool = &self.book.pool;
        let mut last_closes: BTreeMap<NaiveDate, DateTime<Utc>> = BTreeMap::new();
        for state in &self.book.tickers {
            let starts =
                storage::bar_starts_between(pool, &state.ticker, first.open, last.close).await?;
            for session in sessions {
                let end = starts.partition_point(|start| *start < session.close);
                let newest = starts.get(..end).and_then(<[_]>::last);
                if let Some(start) = newest.filter(|start| **start >= session.open) {
                    let close = *start + TimeDelta::seconds(BAR_SECONDS);
                    let known = last_closes.entry(session.date).or_insert(close);
                    *known = close.max(*known);
                }
            }
        }
        let market = Finding::market();
        let standing: Vec<Finding> =
            storage::findings_between(pool, Some(&market), first.date, last.date)
                .await?
                .into_iter()
                .filter(|finding| finding.check == NOBODY_TRADED)
                .collect();
        let was_found = |session: &Session| {
            let mut standing = standing.iter();
            standing.any(|finding| finding.session == session.date)
        };
        let answers = self.vendor_answers();
        let oldest = now - (MAX_AGE - MARGIN);
        let days = days(sessions, last_closes, |session| {
            // Who was not asked, or asks for what the vendor no longer keeps, cannot tell.
            was_found(session) || (answers && session.open > oldest)
        });
        let findings: Vec<Finding> = days
            .closed
            .iter()
            .map(|closed| closed.finding(&market, now))
            .collect();
        if storage::store_findings(pool, &findings).await? > 0 {
            for finding in &findings {
                tracing::warn!(session = %finding.session, "{}", finding.detail);
            }
        }
        let sound: Vec<SoundCheck> = standing
            .into_iter()
            .filter(|known| !findings.iter().any(|found| found.session == known.session))
            .map(|known| SoundCheck {
                ticker: known.ticker,
                session: known.session,
                check: known.check,
            })
            .collect();
        storage::withdraw_findings(pool, &sound, now).await?;
        Ok(days)
    }

    /// Whether the vendor's last answers came, so that what is not there was not traded.
    fn vendor_answers(&self) -> bool {
        let states = self.book.tickers.iter();
        let asked = states.filter(|state| !state.owes_history && !state.is_unknown());
        self.shut_since.is_none() && asked.count() >= FEWEST_TICKERS
    }

    /// Closes gaps that were opened for hours in which nobody traded.
    pub(crate) async fn close_gaps_of_closures(
        &self,
        days: &MarketDays,
        now: DateTime<Utc>,
    ) -> Result<(), IngestError> {
        if days.closed.is_empty() {
            return Ok(());
        }
        let pool = &self.book.pool;
        let is_closure = |gap: &Gap| {
            let mut closed = days.closed.iter();
            closed.any(|closed| closed.since <= gap.start && gap.end <= closed.session.close)
        };
        for gap in storage::open_gaps(pool)
            .await?
            .iter()
            .filter(|gap| is_closure(gap))
        {
            storage::close_gap(pool, gap, GapOutcome::NoData, now).await?;
        }
        Ok(())
    }
}

/// `may_decide` says of a session whether hours without a bar mean that nobody traded.
fn days(
    sessions: &[Session],
    last_closes: BTreeMap<NaiveDate, DateTime<Utc>>,
    may_decide: impl Fn(&Session) -> bool,
) -> MarketDays {
    let mut days = MarketDays::default();
    let first = last_closes.keys().next().copied();
    for session in sessions {
        // Nothing is known of days before anybody's first bar.
        let since = match last_closes.get(&session.date) {
            None if first.is_some_and(|first| first < session.date) => session.open,
            Some(close) if *close + EARLY_CLOSE <= session.close => *close,
            _ => session.close,
        };
        if since == session.close || !may_decide(session) {
            days.sessions.push(*session);
            continue;
        }
        days.closed.push(Closed {
            session: *session,
            since,
        });
        if since > session.open {
            days.sessions.push(Session {
                close: since,
                ..*session
            });
        }
    }
    days.last_closes = last_closes;
    days
}

impl Closed {
    fn finding(&self, market: &Ticker, now: DateTime<Utc>) -> Finding {
        let Self { session, since } = *self;
        let (date, traded) = (session.date, (since - session.open).num_minutes());
        let detail = if traded == 0 {
            format!(
                "nobody traded on {date}: a closure that the calendar does not know? Then add \"{date}\" to closures in \
                 section [calendar] of the settings"
            )
        } else {
            let minute_of_day = i64::from(OPEN_MINUTE_OF_DAY) + traded;
            let close = format!("{:02}:{:02}", minute_of_day / 60, minute_of_day % 60);
            format!(
                "nobody traded on {date} from {close} New York on: an early close that the calendar does not know? Then add \
                 {{ date = \"{date}\", close = \"{close}\" }} to early_closes in section [calendar] of the settings"
            )
        };
        Finding {
            ticker: market.clone(),
            session: date,
            check: NOBODY_TRADED.to_owned(),
            observed: traded as f64,
            expected: f64::from(session.minutes()),
            detail,
            found_at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> &'static [Session] {
        let date = |day| NaiveDate::from_ymd_opt(2018, 3, day).unwrap();
        calendar::nyse().sessions(date(7), date(13))
    }

    fn closes(minutes: &[(usize, i64)]) -> BTreeMap<NaiveDate, DateTime<Utc>> {
        minutes
            .iter()
            .map(|(place, minutes)| {
                let session = sessions()[*place];
                (session.date, session.open + TimeDelta::minutes(*minutes))
            })
            .collect()
    }

    #[test]
    fn closures_and_early_closes_are_what_nobody_traded_in() {
        // Thursday to Tuesday: a closed Friday, a Monday that ends at 13:00.
        let last = closes(&[(1, 390), (3, 210), (4, 389)]);
        let found = days(sessions(), last.clone(), |_| true);
        let market = Finding::market();
        let findings: Vec<String> = found
            .closed
            .iter()
            .map(|closed| closed.finding(&market, DateTime::UNIX_EPOCH).detail)
            .collect();
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(
            findings[0].starts_with("nobody traded on 2018-03-09: a closure")
                && findings[0].contains("\"2018-03-09\" to closures in section [calendar]"),
            "{findings:?}"
        );
        assert!(
            findings[1].starts_with("nobody traded on 2018-03-12 from 13:00 New York on")
                && findings[1]
                    .contains("{ date = \"2018-03-12\", close = \"13:00\" } to early_closes"),
            "{findings:?}"
        );
        let minutes: Vec<u32> = found.sessions.iter().map(Session::minutes).collect();
        assert_eq!(
            minutes,
            [390, 390, 210, 390],
            "Wednesday is before anybody's first bar"
        );
        // As long as the vendor does not answer, nobody knows.
        let unknown = days(sessions(), last, |_| false);
        assert_eq!(
            (unknown.sessions.as_slice(), unknown.closed.len()),
            (sessions(), 0)
        );
    }

    #[test]
    fn a_quiet_last_quarter_of_an_hour_is_no_early_close() {
        let all: Vec<(usize, i64)> = (0..5).map(|place| (place, 375)).collect();
        let found = days(sessions(), closes(&all), |_| true);
        assert_eq!(
            (found.sessions.as_slice(), found.closed.len()),
            (sessions(), 0)
        );
    }
}
