use std::{f64::consts::TAU, sync::LazyLock};

use calendar::{Calendar, OPEN_MINUTE_OF_DAY, REGULAR_SESSION_MINUTES, Session};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, Continuity, Joint};

use crate::{
    FeatureVector, MacroEvent, NewsEvent, TickerContext,
    economy::Economy,
    indicators::{Atr, Bollinger, Macd, Rsi},
    news::News,
    ring::Ring,
    usual_volume::{PROFILE_SESSIONS, UsualVolume},
};

/// Whole sessions a stream must have folded before its output equals that of any longer history.
///
/// The usual volume at a minute needs five; the recursive averages forget within one. The first session counts when the
/// stream saw its opening minute, so a stream that starts in the middle of a day becomes warm a day later.
pub const WARM_UP_SESSIONS: usize = PROFILE_SESSIONS;

/// A thin ticker may have few bars even in five sessions: EMA 26 keeps 1e-10 of its past after 300 bars.
const WARM_UP_BARS: usize = 300;

const LONGEST_RETURN: usize = 30;
const VOLATILITY_BARS: usize = 60;
const VOLUME_BARS: usize = 15;
const MICROSECONDS: i64 = 1_000_000;
const REGULAR_MINUTES: f64 = REGULAR_SESSION_MINUTES as f64;

/// No ratio to the price counts as smaller: a tenth of a basis point. Keeps flat prices finite.
const SMALLEST_RATIO: f64 = 1e-5;

/// Half the width of bands around a flat price, as part of it: far below one tick, far above rounding.
const SMALLEST_BAND: f64 = 1e-6;

// Bounds keep single outliers (a gap, a bad tick, a split) from taking the whole range of the min-max scaler.
const RETURN_BOUND: f64 = 6.0;
const DISTANCE_BOUND: f64 = 6.0;
const VOLUME_BOUND: f64 = 4.0;
const GAP_BOUND: f64 = 4.0;

/// Sine and cosine of the minute of the hour, 0 to 59.
static MINUTE_OF_HOUR: LazyLock<[(f32, f32); 60]> =
    LazyLock::new(|| std::array::from_fn(|minute| on_circle(minute as f64 / 60.0)));

/// Computes the features of one ticker, bar by bar, from its bars and what is known beside them.
///
/// Events may be pushed in any order and at any time. A bar uses exactly those pushed before it whose `available_at` is
/// not after its close; one that is pushed late counts from the next bar on.
///
/// No feature reaches across what is not there ([`Continuity`]). After a hole (in a session, or between one that was
/// cut short and the next) the averages of prices begin anew, and there are no features until these are warm again and
/// the longest return lies behind it. Where the price goes on at another level, the stream begins anew: its warm-up as
/// well.
#[derive(Clone, Debug)]
pub struct FeatureStream {
    calendar: &'static Calendar,
    last_start: Option<DateTime<Utc>>,
    today: Option<Today>,
    continuity: Continuity,
    /// Bars since the newest hole.
    since_hole: usize,
    /// Finished sessions that were seen whole.
    sessions: usize,
    bars: usize,
    rsi: Rsi,
    macd: Macd,
    atr: Atr,
    bollinger: Bollinger,
    /// Natural logarithms of the closes.
    log_closes: Ring<{ LONGEST_RETURN + 1 }>,
    /// One-bar log returns within sessions.
    log_returns: Ring<VOLATILITY_BARS>,
    usual_volume: UsualVolume,
    volumes: Ring<VOLUME_BARS>,
    usual_volumes: Ring<VOLUME_BARS>,
    news: News,
    economy: Economy,
}

/// What stays the same through a session.
#[derive(Clone, Debug)]
struct Today {
    session: Session,
    /// Seconds since 1970 of the session's open and close: cheaper to compare, once a bar, than dates.
    open: i64,
    close: i64,
    /// Seen from its opening minute, or at least by a stream that was already running.
    seen_whole: bool,
    overnight_gap: f32,
    day_of_week: (f32, f32),
}

/// Why a bar was refused. The stream is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The bar lies outside regular trading hours, which features leave out. May be ignored.
    #[error(
        "bar {start} lies outside the regular session: features use regular trading hours only"
    )]
    OutsideSession {
        /// Start of the bar.
        start: DateTime<Utc>,
    },
    /// The bar is not newer than the last one.
    #[error("bar {start} is not newer than the last bar {last}: push each bar once and in order")]
    OutOfOrder {
        /// Start of the bar.
        start: DateTime<Utc>,
        /// Start of the newest bar so far.
        last: DateTime<Utc>,
    },
}

/// Features of a ticker's history (NYSE sessions) with what was known beside it: the same stream over all bars. One
/// entry a bar; `None` while warming up and for bars that the stream refuses.
pub fn fold(bars: &[Bar], context: TickerContext<'_>) -> Vec<Option<FeatureVector>> {
    let mut stream = FeatureStream::new(calendar::nyse());
    stream.push_context(context);
    bars.iter()
        .map(|bar| stream.push(bar).ok().flatten())
        .collect()
}

impl FeatureStream {
    /// A stream that has seen nothing.
    pub fn new(calendar: &'static Calendar) -> Self {
        Self {
            calendar,
            last_start: None,
            today: None,
            continuity: Continuity::default(),
            since_hole: 0,
            sessions: 0,
            bars: 0,
            rsi: Rsi::default(),
            macd: Macd::default(),
            atr: Atr::default(),
            bollinger: Bollinger::default(),
            log_closes: Ring::new(),
            log_returns: Ring::new(),
            usual_volume: UsualVolume::new(),
            volumes: Ring::new(),
            usual_volumes: Ring::new(),
            news: News::new(),
            economy: Economy::new(),
        }
    }

    /// Takes a story about the ticker; a score that is not finite is ignored.
    pub fn push_news(&mut self, event: NewsEvent) {
        self.news.push(event);
    }

    /// Takes a vintage of an economic series; series that no feature is made of and values that are not finite are
    /// ignored.
    pub fn push_macro(&mut self, event: &MacroEvent) {
        self.economy.push(event);
    }

    /// Takes all events given.
    pub fn push_context(&mut self, context: TickerContext<'_>) {
        for event in context.news {
            self.push_news(*event);
        }
        for event in context.economy {
            self.push_macro(event);
        }
    }

    /// Forgets the events that no bar has used yet, for a caller who pushes them anew.
    pub fn forget_unused_events(&mut self) {
        self.news.forget_unused();
        self.economy.forget_unused();
    }

    /// Takes the next closed bar and answers with its features, `None` while warming up ([`WARM_UP_SESSIONS`]) and after
    /// a hole.
    ///
    /// # Errors
    /// [`StreamError`] for bars outside regular trading hours and for bars not newer than the last.
    pub fn push(&mut self, bar: &Bar) -> Result<Option<FeatureVector>, StreamError> {
        if let Some(last) = self.last_start
            && bar.start <= last
        {
            return Err(StreamError::OutOfOrder {
                start: bar.start,
                last,
            });
        }
        let seconds = bar.start.timestamp();
        let running = self
            .today
            .as_ref()
            .filter(|today| today.open <= seconds && seconds < today.close);
        let (session, is_running) = match running {
            Some(today) => (today.session, true),
            None => match self.calendar.session_at(bar.start) {
                Some(session) => (session, false),
                None => return Err(StreamError::OutsideSession { start: bar.start }),
            },
        };
        let missing = match self.last_start {
            None => 0,
            Some(last) if is_running => {
                let distance = (seconds - last.timestamp()) / BAR_SECONDS;
                u32::try_from(distance - 1).unwrap_or(0)
            }
            Some(last) => self
                .calendar
                .trading_minutes(last + TimeDelta::seconds(BAR_SECONDS), bar.start),
        };
        let joint = self.continuity.next(bar, missing);
        match joint {
            Joint::Continuous => (),
            Joint::Hole => self.leave_prices_behind(),
            Joint::Break => self.begin_anew(),
        }
        let opens_session = !is_running || joint == Joint::Break;
        let today = match self.today.take() {
            Some(today) if !opens_session => today,
            before => self.begin_session(session, before, bar, joint),
        };
        let minute = ((seconds - today.open) / BAR_SECONDS) as usize;
        let features = self.update(bar, &today, minute, opens_session || joint == Joint::Hole);
        self.last_start = Some(bar.start);
        self.today = Some(today);

        let warm = self.sessions >= WARM_UP_SESSIONS
            && self.bars >= WARM_UP_BARS
            && self.since_hole > LONGEST_RETURN;
        Ok(if warm { features } else { None })
    }

    /// Whether the newest bar began a history: the first of all, or the first at another price level. Windows that hold
    /// older bars are not of this history.
    pub const fn has_begun_anew(&self) -> bool {
        self.bars == 1
    }

    /// Forgets prices and volumes; what is known beside the bars stays.
    #[cold]
    fn begin_anew(&mut self) {
        *self = Self {
            last_start: self.last_start,
            continuity: std::mem::take(&mut self.continuity),
            news: std::mem::replace(&mut self.news, News::new()),
            economy: std::mem::replace(&mut self.economy, Economy::new()),
            ..Self::new(self.calendar)
        };
    }

    /// Begins every average of prices anew: none takes in the move across a hole.
    #[cold]
    fn leave_prices_behind(&mut self) {
        self.since_hole = 0;
        self.rsi = Rsi::default();
        self.macd = Macd::default();
        self.atr = Atr::default();
        self.bollinger = Bollinger::default();
    }

    /// Closes the session before, if any, and opens the one of this bar.
    fn begin_session(
        &mut self,
        session: Session,
        before: Option<Today>,
        bar: &Bar,
        joint: Joint,
    ) -> Today {
        if let Some(before) = before {
            self.usual_volume.finish_session();
            self.sessions += usize::from(before.seen_whole);
        }
        // What was usual changes with the session, so sums over both would mix two measures.
        self.volumes = Ring::new();
        self.usual_volumes = Ring::new();
        let daily_volatility = self.volatility() * REGULAR_MINUTES.sqrt();
        // Where trading is missing before the open, nobody knows what moved in the night.
        let gap = if self.bars > 0 && joint == Joint::Continuous {
            bar.open.get().ln() - self.log_closes.back(0)
        } else {
            0.0
        };
        Today {
            session,
            open: session.open.timestamp(),
            close: session.close.timestamp(),
            seen_whole: self.bars > 0 || bar.start == session.open,
            overnight_gap: bounded(gap / daily_volatility, GAP_BOUND),
            day_of_week: on_circle(f64::from(session.date.weekday().num_days_from_monday()) / 5.0),
        }
    }

    /// Takes the bar into every average and window; its features where all of these are filled.
    fn update(
        &mut self,
        bar: &Bar,
        today: &Today,
        minute: usize,
        follows_nothing: bool,
    ) -> Option<FeatureVector> {
        let close = bar.close.get();
        let log_close = close.ln();
        // Neither the night nor a hole is part of the session's volatility: a first bar moves from its own open.
        let log_before = if follows_nothing {
            bar.open.get().ln()
        } else {
            self.log_closes.back(0)
        };
        self.log_returns.push(log_close - log_before);
        self.log_closes.push(log_close);
        self.bars += 1;
        self.since_hole += 1;

        let shares = bar.volume;
        let usual_shares = self.usual_volume.at(minute);
        self.usual_volume.record(minute, shares);
        self.volumes.push(shares);
        self.usual_volumes.push(usual_shares);

        let macd = self.macd.next(close);
        let rsi = self.rsi.next(close);
        let bands = self.bollinger.next(close);
        let atr = self.atr.next(bar);
        let (macd, rsi, bands, atr) = (macd?, rsi?, bands?, atr?);

        let volatility = self.volatility();
        let log_return = |bars: usize| {
            let moved = log_close - self.log_closes.back(bars);
            bounded(moved / (volatility * (bars as f64).sqrt()), RETURN_BOUND)
        };
        let range = atr.max(SMALLEST_RATIO * close);
        let in_ranges = |distance: f64| bounded(distance / range, DISTANCE_BOUND);
        let half_width = (0.5 * (bands.upper - bands.lower)).max(SMALLEST_BAND * bands.middle);

        let minute_of_day = OPEN_MINUTE_OF_DAY as usize + minute;
        let (minute_of_hour_sin, minute_of_hour_cos) = MINUTE_OF_HOUR[minute_of_day % 60];
        let (day_of_week_sin, day_of_week_cos) = today.day_of_week;
        let minutes_since_open = minute as f64 + 1.0;
        let minutes_to_close = f64::from(today.session.minutes()) - minutes_since_open;

        let close_time = (bar.start.timestamp() + BAR_SECONDS) * MICROSECONDS;
        let [
            news_count,
            news_sentiment,
            news_sentiment_faded,
            news_recency,
        ] = self.news.at(close_time);
        let [
            vix,
            vix_change,
            ten_year_yield,
            ten_year_yield_change,
            yield_curve,
            fed_funds_rate,
            unemployment,
            unemployment_change,
            inflation,
            inflation_of_the_month,
            gdp_growth,
            release_recency,
        ] = self.economy.at(close_time);

        // In the order of FeatureSchema::names.
        Some([
            log_return(1),
            log_return(5),
            log_return(15),
            log_return(LONGEST_RETURN),
            bounded((rsi - 50.0) / 50.0, 1.0),
            in_ranges(macd.macd),
            in_ranges(macd.signal),
            in_ranges(macd.histogram),
            in_ranges(close - macd.ema_12),
            in_ranges(close - macd.ema_26),
            bounded((close - bands.middle) / half_width, DISTANCE_BOUND),
            log_ratio((bands.upper - bands.lower) / bands.middle),
            log_ratio(atr / close),
            log_ratio(volatility),
            relative_volume(shares, usual_shares),
            relative_volume(
                self.volumes.sum(|shares| shares),
                self.usual_volumes.sum(|shares| shares),
            ),
            today.overnight_gap,
            (minutes_since_open / REGULAR_MINUTES) as f32,
            (minutes_to_close / REGULAR_MINUTES) as f32,
            minute_of_hour_sin,
            minute_of_hour_cos,
            (minute_of_day / 60) as f32,
            day_of_week_sin,
            day_of_week_cos,
            news_count,
            news_sentiment,
            news_sentiment_faded,
            news_recency,
            vix,
            vix_change,
            ten_year_yield,
            ten_year_yield_change,
            yield_curve,
            fed_funds_rate,
            unemployment,
            unemployment_change,
            inflation,
            inflation_of_the_month,
            gdp_growth,
            release_recency,
        ])
    }

    /// Root mean square of the one-bar log returns of the last 60 bars.
    fn volatility(&self) -> f64 {
        let squares = self.log_returns.sum(|log_return| log_return * log_return);
        (squares / VOLATILITY_BARS as f64)
            .sqrt()
            .max(SMALLEST_RATIO)
    }
}

/// Natural logarithm of a part of the price, at most the price itself.
fn log_ratio(ratio: f64) -> f32 {
    bounded(ratio.clamp(SMALLEST_RATIO, 1.0).ln(), -SMALLEST_RATIO.ln())
}

/// Natural logarithm of the shares over the usual shares; 0 where nothing is known to be usual.
fn relative_volume(shares: f64, usual: f64) -> f32 {
    if usual > 0.0 {
        bounded((shares / usual).ln(), VOLUME_BOUND)
    } else {
        0.0
    }
}

/// Within `-bound..=bound`; 0 for what is not a number, which only prices near the end of the floating-point range give.
fn bounded(value: f64, bound: f64) -> f32 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(-bound, bound) as f32
    }
}

/// Sine and cosine of a part of a full turn.
fn on_circle(turn: f64) -> (f32, f32) {
    let (sin, cos) = (turn * TAU).sin_cos();
    (sin as f32, cos as f32)
}
