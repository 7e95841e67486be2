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
    body::{Market, ModelsInUseBody, Phase, StatusBody},
    champions::Models,
    engine::Progress,
    settings::Source,
};

/// The market opens and closes unannounced: how often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Publishes the status when it changes, and now and then for the time in it, until the token is cancelled.
pub(crate) struct StatusKeeper {
    pub(crate) board: Arc<Board>,
    pub(crate) calendar: &'static Calendar,
    pub(crate) clock: Clock,
    pub(crate) source: Source,
    pub(crate) models: watch::Receiver<Models>,
    pub(crate) progress: watch::Receiver<Progress>,
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
                _ = look.tick() => (),
            }
            let status = status(
                self.clock.now(),
                self.clock.speed(),
                self.source,
                self.calendar,
                &self.models.borrow_and_update(),
                &self.progress.borrow_and_update(),
            );
            let known = self.board.view();
            let same = *known.status()
                == StatusBody {
                    now: known.status().now,
                    ..status.clone()
                };
            if !same || published.elapsed() >= repeat {
                self.board.publish_status(status);
                published = Instant::now();
            }
        }
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
) -> StatusBody {
    let open = calendar.session_at(now).is_some();
    let (phase, mut message) = phase(models, progress);
    for trouble in models.trouble.iter().chain(&progress.trouble) {
        message.push_str(". Trouble: ");
        message.push_str(trouble);
    }
    StatusBody {
        phase,
        message,
        source,
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
    }
}

fn phase(models: &Models, progress: &Progress) -> (Phase, String) {
    let Progress {
        watched,
        with_bars,
        ready,
        ..
    } = progress;
    if *with_bars == 0 {
        (
            Phase::Backfilling,
            "Waiting for the first prices".to_owned(),
        )
    } else if *ready == 0 {
        (
            Phase::Backfilling,
            format!("Loading history: {with_bars} of {watched} stocks have prices"),
        )
    } else if models.champions.is_none() {
        let message = "Prices are live; there are no models yet, recommendations follow when they are trained";
        (Phase::Training, message.to_owned())
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
        )
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
