use crate::{NEWS_HORIZON, NewsEvent, pending::Pending};

const MICROSECONDS: i64 = 1_000_000;
const MINUTE: f64 = (60 * MICROSECONDS) as f64;
const DAY: i64 = 24 * 3_600 * MICROSECONDS;
const HORIZON: i64 = NEWS_HORIZON.num_seconds() * MICROSECONDS;

/// After so long a story counts half.
const HALF_LIFE: f64 = (4 * 3_600 * MICROSECONDS) as f64;

/// The stories about one ticker. What it says depends on which are available, not on the order they were pushed in.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pending: Pending<f32>,
    /// Available and within the horizon: microseconds since 1970 and score, in order of both.
    recent: Vec<(i64, f32)>,
    /// What follows from these until one of them becomes too old.
    summary: Option<Summary>,
    /// When that is, microseconds since 1970.
    changes_at: i64,
}

#[derive(Clone, Copy, Debug)]
struct Summary {
    newest: i64,
    log_count: f32,
    mean: f32,
    /// Sum of the weights at the time of the newest story, where its own is 1.
    weights: f64,
    /// Sum of weight times score.
    weighted_scores: f64,
}

impl News {
    pub(crate) fn new() -> Self {
        Self {
            pending: Pending::new(),
            recent: Vec::new(),
            summary: None,
            changes_at: i64::MAX,
        }
    }

    pub(crate) fn push(&mut self, event: NewsEvent) {
        if event.score.is_finite() {
            let score = event.score.clamp(-1.0, 1.0);
            self.pending
                .push(event.available_at.timestamp_micros(), score);
        }
    }

    pub(crate) fn forget_unused(&mut self) {
        self.pending.clear();
    }

    /// Count, mean, faded sentiment and recency of what could be known by `now` (microseconds since 1970, never
    /// decreasing).
    #[inline]
    pub(crate) fn at(&mut self, now: i64) -> [f32; 4] {
        let mut changed = now >= self.changes_at;
        while let Some(story) = self.pending.due(now) {
            let place = self.recent.partition_point(|known| {
                known
                    .0
                    .cmp(&story.0)
                    .then(known.1.total_cmp(&story.1))
                    .is_lt()
            });
            self.recent.insert(place, story);
            changed = true;
        }
        if changed {
            self.summarise(now);
        }
        let Some(summary) = &self.summary else {
            return [0.0; 4];
        };
        let age = (now - summary.newest) as f64;
        let fading = (-age / HALF_LIFE).exp2();
        // One neutral story of weight 1 is added: what has faded says less, and a single headline never says all.
        let faded = summary.weighted_scores * fading / (1.0 + summary.weights * fading);
        let recency = 1.0 - (age / MINUTE).ln_1p() / (HORIZON as f64 / MINUTE).ln_1p();
        [
            summary.log_count,
            summary.mean,
            faded as f32,
            recency as f32,
        ]
    }

    /// Sums anew over all recent stories, in their order: the same stories always give the same bits.
    fn summarise(&mut self, now: i64) {
        let expired = self
            .recent
            .partition_point(|(available_at, _)| *available_at <= now - HORIZON);
        self.recent.drain(..expired);
        let yesterday = self
            .recent
            .partition_point(|(available_at, _)| *available_at <= now - DAY);
        let (earlier, today) = self.recent.split_at(yesterday);
        let expiry = |stories: &[(i64, f32)], after| {
            stories
                .first()
                .map_or(i64::MAX, |(available_at, _)| available_at + after)
        };
        self.changes_at = expiry(earlier, HORIZON).min(expiry(today, DAY));
        self.summary = self.recent.last().map(|(newest, _)| {
            let (mut weights, mut weighted_scores) = (0.0, 0.0);
            for (available_at, score) in &self.recent {
                let weight = ((available_at - newest) as f64 / HALF_LIFE).exp2();
                weights += weight;
                weighted_scores += weight * f64::from(*score);
            }
            let count = today.len() as f64;
            let sum: f64 = today.iter().map(|(_, score)| f64::from(*score)).sum();
            Summary {
                newest: *newest,
                log_count: count.ln_1p() as f32,
                mean: if today.is_empty() {
                    0.0
                } else {
                    (sum / count) as f32
                },
                weights,
                weighted_scores,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    fn news(stories: &[(i64, f32)]) -> News {
        let mut news = News::new();
        for (minutes, score) in stories {
            news.push(NewsEvent {
                available_at: at(*minutes),
                score: *score,
            });
        }
        news
    }

    fn features(news: &mut News, minutes: i64) -> [f32; 4] {
        news.at(at(minutes).timestamp_micros())
    }

    #[test]
    fn by_hand() {
        let mut news = news(&[(0, -0.5), (240, 1.0), (241, 0.3)]);
        assert_eq!(features(&mut news, -1), [0.0; 4]);
        let [count, mean, faded, recency] = features(&mut news, 0);
        assert_eq!((count, mean, recency), (2_f32.ln(), -0.5, 1.0));
        assert_eq!(faded, -0.25);
        // Four hours later the first story weighs half.
        let [count, mean, faded, _] = features(&mut news, 240);
        assert_eq!((count, mean), (3_f32.ln(), 0.25));
        assert!((faded - (1.0 - 0.25) / 2.5).abs() < 1e-6);
        // A day after the second one only the third counts, and all have faded.
        let [count, mean, faded, recency] = features(&mut news, 240 + 24 * 60);
        assert_eq!((count, mean), (2_f32.ln(), 0.3));
        assert!(faded > 0.0 && faded < 0.02 && recency > 0.1 && recency < 0.2);
        let [count, mean, faded, recency] = features(&mut news, 242 + 24 * 60);
        assert_eq!((count, mean), (0.0, 0.0));
        assert!(faded > 0.0 && recency > 0.1);
        assert_eq!(features(&mut news, 241 + 72 * 60), [0.0; 4]);
        assert!(news.recent.is_empty());
    }

    #[test]
    fn fading_is_exact_in_time() {
        let stories = [(0, 0.9), (7, -0.2), (100, 0.4)];
        let mut often = news(&stories);
        for minute in 0..500 {
            features(&mut often, minute);
        }
        assert_eq!(
            features(&mut often, 500),
            features(&mut news(&stories), 500)
        );
    }

    #[test]
    fn what_is_no_score_is_ignored_and_what_is_too_large_bounded() {
        let mut news = news(&[(0, f32::NAN), (0, f32::INFINITY), (0, 7.0)]);
        assert_eq!(features(&mut news, 0)[1], 1.0);
        assert_eq!(news.recent.len(), 1);
    }
}
