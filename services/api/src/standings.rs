//! How the champions' rules have fared: judged anew with every outcome that `drift-monitor` writes down, and shown beside
//! the newest analyses at once.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Direction, ModelId, Policy, Standing};
use inference::Champions;
use service_kit::Clock;
use storage::{Channel, Listener, PgPool, resolved_signals};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    board::Board,
    body::{AnalysisBody, ModelOutputsBody},
    champions::Models,
};

/// Signals are few: a long memory takes a fraction of a second.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What is older was another market.
const MEMORY: TimeDelta = TimeDelta::days(60);

/// A lost notice costs this much time.
const LONGEST_INTERVAL: Duration = Duration::from_secs(600);

/// A pair of models, the LSTM first, with the standings of its buys and its sells, in the order of [`Direction::ALL`];
/// nothing before the first look.
///
/// Another pair starts anew: what the one has earned says nothing of the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standings(Option<([ModelId; 2], [Standing; 2])>);

impl Standings {
    /// How the signals of these models in a direction have fared; as if they had never spoken before the first look.
    pub(crate) fn of(&self, models: [&ModelId; 2], direction: Direction) -> Standing {
        match &self.0 {
            Some((known, [up, down])) if known.each_ref() == models => match direction {
                Direction::Up => up.clone(),
                Direction::Down => down.clone(),
            },
            _ => Standing::of(direction, &[], 0.0),
        }
    }

    /// Of the buys and the sells of the pair that was looked at last.
    pub(crate) fn both(&self) -> Option<&[Standing; 2]> {
        self.0.as_ref().map(|(_, standings)| standings)
    }

    /// How the signal of a newest analysis stands now; none for a hold.
    fn of_analysis(&self, analysis: &AnalysisBody) -> Option<Standing> {
        let ModelOutputsBody { lstm, transformer } = &analysis.predictions;
        let direction = analysis.recommendation.action.direction()?;
        Some(self.of([&lstm.model_id, &transformer.model_id], direction))
    }
}

/// Who keeps them.
#[derive(Clone)]
pub(crate) struct StandingKeeper {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) policy: Policy,
    pub(crate) board: Arc<Board>,
    pub(crate) models: watch::Receiver<Models>,
    pub(crate) standings: watch::Sender<Standings>,
}

impl StandingKeeper {
    /// Looks at what came of the champions' signals when there is something new, until the token is cancelled. Without a
    /// database the standings stay as they are.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut listener = Listener::new(&self.pool, &[Channel::OutcomesStored]);
        let mut ticks = tokio::time::interval(LONGEST_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(()) = self.models.changed() => (),
                // The first is that of the connection.
                _ = listener.next() => (),
                _ = ticks.tick() => (),
            }
            let Some(champions) = self.models.borrow_and_update().champions.clone() else {
                continue;
            };
            match self.look(&champions).await {
                Ok(standings) => {
                    failing = false;
                    self.standings.send_replace(standings.clone());
                    self.board
                        .publish_standings(|analysis| standings.of_analysis(analysis));
                }
                Err(error) if !failing => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the rules' standings stay as they are: what came of their signals cannot be read"
                    );
                    failing = true;
                }
                Err(_) => (),
            }
        }
    }

    async fn look(&self, champions: &Champions) -> anyhow::Result<Standings> {
        let now: DateTime<Utc> = self.clock.now();
        let models = [champions.lstm.id(), champions.transformer.id()];
        let label_settings = champions.lstm.manifest().label_settings();
        let read = resolved_signals(&self.pool, Some(models), &label_settings, now - MEMORY, now);
        let signals = tokio::time::timeout(READ_TIMEOUT, read)
            .await
            .context("no answer from the database")?
            .context("the outcomes of signals cannot be read")?;
        let cost_bps = self.policy.round_trip_cost_bps;
        let judge = move || Direction::ALL.map(|it| Standing::of(it, &signals, cost_bps));
        let standings = tokio::task::spawn_blocking(judge)
            .await
            .context("judging the signals panicked")?;
        Ok(Standings(Some((models.map(ModelId::clone), standings))))
    }
}
