//! What is done when a session is over: the week fetched once more, gaps mended, prices and volumes checked.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::Ticker;
use futures_util::{StreamExt, stream};
use market_data::MAX_SPAN;
use storage::{Finding, SessionVolume};

use crate::{
    GapReport, IngestError, Ingestor, PollReport, QualityChecks, QualitySettings,
    check_daily_volume, check_volumes,
    quality::{DAILY_VOLUME, SESSION_CHECKS, SESSION_VOLUME},
};

/// How far back a finding is looked at again, however old it is.
const OLDEST_FINDING: Days = Days::new(400);

/// What a session is measured by begins this long before it: sessions before, weekends and holidays included.
const MEASURED_BY: Days = Days::new(45);

/// Tickers whose volumes are summed up in one query.
const BATCH: usize = 50;

/// What a review did.
#[derive(Debug, Default)]
pub struct ReviewReport {
    /// The bars of the last week, fetched once more.
    pub refetched: PollReport,
    /// Holes.
    pub gaps: GapReport,
    /// Findings on prices and volumes not known before.
    pub findings: u64,
}

impl ReviewReport {
    /// Whether nothing is left to try again soon.
    pub fn is_complete(&self) -> bool {
        self.refetched.is_complete() && !self.gaps.is_incomplete
    }
}

impl Ingestor {
    /// Looks at the sessions that are over: fetches the last week once more, which takes in what came late, what the
    /// vendor has revised, and its own bars in place of the second source's; then mends gaps and checks volumes. Any
    /// number of times is the same as once.
    ///
    /// # Errors
    /// [`IngestError::Storage`] when the database is lost.
    pub async fn review(&mut self, quality: &QualitySettings) -> Result<ReviewReport, IngestError> {
        let week_ago = self.source.time.now() - MAX_SPAN;
        let refetched = self.refetch(week_ago).await?;
        let answered = self.answered(&refetched);
        Ok(ReviewReport {
            refetched,
            gaps: self.mend_gaps_after(&answered).await?,
            findings: self.check_quality(quality).await?,
        })
    }

    /// Checks prices and volumes of the sessions that are over and writes down what looks wrong. What was found before and
    /// is not any more, since bars came late or were revised or an action became known, is withdrawn, however old it is.
    /// Returns how many findings are new.
    ///
    /// # Errors
    /// [`IngestError::Storage`] when the database is lost.
    pub async fn check_quality(&self, settings: &QualitySettings) -> Result<u64, IngestError> {
        let now = self.source.time.now();
        let settled = self.settled_sessions(now);
        let (Some(first), Some(last)) = (settled.first(), settled.last()) else {
            return Ok(0);
        };
        let standing = self.standing_findings(now).await?;
        let calendar = self.source.calendar;
        let minutes = |volume: &SessionVolume| {
            calendar
                .session_on(volume.session)
                .map_or(0, |session| session.minutes())
        };
        let mut fresh = 0;
        // Most are looked at since the same day: few statements.
        let mut since: BTreeMap<NaiveDate, Vec<Ticker>> = BTreeMap::new();
        for ticker in self.tickers() {
            let day = looked_at_since(first.date, &ticker, &standing);
            since.entry(day).or_default().push(ticker);
        }
        let batches = since
            .iter()
            .flat_map(|(day, tickers)| tickers.chunks(BATCH).map(|tickers| (*day, tickers)));
        for (day, tickers) in batches {
            let sessions = calendar.sessions(day, last.date);
            let from = sessions.first().map_or(first.open, |session| session.open);
            let volumes =
                storage::session_volumes(&self.book.pool, tickers, from, last.close).await?;
            let by_ticker: Vec<&[SessionVolume]> =
                volumes.chunk_by(|a, b| a.ticker == b.ticker).collect();
            let of_minutes = by_ticker
                .iter()
                .map(|volumes| check_volumes(volumes, minutes, settings, now));
            let mut checks: Vec<QualityChecks> = of_minutes.collect();
            let comparisons = by_ticker
                .into_iter()
                .map(|volumes| self.compare_with_days(volumes, &standing, settings, now));
            let compared: Vec<QualityChecks> = stream::iter(comparisons)
                .buffered(self.source.settings.concurrency)
                .collect()
                .await;
            checks.extend(compared);
            let (findings, sound): (Vec<_>, Vec<_>) = checks
                .into_iter()
                .map(|checks| (checks.findings, checks.sound))
                .unzip();
            let (mut findings, mut sound) = (findings.concat(), sound.concat());
            // What an old session is measured by must be whole to say anything about it.
            let is_whole = |ticker: &Ticker, session: NaiveDate| {
                sessions_before(&volumes, ticker, session) >= settings.usual_sessions
            };
            sound.retain(|sound| {
                sound.check != SESSION_VOLUME
                    || sound.session >= week_ago(now)
                    || is_whole(&sound.ticker, sound.session)
            });
            findings.retain(|finding| {
                finding.check != SESSION_VOLUME
                    || finding.session >= first.date
                    || is_whole(&finding.ticker, finding.session)
            });
            let new = storage::store_findings(&self.book.pool, &findings).await?;
            let withdrawn = storage::withdraw_findings(&self.book.pool, &sound, now).await?;
            if withdrawn > 0 {
                tracing::info!(withdrawn, "{withdrawn} findings no longer hold");
            }
            fresh += new;
            if new > 0 {
                for finding in &findings {
                    tracing::debug!(
                        instrument.symbol = finding.ticker.as_str(),
                        session = %finding.session,
                        check = finding.check,
                        "{} on {}: {}",
                        finding.ticker,
                        finding.session,
                        finding.detail
                    );
                }
            }
        }
        if fresh > 0 {
            tracing::warn!(
                findings = fresh,
                "{fresh} new findings on stored bars: see table data_quality_finding"
            );
        }
        Ok(fresh)
    }

    /// The findings that stand, but for those that are too old.
    async fn standing_findings(&self, now: DateTime<Utc>) -> Result<Vec<Finding>, IngestError> {
        let today = now.date_naive();
        let oldest = today.checked_sub_days(OLDEST_FINDING).unwrap_or(today);
        Ok(storage::findings_between(&self.book.pool, None, oldest, today).await?)
    }

    /// One ticker's sessions of the last week, and those with a finding, beside the vendor's own daily volumes, as far as
    /// it gives them.
    async fn compare_with_days(
        &self,
        volumes: &[SessionVolume],
        standing: &[Finding],
        settings: &QualitySettings,
        now: DateTime<Utc>,
    ) -> QualityChecks {
        let mut checks = QualityChecks::default();
        let was_found = |volume: &SessionVolume| {
            standing.iter().any(|finding| {
                finding.check == DAILY_VOLUME
                    && finding.session == volume.session
                    && finding.ticker == volume.ticker
            })
        };
        let recent: Vec<&SessionVolume> = volumes
            .iter()
            .filter(|volume| volume.session >= week_ago(now) || was_found(volume))
            .collect();
        let (Some(first), Some(last)) = (recent.first(), recent.last()) else {
            return checks;
        };
        let source = &self.source;
        let Ok(_turn) = source.gate.turn().await else {
            return checks;
        };
        let request =
            source
                .vendor
                .daily_bars(&first.ticker, first.session, last.session, source.calendar);
        let timeout: Duration = source.settings.request_timeout();
        let Ok(answer) = tokio::time::timeout(timeout, request).await else {
            return checks;
        };
        source.gate.note(&answer);
        let days = answer.unwrap_or_else(|error| {
            tracing::debug!(
                instrument.symbol = first.ticker.as_str(),
                "no daily volumes to compare with: {error}"
            );
            Vec::new()
        });
        for volume in recent {
            if let Some(day) = days.iter().find(|day| day.session == volume.session) {
                check_daily_volume(volume, day, settings, now, &mut checks);
            }
        }
        checks
    }
}

/// The day since when a ticker's sessions are looked at: usually the first of late, else that from which on its oldest
/// finding is measured.
fn looked_at_since(first: NaiveDate, ticker: &Ticker, standing: &[Finding]) -> NaiveDate {
    let mine = standing
        .iter()
        .filter(|finding| finding.ticker == *ticker)
        .filter(|finding| SESSION_CHECKS.contains(&finding.check.as_str()));
    let oldest = mine.map(|finding| finding.session).min();
    let measured = oldest.and_then(|oldest| oldest.checked_sub_days(MEASURED_BY));
    measured.map_or(first, |measured| measured.min(first))
}

/// How many sessions of the ticker lie before one.
fn sessions_before(volumes: &[SessionVolume], ticker: &Ticker, session: NaiveDate) -> usize {
    let before = volumes
        .iter()
        .filter(|volume| volume.ticker == *ticker && volume.session < session);
    before.count()
}

/// First day whose bars may still change, UTC date.
fn week_ago(now: DateTime<Utc>) -> NaiveDate {
    (now - MAX_SPAN).date_naive()
}
