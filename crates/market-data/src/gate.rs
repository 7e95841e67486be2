use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{MarketTime, Vendor, VendorError};

/// Longest pause after rate limits or failures, in market time. Yahoo's limit can stay for hours.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Longest pause that requests wait out, in market time. A longer one closes the gate, so that callers can turn to
/// somebody else.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long the gate stays closed after a first run of failures, in market time.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// What one vendor may be asked, shared by all requests to it: a rate, a bound on requests under way, a pause when the
/// vendor says that it is too much, a breaker when it does not answer at all, and an allowance per day.
///
/// All durations are market time, with a floor in real time, so that a replay at any speed behaves like a live day.
#[derive(Debug)]
pub struct Gate {
    vendor: &'static str,
    time: MarketTime,
    limits: GateLimits,
    under_way: Semaphore,
    state: Mutex<State>,
}

/// What a vendor allows.
#[derive(Clone, Debug, PartialEq)]
pub struct GateLimits {
    /// Requests a market second, sustained; above 0.
    pub requests_per_second: f64,
    /// Requests that may go out at once after a rest.
    pub burst: usize,
    /// Requests under way at a time; at least 1.
    pub concurrency: usize,
    /// Requests a day, counted from 00:00 UTC; `None` for no such limit.
    pub daily_budget: Option<u32>,
    /// Failures of the vendor in a row that close the gate; at least 1.
    pub failures_to_close: u32,
}

/// A request's turn: it is under way until this is dropped.
#[derive(Debug)]
#[must_use = "a turn ends when it is dropped"]
pub struct Turn<'gate> {
    gate: &'gate Gate,
    is_trial: bool,
    _permit: SemaphorePermit<'gate>,
}

/// The vendor is not asked now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{vendor} is not asked before {until}: {reason}")]
pub struct GateClosed {
    /// Name of the vendor.
    pub vendor: &'static str,
    /// When the gate may open again, market time, UTC.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: ClosedReason,
}

/// Why a vendor is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosedReason {
    /// Several requests in a row met with failures of the vendor.
    #[error("it failed several times in a row")]
    Failures,
    /// The vendor wants to be left alone for long.
    #[error("it limits our requests")]
    RateLimit,
    /// One request tries whether it is back.
    #[error("a first request tries whether it is back")]
    Trial,
    /// The day's allowance is used up.
    #[error("the day's requests are used up")]
    Budget,
}

/// What a gate does with a request that comes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateState {
    /// It goes out at the gate's rate.
    Open,
    /// It waits out a short rate limit, until this market time, UTC.
    Waiting {
        /// When the pause ends.
        until: DateTime<Utc>,
    },
    /// The next one goes out alone, to try whether the vendor is back.
    Trying,
    /// It is turned away.
    Closed(GateClosed),
}

impl GateLimits {
    /// What the vendor allows without paying, or a polite share of it.
    ///
    /// Yahoo publishes no limit. Alpha Vantage: one request a second and 25 a day. NewsAPI: 100 a day. Finnhub: 60 a
    /// minute. FRED: 120 a minute.
    pub const fn of(vendor: Vendor) -> Self {
        let (requests_per_second, burst, concurrency, daily_budget) = match vendor {
            Vendor::Yahoo => (4.0, 20, 20, None),
            Vendor::AlphaVantage => (0.9, 1, 1, Some(25)),
            Vendor::NewsApi => (1.0, 1, 1, Some(100)),
            Vendor::Finnhub => (0.9, 5, 2, None),
            Vendor::Fred => (1.5, 5, 2, None),
        };
        Self {
            requests_per_second,
            burst,
            concurrency,
            daily_budget,
            failures_to_close: 5,
        }
    }
}

#[derive(Debug)]
struct State {
    /// Below zero: tokens that are promised to requests already waiting.
    tokens: f64,
    filled_at: Instant,
    paused_until: Option<Instant>,
    /// Rate limits in a row.
    strikes: u32,
    /// Failures in a row while the gate is open.
    failures: u32,
    /// Times in a row that failures closed the gate.
    closings: u32,
    breaker: Breaker,
    /// Requests of `day` (UTC).
    spent: u32,
    day: NaiveDate,
    /// The vendor itself said that the day's allowance is used up.
    exhausted_until: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug)]
enum Breaker {
    Open,
    Closed {
        until: Instant,
        reason: ClosedReason,
    },
    Trial {
        under_way: bool,
    },
}

/// What a request may do now.
enum Admission {
    Go { is_trial: bool },
    Wait(Duration),
    Refused(GateClosed),
}

impl Gate {
    /// A gate that nothing went through yet. `vendor` is its name for people, such as [`Vendor::name`].
    pub fn new(vendor: &'static str, time: MarketTime, limits: GateLimits) -> Self {
        let state = State {
            tokens: limits.burst.max(1) as f64,
            filled_at: Instant::now(),
            paused_until: None,
            strikes: 0,
            failures: 0,
            closings: 0,
            breaker: Breaker::Open,
            spent: 0,
            day: time.now().date_naive(),
            exhausted_until: None,
        };
        Self {
            vendor,
            under_way: Semaphore::new(limits.concurrency.max(1)),
            time,
            limits,
            state: Mutex::new(state),
        }
    }

    /// Counts requests of today (UTC, market time) that were sent before: the gate keeps its count in memory only, so a
    /// caller with a daily budget stores [`Gate::spent_today`] and hands it back here after a restart.
    #[must_use]
    pub fn with_spent(self, spent: u32) -> Self {
        self.inner().spent = spent;
        self
    }

    /// Waits for a turn: for the rate, for a place among the requests under way, and for the end of a short rate limit.
    ///
    /// # Errors
    /// [`GateClosed`] when the vendor is left alone for longer.
    pub async fn turn(&self) -> Result<Turn<'_>, GateClosed> {
        // Before queueing: who is turned away should know at once.
        if let Some(closed) = self.closed() {
            return Err(closed);
        }
        // The semaphore is never closed, so that this waits until there is a permit.
        let Ok(permit) = self.under_way.acquire().await else {
            return Err(self.refusal(self.time.now(), ClosedReason::Trial));
        };
        let mut wait = self.take_token();
        loop {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            match self.admit() {
                Admission::Go { is_trial } => {
                    return Ok(Turn {
                        gate: self,
                        is_trial,
                        _permit: permit,
                    });
                }
                Admission::Wait(pause) => wait = pause,
                Admission::Refused(closed) => return Err(closed),
            }
        }
    }

    /// Tells the gate what came of a request: the one call that a caller needs after each answer. Returns the real pause
    /// when the answer begins one, for the log.
    pub fn note<T>(&self, result: &Result<T, VendorError>) -> Option<Duration> {
        match result {
            Ok(_) => {
                self.answered();
                None
            }
            Err(VendorError::BudgetSpent { .. }) => {
                self.exhausted();
                None
            }
            Err(error) => {
                if let Some(after) = error.retry_after() {
                    self.limited(after)
                } else if error.is_outage() {
                    self.failed()
                } else {
                    self.answered();
                    None
                }
            }
        }
    }

    /// The vendor answered, be it with a refusal of this one request.
    pub fn answered(&self) {
        let mut state = self.inner();
        match state.breaker {
            Breaker::Open => {
                state.failures = 0;
                if state.pause_left(Instant::now()).is_zero() {
                    state.strikes = 0;
                }
            }
            Breaker::Trial { .. } => {
                state.breaker = Breaker::Open;
                state.failures = 0;
                state.closings = 0;
                state.strikes = 0;
            }
            // The answer to a request from before: the trial decides.
            Breaker::Closed { .. } => (),
        }
    }

    /// The vendor wants to be left alone for `retry_after` of market time, twice as long each time in a row. Returns
    /// the real pause when this begins one; requests that were under way together count once.
    pub fn limited(&self, retry_after: Duration) -> Option<Duration> {
        let now = Instant::now();
        let mut state = self.inner();
        if state.is_resting(now) {
            return None;
        }
        let doubled = retry_after.saturating_mul(1 << state.strikes.min(10));
        let market = doubled.min(LONGEST_PAUSE.max(retry_after));
        let pause = self.time.pause(market);
        state.strikes = state.strikes.saturating_add(1);
        if market > LONGEST_WAIT || matches!(state.breaker, Breaker::Trial { .. }) {
            state.breaker = Breaker::Closed {
                until: now + pause,
                reason: ClosedReason::RateLimit,
            };
        } else {
            state.paused_until = Some(now + pause);
        }
        Some(pause)
    }

    /// The vendor failed: a 5xx, no answer in time, no connection. Returns the real pause when this closes the gate.
    pub fn failed(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut state = self.inner();
        match state.breaker {
            Breaker::Closed { .. } => return None,
            Breaker::Open => {
                state.failures = state.failures.saturating_add(1);
                if state.failures < self.limits.failures_to_close.max(1) {
                    return None;
                }
            }
            Breaker::Trial { .. } => (),
        }
        let market = FIRST_PAUSE.saturating_mul(1 << state.closings.min(10));
        let pause = self.time.pause(market.min(LONGEST_PAUSE));
        state.closings = state.closings.saturating_add(1);
        state.failures = 0;
        state.breaker = Breaker::Closed {
            until: now + pause,
            reason: ClosedReason::Failures,
        };
        Some(pause)
    }

    /// The vendor says that the day's allowance is used up: nothing goes out before the next 00:00 UTC.
    pub fn exhausted(&self) {
        let midnight = next_midnight(self.time.now());
        self.inner().exhausted_until = Some(midnight);
    }

    /// Requests that went out since 00:00 UTC, market time.
    pub fn spent_today(&self) -> u32 {
        let mut state = self.inner();
        state.turn_page(self.time.now());
        state.spent
    }

    /// What a request would meet now.
    pub fn state(&self) -> GateState {
        if let Some(closed) = self.closed() {
            return GateState::Closed(closed);
        }
        let (now, state) = (Instant::now(), self.inner());
        match state.breaker {
            Breaker::Open if !state.pause_left(now).is_zero() => GateState::Waiting {
                until: self.market_time_in(state.pause_left(now)),
            },
            Breaker::Open => GateState::Open,
            Breaker::Closed { .. } | Breaker::Trial { .. } => GateState::Trying,
        }
    }

    /// Why and until when nothing goes out, if so.
    fn closed(&self) -> Option<GateClosed> {
        let (now, market) = (Instant::now(), self.time.now());
        let mut state = self.inner();
        state.turn_page(market);
        if let Some(until) = state.exhausted_until.filter(|until| *until > market) {
            return Some(self.refusal(until, ClosedReason::Budget));
        }
        if self
            .limits
            .daily_budget
            .is_some_and(|budget| state.spent >= budget)
        {
            return Some(self.refusal(next_midnight(market), ClosedReason::Budget));
        }
        match state.breaker {
            Breaker::Closed { until, reason } if until > now => {
                Some(self.refusal(self.market_time_in(until - now), reason))
            }
            Breaker::Trial { under_way: true } => Some(self.refusal(market, ClosedReason::Trial)),
            _ => None,
        }
    }

    fn admit(&self) -> Admission {
        if let Some(closed) = self.closed() {
            return Admission::Refused(closed);
        }
        let mut state = self.inner();
        let pause = state.pause_left(Instant::now());
        if !pause.is_zero() {
            return Admission::Wait(pause);
        }
        let is_trial = match state.breaker {
            Breaker::Open => false,
            // Somebody else was let through since the look above.
            Breaker::Trial { under_way: true } => {
                return Admission::Refused(self.refusal(self.time.now(), ClosedReason::Trial));
            }
            Breaker::Closed { .. } | Breaker::Trial { under_way: false } => {
                state.breaker = Breaker::Trial { under_way: true };
                true
            }
        };
        state.spent = state.spent.saturating_add(1);
        Admission::Go { is_trial }
    }

    /// Takes a token; the real time until it is there.
    fn take_token(&self) -> Duration {
        let rate = self.limits.requests_per_second * self.time.speed();
        let capacity = self.limits.burst.max(1) as f64;
        self.inner().take(Instant::now(), rate, capacity)
    }

    fn refusal(&self, until: DateTime<Utc>, reason: ClosedReason) -> GateClosed {
        GateClosed {
            vendor: self.vendor,
            until,
            reason,
        }
    }

    fn market_time_in(&self, real: Duration) -> DateTime<Utc> {
        let market = TimeDelta::from_std(real.mul_f64(self.time.speed().max(0.0)));
        self.time.now() + market.unwrap_or(TimeDelta::zero())
    }

    // Plain numbers, each valid alone: a panic elsewhere cannot leave them torn.
    fn inner(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    /// A trial that ended without a word must not keep the others out.
    fn drop(&mut self) {
        if self.is_trial {
            let mut state = self.gate.inner();
            if let Breaker::Trial { under_way } = &mut state.breaker {
                *under_way = false;
            }
        }
    }
}

impl State {
    /// Takes a token at `rate` tokens a real second; the time until it is there.
    fn take(&mut self, now: Instant, rate: f64, capacity: f64) -> Duration {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(capacity) - 1.0;
        self.filled_at = now;
        Duration::try_from_secs_f64((-self.tokens / rate).max(0.0)).unwrap_or(Duration::MAX)
    }

    fn pause_left(&self, now: Instant) -> Duration {
        self.paused_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn is_resting(&self, now: Instant) -> bool {
        !self.pause_left(now).is_zero()
            || matches!(self.breaker, Breaker::Closed { until, .. } if until > now)
    }

    /// Begins a new day's count. A clock that was set back begins one too: better a request too many than none.
    fn turn_page(&mut self, market: DateTime<Utc>) {
        if self.day != market.date_naive() {
            self.day = market.date_naive();
            self.spent = 0;
        }
    }
}

fn next_midnight(market: DateTime<Utc>) -> DateTime<Utc> {
    let day = market.date_naive();
    day.checked_add_days(Days::new(1))
        .map_or(market, |next| next.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };

    use domain::Ticker;

    use super::*;
    use crate::Asked;

    const LIMITS: GateLimits = GateLimits {
        failures_to_close: 3,
        ..GateLimits::of(Vendor::Yahoo)
    };

    fn gate(speed: f64) -> Gate {
        Gate::new("Yahoo", MarketTime::new(Utc::now, move || speed), LIMITS)
    }

    /// Ends whatever pause the gate is in.
    fn pass_time(gate: &Gate) {
        let mut state = gate.inner();
        let now = Instant::now();
        state.paused_until = state.paused_until.map(|_| now);
        if let Breaker::Closed { until, .. } = &mut state.breaker {
            *until = now;
        }
    }

    fn outage() -> Result<(), VendorError> {
        let ticker = Ticker::parse("AAPL").unwrap();
        Err(VendorError::Timeout {
            asked: Asked::new(Vendor::Yahoo, &ticker),
        })
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let gate = gate(1.0);
        let mut state = gate.inner();
        let now = state.filled_at;
        let waits: Vec<Duration> = (0..24).map(|_| state.take(now, 4.0, 20.0)).collect();
        assert!(waits[..20].iter().all(Duration::is_zero));
        assert_eq!(
            waits[20..],
            [250, 500, 750, 1000].map(Duration::from_millis)
        );
        // The four owed tokens first, then a full bucket, never more.
        let later = now + Duration::from_secs(3600);
        assert!((0..20).all(|_| state.take(later, 4.0, 20.0).is_zero()));
        assert!(!state.take(later, 4.0, 20.0).is_zero());
    }

    #[test]
    fn each_rate_limit_in_a_row_doubles_the_pause_and_requests_under_way_count_once() {
        let gate = gate(60.0);
        let after = Duration::from_secs(30);
        assert_eq!(
            gate.limited(after),
            Some(Duration::from_millis(500)),
            "30 market seconds at 60 times"
        );
        assert!(matches!(gate.state(), GateState::Waiting { .. }));
        assert_eq!(
            gate.limited(after),
            None,
            "a second answer of the same burst"
        );
        pass_time(&gate);
        assert_eq!(gate.limited(after), Some(Duration::from_secs(1)));
        pass_time(&gate);
        assert_eq!(gate.limited(after), Some(Duration::from_secs(2)));
        assert!(
            matches!(&gate.state(), GateState::Closed(closed) if closed.reason == ClosedReason::RateLimit),
            "two minutes are not waited out"
        );
        for _ in 0..12 {
            pass_time(&gate);
            gate.limited(after);
        }
        pass_time(&gate);
        assert_eq!(
            gate.limited(after),
            Some(Duration::from_secs(15)),
            "a quarter of an hour at most"
        );
    }

    #[test]
    fn an_answer_after_the_pause_forgets_the_strikes() {
        let gate = gate(60.0);
        let after = Duration::from_secs(30);
        gate.limited(after);
        gate.answered();
        pass_time(&gate);
        assert_eq!(
            gate.limited(after),
            Some(Duration::from_secs(1)),
            "an answer during the pause says nothing"
        );
        pass_time(&gate);
        gate.answered();
        assert_eq!(gate.limited(after), Some(Duration::from_millis(500)));
    }

    #[tokio::test]
    async fn a_pause_holds_everybody() {
        let gate = gate(100.0);
        gate.limited(Duration::from_secs(30)).unwrap();
        let asked = Instant::now();
        let turns = tokio::join!(gate.turn(), gate.turn());
        assert!(turns.0.is_ok() && turns.1.is_ok());
        assert!(
            asked.elapsed() >= Duration::from_millis(290),
            "{:?}",
            asked.elapsed()
        );
    }

    #[tokio::test]
    async fn failures_in_a_row_close_the_gate_and_one_trial_opens_it() {
        let gate = gate(10.0);
        assert_eq!(
            [gate.failed(), gate.failed()],
            [None, None],
            "two are no outage"
        );
        gate.answered();
        assert_eq!([gate.failed(), gate.failed()], [None, None]);
        assert_eq!(gate.note(&outage()), Some(Duration::from_secs(1)));
        assert_eq!(gate.note(&outage()), None, "those under way count once");
        let closed = gate.turn().await.unwrap_err();
        assert_eq!(closed.reason, ClosedReason::Failures);
        let left = (closed.until - Utc::now()).num_milliseconds();
        assert!((8_000..=10_000).contains(&left), "market time: {left}");

        pass_time(&gate);
        assert_eq!(gate.state(), GateState::Trying);
        let trial = gate.turn().await.unwrap();
        assert_eq!(gate.turn().await.unwrap_err().reason, ClosedReason::Trial);
        assert_eq!(
            gate.failed(),
            Some(Duration::from_secs(2)),
            "the pause doubles"
        );
        drop(trial);
        assert!(gate.turn().await.is_err());

        pass_time(&gate);
        let trial = gate.turn().await.unwrap();
        gate.note(&Ok(()));
        drop(trial);
        assert_eq!(gate.state(), GateState::Open);
        assert!(gate.turn().await.is_ok() && gate.turn().await.is_ok());
        assert_eq!(
            [gate.failed(), gate.failed(), gate.failed()],
            [None, None, Some(Duration::from_secs(1))],
            "and begins anew"
        );
    }

    #[tokio::test]
    async fn a_trial_that_is_given_up_leaves_its_place() {
        let gate = gate(10.0);
        (0..3).for_each(|_| {
            gate.failed();
        });
        pass_time(&gate);
        drop(gate.turn().await.unwrap());
        let second = gate.turn().await.unwrap();
        assert_eq!(
            gate.limited(Duration::from_secs(30)),
            Some(Duration::from_secs(3))
        );
        drop(second);
        assert_eq!(
            gate.turn().await.unwrap_err().reason,
            ClosedReason::RateLimit,
            "a trial that is limited closes the gate however short the pause"
        );
    }

    #[tokio::test]
    async fn a_day_s_budget_is_not_exceeded_and_comes_back_at_midnight() {
        let seconds = Arc::new(AtomicI64::new(1_522_108_799)); // 2018-03-26 23:59:59 UTC
        let clock = Arc::clone(&seconds);
        let now = move || DateTime::from_timestamp(clock.load(Ordering::Relaxed), 0).unwrap();
        let limits = GateLimits {
            daily_budget: Some(5),
            ..LIMITS
        };
        let gate = Gate::new("NewsAPI", MarketTime::new(now, || 1.0), limits).with_spent(3);
        drop(gate.turn().await.unwrap());
        drop(gate.turn().await.unwrap());
        assert_eq!(gate.spent_today(), 5);
        let closed = gate.turn().await.unwrap_err();
        assert_eq!(
            (closed.reason, closed.until.timestamp()),
            (ClosedReason::Budget, 1_522_108_800)
        );
        seconds.fetch_add(1, Ordering::Relaxed);
        assert_eq!(gate.spent_today(), 0);
        assert!(gate.turn().await.is_ok());

        // The vendor counts otherwise than we do.
        gate.exhausted();
        let closed = gate.turn().await.unwrap_err();
        assert_eq!(closed.until.timestamp(), 1_522_108_800 + 86_400);
        seconds.fetch_add(86_400, Ordering::Relaxed);
        assert!(gate.turn().await.is_ok());
    }
}
