//! Says in one sentence how the system is.

use std::{path::PathBuf, sync::Arc, time::Duration};

use calendar::Calendar;
use chrono::Utc;
use service_kit::{Clock, TaskProgress};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    board::Board,
    body::{
        Market, ModelsInUseBody, Phase, ProgressBody, SetupBody, SetupState, StaleBody, StatusBody,
    },
    champions::Models,
    engine::Progress,
    settings::Source,
    setup::SetupFile,
    staleness::{LOOK, Moment, Silence, Watcher},
};

/// Publishes the status when it changes, and now and then for the time in it, until the token is cancelled.
#[derive(Clone)]
pub(crate) struct StatusKeeper {
    pub(crate) board: Arc<Board>,
    pub(crate) calendar: &'static Calendar,
    pub(crate) clock: Clock,
    pub(crate) source: Source,
    pub(crate) models: watch::Receiver<Models>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) setup: SetupFile,
    /// Where a training tells how far it is.
    pub(crate) training: PathBuf,
    pub(crate) watcher: Watcher,
}

impl StatusKeeper {
    pub(crate) async fn run(mut self, repeat: Duration, shutdown: CancellationToken) {
        let mut look = tokio::time::interval(LOOK.min(repeat));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut published = Instant::now();
        let mut training = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(()) = self.models.changed() => (),
                Ok(()) = self.progress.changed() => (),
                _ = look.tick() => {
                    self.setup.read();
                    training = TaskProgress::read(&self.training, Utc::now());
                }
            }
            let models = self.models.borrow_and_update().clone();
            let unaffected = if models.champions.is_some() {
                "Prices and analyses"
            } else {
                "Prices"
            };
            let progress = self.progress.borrow_and_update().clone();
            let status = status(Facts {
                moment: Moment::of(&self.clock),
                source: self.source,
                calendar: self.calendar,
                models: &models,
                progress: &progress,
                setup: self.setup.body(Utc::now(), unaffected),
                training: training.clone(),
                silence: self.watcher.silence(),
            });
            let changed = has_changed(self.board.view().status(), &status);
            if changed || published.elapsed() >= repeat {
                self.board.publish_status(status);
                published = Instant::now();
            }
        }
    }
}

/// Whether anything differs but the time and how far compilation and training are: these wait for the next repetition.
fn has_changed(known: &StatusBody, status: &StatusBody) -> bool {
    let state = |status: &StatusBody| status.setup.as_ref().map(|setup| setup.state);
    let setup = if state(known) == state(status) {
        &known.setup
    } else {
        &status.setup
    };
    let task = |status: &StatusBody| status.progress.as_ref().map(|task| task.message.clone());
    let progress = if task(known) == task(status) {
        &known.progress
    } else {
        &status.progress
    };
    *known
        != StatusBody {
            now: known.now,
            setup: setup.clone(),
            progress: progress.clone(),
            ..status.clone()
        }
}

/// What the status is made from.
pub(crate) struct Facts<'a> {
    pub(crate) moment: Moment,
    pub(crate) source: Source,
    pub(crate) calendar: &'a Calendar,
    pub(crate) models: &'a Models,
    pub(crate) progress: &'a Progress,
    pub(crate) setup: Option<SetupBody>,
    pub(crate) training: Option<TaskProgress>,
    pub(crate) silence: Silence,
}

/// The status at a moment of the market.
pub(crate) fn status(facts: Facts<'_>) -> StatusBody {
    let Facts {
        moment: Moment { now, speed, held },
        source,
        calendar,
        models,
        progress,
        setup,
        training,
        silence: Silence { stale, some },
    } = facts;
    let open = calendar.session_at(now).is_some();
    let model_trouble = models.trouble.as_deref();
    let trouble = model_trouble.into_iter().chain(progress.trouble.as_deref());
    let trouble: Vec<String> = trouble.chain(some.as_deref()).map(sentence).collect();
    let doing = Doing {
        held,
        sound: trouble.is_empty(),
    };
    let (phase, message) = phase(models, progress, setup.as_ref(), doing);
    StatusBody {
        phase,
        message: told_first(stale.as_ref(), message),
        source,
        source_note: source.note(),
        market: if open { Market::Open } else { Market::Closed },
        next_open: if open {
            None
        } else {
            calendar.next_open(now).map(|session| session.open)
        },
        last_close: calendar.last_closed(now).map(|session| session.close),
        now,
        speed,
        models: models
            .champions
            .as_ref()
            .map_or_else(ModelsInUseBody::default, |champions| ModelsInUseBody {
                lstm: Some(champions.lstm.manifest().model_id.clone()),
                transformer: Some(champions.transformer.manifest().model_id.clone()),
            }),
        setup,
        paused: held,
        progress: training.map(ProgressBody::from),
        stale,
        trouble,
    }
}

/// Whatever else holds: without bars nothing is analysed.
fn told_first(stale: Option<&StaleBody>, message: String) -> String {
    stale.map_or(message, |stale| stale.message.clone())
}

/// Begins with a capital letter.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

impl From<TaskProgress> for ProgressBody {
    fn from(task: TaskProgress) -> Self {
        let TaskProgress {
            message,
            done,
            of,
            seconds_left,
            at: _,
        } = task;
        Self {
            message,
            done,
            of,
            seconds_left,
        }
    }
}

/// How the market and the system go.
#[derive(Clone, Copy)]
struct Doing {
    /// The market's clock stands still.
    held: bool,
    /// There is no trouble.
    sound: bool,
}

fn phase(
    models: &Models,
    progress: &Progress,
    setup: Option<&SetupBody>,
    Doing { held, sound }: Doing,
) -> (Phase, String) {
    let Progress {
        watched,
        with_bars,
        ready,
        analysed,
        ..
    } = progress;
    if *with_bars == 0 {
        (
            Phase::Backfilling,
            "Waiting for the first prices; analyses follow".to_owned(),
        )
    } else if *ready == 0 {
        (
            Phase::Backfilling,
            format!(
                "Loading history: {with_bars} of {watched} stocks have prices, none enough to be analysed yet"
            ),
        )
    } else if models.champions.is_none() {
        let waiting_for = match setup.map(|setup| setup.state) {
            Some(SetupState::Building) => {
                "training begins when its program is compiled, and analyses after it"
            }
            Some(SetupState::Failed) => "their training could not be compiled",
            None if held => "the market stands still until they are trained",
            None => "analyses begin when they are trained",
        };
        (
            Phase::Training,
            format!("There are prices but no models yet: {waiting_for}"),
        )
    } else if *analysed == 0 {
        (
            Phase::Running,
            "Both models are loaded; the first analyses follow".to_owned(),
        )
    } else if held {
        (
            Phase::Running,
            format!(
                "The market stands still: the analyses of {analysed} of {watched} stocks are of its last closed minute"
            ),
        )
    } else if ready < watched {
        (
            Phase::Running,
            format!("{ready} of {watched} stocks are analysed, the others lack history"),
        )
    } else if sound {
        (
            Phase::Running,
            format!("All {watched} stocks are analysed with every closed minute"),
        )
    } else {
        (
            Phase::Running,
            format!("{analysed} of {watched} stocks have an analysis"),
        )
    }
}

#[cfg(test)]
mod tests {
    use inference::{Champions, testing::promote_random_champions};
    use model_registry::ChampionsFile;

    use super::*;

    const SOUND: Doing = Doing {
        held: false,
        sound: true,
    };

    fn at(time: &str, progress: &Progress, trouble: Option<&str>) -> StatusBody {
        let models = Models {
            champions: None,
            trouble: trouble.map(str::to_owned),
        };
        status(facts(time, &models, progress))
    }

    fn facts<'a>(time: &str, models: &'a Models, progress: &'a Progress) -> Facts<'a> {
        Facts {
            moment: Moment {
                now: time.parse().unwrap(),
                speed: 60.0,
                held: false,
            },
            source: Source::Replay,
            calendar: calendar::nyse(),
            models,
            progress,
            setup: None,
            training: None,
            silence: Silence::default(),
        }
    }

    /// Everything that a running system has.
    fn running() -> (Models, Progress, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = ChampionsFile::new(folder.path().join("model_config.json"));
        promote_random_champions(folder.path(), &file, 1).unwrap();
        let champions = Champions::load(folder.path(), &file.read().unwrap()).unwrap();
        let models = Models {
            champions: Some(Arc::new(champions)),
            ..Models::default()
        };
        let progress = Progress {
            watched: 20,
            with_bars: 20,
            ready: 20,
            analysed: 20,
            ..Progress::default()
        };
        (models, progress, folder)
    }

    fn setup(state: SetupState, done: u32) -> SetupBody {
        SetupBody {
            state,
            done,
            of: 620,
            seconds_left: None,
            message: "Still compiling".to_owned(),
        }
    }

    #[test]
    fn tells_the_phase() {
        let mut progress = Progress {
            watched: 20,
            ..Progress::default()
        };
        assert_eq!(
            at("2018-03-26T13:30:00Z", &progress, None).phase,
            Phase::Backfilling
        );
        progress.with_bars = 20;
        assert_eq!(
            at("2018-03-26T13:30:00Z", &progress, None).phase,
            Phase::Backfilling
        );
        progress.ready = 1;
        assert_eq!(
            at("2018-03-26T13:30:00Z", &progress, None).phase,
            Phase::Training
        );
    }

    #[test]
    fn no_training_is_told_of_before_it_is_compiled() {
        let progress = Progress {
            watched: 20,
            with_bars: 20,
            ready: 20,
            ..Progress::default()
        };
        let message = |state: Option<SetupState>| {
            let setup = state.map(|state| setup(state, 312));
            phase(&Models::default(), &progress, setup.as_ref(), SOUND).1
        };
        assert!(message(None).ends_with("analyses begin when they are trained"));
        assert!(
            message(Some(SetupState::Building)).contains("begins when its program is compiled")
        );
        assert!(message(Some(SetupState::Failed)).ends_with("could not be compiled"));
    }

    #[test]
    fn analyses_are_not_told_of_before_the_first() {
        let (models, mut progress, _folder) = running();
        let (_, message) = phase(&models, &progress, None, SOUND);
        assert!(
            message.starts_with("All 20 stocks are analysed"),
            "{message}"
        );
        progress.analysed = 0;
        let (first, message) = phase(&models, &progress, None, SOUND);
        assert_eq!(first, Phase::Running);
        assert!(message.ends_with("the first analyses follow"), "{message}");
    }

    #[test]
    fn an_open_market_without_bars_is_not_said_to_be_analysed() {
        let (models, progress, _folder) = running();
        let stale = StaleBody {
            since: "2018-03-12T17:00:00Z".parse().unwrap(),
            tickers: 20,
            of: 20,
            message: "No stock has had a bar since 13:00 New York".to_owned(),
        };
        let status = status(Facts {
            silence: Silence {
                stale: Some(stale.clone()),
                some: None,
            },
            ..facts("2018-03-12T17:30:00Z", &models, &progress)
        });
        assert_eq!(status.message, stale.message);
        assert_eq!(status.stale, Some(stale));
    }

    #[test]
    fn in_trouble_not_every_minute_is_said_to_be_analysed() {
        let (models, progress, _folder) = running();
        let of_engine = Progress {
            trouble: Some("new bars cannot be read or analysed; trying again".to_owned()),
            ..progress.clone()
        };
        let of_models = Models {
            trouble: Some("the champions' file cannot be read".to_owned()),
            ..models.clone()
        };
        let some = Silence {
            some: Some("8 of 20 stocks have had no bar since 13:00 New York".to_owned()),
            ..Silence::default()
        };
        let now = "2018-03-12T17:30:00Z";
        for status in [
            status(facts(now, &models, &of_engine)),
            status(facts(now, &of_models, &progress)),
            status(Facts {
                silence: some,
                ..facts(now, &models, &progress)
            }),
        ] {
            assert_eq!(status.trouble.len(), 1);
            assert_eq!(status.message, "20 of 20 stocks have an analysis");
        }
    }

    #[test]
    fn a_market_that_stands_still_is_said_to() {
        let (models, progress, _folder) = running();
        let now = "2018-03-12T17:30:00Z";
        let held = |models| {
            let facts = facts(now, models, &progress);
            let moment = Moment {
                held: true,
                ..facts.moment
            };
            status(Facts { moment, ..facts })
        };
        let status = held(&models);
        assert!(status.paused);
        assert!(
            status.message.starts_with("The market stands still"),
            "{}",
            status.message
        );
        let models = Models::default();
        let status = held(&models);
        assert!(
            status
                .message
                .ends_with("the market stands still until they are trained"),
            "{}",
            status.message
        );
        assert!(!super::status(facts(now, &models, &progress)).paused);
    }

    #[test]
    fn tells_how_far_a_training_is() {
        let (models, progress) = (Models::default(), Progress::default());
        let training = |done, seconds_left| TaskProgress {
            message: "Training the LSTM: pass 3 of 6".to_owned(),
            done,
            of: 6,
            seconds_left,
            at: Utc::now(),
        };
        let with = |training| {
            status(Facts {
                training,
                ..facts("2018-03-12T17:30:00Z", &models, &progress)
            })
        };
        let known = with(Some(training(2, Some(95))));
        let told = known.progress.clone().unwrap();
        assert_eq!((told.done, told.of, told.seconds_left), (2, 6, Some(95)));
        assert!(!has_changed(&known, &with(Some(training(2, Some(94))))));
        assert!(has_changed(&known, &with(None)));
    }

    #[test]
    fn progress_of_the_compilation_waits_for_the_next_repetition() {
        let known = StatusBody {
            setup: Some(setup(SetupState::Building, 312)),
            ..at("2018-03-26T13:30:00Z", &Progress::default(), None)
        };
        let with = |setup: Option<SetupBody>| StatusBody {
            now: known.now + chrono::TimeDelta::seconds(1),
            setup,
            ..known.clone()
        };
        assert!(!has_changed(
            &known,
            &with(Some(setup(SetupState::Building, 313)))
        ));
        assert!(has_changed(
            &known,
            &with(Some(setup(SetupState::Failed, 312)))
        ));
        assert!(has_changed(&known, &with(None)));
        let opened = StatusBody {
            market: Market::Closed,
            ..with(known.setup.clone())
        };
        assert!(has_changed(&known, &opened));
    }

    #[test]
    fn only_the_real_market_of_today_needs_no_note() {
        assert_eq!(Source::Live.note(), None);
        let simulated = Source::Simulated.note().unwrap();
        assert_eq!(simulated, domain::PLANTED_EFFECT);
        assert_eq!(
            at("2018-03-26T13:30:00Z", &Progress::default(), None).source_note,
            Source::Replay.note()
        );
    }

    #[test]
    fn tells_when_the_market_opens() {
        let progress = Progress::default();
        let open = at("2018-03-26T13:30:00Z", &progress, None);
        assert_eq!((open.market, open.next_open), (Market::Open, None));
        // Good Friday: New York opens on Monday.
        let closed = at("2018-03-30T15:00:00Z", &progress, None);
        assert_eq!(closed.market, Market::Closed);
        assert_eq!(
            closed.next_open,
            Some("2018-04-02T13:30:00Z".parse().unwrap())
        );
        assert_eq!(
            closed.last_close,
            Some("2018-03-29T20:00:00Z".parse().unwrap())
        );
        assert_eq!(
            open.last_close,
            Some("2018-03-23T20:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn tells_trouble_that_it_survives_in_sentences() {
        let (models, progress) = (
            Models {
                trouble: Some("model.json is empty".to_owned()),
                ..Models::default()
            },
            Progress {
                trouble: Some("new bars cannot be read".to_owned()),
                ..Progress::default()
            },
        );
        let status = status(Facts {
            silence: Silence {
                stale: None,
                some: Some("3 of 20 stocks have had no bar since 10:05 New York".to_owned()),
            },
            ..facts("2018-03-26T13:30:00Z", &models, &progress)
        });
        assert_eq!(
            status.trouble,
            [
                "Model.json is empty",
                "New bars cannot be read",
                "3 of 20 stocks have had no bar since 10:05 New York"
            ]
        );
        assert!(!status.message.contains("model.json"), "{}", status.message);
    }
}
