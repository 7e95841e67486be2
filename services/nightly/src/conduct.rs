//! A night from its first step to its last.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use alerts::{Alert, Alerts};
use anyhow::Context;
use calendar::Session;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Ticker;
use service_kit::Clock;
use storage::{
    NightLock, PgPool, PipelineRun, PipelineState, PipelineStep, RetentionSettings, StorageError,
    Worker,
};
use tokio_util::sync::CancellationToken;

use crate::{
    child::{self, Ended, Order},
    cleanup, export, report,
    settings::NightlySettings,
    steps::{Step, Work},
};

/// How a night ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All is done, or was before.
    Done,
    /// A step failed for good.
    Failed,
    /// Steps are left, and nothing stands in their way.
    Unfinished,
    /// Another program runs a night.
    Busy,
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// Only this step, whatever its state.
    pub(crate) only: Option<Step>,
    /// Try again what failed for good.
    pub(crate) retry: bool,
    /// A new run, whatever the state of the last.
    pub(crate) again: bool,
    /// A training of demo size.
    pub(crate) quick: bool,
}

/// What a night needs.
pub(crate) struct Conductor {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) token: CancellationToken,
    pub(crate) settings: NightlySettings,
    /// How long data is kept.
    pub(crate) retention: RetentionSettings,
    pub(crate) alerts: Alerts,
    /// The session that the night follows.
    pub(crate) session: Session,
    /// What the networks may learn from ends here, UTC.
    pub(crate) training_end: DateTime<Utc>,
    /// Where the steps' programs are.
    pub(crate) programs: PathBuf,
    /// Where the nights' folders are.
    pub(crate) nights: PathBuf,
}

impl Conductor {
    /// Runs the night, or what is left of it.
    ///
    /// # Errors
    /// When the database stays away.
    pub(crate) async fn run(&self, wishes: Wishes) -> anyhow::Result<Ending> {
        let Some(mut lock) = self
            .insist(async || NightLock::take(&self.pool).await)
            .await?
        else {
            self.say_who_is_at_it().await?;
            return Ok(Ending::Busy);
        };
        let Some(run) = self.begin(&lock, wishes).await? else {
            return Ok(Ending::Done);
        };
        // Before, the run may have been killed just short of this.
        self.carry_out_requests(run.run_id).await?;
        let mut states: BTreeMap<Step, PipelineState> = Step::ALL
            .into_iter()
            .map(|step| {
                let state = run.step(step.name()).map(|row| row.state);
                (step, state.unwrap_or(PipelineState::Pending))
            })
            .collect();
        for step in Step::ALL {
            let state = states.get(&step).copied();
            if wishes.only.is_some_and(|only| only != step)
                || state.is_some_and(PipelineState::is_over)
            {
                continue;
            }
            let missing = step
                .needs()
                .iter()
                .find(|need| states.get(need) != Some(&PipelineState::Success));
            if let Some(need) = missing
                && wishes.only.is_none()
            {
                tracing::warn!(
                    step = step.name(),
                    "{} waits for {}",
                    step.name(),
                    need.name()
                );
                continue;
            }
            let Some(state) = self.step(&mut lock, run.run_id, step, wishes.quick).await? else {
                self.finish(&run, PipelineState::Pending).await?;
                tracing::info!(
                    run = run.run_id,
                    "interrupted: the next start goes on with {}",
                    step.name()
                );
                return Ok(Ending::Unfinished);
            };
            states.insert(step, state);
            if step == Step::Validate {
                self.carry_out_requests(run.run_id).await?;
            }
        }
        let any = |wanted| states.values().any(|state| *state == wanted);
        let state = if any(PipelineState::Failed) {
            PipelineState::Failed
        } else if any(PipelineState::Pending) {
            PipelineState::Pending
        } else {
            PipelineState::Success
        };
        let asked_for = wishes
            .only
            .and_then(|only| states.get(&only).copied())
            .unwrap_or(state);
        let ending = match asked_for {
            PipelineState::Success => Ending::Done,
            PipelineState::Failed => Ending::Failed,
            PipelineState::Pending | PipelineState::Running => Ending::Unfinished,
        };
        self.finish(&run, state).await?;
        tracing::info!(
            run = run.run_id,
            %state,
            "the night of {} ended: {state}, see {}",
            run.night,
            self.folder().display()
        );
        if let Err(error) = lock.release().await {
            tracing::debug!(%error, "the lock of the night went with its connection");
        }
        Ok(ending)
    }

    /// The run to work on; nothing when all that was asked for is done.
    async fn begin(&self, lock: &NightLock, wishes: Wishes) -> anyhow::Result<Option<PipelineRun>> {
        let night = self.session.date;
        let newest = self
            .insist(async || storage::newest_run(&self.pool, night).await)
            .await?;
        match newest {
            Some(run) if wishes.again && !run.state.is_over() => {
                self.finish(&run, PipelineState::Failed).await?;
            }
            Some(run) if !wishes.again => {
                let steps = asked_anew(&run, wishes);
                if run.state == PipelineState::Success && steps.is_empty() {
                    tracing::info!(
                        run = run.run_id,
                        "the night of {night} is done already; --again begins it anew"
                    );
                    return Ok(None);
                }
                anyhow::ensure!(
                    !run.state.is_over() || !steps.is_empty(),
                    "run {} of the night of {night} failed for good: nightly --list shows why, --retry tries again",
                    run.run_id
                );
                if !steps.is_empty() {
                    self.insist(async || {
                        storage::reopen_run(&self.pool, lock, run.run_id, &steps).await
                    })
                    .await?;
                }
            }
            _ => (),
        }
        let worker = Worker {
            host: hostname::get()
                .ok()
                .and_then(|name| name.into_string().ok())
                .unwrap_or_default(),
            pid: std::process::id(),
        };
        let steps = Step::ALL.map(Step::name);
        let run = self
            .insist(async || {
                let now = self.clock.now();
                storage::begin_run(&self.pool, lock, night, &steps, &worker, now).await
            })
            .await?;
        let done = run.steps.iter().filter(|step| step.state.is_over()).count();
        tracing::info!(
            run = run.run_id,
            training_end = %self.training_end,
            "run {} of the night of {night}: {done} of {} steps are over",
            run.run_id,
            run.steps.len()
        );
        Ok(Some(run))
    }

    /// Does a step, again and again while its failures may pass. Gives how it ended, nothing if this program was asked
    /// to end.
    async fn step(
        &self,
        lock: &mut NightLock,
        run_id: i64,
        step: Step,
        quick: bool,
    ) -> anyhow::Result<Option<PipelineState>> {
        let name = step.name();
        let mut failures = 0;
        loop {
            self.hold(lock).await?;
            self.insist(async || {
                storage::start_step(&self.pool, run_id, name, self.clock.now()).await
            })
            .await?;
            tracing::info!(run = run_id, step = name, "{name} begins");
            let ended = self.attempt(run_id, step, quick).await;
            let message = match ended {
                Ended::Interrupted => {
                    self.note(run_id, step, PipelineState::Pending, "interrupted", None)
                        .await?;
                    return Ok(None);
                }
                Ended::Done(message) => return Ok(Some(self.done(run_id, step, message).await?)),
                Ended::Failed(message) => {
                    return Ok(Some(self.failed(run_id, step, message).await?));
                }
                Ended::Passing(message) => message,
            };
            failures += 1;
            if failures >= self.settings.attempts {
                return Ok(Some(self.given_up(run_id, step, message).await?));
            }
            let pause = self.settings.pause(failures);
            let next = self.market_time_after(pause);
            tracing::warn!(
                step = name,
                failures,
                "{name} failed and is tried again in {} s: {message}",
                pause.as_secs_f64()
            );
            self.note(run_id, step, PipelineState::Pending, &message, Some(next))
                .await?;
            tokio::select! {
                () = tokio::time::sleep(pause) => (),
                () = self.token.cancelled() => {
                    self.note(run_id, step, PipelineState::Pending, &message, None).await?;
                    return Ok(None);
                }
            }
        }
    }

    /// When a pause of system time will be over, UTC, if the market goes on as it does. Pauses count in system time: a
    /// market that stands still while the night works would never let one end.
    fn market_time_after(&self, pause: Duration) -> DateTime<Utc> {
        let now = self.clock.now();
        let market = pause.mul_f64(self.clock.speed());
        TimeDelta::from_std(market)
            .ok()
            .and_then(|span| now.checked_add_signed(span))
            .unwrap_or(now)
    }

    /// One attempt at a step.
    async fn attempt(&self, run_id: i64, step: Step, quick: bool) -> Ended {
        let (program, arguments) = match step.work(self.training_end, quick) {
            Work::Mlflow => return export::export(self).await,
            Work::Cleanup => return cleanup::clean_up(self).await,
            Work::Report => return report::write(self, run_id).await,
            Work::OptionalProgram(name, _) if !self.programs.join(name).exists() => {
                return Ended::Done(format!("{name} is not installed"));
            }
            Work::Program(name, arguments) | Work::OptionalProgram(name, arguments) => {
                (name, arguments)
            }
        };
        let order = Order {
            program: self.programs.join(program),
            arguments: &arguments,
            environment: vec![
                ("TANDEM_RUN_ID", run_id.to_string()),
                ("TANDEM_NIGHT", self.session.date.to_string()),
            ],
            log: self.folder().join(format!("{}.log", step.name())),
            timeout: self.settings.timeout(step),
        };
        child::run(&order, &self.token)
            .await
            .unwrap_or_else(|error| Ended::Failed(format!("{error:#}")))
    }

    /// Where this night's files go.
    pub(crate) fn folder(&self) -> PathBuf {
        self.nights.join(self.session.date.to_string())
    }

    /// A step whose program is content; it may have left stocks behind that nothing helps.
    async fn done(
        &self,
        run_id: i64,
        step: Step,
        message: String,
    ) -> anyhow::Result<PipelineState> {
        let tickers = self.tickers(run_id, step).await?;
        let message = tickers.told().unwrap_or(message);
        if tickers.failed > 0 && tickers.succeeded == 0 {
            return self.failed(run_id, step, message).await;
        }
        self.over(run_id, step, PipelineState::Success, &message)
            .await?;
        if tickers.newly_failed {
            self.tell(step, "left stocks behind", &message).await;
        }
        Ok(PipelineState::Success)
    }

    /// A step that kept failing in a way that may pass: what it did for some stocks counts.
    async fn given_up(
        &self,
        run_id: i64,
        step: Step,
        message: String,
    ) -> anyhow::Result<PipelineState> {
        let tickers = self.tickers(run_id, step).await?;
        if tickers.succeeded == 0 {
            let message = format!("{message} (tried {} times)", self.settings.attempts);
            return self.failed(run_id, step, message).await;
        }
        let message = tickers.told().unwrap_or(message);
        self.over(run_id, step, PipelineState::Success, &message)
            .await?;
        self.tell(step, "left stocks behind", &message).await;
        Ok(PipelineState::Success)
    }

    async fn failed(
        &self,
        run_id: i64,
        step: Step,
        message: String,
    ) -> anyhow::Result<PipelineState> {
        self.over(run_id, step, PipelineState::Failed, &message)
            .await?;
        self.tell(step, "failed", &message).await;
        Ok(PipelineState::Failed)
    }

    async fn over(
        &self,
        run_id: i64,
        step: Step,
        state: PipelineState,
        message: &str,
    ) -> anyhow::Result<()> {
        self.note(run_id, step, state, message, None).await?;
        let name = step.name();
        tracing::info!(run = run_id, step = name, %state, "{name} ended: {state} {message}");
        Ok(())
    }

    /// Tells a person about a step.
    async fn tell(&self, step: Step, what: &str, message: &str) {
        let (name, night) = (step.name(), self.session.date);
        let log = self.folder().join(format!("{name}.log"));
        let alert = Alert {
            subject: format!("Tandem, night of {night}: {name} {what}"),
            text: format!(
                "{message}\nlog: {}\ntry again: nightly --night {night} --retry",
                log.display()
            ),
        };
        self.alerts.send(&alert).await;
    }

    async fn tickers(&self, run_id: i64, step: Step) -> anyhow::Result<Tickers> {
        let run = self.read(run_id).await?;
        let earlier: BTreeSet<&Ticker> = run
            .steps
            .iter()
            .take_while(|before| before.step != step.name())
            .flat_map(PipelineStep::failed_tickers)
            .map(|row| &row.ticker)
            .collect();
        let mut tickers = Tickers::default();
        for row in run.step(step.name()).iter().flat_map(|step| &step.tickers) {
            match row.state {
                PipelineState::Success => tickers.succeeded += 1,
                PipelineState::Failed => {
                    tickers.failed += 1;
                    tickers.newly_failed |= !earlier.contains(&row.ticker);
                    tickers
                        .words
                        .push(format!("{}: {}", row.ticker, row.message));
                }
                PipelineState::Pending | PipelineState::Running => (),
            }
        }
        Ok(tickers)
    }

    /// Notes that the trainings that the drift monitor had asked for are carried out, if the run has trained and what it
    /// trained is validated.
    async fn carry_out_requests(&self, run_id: i64) -> anyhow::Result<()> {
        let run = self.read(run_id).await?;
        let succeeded = |step: Step| {
            run.step(step.name())
                .filter(|row| row.state == PipelineState::Success)
        };
        let (Some(train), Some(validate)) = (succeeded(Step::Train), succeeded(Step::Validate))
        else {
            return Ok(());
        };
        // A person may train once more after the validation.
        let Some(until) = train
            .started_at
            .filter(|_| train.ended_at <= validate.started_at)
        else {
            return Ok(());
        };
        let requests = self
            .insist(async || storage::retraining_requests(&self.pool, until).await)
            .await?;
        for (kind, asked_at) in &requests {
            tracing::info!(run = run_id, %kind, %asked_at, "the training that the drift monitor asked for is done");
        }
        if !requests.is_empty() {
            let now = self.clock.now();
            self.insist(async || storage::carry_out_retraining(&self.pool, until, now).await)
                .await?;
        }
        Ok(())
    }

    /// The run as it is written down.
    pub(crate) async fn read(&self, run_id: i64) -> anyhow::Result<PipelineRun> {
        self.insist(async || storage::newest_run(&self.pool, self.session.date).await)
            .await?
            .filter(|run| run.run_id == run_id)
            .with_context(|| format!("run {run_id} has vanished from the database"))
    }

    async fn note(
        &self,
        run_id: i64,
        step: Step,
        state: PipelineState,
        message: &str,
        next_attempt_at: Option<DateTime<Utc>>,
    ) -> anyhow::Result<()> {
        let (name, now) = (step.name(), self.clock.now());
        self.insist(async || {
            storage::finish_step(
                &self.pool,
                run_id,
                name,
                state,
                message,
                now,
                next_attempt_at,
            )
            .await
        })
        .await
    }

    async fn finish(&self, run: &PipelineRun, state: PipelineState) -> anyhow::Result<()> {
        let now = self.clock.now();
        self.insist(async || storage::finish_run(&self.pool, run.run_id, state, now).await)
            .await
    }

    /// Makes sure that the lock is held, and takes it again if it went with its connection.
    async fn hold(&self, lock: &mut NightLock) -> anyhow::Result<()> {
        if let Err(error) = lock.check().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database was lost for a while"
            );
            *lock = self
                .insist(async || NightLock::take(&self.pool).await)
                .await?
                .context("while the database was away, another program took over the night")?;
        }
        Ok(())
    }

    async fn say_who_is_at_it(&self) -> anyhow::Result<()> {
        let runs = self
            .insist(async || storage::recent_runs(&self.pool, 10).await)
            .await?;
        let running = runs
            .iter()
            .find(|run| run.state == PipelineState::Running)
            .map_or_else(String::new, |run| {
                let Worker { host, pid } = &run.worker;
                format!(": process {pid} on {host} is at the night of {}", run.night)
            });
        tracing::error!("another nightly is running{running}; wait for it, or end it");
        Ok(())
    }

    /// Asks the database until it answers.
    ///
    /// # Errors
    /// What waiting does not help, or all attempts are used up.
    async fn insist<T>(&self, ask: impl AsyncFn() -> Result<T, StorageError>) -> anyhow::Result<T> {
        let mut failures = 0;
        loop {
            let error = match ask().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failures += 1;
            if !error.is_retryable() || failures >= self.settings.attempts {
                return Err(error.into());
            }
            let pause: Duration = self.settings.pause(failures);
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database is asked again in {} s",
                pause.as_secs_f64()
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => (),
                () = self.token.cancelled() => return Err(error.into()),
            }
        }
    }
}

/// The steps of an earlier run that are to be done anew: with one that failed those that need it, which a person may have
/// had done without it.
fn asked_anew(run: &PipelineRun, wishes: Wishes) -> Vec<&'static str> {
    if let Some(only) = wishes.only {
        return vec![only.name()];
    }
    let mut anew: Vec<Step> = Vec::new();
    for step in Step::ALL.into_iter().filter(|_| wishes.retry) {
        let row = run.step(step.name());
        if row.is_some_and(|row| row.state == PipelineState::Failed)
            || step.needs().iter().any(|need| anew.contains(need))
        {
            anew.push(step);
        }
    }
    anew.into_iter().map(Step::name).collect()
}

/// How the stocks fared in a step that works on them one by one.
#[derive(Default)]
struct Tickers {
    succeeded: usize,
    failed: usize,
    /// Whether any of them failed in no earlier step: a person was told of the others then.
    newly_failed: bool,
    words: Vec<String>,
}

impl Tickers {
    /// Who failed and why; nothing if nobody did.
    fn told(&self) -> Option<String> {
        let all = self.failed + self.succeeded;
        (self.failed > 0).then(|| {
            format!(
                "{} of {all} stocks failed: {}",
                self.failed,
                self.words.join("; ")
            )
        })
    }
}
