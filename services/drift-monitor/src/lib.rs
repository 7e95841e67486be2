#![doc = include_str!("../README.md")]

mod champion;
mod episode;
mod findings;
mod hysteresis;
mod inputs;
mod load;
mod look;
mod market;
mod outcomes;
mod places;
mod prices;
#[cfg(test)]
mod real_weeks;
mod schedule;
mod settings;
mod shadow;

use alerts::Alerts;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Ticker;
use service_kit::Clock;
use storage::PgPool;

pub use self::{look::Look, outcomes::Resolved, places::Places, settings::DriftSettings};

/// Predictions without an outcome are looked at this often, market time.
const RESOLVE_EVERY: TimeDelta = TimeDelta::minutes(5);

/// How far back the first look at them reaches: what was missed while no monitor ran.
const FIRST_REACH: TimeDelta = TimeDelta::days(30);

/// The longest weekend, holidays included: added to what later looks reach back.
const LONGEST_WEEKEND: TimeDelta = TimeDelta::days(4);

/// Watches how the champions do.
pub struct DriftMonitor {
    settings: DriftSettings,
    places: Places,
    tickers: Vec<Ticker>,
    pool: PgPool,
    alerts: Alerts,
    /// Whether the predictions of the time without a monitor have been looked at.
    caught_up: bool,
}

impl DriftMonitor {
    /// A monitor of these stocks.
    pub fn new(
        settings: DriftSettings,
        places: Places,
        tickers: Vec<Ticker>,
        pool: PgPool,
        alerts: Alerts,
    ) -> Self {
        Self {
            settings,
            places,
            tickers,
            pool,
            alerts,
            caught_up: false,
        }
    }

    /// Resolves outcomes and looks at the champions whenever it is time, until it is dropped. What fails is logged and
    /// tried again at the next time.
    pub async fn run(mut self, clock: &Clock) {
        let calendar = calendar::nyse();
        let mut looked = None;
        loop {
            let now = clock.now();
            if let Err(error) = self.resolve(now).await {
                tracing::error!(error = format!("{error:#}"), "failed to resolve outcomes");
            }
            let due = schedule::latest(now, &self.settings, calendar);
            if let Some(time) = due
                && looked.is_none_or(|looked| looked < time)
            {
                match self.look(time).await {
                    Ok(_) => looked = Some(time),
                    Err(error) => {
                        tracing::error!(
                            error = format!("{error:#}"),
                            "failed to look at the champions"
                        );
                    }
                }
            }
            let next = schedule::next(now, &self.settings, calendar);
            let soon = clock.now() + RESOLVE_EVERY;
            clock
                .sleep_until(next.map_or(soon, |next| next.min(soon)))
                .await;
        }
    }

    /// Stores what came of predictions whose barriers have been touched by `as_of` (UTC, market clock).
    ///
    /// # Errors
    /// When the database is lost, or the models' folder cannot be read.
    pub async fn resolve(&mut self, as_of: DateTime<Utc>) -> anyhow::Result<Resolved> {
        let reach = if self.caught_up {
            self.settings.give_up() + LONGEST_WEEKEND
        } else {
            FIRST_REACH
        };
        let label_settings = self.places.label_settings()?;
        let resolved = outcomes::resolve(
            &self.pool,
            &label_settings,
            as_of - reach,
            as_of,
            &self.settings,
            calendar::nyse(),
        )
        .await?;
        self.caught_up = true;
        if resolved.stored > 0 {
            tracing::info!(
                outcomes = resolved.stored,
                waiting = resolved.waiting,
                "outcomes of predictions are known"
            );
        }
        for (reason, bars) in &resolved.given_up {
            tracing::debug!(bars, reason, "bars without an outcome");
        }
        Ok(resolved)
    }
}
