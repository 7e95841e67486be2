use calendar::REGULAR_SESSION_MINUTES;

/// Sessions that say what is usual.
pub(crate) const PROFILE_SESSIONS: usize = 5;

const MINUTES: usize = REGULAR_SESSION_MINUTES as usize;

/// Marks a minute without a bar: it says nothing of what is usual when there is one. (Thin tickers have many.)
const ABSENT: f64 = -1.0;

/// The volume that is usual at each minute of a session, learned from the last five finished sessions only.
#[derive(Clone, Debug)]
pub(crate) struct UsualVolume {
    /// Shares of the last sessions' minutes; the oldest is overwritten.
    finished: Box<[[f64; MINUTES]; PROFILE_SESSIONS]>,
    oldest: usize,
    today: Box<[f64; MINUTES]>,
    usual: Box<[f64; MINUTES]>,
}

impl UsualVolume {
    pub(crate) fn new() -> Self {
        Self {
            finished: Box::new([[ABSENT; MINUTES]; PROFILE_SESSIONS]),
            oldest: 0,
            today: Box::new([ABSENT; MINUTES]),
            usual: Box::new([0.0; MINUTES]),
        }
    }

    /// Shares usual at this minute of the session; zero only while nothing was ever traded.
    #[inline]
    pub(crate) fn at(&self, minute: usize) -> f64 {
        self.usual.get(minute).copied().unwrap_or(0.0)
    }

    #[inline]
    pub(crate) fn record(&mut self, minute: usize, shares: f64) {
        if let Some(slot) = self.today.get_mut(minute) {
            *slot = shares;
        }
    }

    /// The session is over: what it traded joins what is usual, and the oldest session is forgotten.
    pub(crate) fn finish_session(&mut self) {
        self.finished[self.oldest] = *self.today;
        self.oldest = (self.oldest + 1) % PROFILE_SESSIONS;
        self.today.fill(ABSENT);

        let mut seen = [Seen::default(); MINUTES];
        for session in self.finished.iter() {
            for (seen, shares) in seen.iter_mut().zip(session) {
                seen.add(*shares);
            }
        }
        let (sum, count) = seen.iter().fold((0.0, 0.0), |(sum, count), seen| {
            (sum + seen.sum, count + seen.count)
        });
        let any_minute = if count > 0.0 { sum / count } else { 0.0 };
        for (usual, seen) in self.usual.iter_mut().zip(&seen) {
            let shares = seen.usual();
            *usual = if shares > 0.0 { shares } else { any_minute };
        }
    }
}

/// What the last sessions traded at one minute.
#[derive(Clone, Copy, Default)]
struct Seen {
    sum: f64,
    largest: f64,
    count: f64,
}

impl Seen {
    /// Without a branch: it runs for each minute of five sessions before the first bar of a day is answered.
    #[inline]
    fn add(&mut self, shares: f64) {
        let traded = shares.max(0.0);
        self.sum += traded;
        self.largest = self.largest.max(traded);
        self.count += f64::from(u8::from(shares != ABSENT));
    }

    /// Mean without the largest: one block trade must not set what is usual for a week. Below three values the plain
    /// mean.
    fn usual(&self) -> f64 {
        if self.count >= 3.0 {
            (self.sum - self.largest) / (self.count - 1.0)
        } else if self.count > 0.0 {
            self.sum / self.count
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One session in which the minutes from 0 on trade these volumes.
    fn session(profile: &mut UsualVolume, volumes: &[f64]) {
        for (minute, shares) in volumes.iter().enumerate() {
            profile.record(minute, *shares);
        }
        profile.finish_session();
    }

    #[test]
    fn is_the_mean_of_five_sessions_without_the_largest() {
        let mut profile = UsualVolume::new();
        for shares in [9_999.0, 10.0, 20.0, 500.0, 30.0, 40.0] {
            session(&mut profile, &[shares]);
        }
        // 9999 is six sessions old, 500 is the largest of the five.
        assert_eq!(profile.at(0), 25.0);
    }

    #[test]
    fn unfinished_session_changes_nothing() {
        let mut profile = UsualVolume::new();
        session(&mut profile, &[100.0]);
        profile.record(0, 900.0);
        assert_eq!(profile.at(0), 100.0);
    }

    #[test]
    fn falls_back_to_the_usual_minute() {
        let mut profile = UsualVolume::new();
        session(&mut profile, &[100.0, 300.0, 0.0]);
        // Minute 2 never traded a share, minute 3 never had a bar.
        assert_eq!(profile.at(2), 400.0 / 3.0);
        assert_eq!(profile.at(3), 400.0 / 3.0);
        assert_eq!(UsualVolume::new().at(0), 0.0);
    }
}
