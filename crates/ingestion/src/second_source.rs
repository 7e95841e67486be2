//! Alpha Vantage in Yahoo's place. Its free plan has 25 requests a day, so that it is asked where it helps most: once
//! for each ticker after the close, more often only when the day's requests allow it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, Ticker};
use market_data::{
    AlphaVantageClient, Gate, GateLimits, MarketTime, MonthRequest, Vendor, VendorError,
};
use storage::{Gap, VendorBar};

use crate::{IngestError, Ingestor, gaps::by_need, steps::StepGuard};

/// Vendor of these bars, as stored with them.
const SOURCE: &str = "alpha_vantage";

/// Least time between two rounds for all tickers, in market time.
const SHORTEST_INTERVAL: TimeDelta = TimeDelta::minutes(1);

/// The vendor that is asked while the first one is away.
pub(crate) struct SecondSource {
    client: AlphaVantageClient,
    gate: Gate,
    daily_requests: u32,
    /// When all tickers were last asked for, market time, UTC.
    last_round: Option<DateTime<Utc>>,
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
            last_round: None,
        }
    }
}

impl Ingestor {
    /// While the first vendor has been away for long in an open session: asks the second one for all tickers, as often
    /// as the day's requests allow when those for a last round after the close are set aside. Returns the bars that
    /// were stored for the first time.
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
        let interval = interval(left, self.book.tickers.len(), session.close - now);
        let is_due = interval.is_some_and(|interval| {
            second
                .last_round
                .is_none_or(|last| (now - last).abs() >= interval)
        });
        if !is_due {
            return Ok(0);
        }
        second.last_round = Some(now);
        let mut wanted: Vec<(Ticker, DateTime<Utc>)> = self
            .book
            .tickers
            .iter()
            .map(|state| {
                let next = state.last_start.map(|last| last + TimeDelta::minutes(1));
                let from = next.unwrap_or(session.open).max(session.open);
                (state.ticker.clone(), from)
            })
            .collect();
        wanted.sort_by_key(|(_, from)| *from);
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
        let is_shut = self.is_shut_for_long(self.source.time.now());
        let same = |a: &Gap, b: &Gap| a.ticker == b.ticker && a.start == b.start;
        let open: Vec<Gap> = storage::open_gaps(&self.book.pool)
            .await?
            .into_iter()
            .filter(|gap| due.iter().any(|due| same(due, gap)))
            .filter(|gap| is_shut || asked.iter().any(|asked| same(asked, gap)))
            .collect();
        let mut inserted = 0;
        for (ticker, gaps) in by_need(&open) {
            // An answer holds one month: that of the newest gap.
            let Some(newest) = gaps.iter().map(|gap| gap.end).max() else {
                continue;
            };
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
        // Yahoo's own prices are the measure, and stay it.
        let mut steps: StepGuard = state.map(|state| state.steps.clone()).unwrap_or_default();
        let judged = steps.judge(bars, &[]);
        let refused: Vec<_> = judged
            .refused
            .iter()
            .map(|(bar, step)| step.refuse(SOURCE, ticker, bar))
            .collect();
        if !refused.is_empty() {
            storage::quarantine(&self.book.pool, &refused, now).await?;
        }
        let bars: Vec<VendorBar> = judged
            .accepted
            .into_iter()
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

/// How long to wait between two rounds for all tickers in what is left of a session, when one round is set aside for
/// the time after the close; `None` when there are no requests for any.
fn interval(requests_left: u32, tickers: usize, session_left: TimeDelta) -> Option<TimeDelta> {
    let tickers = u32::try_from(tickers).ok().filter(|tickers| *tickers > 0)?;
    let rounds = (requests_left / tickers).checked_sub(1)?;
    let rounds = i32::try_from(rounds).ok().filter(|rounds| *rounds > 0)?;
    Some((session_left / rounds).max(SHORTEST_INTERVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_plan_is_kept_for_the_close_and_a_larger_one_is_spread_over_the_session() {
        let left = TimeDelta::minutes(390);
        assert_eq!(interval(25, 20, left), None);
        assert_eq!(interval(25, 5, left), Some(left / 4));
        assert_eq!(interval(100_000, 20, left), Some(TimeDelta::minutes(1)));
        assert_eq!(interval(25, 0, left), None);
    }
}
