use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

/// Shortest pause in real time: what a fast replay shrinks below this would flood vendor and log.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// What time it is in the market and how fast it runs there.
#[derive(Clone)]
pub struct MarketTime {
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    speed: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl MarketTime {
    /// `now` gives the market's time in UTC, `speed` market seconds per real second.
    pub fn new(
        now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        speed: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            now: Arc::new(now),
            speed: Arc::new(speed),
        }
    }

    /// The market's time, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// Market seconds per real second.
    pub fn speed(&self) -> f64 {
        (self.speed)()
    }

    /// The real duration of a pause given in market time, never below a quarter of a second.
    pub fn pause(&self, market: Duration) -> Duration {
        market.div_f64(self.speed()).max(SHORTEST_PAUSE)
    }
}

impl fmt::Debug for MarketTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MarketTime")
            .field("now", &self.now())
            .field("speed", &self.speed())
            .finish()
    }
}
