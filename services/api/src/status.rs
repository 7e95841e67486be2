//! Says in one sentence how the system is.

use std::{sync::Arc, time::Duration};

use calendar::Calendar;
use chrono::{DateTime, Utc};
use service_kit::Clock;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    board::Board,
    body::{Market, ModelsInUseBody, Phase, SetupBody, SetupState, StatusBody},
    champions::Models,
    engine::Progress,
    settings::Source,
    setup::SetupFile,
};

/// The market opens and closes unannounced, and the compilation goes on: how often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Publishes the status when it changes, and now and then for the time in it, until the token is cancelled.
pub(crate) struct StatusKeeper {
    pub(crate) board: Arc<Board>,
    pub(crate) calendar: &'static Calendar,
    pub(crate) clock: Clock,
    pub(crate) source: Source,
    pub(crate) models: watch::Receiver<Models>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) setup: SetupFile,
}

impl StatusKeeper {
    pub(crate) async fn run(mut self, repeat: Duration, shutdown: CancellationToken) {
        let mut look = tokio::time::interval(LOOK.min(repeat));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut published = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(()) = self.models.changed() => (),
                Ok(()) = self.progress.changed() => (),
                _ = look.tick() => self.setup.read(),
            }
            let models = self.models.borrow_and_update().clone();
            let unaffected = if models.champions.is_some() {
                "Prices and analyses"
            } else {
                "Prices"
            };
            let status = status(
                self.clock.now(),
                self.clock.speed(),
                self.source,
                self.calendar,
                &models,
                &self.progress.borrow_and_update(),
                self.setup.body(Utc::now(), unaffected),
            );
            let changed = has_changed(self.board.view().status(), &status);
            if changed || published.elapsed() >= repeat {
                self.board.publish_status(status);
                published = Instant::now();
            }
        }
    }
}

/// Whether anything differs but the time and how far the compilation is: these wait for the next repetition.
fn has_changed(known: &StatusBody, status: &StatusBody) -> bool {
    let state = |status: &StatusBody| status.setup.as_ref().map(|setup| setup.state);
    let setup = if state(known) == state(status) {
        &known.setup
    } else {
        &status.setup
    };
    *known
        != StatusBody {
            now: known.now,
            setup: setup.clone(),
            ..status.clone()
        }
}

/// The status at a market time.
pub(crate) fn status(
    now: DateTime<Utc>,
    speed: f64,
    source: Source,
    calendar: &Calendar,
    models: &Models,
    progress: &Progress,
    setup: Option<SetupBody>,
) -> StatusBody {
    let open = calendar.session_at(now).is_some();
    let (phase, mut message) = phase(models, progress, setup.as_ref());
    for trouble in models.trouble.iter().chain(&progress.trouble) {
        message.push_str(". Trouble: ");
        message.push_str(trouble);
    }
    StatusBody {
        phase,
        message,
        source,
        source_note: source.note(),
        market: if open { Market::Open } else { Market::Closed },
        next_open: if open {
            None
        } else {
            calendar.next_open(now).map(|session| session.open)
        },
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
    }
}

fn phase(models: &Models, progress: &Progress, setup: Option<&SetupBody>) -> (Phase, String) {
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
    } else if ready < watched {
        (
            Phase::Running,
            format!("{ready} of {watched} stocks are analysed, the others lack history"),
        )
    } else {
        (
            Phase::Running,
            format!("All {watched} stocks are analysed with every closed minute"),
        )
    }
}

#[cfg(test)]
mod tests {
    use inference::{Champions, testing::promote_random_champions};
    use model_registry::ChampionsFile;

    use super::*;

    fn at(time: &str, progress: &Progress, trouble: Option<&str>) -> StatusBody {
        let models = Models {
            champions: None,
            trouble: trouble.map(str::to_owned),
        };
        status(
            time.parse().unwrap(),
            60.0,
            Source::Replay,
            calendar::nyse(),
            &models,
            progress,
            None,
        )
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
            phase(&Models::default(), &progress, setup.as_ref()).1
        };
        assert!(message(None).ends_with("analyses begin when they are trained"));
        assert!(
            message(Some(SetupState::Building)).contains("begins when its program is compiled")
        );
        assert!(message(Some(SetupState::Failed)).ends_with("could not be compiled"));
    }

    #[test]
    fn analyses_are_not_told_of_before_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = ChampionsFile::new(folder.path().join("model_config.json"));
        promote_random_champions(folder.path(), &file, 1).unwrap();
        let champions = Champions::load(folder.path(), &file.read().unwrap()).unwrap();
        let models = Models {
            champions: Some(Arc::new(champions)),
            trouble: None,
        };
        let mut progress = Progress {
            watched: 20,
            with_bars: 20,
            ready: 20,
            ..Progress::default()
        };
        let (first, message) = phase(&models, &progress, None);
        assert_eq!(first, Phase::Running);
        assert!(message.ends_with("the first analyses follow"), "{message}");
        progress.analysed = 20;
        let (_, message) = phase(&models, &progress, None);
        assert!(
            message.starts_with("All 20 stocks are analysed"),
            "{message}"
        );
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
    }

    #[test]
    fn tells_trouble_that_it_survives() {
        let status = at(
            "2018-03-26T13:30:00Z",
            &Progress::default(),
            Some("model.json is empty"),
        );
        assert!(
            status.message.ends_with("Trouble: model.json is empty"),
            "{}",
            status.message
        );
    }
}
