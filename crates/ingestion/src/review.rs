//! What is done when a session is over: the week fetched once more, gaps mended, volumes checked.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::{StreamExt, stream};
use market_data::MAX_SPAN;
use storage::SessionVolume;

use crate::{
    GapReport, IngestError, Ingestor, PollReport, QualityChecks, QualitySettings,
    check_daily_volume, check_volumes,
};

/// Tickers whose volumes are summed up in one query.
const BATCH: usize = 50;

/// What a review did.
#[derive(Debug, Default)]
pub struct ReviewReport {
    /// The bars of the last week, fetched once more.
    pub refetched: PollReport,
    /// Holes.
    pub gaps: GapReport,
    /// Findings on volumes not known before.
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
        Ok(ReviewReport {
            refetched: self.refetch(week_ago).await?,
            gaps: self.mend_gaps().await?,
            findings: self.check_quality(quality).await?,
        })
    }

    /// Checks the volumes of the sessions that are over and writes down what looks wrong. What was found before on
    /// sessions of the last week, whose bars come late and are revised, and is not any more, is withdrawn. Returns how
    /// many findings are new.
    ///
    /// # Errors
    /// [`IngestError::Storage`] when the database is lost.
    pub async fn check_quality(&self, settings: &QualitySettings) -> Result<u64, IngestError> {
        let now = self.source.time.now();
        let sessions = self.settled_sessions(now);
        let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else {
            return Ok(0);
        };
        let calendar = self.source.calendar;
        let minutes = |volume: &SessionVolume| {
            calendar
                .session_on(volume.session)
                .map_or(0, |session| session.minutes())
        };
        let mut fresh = 0;
        for tickers in self.tickers().chunks(BATCH) {
            let volumes =
                storage::session_volumes(&self.book.pool, tickers, first.open, last.close).await?;
            let by_ticker: Vec<&[SessionVolume]> =
                volumes.chunk_by(|a, b| a.ticker == b.ticker).collect();
            let of_minutes = by_ticker
                .iter()
                .map(|volumes| check_volumes(volumes, minutes, settings, now));
            let mut checks: Vec<QualityChecks> = of_minutes.collect();
            let comparisons = by_ticker
                .into_iter()
                .map(|volumes| self.compare_with_days(volumes, settings, now));
            let compared: Vec<QualityChecks> = stream::iter(comparisons)
                .buffered(self.source.settings.concurrency)
                .collect()
                .await;
            checks.extend(compared);
            let (findings, sound): (Vec<_>, Vec<_>) = checks
                .into_iter()
                .map(|checks| (checks.findings, checks.sound))
                .unzip();
            let (findings, mut sound) = (findings.concat(), sound.concat());
            sound.retain(|check| check.session >= week_ago(now));
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
                "{fresh} new findings on the volumes of stored bars: see table data_quality_finding"
            );
        }
        Ok(fresh)
    }

    /// One ticker's sessions of the last week beside the vendor's own daily volumes, as far as it gives them.
    async fn compare_with_days(
        &self,
        volumes: &[SessionVolume],
        settings: &QualitySettings,
        now: DateTime<Utc>,
    ) -> QualityChecks {
        let mut checks = QualityChecks::default();
        let recent: Vec<&SessionVolume> = volumes
            .iter()
            .filter(|volume| volume.session >= week_ago(now))
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
                check_daily_volume(volume, day.volume, settings, now, &mut checks);
            }
        }
        checks
    }
}

/// First day whose bars may still change, UTC date.
fn week_ago(now: DateTime<Utc>) -> NaiveDate {
    (now - MAX_SPAN).date_naive()
}
