#![doc = include_str!("../README.md")]

mod settings;

use std::{collections::BTreeMap, error::Error, fmt};

use chrono::{NaiveDate, TimeDelta};
use domain::SeriesId;
use ingestion::{IngestError, MarketTime};
use market_data::{
    FredClient, FredObservation, Gate, GateClosed, GateLimits, Vendor, VendorConnection,
    VendorError, VendorKeys,
};
use service_kit::Clock;
use storage::{ObservationCounts, PgPool};

pub use self::settings::EconomySettings;

/// After a look in which a series gave nothing the next one comes after this span of market time, twice as long each
/// time in a row.
const FIRST_RETRY: TimeDelta = TimeDelta::minutes(5);

/// Days before the last look for which vintages are asked for again: FRED may date one back.
const OVERLAP: TimeDelta = TimeDelta::days(14);

/// Follows the economic series.
pub struct MacroIngestor {
    client: FredClient,
    gate: Gate,
    pool: PgPool,
    clock: Clock,
    series: Vec<SeriesId>,
    from: NaiveDate,
    interval: TimeDelta,
    /// The day (UTC, market clock) up to which all vintages of a series are stored.
    complete_to: BTreeMap<SeriesId, NaiveDate>,
    /// What was last said of a series in the log.
    complaints: BTreeMap<SeriesId, String>,
    key_is_refused: bool,
}

/// What came of a look at all series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookReport {
    /// Observations by what became of them.
    pub counts: ObservationCounts,
    /// Series that gave nothing, for a reason that is in the log.
    pub failed: Vec<SeriesId>,
    /// How many of these may give something if asked again soon.
    pub worth_retrying: usize,
}

/// Why a series gave nothing.
#[derive(Debug)]
enum Trouble {
    Vendor(VendorError),
    Closed(GateClosed),
    Database(IngestError),
}

impl MacroIngestor {
    /// Sets up the client. With a key all vintages are fetched, else the newest values.
    ///
    /// # Errors
    /// When the connection to FRED cannot be set up.
    pub fn new(
        settings: &EconomySettings,
        connection: &VendorConnection,
        keys: &VendorKeys,
        pool: PgPool,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let (now, speed) = (clock.clone(), clock.clone());
        let time = MarketTime::new(move || now.now(), move || speed.speed());
        Ok(Self {
            client: FredClient::new(connection, keys.fred.clone())?,
            gate: Gate::new(Vendor::Fred.name(), time, GateLimits::of(Vendor::Fred)),
            pool,
            clock,
            series: settings.series(),
            from: settings.from(),
            interval: settings.interval(),
            complete_to: BTreeMap::new(),
            complaints: BTreeMap::new(),
            key_is_refused: false,
        })
    }

    /// Looks at all series again and again until it is dropped.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let report = self.look().await;
            let pause = if report.worth_retrying > 0 {
                FIRST_RETRY * 2_i32.pow(failures)
            } else {
                self.interval
            };
            failures = if report.worth_retrying > 0 {
                (failures + 1).min(10)
            } else {
                0
            };
            self.clock
                .sleep_until(self.clock.now() + pause.min(self.interval))
                .await;
        }
    }

    /// Looks at all series once. One that fails does not hold up the others.
    pub async fn look(&mut self) -> LookReport {
        let mut report = LookReport::default();
        for series in self.series.clone() {
            match self.take_in(&series).await {
                Ok(ObservationCounts {
                    new_periods,
                    revisions,
                    unchanged,
                }) => {
                    report.counts.new_periods += new_periods;
                    report.counts.revisions += revisions;
                    report.counts.unchanged += unchanged;
                    if self.complaints.remove(&series).is_some() {
                        tracing::info!(series = series.as_str(), "{series} is answered again");
                    }
                }
                Err(trouble) => {
                    report.worth_retrying += usize::from(trouble.may_pass());
                    self.complain(&series, &trouble);
                    report.failed.push(series);
                }
            }
        }
        let ObservationCounts {
            new_periods,
            revisions,
            ..
        } = report.counts;
        if new_periods + revisions > 0 {
            tracing::info!(
                new_periods,
                revisions,
                "economic series: {new_periods} new periods, {revisions} further vintages"
            );
        }
        report
    }

    async fn take_in(&mut self, series: &SeriesId) -> Result<ObservationCounts, Trouble> {
        let today = self.clock.now().date_naive();
        let vintages = if self.client.has_key() {
            self.vintages(series).await?
        } else {
            None
        };
        let is_complete = vintages.is_some();
        let mut observations = match vintages {
            Some(vintages) => vintages,
            None => self.ask(self.client.graph(series)).await?,
        };
        observations.retain(|observation| observation.period >= self.from);
        let counts = ingestion::store_economy(&self.pool, &observations, self.clock.now())
            .await
            .map_err(Trouble::Database)?;
        if is_complete {
            self.key_is_refused = false;
            self.complete_to.insert(series.clone(), today);
        }
        Ok(counts)
    }

    /// All vintages, or those since the last look. `None` when the key is refused: better the values alone than nothing
    /// until somebody mends it, and their vintages come in then.
    async fn vintages(
        &mut self,
        series: &SeriesId,
    ) -> Result<Option<Vec<FredObservation>>, Trouble> {
        let answer = match self.complete_to.get(series) {
            None => self.ask(self.client.observations(series)).await,
            Some(day) => {
                self.ask(self.client.observations_since(series, *day - OVERLAP))
                    .await
            }
        };
        match answer {
            Err(Trouble::Vendor(error @ VendorError::KeyRefused { .. })) => {
                self.say_key_is_refused(&error);
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }

    /// Asks when it is our turn.
    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, VendorError>>,
    ) -> Result<T, Trouble> {
        let _turn = self.gate.turn().await.map_err(Trouble::Closed)?;
        let answer = question.await;
        self.gate.note(&answer);
        answer.map_err(Trouble::Vendor)
    }

    fn say_key_is_refused(&mut self, error: &VendorError) {
        if !self.key_is_refused {
            let remedy = error.remedy();
            tracing::error!(
                remedy,
                "{error}; going on with the newest values, without vintages"
            );
        }
        self.key_is_refused = true;
    }

    /// Says once what is wrong with a series.
    fn complain(&mut self, series: &SeriesId, trouble: &Trouble) {
        let complaint = trouble.to_string();
        if self.complaints.get(series) == Some(&complaint) {
            return;
        }
        let name = series.as_str();
        match trouble {
            Trouble::Vendor(error) if !error.is_retryable() => tracing::error!(
                series = name,
                cause = error.source(),
                remedy = error.remedy(),
                "{complaint}; the other series go on"
            ),
            Trouble::Vendor(error) => {
                tracing::warn!(
                    series = name,
                    cause = error.source(),
                    "{complaint}; trying again"
                );
            }
            // It closed because of failures that are in the log.
            Trouble::Closed(_) => (),
            Trouble::Database(error) => tracing::warn!(
                series = name,
                error = error as &dyn Error,
                "{name} cannot be stored; trying again"
            ),
        }
        if !matches!(trouble, Trouble::Closed(_)) {
            self.complaints.insert(series.clone(), complaint);
        }
    }
}

impl Trouble {
    const fn may_pass(&self) -> bool {
        match self {
            Self::Vendor(error) => error.is_retryable(),
            Self::Closed(_) | Self::Database(_) => true,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vendor(error) => error.fmt(formatter),
            Self::Closed(closed) => closed.fmt(formatter),
            Self::Database(error) => error.fmt(formatter),
        }
    }
}
