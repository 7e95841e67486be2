//! Days on which nobody traded though the calendar expects it: closures and early closes that it does not know.

use std::collections::BTreeMap;

use calendar::{OPEN_MINUTE_OF_DAY, Session};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{BAR_SECONDS, Ticker};
use market_data::MAX_SPAN;
use storage::{Finding, Gap, GapOutcome, SoundCheck};

use crate::{IngestError, Ingestor, PollReport, backfill::MARGIN, missing_stretches};

/// The check that a finding is of.
const NOBODY_TRADED: &str = "nobody_traded";

/// Without a bar of anybody for so long before the close, the market has closed early.
const EARLY_CLOSE: TimeDelta = TimeDelta::minutes(30);

/// Fewer stocks may all have lost their bars, or be halted, at one time.
const FEWEST_TICKERS: usize = 3;

/// Whom a refetch of the last week brought an answer for: what they have no bar of in that week was not traded.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    tickers: Vec<Ticker>,
    /// So many of them were not asked after all. Which ones is not told.
    held_back: usize,
}

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
    /// End of the last bar of all before it, in this session or an earlier one, UTC; `None` before anybody's first bar.
    traded_until: Option<DateTime<Utc>>,
}

impl Ingestor {
    /// Whom the refetch of a review brought an answer for.
    pub(crate) fn answered(&self, refetched: &PollReport) -> Answered {
        let has_failed = |ticker: &Ticker| {
            let mut failures = refetched.failures.iter();
            failures.any(|(failed, _)| failed == ticker)
        };
        let states = self.book.tickers.iter();
        Answered {
            tickers: states
                .filter(|state| !state.owes_history && !state.is_unknown())
                .map(|state| state.ticker.clone())
                .filter(|ticker| !has_failed(ticker))
                .collect(),
            held_back: refetched.held_back,
        }
    }

    /// Compares the sessions with what anybody traded, and writes a finding down for each in which nobody did: one, not
    /// a gap for each stock. What traded after all is withdrawn. `answered` comes from the refetch just before: the
    /// lack of a bar tells only of what was asked for.
    pub(crate) async fn market_days(
        &self,
        sessions: &[Session],
        answered: &Answered,
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
        let was_found = |silence: &Closed| {
            let mut standing = standing.iter();
            standing.any(|finding| finding.session == silence.session.date)
        };
        // The refetch reaches no further back: of days before, perhaps nobody was asked.
        let oldest = now - (MAX_SPAN - MARGIN);
        let mut closed = Vec::new();
        for silence in silences(sessions, &last_closes) {
            if was_found(&silence)
                || (silence.session.open >= oldest
                    && self
                        .is_told(&silence, sessions, &last_closes, answered)
                        .await?)
            {
                closed.push(silence);
            }
        }
        let days = MarketDays::of(sessions, last_closes, closed);
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

    /// Whether enough stocks were asked for whose own rhythm does not explain the silence.
    async fn is_told(
        &self,
        silence: &Closed,
        sessions: &[Session],
        last_closes: &BTreeMap<NaiveDate, DateTime<Utc>>,
        answered: &Answered,
    ) -> Result<bool, IngestError> {
        // Other days on which nobody traded are no part of anybody's rhythm.
        let has_rhythm = |session: &&Session| {
            session.date == silence.session.date || last_closes.contains_key(&session.date)
        };
        let sessions: Vec<Session> = sessions.iter().filter(has_rhythm).copied().collect();
        let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else {
            return Ok(false);
        };
        let pool = &self.book.pool;
        let mut told = 0;
        for ticker in &answered.tickers {
            let starts = storage::bar_starts_between(pool, ticker, first.open, last.close).await?;
            told += usize::from(silence.is_told_by(&starts, &sessions));
        }
        Ok(told >= FEWEST_TICKERS + answered.held_back)
    }

    /// Closes gaps that were opened for hours in which nobody traded: the finding takes their place. They are not given
    /// up: when it turns out that somebody traded, they are open again.
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
            storage::close_gap(pool, gap, GapOutcome::Superseded, now).await?;
        }
        Ok(())
    }
}

/// The parts of sessions, each to its end, that nobody has a bar of and that are long enough to be a closure.
fn silences(sessions: &[Session], last_closes: &BTreeMap<NaiveDate, DateTime<Utc>>) -> Vec<Closed> {
    let silence = |session: &Session| {
        let traded_until = last_closes
            .range(..=session.date)
            .next_back()
            .map(|(_, close)| *close);
        let since = traded_until.map_or(session.open, |until| until.max(session.open));
        (since + EARLY_CLOSE <= session.close).then_some(Closed {
            session: *session,
            since,
            traded_until,
        })
    };
    sessions.iter().filter_map(silence).collect()
}

impl MarketDays {
    fn of(
        sessions: &[Session],
        last_closes: BTreeMap<NaiveDate, DateTime<Utc>>,
        closed: Vec<Closed>,
    ) -> Self {
        let as_kept = |session: &Session| {
            let closed = closed.iter().find(|closed| closed.session == *session);
            let close = closed.map_or(session.close, |closed| closed.since);
            (close > session.open).then_some(Session { close, ..*session })
        };
        Self {
            sessions: sessions.iter().filter_map(as_kept).collect(),
            last_closes,
            closed,
        }
    }
}

impl Closed {
    /// Whether one stock's silence tells of the market's: it traded until then, and its own rhythm makes so long a
    /// pause improbable. `sessions` are those that the rhythm is taken from, and this one.
    fn is_told_by(&self, starts: &[DateTime<Utc>], sessions: &[Session]) -> bool {
        let Some(until) = self.traded_until else {
            return false;
        };
        let before = |time: DateTime<Utc>| starts.partition_point(|start| *start < time);
        // Who was silent before the others has a reason of his own: a halt, bars that are lost.
        if before(until - EARLY_CLOSE) == before(until) {
            return false;
        }
        // The pause is counted from the market's last bar on, as if that were the stock's own. Rhythm is judged after
        // a bar: of a whole session, after one in its first minute.
        let minute = TimeDelta::seconds(BAR_SECONDS);
        let last = (self.since - minute).max(self.session.open);
        let mut starts = starts.to_vec();
        if let Err(place) = starts.binary_search(&last) {
            starts.insert(place, last);
        }
        missing_stretches(&starts, sessions, |_| true)
            .iter()
            .any(|stretch| (stretch.start, stretch.end) == (last + minute, self.session.close))
    }

    fn finding(&self, market: &Ticker, now: DateTime<Utc>) -> Finding {
        let Self { session, since, .. } = *self;
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
        let silent = silences(sessions(), &last);
        let until: Vec<_> = silent.iter().map(|silence| silence.traded_until).collect();
        let thursday = last[&sessions()[1].date];
        let monday = last[&sessions()[3].date];
        assert_eq!(
            until,
            [None, Some(thursday), Some(monday)],
            "Wednesday is before anybody's first bar"
        );
        let found = MarketDays::of(sessions(), last.clone(), silent[1..].to_vec());
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
        assert_eq!(minutes, [390, 390, 210, 390]);
        // What nobody tells of stays as the calendar has it.
        let unknown = MarketDays::of(sessions(), last, Vec::new());
        assert_eq!(unknown.sessions, sessions());
    }

    #[test]
    fn a_quiet_last_quarter_of_an_hour_is_no_early_close() {
        let all: Vec<(usize, i64)> = (0..5).map(|place| (place, 375)).collect();
        assert_eq!(silences(sessions(), &closes(&all)), []);
    }

    #[test]
    fn only_a_stock_that_traded_until_then_and_rarely_rests_so_long_tells_of_an_early_close() {
        // Tuesday is silent from 15:30 on.
        let (tuesday, half_past) = (sessions()[4], 360);
        let since = tuesday.open + TimeDelta::minutes(half_past);
        let silence = Closed {
            session: tuesday,
            since,
            traded_until: Some(since),
        };
        // A bar at the end of so many minutes, on Tuesday until that minute.
        for (every, until, is_told) in [
            (1, half_past, true),
            (2, half_past, true),
            // It may rest for half an hour of its own accord.
            (6, half_past, false),
            // It was halted at noon.
            (1, 150, false),
        ] {
            let starts: Vec<DateTime<Utc>> = sessions()
                .iter()
                .flat_map(|session| {
                    let end = if *session == tuesday { until } else { 390 };
                    (0..end)
                        .filter(move |minute| minute % every == every - 1)
                        .map(move |minute| session.open + TimeDelta::minutes(minute))
                })
                .collect();
            assert_eq!(
                silence.is_told_by(&starts, sessions()),
                is_told,
                "a bar each {every} minutes, until {until}"
            );
        }
    }
}
