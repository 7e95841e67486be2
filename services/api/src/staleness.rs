//! Tells when an open market sends nothing, to everybody who asks and once to a person.
//!
//! What is looked at is the newest bar on the board: whatever keeps bars from getting there (the vendor, an ingestor, the
//! database, the live path), it shows here.

use std::{sync::Arc, time::Duration};

use alerts::{Alert, Alerts};
use calendar::Calendar;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::America::New_York;
use domain::Ticker;
use service_kit::Clock;
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{board::Board, body::StaleBody, engine::Progress, settings::Source};

/// How often it is looked at, in system time: in a replay at 60 times the speed that is a quarter of a minute.
pub(crate) const LOOK: Duration = Duration::from_millis(250);

/// So long after the close of the newest bar of all the next one is missed, in market time: it closes a minute later and
/// vendors are some seconds late.
const NO_BAR_OF_ANY: TimeDelta = TimeDelta::minutes(2);

/// At the open they are later than usual.
const OPENING: TimeDelta = TimeDelta::seconds(30);

/// The same for a single stock while others have bars: thin stocks have quiet minutes, and halts of five to ten minutes
/// are usual.
const NO_BAR_OF_ONE: TimeDelta = TimeDelta::minutes(15);

/// Both last at least so long in system time: in a fast replay a request takes minutes.
const LEAST_SYSTEM_TIME: TimeDelta = TimeDelta::milliseconds(2_500);

/// Without any analysed stock history is still being fetched. So long it may take, in market time.
const LOADING: TimeDelta = TimeDelta::minutes(10);

/// An outage is over when bars have come for so long, in market time: one bar of a vendor that stands in is no end.
const SOUND_FOR: TimeDelta = TimeDelta::minutes(5);

/// Stocks that are named in a sentence; more are counted.
const NAMED: usize = 5;

/// A moment of the market's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Market time, UTC.
    pub(crate) now: DateTime<Utc>,
    /// Market seconds per second.
    pub(crate) speed: f64,
    /// The clock stands still.
    pub(crate) held: bool,
}

impl Moment {
    pub(crate) fn of(clock: &Clock) -> Self {
        Self {
            now: clock.now(),
            speed: clock.speed(),
            held: clock.is_held(),
        }
    }

    /// A span of market time that is no shorter than what a fast replay needs.
    pub(crate) fn at_least(&self, span: TimeDelta) -> TimeDelta {
        let seconds = LEAST_SYSTEM_TIME.as_seconds_f64() * self.speed;
        Duration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|least| TimeDelta::from_std(least).ok())
            .map_or(span, |least| span.max(least))
    }
}

/// Which stocks have no bars though the market is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Silence {
    /// No stock has any, or more than half have none for long.
    pub(crate) stale: Option<StaleBody>,
    /// Some have none for long while the others have: a sentence.
    pub(crate) some: Option<String>,
}

/// What is known about the board's bars, and since when it is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    pub(crate) board: Arc<Board>,
    pub(crate) calendar: &'static Calendar,
    pub(crate) clock: Clock,
    pub(crate) progress: watch::Receiver<Progress>,
    /// When this process began, market time, UTC.
    pub(crate) started: DateTime<Utc>,
}

impl Watcher {
    /// Which stocks have no bars now.
    pub(crate) fn silence(&self) -> Silence {
        let loading = self.progress.borrow().ready == 0;
        silence(
            Moment::of(&self.clock),
            self.calendar,
            loading.then_some(self.started),
            &self.board.view().newest_closes(),
        )
    }

    /// Tells a person once when an outage has begun and once when it is over, until the token is cancelled.
    pub(crate) async fn alert(
        &self,
        alerts: &Alerts,
        source: Source,
        shutdown: &CancellationToken,
    ) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outage = Outage::new(self.started, source);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = look.tick() => (),
            }
            let stale = self.silence().stale;
            let is_open = self.calendar.session_at(self.clock.now()).is_some();
            let alert = outage.observe(Moment::of(&self.clock), is_open, stale.as_ref());
            if let Some(alert) = alert {
                alerts.send(&alert).await;
            }
        }
    }
}

/// `loading_since` is when the process began (market time, UTC) while no stock has enough history; `closes` holds the
/// close of each watched stock's newest bar, UTC.
fn silence(
    moment: Moment,
    calendar: &Calendar,
    loading_since: Option<DateTime<Utc>>,
    closes: &[(Ticker, Option<DateTime<Utc>>)],
) -> Silence {
    let now = moment.now;
    let Some(session) = calendar.session_at(now).filter(|_| !moment.held) else {
        return Silence::default();
    };
    let opened = session.open + OPENING;
    let waiting_since = loading_since.map_or(opened, |since| (since + LOADING).max(opened));
    let is_over =
        |since: DateTime<Utc>, limit| now - since.max(waiting_since) > moment.at_least(limit);
    let newest = closes.iter().filter_map(|(_, close)| *close).max();
    let since = newest.map_or(session.open, |close| close.max(session.open));
    if is_over(since, NO_BAR_OF_ANY) {
        let message = format!(
            "No stock has had a bar since {}, although the market is open",
            when(since, session.open)
        );
        let tickers = closes.len();
        return Silence {
            stale: Some(StaleBody {
                since,
                tickers,
                of: tickers,
                message,
            }),
            some: None,
        };
    }
    // A stock without any bar at all is one without history, which is told otherwise.
    let silent: Vec<(&Ticker, DateTime<Utc>)> = closes
        .iter()
        .filter_map(|(ticker, close)| Some((ticker, (*close)?.max(session.open))))
        .filter(|(_, since)| is_over(*since, NO_BAR_OF_ONE))
        .collect();
    let Some(since) = silent.iter().map(|(_, since)| *since).max() else {
        return Silence::default();
    };
    let (tickers, of) = (silent.len(), closes.len());
    let message = format!(
        "{tickers} of {of} stocks {} had no bar since {}, although the market is open: {}",
        if tickers == 1 { "has" } else { "have" },
        when(since, session.open),
        names(&silent)
    );
    if tickers * 2 > of {
        let stale = Some(StaleBody {
            since,
            tickers,
            of,
            message,
        });
        Silence { stale, some: None }
    } else {
        Silence {
            stale: None,
            some: Some(message),
        }
    }
}

fn names(silent: &[(&Ticker, DateTime<Utc>)]) -> String {
    let named: Vec<&str> = silent
        .iter()
        .take(NAMED)
        .map(|(ticker, _)| ticker.as_str())
        .collect();
    match silent.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// A time of the session that opened at `open` (both UTC), in words.
fn when(time: DateTime<Utc>, open: DateTime<Utc>) -> String {
    let local = new_york(time);
    if time == open {
        format!("it opened at {local}")
    } else {
        local
    }
}

fn new_york(time: DateTime<Utc>) -> String {
    time.with_timezone(&New_York)
        .format("%H:%M New York")
        .to_string()
}

/// What a person was told of an outage.
#[derive(Debug)]
struct Outage {
    /// When this process began: what has lasted longer than that may end within seconds. Market time, UTC.
    started: DateTime<Utc>,
    source: Source,
    /// Since when there are no bars, where that was told.
    told: Option<DateTime<Utc>>,
    /// Since when there are bars again.
    sound: Option<DateTime<Utc>>,
}

impl Outage {
    const fn new(started: DateTime<Utc>, source: Source) -> Self {
        Self {
            started,
            source,
            told: None,
            sound: None,
        }
    }

    /// What a person is to be told now.
    fn observe(
        &mut self,
        moment: Moment,
        is_open: bool,
        stale: Option<&StaleBody>,
    ) -> Option<Alert> {
        let now = moment.now;
        match (stale, self.told) {
            (Some(stale), None) if now - self.started > moment.at_least(NO_BAR_OF_ANY) => {
                self.told = Some(stale.since);
                Some(self.begun(stale))
            }
            (Some(_), Some(_)) => {
                self.sound = None;
                None
            }
            (None, Some(since)) => {
                let sound = *self.sound.get_or_insert(now);
                let is_over = !is_open || now - sound >= moment.at_least(SOUND_FOR);
                is_over.then(|| {
                    (self.told, self.sound) = (None, None);
                    self.ended(since, sound, is_open)
                })
            }
            _ => None,
        }
    }

    fn begun(&self, stale: &StaleBody) -> Alert {
        Alert {
            subject: self.subject(&format!("no bars since {}", new_york(stale.since))),
            text: format!(
                "{}. Analyses rest on old prices.\nLook whether price-ingestor runs and what its log says (the vendor is \
                 away, the disk is full), and at the api's log if bars are stored. If the exchange is closed today, add \
                 the day to closures or early_closes in section [calendar] of the settings and start the services again.",
                stale.message
            ),
        }
    }

    fn ended(&self, since: DateTime<Utc>, sound: DateTime<Utc>, is_open: bool) -> Alert {
        let (since, sound) = (new_york(since), new_york(sound));
        if is_open {
            Alert {
                subject: self.subject(&format!("bars come again since {sound}")),
                text: format!(
                    "None had come from {since} on. What was missed is fetched by and by."
                ),
            }
        } else {
            Alert {
                subject: self.subject(&format!("the market closed without bars since {since}")),
                text: "The price-ingestor looks for the missing bars after the close; the dashboard's data quality and \
                       tandem doctor tell which are still missing."
                    .to_owned(),
            }
        }
    }

    fn subject(&self, what: &str) -> String {
        match self.source {
            Source::Live => format!("Tandem: {what}"),
            Source::Simulated => format!("Tandem (simulated market): {what}"),
            Source::Replay => format!("Tandem (replayed market): {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCKS: [&str; 20] = [
        "AAPL", "MSFT", "NVDA", "GOOGL", "META", "NFLX", "AMZN", "TSLA", "JPM", "BAC", "V", "JNJ",
        "PFE", "UNH", "XOM", "CVX", "WMT", "PG", "KO", "BA",
    ];

    fn time(text: &str) -> DateTime<Utc> {
        format!("2018-03-{text}Z").parse().unwrap()
    }

    /// All stocks with their newest bar closed at one moment, but those given.
    fn closes(of_all: Option<&str>, but: &[(&str, &str)]) -> Vec<(Ticker, Option<DateTime<Utc>>)> {
        let close = |symbol: &str| {
            let own = but.iter().find(|(name, _)| *name == symbol);
            own.map(|(_, close)| *close).or(of_all).map(time)
        };
        STOCKS
            .iter()
            .map(|symbol| (Ticker::parse(symbol).unwrap(), close(symbol)))
            .collect()
    }

    fn moment(now: &str, speed: f64) -> Moment {
        Moment {
            now: time(now),
            speed,
            held: false,
        }
    }

    fn at(now: &str, speed: f64, closes: &[(Ticker, Option<DateTime<Utc>>)]) -> Silence {
        silence(moment(now, speed), calendar::nyse(), None, closes)
    }

    #[test]
    fn an_open_market_without_bars_is_stale_after_two_minutes() {
        // 12 March 2018: summer time, the market opens at 13:30 UTC.
        let closes = closes(Some("12T17:00:00"), &[]);
        for speed in [1.0, 15.0, 48.0] {
            assert_eq!(
                at("12T17:02:00", speed, &closes),
                Silence::default(),
                "late by a minute"
            );
            let stale = at("12T17:02:01", speed, &closes).stale.unwrap();
            assert_eq!(
                (stale.since, stale.tickers, stale.of),
                (time("12T17:00:00"), 20, 20)
            );
            assert_eq!(
                stale.message,
                "No stock has had a bar since 13:00 New York, although the market is open"
            );
        }
        // At 240 times the speed a request takes minutes: it may be ten of them.
        assert_eq!(at("12T17:09:50", 240.0, &closes), Silence::default());
        assert!(at("12T17:10:15", 240.0, &closes).stale.is_some());
    }

    #[test]
    fn no_bar_is_missed_before_the_first_is_due_nor_when_the_market_is_closed() {
        let friday = closes(Some("09T21:00:00"), &[]);
        assert_eq!(
            at("12T13:29:00", 1.0, &friday),
            Silence::default(),
            "before the open"
        );
        assert_eq!(
            at("12T13:32:20", 1.0, &friday),
            Silence::default(),
            "the first bar closes at 13:31"
        );
        let stale = at("12T13:32:40", 1.0, &friday).stale.unwrap();
        assert_eq!(
            stale.message,
            "No stock has had a bar since it opened at 09:30 New York, although the market is open"
        );
        assert_eq!(stale.since, time("12T13:30:00"));
        assert_eq!(
            at("12T20:00:00", 1.0, &friday),
            Silence::default(),
            "after the close"
        );
        assert_eq!(
            at("10T17:00:00", 1.0, &friday),
            Silence::default(),
            "on a Saturday"
        );
        // The day after Thanksgiving ends at 13:00, which is 18:00 UTC.
        let mut early = moment("12T00:00:00", 1.0);
        early.now = "2018-11-23T18:30:00Z".parse().unwrap();
        assert_eq!(
            silence(early, calendar::nyse(), None, &friday),
            Silence::default()
        );
    }

    #[test]
    fn a_closure_of_the_settings_is_no_outage() {
        let settings = calendar::CalendarSettings {
            closures: vec!["2018-03-09".parse().unwrap()],
            early_closes: vec![calendar::EarlyClose {
                date: "2018-03-12".parse().unwrap(),
                close: "13:00:00".parse().unwrap(),
            }],
        };
        let calendar = Calendar::new(&settings);
        let thursday = closes(Some("08T21:00:00"), &[]);
        let at = |now: &str| silence(moment(now, 1.0), &calendar, None, &thursday);
        assert_eq!(at("09T16:00:00"), Silence::default());
        assert_eq!(at("12T17:05:00"), Silence::default());
        assert!(at("12T16:05:00").stale.is_some());
    }

    #[test]
    fn a_market_that_stands_still_misses_nothing() {
        let held = Moment {
            held: true,
            ..moment("12T17:30:00", 20.0)
        };
        let closes = closes(Some("12T17:00:00"), &[]);
        assert_eq!(
            silence(held, calendar::nyse(), None, &closes),
            Silence::default()
        );
    }

    #[test]
    fn history_that_is_being_fetched_has_time() {
        let none = closes(None, &[]);
        let started = Some(time("12T15:00:00"));
        let at = |now: &str| silence(moment(now, 1.0), calendar::nyse(), started, &none);
        assert_eq!(at("12T15:12:00"), Silence::default());
        assert!(at("12T15:13:00").stale.is_some());
    }

    #[test]
    fn some_silent_stocks_are_named_while_others_trade() {
        let some = closes(
            Some("12T15:00:00"),
            &[
                ("KO", "12T14:05:00"),
                ("AAPL", "12T14:02:00"),
                ("BA", "09T21:00:00"),
            ],
        );
        let found = at("12T15:00:30", 1.0, &some);
        assert_eq!(found.stale, None);
        assert_eq!(
            found.some.unwrap(),
            "3 of 20 stocks have had no bar since 10:05 New York, although the market is open: AAPL, KO, BA"
        );
        let halted = closes(Some("12T15:00:00"), &[("KO", "12T14:46:00")]);
        assert_eq!(
            at("12T15:00:30", 1.0, &halted),
            Silence::default(),
            "a halt"
        );
    }

    #[test]
    fn a_market_of_which_most_is_silent_is_stale() {
        let most = closes(Some("12T14:05:00"), &[("KO", "12T15:00:00")]);
        let stale = at("12T15:00:30", 1.0, &most).stale.unwrap();
        assert_eq!((stale.tickers, stale.of), (19, 20));
        assert!(
            stale
                .message
                .starts_with("19 of 20 stocks have had no bar since 10:05 New York")
                && stale
                    .message
                    .ends_with(": AAPL, MSFT, NVDA, GOOGL, META and 14 more"),
            "{}",
            stale.message
        );
    }

    #[test]
    fn a_clock_that_was_set_back_or_runs_absurdly_fast_is_no_outage() {
        let closes = closes(Some("12T17:00:00"), &[]);
        assert_eq!(at("12T15:00:00", 1.0, &closes), Silence::default());
        assert_eq!(at("12T17:30:00", 1e6, &closes), Silence::default());
        assert!(at("12T17:30:00", 1e-9, &closes).stale.is_some());
    }

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        let closes = closes(Some("12T14:05:00"), &[]);
        let mut outage = Outage::new(time("12T13:00:00"), Source::Live);
        let mut observe = |now: &str, stale: bool| {
            let moment = moment(now, 1.0);
            let found = silence(moment, calendar::nyse(), None, &closes).stale;
            let is_open = calendar::nyse().session_at(moment.now).is_some();
            outage.observe(moment, is_open, found.filter(|_| stale).as_ref())
        };
        assert_eq!(observe("12T14:06:00", false), None);
        let begun = observe("12T14:08:00", true).unwrap();
        assert_eq!(begun.subject, "Tandem: no bars since 10:05 New York");
        assert!(
            begun.text.contains("price-ingestor") && begun.text.contains("[calendar]"),
            "{}",
            begun.text
        );
        assert_eq!(observe("12T14:09:00", true), None, "once");
        assert_eq!(
            observe("12T14:20:00", false),
            None,
            "a bar of a vendor that stands in"
        );
        assert_eq!(observe("12T14:23:00", true), None);
        assert_eq!(observe("12T15:00:00", false), None);
        let ended = observe("12T15:05:00", false).unwrap();
        assert_eq!(
            ended.subject,
            "Tandem: bars come again since 11:00 New York"
        );
        assert!(ended.text.contains("10:05 New York"), "{}", ended.text);
        assert_eq!(observe("12T15:06:00", false), None);
        // The next one ends with the session.
        assert!(observe("12T19:50:00", true).is_some());
        let closed = observe("12T20:00:00", false).unwrap();
        assert_eq!(
            closed.subject,
            "Tandem: the market closed without bars since 10:05 New York"
        );
    }

    #[test]
    fn what_a_start_finds_is_told_when_it_lasts() {
        let closes = closes(Some("12T14:05:00"), &[]);
        let mut outage = Outage::new(time("12T16:00:00"), Source::Replay);
        let mut observe = |now: &str| {
            let moment = moment(now, 1.0);
            let stale = silence(moment, calendar::nyse(), None, &closes).stale;
            outage.observe(moment, true, stale.as_ref())
        };
        assert_eq!(
            observe("12T16:00:01"),
            None,
            "the ingestor fetches what was missed meanwhile"
        );
        let begun = observe("12T16:02:31").unwrap();
        assert_eq!(
            begun.subject,
            "Tandem (replayed market): no bars since 10:05 New York"
        );
    }
}
