use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::MarketTime;

/// Longest pause after rate limits, in market time. Yahoo's can stay for hours.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The shared rate of all requests to one vendor: a bucket of tokens, a bound on requests under way, and a pause when
/// the vendor says that it is too much.
pub(crate) struct Pace {
    time: MarketTime,
    /// Tokens a market second.
    rate: f64,
    under_way: Semaphore,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Below zero: tokens that are promised to requests already waiting.
    tokens: f64,
    capacity: f64,
    filled_at: Instant,
    paused_until: Option<Instant>,
    /// Rate limits in a row.
    strikes: u32,
}

impl Pace {
    pub(crate) fn new(time: MarketTime, rate: f64, burst: usize, concurrency: usize) -> Self {
        let capacity = burst.max(1) as f64;
        let bucket = Bucket {
            tokens: capacity,
            capacity,
            filled_at: Instant::now(),
            paused_until: None,
            strikes: 0,
        };
        Self {
            time,
            rate,
            under_way: Semaphore::new(concurrency),
            bucket: Mutex::new(bucket),
        }
    }

    /// Waits for a turn. The request is under way until the permit is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.under_way.acquire().await.ok();
        loop {
            let pause = self.bucket().pause_left(Instant::now());
            if pause.is_zero() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        let rate = self.rate * self.time.speed();
        let wait = self.bucket().take(Instant::now(), rate);
        tokio::time::sleep(wait).await;
        permit
    }

    /// The vendor wants to be left alone for `after` of market time, twice as long each time in a row. Returns the real
    /// pause when this begins one; requests that were under way together count once.
    pub(crate) fn limited(&self, after: Duration) -> Option<Duration> {
        self.bucket().pause(Instant::now(), |strikes| {
            let doubled = after.saturating_mul(1 << strikes.min(10));
            self.time.pause(doubled.min(LONGEST_PAUSE))
        })
    }

    /// The vendor answered.
    pub(crate) fn answered(&self) {
        let mut bucket = self.bucket();
        if bucket.pause_left(Instant::now()).is_zero() {
            bucket.strikes = 0;
        }
    }

    // Plain numbers, each valid alone: a panic elsewhere cannot leave them torn.
    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    /// Takes a token at `rate` tokens a real second; the time until it is there.
    fn take(&mut self, now: Instant, rate: f64) -> Duration {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(self.capacity) - 1.0;
        self.filled_at = now;
        Duration::try_from_secs_f64((-self.tokens / rate).max(0.0)).unwrap_or(Duration::MAX)
    }

    fn pause_left(&self, now: Instant) -> Duration {
        self.paused_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn pause(&mut self, now: Instant, length: impl FnOnce(u32) -> Duration) -> Option<Duration> {
        if !self.pause_left(now).is_zero() {
            return None;
        }
        let pause = length(self.strikes);
        self.strikes = self.strikes.saturating_add(1);
        self.paused_until = Some(now + pause);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn bucket(capacity: f64) -> Bucket {
        Bucket {
            tokens: capacity,
            capacity,
            filled_at: Instant::now(),
            paused_until: None,
            strikes: 0,
        }
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut bucket = bucket(20.0);
        let now = bucket.filled_at;
        let waits: Vec<Duration> = (0..24).map(|_| bucket.take(now, 4.0)).collect();
        assert!(waits[..20].iter().all(Duration::is_zero));
        assert_eq!(
            waits[20..],
            [250, 500, 750, 1000].map(Duration::from_millis)
        );
        // The four owed tokens first, then a full bucket, never more.
        let later = now + Duration::from_secs(3600);
        assert!((0..20).all(|_| bucket.take(later, 4.0).is_zero()));
        assert!(!bucket.take(later, 4.0).is_zero());
    }

    #[test]
    fn each_rate_limit_in_a_row_doubles_the_pause_and_requests_under_way_count_once() {
        let pace = Pace::new(MarketTime::new(Utc::now, || 60.0), 4.0, 20, 10);
        let after = Duration::from_secs(30);
        assert_eq!(
            pace.limited(after),
            Some(Duration::from_millis(500)),
            "30 market seconds at 60 times"
        );
        assert_eq!(
            pace.limited(after),
            None,
            "a second answer of the same burst"
        );
        let over = |pace: &Pace| pace.bucket().paused_until = Some(Instant::now());
        over(&pace);
        assert_eq!(pace.limited(after), Some(Duration::from_secs(1)));
        for _ in 0..12 {
            over(&pace);
            pace.limited(after);
        }
        over(&pace);
        assert_eq!(
            pace.limited(after),
            Some(Duration::from_secs(15)),
            "a quarter of an hour at most"
        );
        over(&pace);
        pace.answered();
        assert_eq!(pace.limited(after), Some(Duration::from_millis(500)));
    }

    #[tokio::test]
    async fn a_pause_holds_everybody() {
        let pace = Pace::new(MarketTime::new(Utc::now, || 100.0), 4.0, 20, 10);
        pace.limited(Duration::from_secs(30)).unwrap();
        let asked = Instant::now();
        let turns = tokio::join!(pace.turn(), pace.turn());
        assert!(turns.0.is_some() && turns.1.is_some());
        assert!(
            asked.elapsed() >= Duration::from_millis(290),
            "{:?}",
            asked.elapsed()
        );
    }
}
