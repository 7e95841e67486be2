//! Alpha Vantage in Yahoo's place. Its free plan has 25 requests a day, so that it is asked where it helps most: while
//! Yahoo is away, for one stock after the other, with a request kept for each after the close. Gaps of other days get a
//! small share.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, Ticker};
use market_data::{
    AlphaVantageClient, Gate, GateLimits, MarketTime, MonthRequest, Vendor, VendorError,
};
use storage::{Gap, VendorBar};

use crate::{
    IngestError, Ingestor,
    basis::{brought_to, changes_of},
    gaps::by_need,
    steps::StepGuard,
};

/// Vendor of these bars, as stored with them.
const SOURCE: &str = "alpha_vantage";

/// Under this name the requests about gaps of other days are counted once more, as they may only be a part.
const GAPS: &str = "alpha_vantage_gaps";

/// What part of the day's requests these may be: a fifth. The others are kept for hours in which Yahoo is away.
const PART_FOR_GAPS: u32 = 5;

/// Least time between two requests for one ticker, in market time.
const SHORTEST_INTERVAL: TimeDelta = TimeDelta::minutes(1);

/// How far back the gaps reach that are asked about, at most.
const LONGEST_MONTH: TimeDelta = TimeDelta::days(62);

/// The vendor that is asked while the first one is away.
pub(crate) struct SecondSource {
    client: AlphaVantageClient,
    gate: Gate,
    daily_requests: u32,
    /// When it last stood in, market time, UTC.
    stood_in_at: Option<DateTime<Utc>>,
    /// Counts the tickers that it was asked for: the next one is the first who waits.
    next: usize,
}

impl SecondSource {
    pub(crate) fn new(client: AlphaVantageClient, time: MarketTime, daily_requests: u32) -> Self {
        // The day's requests are counted in the database: the news share them.
        let limits = GateLimits {
            daily_budget: None,
            ..GateLimits::of(Vendor::AlphaVantage)
        };
        Self {
            client,
            gate: Gate::new(Vendor::AlphaVantage.name(), time, limits),
            daily_requests,
            stood_in_at: None,
            next: 0,
        }
    }
}

impl Ingestor {
    /// While the first vendor has been away for long in an open session: asks the second one for one ticker after
    /// the other, as many as the day's requests allow when one for each after the close is set aside. Returns the bars
    /// that were stored for the first time.
    ///
    /// # Errors
    /// [`IngestError::Storage`] when the database is lost.
    pub async fn stand_in(&mut self) -> Result<u64, IngestError> {
        let now = self.source.time.now();
        let Some(session) = self
            .source
            .calendar
            .session_at(now)
            .filter(|_| self.is_shut_for_long(now))
        else {
            return Ok(0);
        };
        let Some(second) = &mut self.second else {
            return Ok(0);
        };
        let spent = storage::requests_spent(&self.book.pool, SOURCE, now.date_naive()).await?;
        let left = second.daily_requests.saturating_sub(spent);
        // A clock that was set back must not put it off for long.
        let since = second.stood_in_at.map(|last| (now - last).abs());
        let due = due(left, self.book.tickers.len(), session.close - now, since);
        if due == 0 {
            return Ok(0);
        }
        second.stood_in_at = Some(now);
        let first = second.next;
        second.next = first.wrapping_add(due);
        let states = self.book.tickers.iter().cycle();
        let wanted: Vec<(Ticker, DateTime<Utc>)> = states
            .skip(first % self.book.tickers.len())
            .take(due)
            .map(|state| {
                let next = state.last_start.map(|last| last + TimeDelta::minutes(1));
                let from = next.unwrap_or(session.open).max(session.open);
                (state.ticker.clone(), from)
            })
            .collect();
        let mut inserted = 0;
        for (ticker, from) in wanted {
            match self.fetch_second(&ticker, &[(from, session.close)]).await? {
                Some(bars) => inserted += bars,
                None => break,
            }
        }
        Ok(inserted)
    }

    /// Asks the second vendor about gaps (`due`) that are still open and that the first one has nothing for (`asked`),
    /// or is away for long. Returns the bars that were stored for the first time.
    pub(crate) async fn ask_second_source_for(
        &mut self,
        due: &[Gap],
        asked: &[Gap],
    ) -> Result<u64, IngestError> {
        if self.second.is_none() {
            return Ok(0);
        }
        let now = self.source.time.now();
        let shut_since = self.shut_since.filter(|_| self.is_shut_for_long(now));
        let same = |a: &Gap, b: &Gap| a.ticker == b.ticker && a.start == b.start;
        let open: Vec<Gap> = storage::open_gaps(&self.book.pool)
            .await?
            .into_iter()
            .filter(|gap| due.iter().any(|due| same(due, gap)))
            .filter(|gap| shut_since.is_some() || asked.iter().any(|asked| same(asked, gap)))
            .collect();
        // Of the outage that goes on, for which the day's requests are kept.
        let is_fresh = |gap: &&Gap| shut_since.is_some_and(|since| since < gap.end);
        let mut wanted = by_need(&open);
        wanted.sort_by_key(|(_, gaps)| !gaps.iter().any(is_fresh));
        let part_for_gaps = self
            .second
            .as_ref()
            .map(|second| (second.daily_requests / PART_FOR_GAPS).max(1));
        let mut inserted = 0;
        for (ticker, gaps) in wanted {
            // An answer holds one month: that of the newest gap.
            let Some(newest) = gaps.iter().map(|gap| gap.end).max() else {
                continue;
            };
            let pool = &self.book.pool;
            if !gaps.iter().any(is_fresh)
                && storage::spend_request(pool, GAPS, now.date_naive(), part_for_gaps)
                    .await?
                    .is_none()
            {
                break;
            }
            let month = |time: DateTime<Utc>| time.format("%Y-%m").to_string();
            let periods: Vec<_> = gaps
                .iter()
                .filter(|gap| month(gap.start) == month(newest))
                .map(|gap| (gap.start, gap.end))
                .collect();
            match self.fetch_second(&ticker, &periods).await? {
                Some(bars) => inserted += bars,
                None => break,
            }
        }
        Ok(inserted)
    }

    fn is_shut_for_long(&self, now: DateTime<Utc>) -> bool {
        let minutes = i64::from(self.source.settings.second_source_after_minutes);
        self.shut_since
            .is_some_and(|since| now - since >= TimeDelta::minutes(minutes))
    }

    /// Fetches and stores one ticker's bars with `from <= start < to` of one of the periods, all of one month. Returns
    /// those stored for the first time; `None` when this vendor, too, is to be left alone.
    async fn fetch_second(
        &mut self,
        ticker: &Ticker,
        periods: &[(DateTime<Utc>, DateTime<Utc>)],
    ) -> Result<Option<u64>, IngestError> {
        let (Some(second), Some((first, _))) = (&self.second, periods.first()) else {
            return Ok(None);
        };
        let Ok(turn) = second.gate.turn().await else {
            return Ok(None);
        };
        let now = self.source.time.now();
        let allowance = Some(second.daily_requests);
        let pool = &self.book.pool;
        if storage::spend_request(pool, SOURCE, now.date_naive(), allowance)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let request = MonthRequest {
            ticker: ticker.clone(),
            // A session lies within one UTC date, the same as New York's.
            month_of: first.date_naive(),
            as_of: now,
            grace: self.source.settings.grace(),
        };
        let asking = second.client.intraday_bars(&request, self.source.calendar);
        let answer = asking.await;
        second.gate.note(&answer);
        drop(turn);
        let fetched = match answer {
            Ok(fetched) => fetched,
            Err(error) => {
                tracing::warn!(
                    instrument.symbol = ticker.as_str(),
                    "the second source does not help: {error}"
                );
                let goes_on = matches!(
                    error,
                    VendorError::NoData { .. } | VendorError::UnknownSymbol { .. }
                );
                return Ok(goes_on.then_some(0));
            }
        };
        let wanted = |bar: &Bar| {
            let mut periods = periods.iter();
            periods.any(|(from, to)| (*from..*to).contains(&bar.start))
        };
        let bars: Vec<Bar> = fetched.closed.into_iter().filter(wanted).collect();
        let state = self
            .book
            .tickers
            .iter()
            .find(|state| state.ticker == *ticker);
        // Yahoo's own prices are the measure, and stay it. These are as they were traded.
        let known =
            storage::actions_since(pool, std::slice::from_ref(ticker), now - LONGEST_MONTH).await?;
        let in_effect = known
            .iter()
            .filter(|row| row.in_effect && row.removed_at.is_none());
        let changes = changes_of(in_effect.map(|row| &row.action));
        let present = bars
            .iter()
            .map(|bar| brought_to(bar, bar.close_time(), now, &changes));
        let mut steps: StepGuard = state.map(|state| state.steps.clone()).unwrap_or_default();
        let judged = steps.judge(present.collect());
        let refused: Vec<_> = judged
            .refused
            .iter()
            .map(|(bar, step)| step.refuse(SOURCE, ticker, bar))
            .collect();
        if !refused.is_empty() {
            storage::quarantine(&self.book.pool, &refused, now).await?;
        }
        let is_refused = |bar: &Bar| {
            judged
                .refused
                .iter()
                .any(|(other, _)| other.start == bar.start)
        };
        let bars: Vec<VendorBar> = bars
            .into_iter()
            .filter(|bar| !is_refused(bar))
            .map(|bar| VendorBar {
                ticker: ticker.clone(),
                bar,
                source: SOURCE,
                // As traded: no split is in it, later ones are still to be applied, and any bar of Yahoo's is newer.
                fetched_at: bar.close_time(),
            })
            .collect();
        if bars.is_empty() {
            return Ok(Some(0));
        }
        let counts = storage::upsert_bars(&self.book.pool, &bars).await?;
        if counts.inserted > 0 {
            tracing::info!(
                instrument.symbol = ticker.as_str(),
                bars = counts.inserted,
                "{} bars of {ticker} come from the second source",
                counts.inserted
            );
        }
        Ok(Some(counts.inserted))
    }
}

/// How many tickers to ask for now: what is left of the day's requests, when one for each ticker is set aside for the time
/// after the close, is spread over what is left of the session. `since` is the time since the last were asked for.
fn due(
    requests_left: u32,
    tickers: usize,
    session_left: TimeDelta,
    since: Option<TimeDelta>,
) -> usize {
    let left = usize::try_from(requests_left).unwrap_or(usize::MAX);
    let spare = i32::try_from(left.saturating_sub(tickers)).unwrap_or(i32::MAX);
    if spare == 0 || tickers == 0 {
        return 0;
    }
    let Some(since) = since else {
        return 1;
    };
    if since < SHORTEST_INTERVAL {
        return 0;
    }
    let pace = (session_left / spare).num_milliseconds().max(1);
    usize::try_from(since.num_milliseconds() / pace).map_or(0, |due| due.min(tickers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests in a session of which the vendor is away from the start, asked each minute.
    fn asked(daily_requests: u32, tickers: usize) -> u32 {
        let (mut spent, mut last) = (0, None);
        for minute in 0..390 {
            let since = last.map(|last| TimeDelta::minutes(minute - last));
            let left = TimeDelta::minutes(390 - minute);
            let due = due(daily_requests - spent, tickers, left, since);
            assert!(due <= tickers);
            if due > 0 {
                last = Some(minute);
            }
            spent += u32::try_from(due).unwrap();
        }
        spent
    }

    #[test]
    fn requests_are_spread_over_the_outage_and_one_for_each_stock_is_kept_for_the_close() {
        assert_eq!(asked(25, 20), 5);
        assert!((15..=20).contains(&asked(25, 5)), "{}", asked(25, 5));
        assert_eq!(asked(20, 20), 0);
        assert_eq!(asked(25, 0), 0);
        // A large plan is asked for all of them each minute.
        assert!(asked(100_000, 20) > 388 * 20);
        let left = TimeDelta::minutes(390);
        assert_eq!(due(25, 20, left, None), 1, "at once");
        assert_eq!(due(25, 20, left, Some(TimeDelta::minutes(77))), 0);
        assert_eq!(due(25, 20, left, Some(TimeDelta::minutes(78))), 1);
        assert_eq!(due(100_000, 20, left, Some(TimeDelta::seconds(59))), 0);
    }
}
