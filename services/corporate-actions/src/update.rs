//! One update, or one before each open.

use std::time::Duration;

use domain::{ShareChange, Ticker};
use ingestion::{ActionReport, MarketTime, update_corporate_actions};
use market_data::{Gate, YahooClient};
use service_kit::{Clock, Passing};
use storage::{ActionKind, PgPool, PipelineState, record_step_ticker};

use crate::schedule::next_update;

/// Between two tries when not all could be fetched or stored, in market time.
const RETRY_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Name of the night's step that this program is.
const STEP: &str = "corporate-actions";

/// What an update needs.
pub(crate) struct Updater {
    pub(crate) vendor: YahooClient,
    pub(crate) gate: Gate,
    pub(crate) pool: PgPool,
    pub(crate) time: MarketTime,
    pub(crate) clock: Clock,
    pub(crate) tickers: Vec<Ticker>,
}

impl Updater {
    /// Updates once.
    ///
    /// # Errors
    /// When the database is lost, or a ticker's actions could not be fetched, which may pass; the others' are stored
    /// then.
    pub(crate) async fn once(&self) -> anyhow::Result<()> {
        let report = self.update().await?;
        if let Some(run_id) = service_kit::run_id() {
            self.tell_the_night(run_id, &report).await?;
        }
        if !report.failed.is_empty() {
            let names = names(&report.failed);
            return Err(Passing(format!(
                "the actions of {names} were not fetched: run it again later"
            ))
            .into());
        }
        Ok(())
    }

    /// Writes down how each ticker fared in the night's run.
    async fn tell_the_night(&self, run_id: i64, report: &ActionReport) -> anyhow::Result<()> {
        for ticker in &self.tickers {
            let (state, message) = if report.failed.contains(ticker) {
                (PipelineState::Failed, "the vendor did not answer")
            } else if report.unknown.contains(ticker) {
                (PipelineState::Failed, "the vendor does not know it")
            } else {
                (PipelineState::Success, "")
            };
            let now = self.clock.now();
            record_step_ticker(&self.pool, run_id, STEP, ticker, state, message, now).await?;
        }
        Ok(())
    }

    /// Updates now and before each open, until it is dropped.
    ///
    /// # Errors
    /// When the calendar ends.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        loop {
            let is_done = match self.update().await {
                Ok(report) => report.failed.is_empty(),
                Err(error) => {
                    tracing::warn!("corporate actions were not updated, trying again: {error:#}");
                    false
                }
            };
            if !is_done {
                tokio::time::sleep(self.time.pause(RETRY_PAUSE)).await;
                continue;
            }
            let Some(next) = next_update(calendar::nyse(), self.clock.now()) else {
                anyhow::bail!(
                    "the calendar knows no further session: extend it, see crates/calendar"
                );
            };
            tracing::info!(until = %next, "nothing to do until {}", next.format("%Y-%m-%d %H:%M UTC"));
            self.clock.sleep_until(next).await;
        }
    }

    async fn update(&self) -> anyhow::Result<ActionReport> {
        let report = update_corporate_actions(
            &self.vendor,
            &self.gate,
            &self.pool,
            &self.time,
            &self.tickers,
        )
        .await?;
        log(&report);
        Ok(report)
    }
}

fn log(report: &ActionReport) {
    for change in &report.changes {
        let ticker = &change.action.ticker;
        let day = change.action.ex_date;
        let now = describe(change.action.change);
        match change.before {
            None => tracing::info!(instrument.symbol = %ticker, "{ticker}: {now} on {day} is new"),
            Some(before) => {
                let before = describe(before);
                tracing::info!(instrument.symbol = %ticker, "{ticker}: {before} on {day} is now {now}");
            }
        }
    }
    for action in &report.contradicted {
        let ticker = &action.ticker;
        tracing::warn!(
            instrument.symbol = %ticker,
            "{ticker}: {} on {} is reported, but prices go on across it: it is not applied, see table \
             data_quality_finding",
            describe(action.change),
            action.ex_date
        );
    }
    for row in &report.vanished {
        let ticker = &row.action.ticker;
        let day = row.action.ex_date;
        let kind = ActionKind::of(row.action.change);
        tracing::warn!(
            instrument.symbol = %ticker,
            "{ticker}: {} on {day} is no longer reported and goes on adjusting prices; if it never happened: \
             corporate-actions --remove {ticker} {day} {kind}",
            describe(row.action.change)
        );
    }
    tracing::info!(
        inserted = report.counts.inserted,
        changed = report.counts.changed,
        unchanged = report.counts.unchanged,
        unknown = names(&report.unknown),
        failed = names(&report.failed),
        "corporate actions updated: {} new, {} changed",
        report.counts.inserted,
        report.counts.changed
    );
}

fn describe(change: ShareChange) -> String {
    match change {
        ShareChange::Split { ratio } => format!("a split of {ratio} for 1"),
        ShareChange::SpinOff { ratio } => format!("a spin-off that divides prices by {ratio}"),
        ShareChange::Dividend { amount } => format!("a dividend of {amount} USD"),
    }
}

fn names(tickers: &[Ticker]) -> String {
    let names: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
    names.join(", ")
}
