//! Which missing minutes are holes, and which are the ticker's own pauses. Pure functions of bars and calendar.

use std::collections::BTreeSet;

use calendar::Session;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::BAR_SECONDS;
use storage::GapReason;

/// A ticker that misses no more than this share of its minutes trades all the time: each missing minute is a gap.
/// Large US stocks miss 0 to 0.4 % of Yahoo's minutes, the next thinner ones 1 % and more.
const ALWAYS_TRADES: f64 = 0.005;

/// A run of missing minutes that the ticker's own rhythm makes less probable than this is a gap. With some 400 minutes
/// a session, a ticker's own pause is taken for one about once in a year.
const IMPROBABLE: f64 = 1e-5;

/// Minutes that share one rhythm: trading is thinner at noon than at open and close.
const BUCKET: usize = 30;

/// A bucket starts from the ticker's overall share, which counts as so many minutes.
const PRIOR_MINUTES: f64 = 60.0;

/// Finding gaps changes the rhythm that they are judged by: rarely more than once.
const PASSES: usize = 4;

/// So many sessions in a row without a bar while others trade: the ticker has stopped, and no longer misses each
/// further session.
const STOPPED_AFTER: usize = 3;

/// Bars that a ticker misses: those with `start <= bar start < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingStretch {
    /// Start of the first missing bar, UTC.
    pub start: DateTime<Utc>,
    /// Start of the first bar after it, or a session's end, UTC.
    pub end: DateTime<Utc>,
    /// What kind of hole it is.
    pub reason: GapReason,
    /// How many bars its rhythm makes the ticker miss there, rounded, 1 at least.
    pub expected_bars: u32,
}

/// The holes in a ticker's bars, ascending.
///
/// `starts` are the bars' starts, ascending; `sessions` ascending, all of them over; `market_traded` says whether
/// anything else was traded on a session's date. Sessions before the first bar are nobody's hole. A session without any
/// bar always is one, and from the third in a row on that others traded in, all of them together are one stop that
/// grows no further. A run of missing minutes is one when the ticker trades all the time, or when its own rhythm at
/// that time of day, here and in the other sessions given, makes such a run improbable.
pub fn missing_stretches(
    starts: &[DateTime<Utc>],
    sessions: &[Session],
    market_traded: impl Fn(NaiveDate) -> bool,
) -> Vec<MissingStretch> {
    let days = days(starts, sessions);
    let traded: Vec<&Day> = days.iter().filter(|day| day.has_bars()).collect();
    let runs: Vec<Run> = traded
        .iter()
        .enumerate()
        .flat_map(|(place, day)| day.runs(place))
        .collect();
    let mut gaps: BTreeSet<Run> = BTreeSet::new();
    for _ in 0..PASSES {
        let rhythm = Rhythm::of(&traded, &gaps);
        let found: BTreeSet<Run> = runs
            .iter()
            .filter(|run| rhythm.is_gap(run, gaps.contains(run)))
            .copied()
            .collect();
        if found == gaps {
            break;
        }
        gaps = found;
    }
    let rhythm = Rhythm::of(&traded, &gaps);
    let mut stretches: Vec<MissingStretch> = gaps
        .iter()
        .filter_map(|gap| {
            let session = traded.get(gap.day)?.session;
            Some(MissingStretch {
                start: minute(&session, gap.start),
                end: minute(&session, gap.end),
                reason: GapReason::MissingMinutes,
                expected_bars: rhythm.expected(gap.start..gap.end),
            })
        })
        .collect();
    let last_traded = days.iter().rposition(Day::has_bars).unwrap_or_default();
    let missing = |day: &Day| MissingStretch {
        start: day.session.open,
        end: day.session.close,
        reason: GapReason::MissingSession,
        expected_bars: rhythm.expected(0..day.traded.len()),
    };
    let (middle, tail) = days.split_at((last_traded + 1).min(days.len()));
    stretches.extend(middle.iter().filter(|day| !day.has_bars()).map(missing));
    let mut silent = tail
        .iter()
        .enumerate()
        .filter(|(_, day)| market_traded(day.session.date))
        .map(|(place, _)| place + 1);
    match silent.nth(STOPPED_AFTER - 1) {
        Some(sessions) => {
            let stop = stop(&tail[..sessions], &mut stretches, missing);
            stretches.extend(stop);
        }
        None => stretches.extend(tail.iter().map(missing)),
    }
    stretches.sort_by_key(|stretch| stretch.start);
    stretches
}

/// One stretch over sessions without a bar, and over the rest of the session before in which the trading ended.
fn stop(
    silent: &[Day],
    stretches: &mut Vec<MissingStretch>,
    missing: impl Fn(&Day) -> MissingStretch,
) -> Option<MissingStretch> {
    let whole: Vec<MissingStretch> = silent.iter().map(missing).collect();
    let (first, last) = (whole.first()?, whole.last()?);
    let mut stop = MissingStretch {
        reason: GapReason::Stopped,
        end: last.end,
        expected_bars: whole.iter().map(|stretch| stretch.expected_bars).sum(),
        ..*first
    };
    // Nothing but a night lies between, and days on which nobody traded.
    let rest = stretches.pop_if(|stretch| {
        stretch.reason == GapReason::MissingMinutes
            && silent
                .first()
                .is_some_and(|day| day.closed_before == Some(stretch.end))
    });
    if let Some(rest) = rest {
        stop.start = rest.start;
        stop.expected_bars += rest.expected_bars;
    }
    Some(stop)
}

/// A session and the minutes in which the ticker traded.
struct Day {
    session: Session,
    /// By minute of the session.
    traded: Vec<bool>,
    /// Close of the session before, among those given.
    closed_before: Option<DateTime<Utc>>,
}

/// Minutes `start..end` of a day without a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    /// Place among the days with bars.
    day: usize,
    start: usize,
    end: usize,
}

/// The sessions from the first with a bar on.
fn days(starts: &[DateTime<Utc>], sessions: &[Session]) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    let mut closed_before = None;
    for session in sessions {
        let from = starts.partition_point(|start| *start < session.open);
        let to = starts.partition_point(|start| *start < session.close);
        let bars = starts.get(from..to).unwrap_or_default();
        if days.is_empty() && bars.is_empty() {
            continue;
        }
        let mut traded = vec![false; session.minutes() as usize];
        for start in bars {
            let minute = session.minute_of(*start).unwrap_or_default() as usize;
            if let Some(minute) = traded.get_mut(minute) {
                *minute = true;
            }
        }
        days.push(Day {
            session: *session,
            traded,
            closed_before,
        });
        closed_before = Some(session.close);
    }
    days
}

impl Day {
    fn has_bars(&self) -> bool {
        self.traded.contains(&true)
    }

    /// Its missing minutes, ascending; `place` is the day's own.
    fn runs(&self, place: usize) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut minute = 0;
        for chunk in self.traded.chunk_by(|earlier, later| earlier == later) {
            if chunk.first() == Some(&false) {
                runs.push(Run {
                    day: place,
                    start: minute,
                    end: minute + chunk.len(),
                });
            }
            minute += chunk.len();
        }
        runs
    }
}

/// How many minutes were looked at, and how many of them had no bar.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    minutes: f64,
    missing: f64,
}

impl Share {
    fn add(&mut self, other: Self) {
        self.minutes += other.minutes;
        self.missing += other.missing;
    }

    fn without(self, missing: usize) -> Self {
        Self {
            minutes: self.minutes - missing as f64,
            missing: self.missing - missing as f64,
        }
    }

    /// The share of minutes without a bar, one such minute assumed beyond those seen.
    fn cautious(self) -> f64 {
        (self.missing + 1.0) / (self.minutes + 2.0)
    }

    fn plain(self) -> f64 {
        if self.minutes > 0.0 {
            self.missing / self.minutes
        } else {
            0.0
        }
    }
}

/// How a ticker trades when nothing goes wrong.
struct Rhythm {
    all: Share,
    /// By half hour of the session.
    buckets: Vec<Share>,
    /// By place of the day: some days are quieter than others.
    days: Vec<DayShare>,
}

/// A day's minutes without a bar, and how many the half hours make one expect.
#[derive(Clone, Copy, Debug, Default)]
struct DayShare {
    missing: f64,
    expected: f64,
}

impl Rhythm {
    /// Of all minutes but those of the gaps.
    fn of(days: &[&Day], gaps: &BTreeSet<Run>) -> Self {
        let mut rhythm = Self {
            all: Share::default(),
            buckets: Vec::new(),
            days: vec![DayShare::default(); days.len()],
        };
        let mut is_gap: Vec<Vec<bool>> = days
            .iter()
            .map(|day| vec![false; day.traded.len()])
            .collect();
        for gap in gaps {
            let minutes = is_gap
                .get_mut(gap.day)
                .and_then(|day| day.get_mut(gap.start..gap.end));
            minutes.unwrap_or_default().fill(true);
        }
        let looked_at = || {
            days.iter().zip(&is_gap).map(|(day, is_gap)| {
                let minutes = day.traded.iter().zip(is_gap).enumerate();
                minutes
                    .filter(|(_, (_, is_gap))| !**is_gap)
                    .map(|(minute, (traded, _))| (minute / BUCKET, f64::from(u8::from(!traded))))
            })
        };
        for (bucket, missing) in looked_at().flatten() {
            let share = Share {
                minutes: 1.0,
                missing,
            };
            if rhythm.buckets.len() <= bucket {
                rhythm.buckets.resize(bucket + 1, Share::default());
            }
            if let Some(of_bucket) = rhythm.buckets.get_mut(bucket) {
                of_bucket.add(share);
            }
            rhythm.all.add(share);
        }
        for (place, minutes) in looked_at().enumerate() {
            let mut of_day = DayShare::default();
            for (bucket, missing) in minutes {
                of_day.missing += missing;
                of_day.expected += rhythm.bucket(bucket).plain();
            }
            if let Some(day) = rhythm.days.get_mut(place) {
                *day = of_day;
            }
        }
        rhythm
    }

    /// Judges a run by all minutes but its own and those of the gaps; `is_known` when it is one of these already.
    fn is_gap(&self, run: &Run, is_known: bool) -> bool {
        let own = |minutes: usize| if is_known { 0 } else { minutes };
        let all = self.all.without(own(run.end - run.start));
        if all.missing <= ALWAYS_TRADES * all.minutes {
            return true;
        }
        // A quiet day is quiet all along: one minute more than seen, so that nothing is expected never.
        let of_day = self.days.get(run.day).copied().unwrap_or_default();
        let own_expected: f64 = (run.start..run.end)
            .map(|minute| self.bucket(minute / BUCKET).plain())
            .sum();
        let expected = of_day.expected - if is_known { 0.0 } else { own_expected };
        let missing = of_day.missing - own(run.end - run.start) as f64;
        let quiet = ((missing + 1.0) / (expected.max(0.0) + 1.0)).max(1.0);
        let probability: f64 = (run.start..run.end)
            .map(|minute| {
                let bucket = minute / BUCKET;
                let in_bucket = (run.start..run.end)
                    .filter(|minute| minute / BUCKET == bucket)
                    .count();
                let of_bucket = self.bucket(bucket).without(own(in_bucket));
                let share = (of_bucket.missing + PRIOR_MINUTES * all.cautious())
                    / (of_bucket.minutes + PRIOR_MINUTES);
                (share * quiet).min(1.0)
            })
            .product();
        probability < IMPROBABLE
    }

    fn bucket(&self, bucket: usize) -> Share {
        self.buckets.get(bucket).copied().unwrap_or_default()
    }

    /// How many of these minutes usually have a bar.
    #[expect(clippy::cast_sign_loss, reason = "a share is never negative")]
    fn expected(&self, minutes: std::ops::Range<usize>) -> u32 {
        let expected: f64 = minutes
            .map(|minute| 1.0 - self.bucket(minute / BUCKET).plain())
            .sum();
        expected.round().max(1.0) as u32
    }
}

/// The moment of a session's minute, UTC.
fn minute(session: &Session, minute: usize) -> DateTime<Utc> {
    let seconds = BAR_SECONDS * i64::try_from(minute).unwrap_or_default();
    session.open + TimeDelta::seconds(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(count: usize) -> &'static [Session] {
        let date = |day| NaiveDate::from_ymd_opt(2018, 3, day).unwrap();
        &calendar::nyse().sessions(date(5), date(29))[..count]
    }

    /// All minutes of the sessions but those that `is_missing` names by session and minute.
    fn bars(sessions: &[Session], is_missing: impl Fn(usize, usize) -> bool) -> Vec<DateTime<Utc>> {
        let mut starts = Vec::new();
        for (place, session) in sessions.iter().enumerate() {
            let traded = (0..session.minutes() as usize).filter(|at| !is_missing(place, *at));
            starts.extend(traded.map(|at| minute(session, at)));
        }
        starts
    }

    fn found(is_missing: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize, GapReason, u32)> {
        let sessions = sessions(10);
        let stretches = missing_stretches(&bars(sessions, is_missing), sessions, |_| true);
        let place = |stretch: &MissingStretch| {
            let day = sessions
                .iter()
                .position(|session| session.contains(stretch.start))
                .unwrap();
            let start = sessions[day].minute_of(stretch.start).unwrap() as usize;
            (day, start, stretch.reason, stretch.expected_bars)
        };
        stretches.iter().map(place).collect()
    }

    /// A number below 1 that looks random, of a session's minute.
    fn dice(day: usize, minute: usize) -> f64 {
        let mut state = (day * 1_000 + minute) as u64 + 0x9E37_79B9_7F4A_7C15;
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((state ^ (state >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn a_full_history_has_no_holes_and_an_empty_one_neither() {
        assert_eq!(found(|_, _| false), []);
        assert_eq!(missing_stretches(&[], sessions(5), |_| true), []);
    }

    #[test]
    fn each_minute_that_a_liquid_ticker_misses_is_a_gap() {
        use GapReason::MissingMinutes;
        let missing =
            |day, minute| matches!((day, minute), (0, 0) | (3, 100..110) | (3, 389) | (9, 200));
        assert_eq!(
            found(missing),
            [
                (0, 0, MissingMinutes, 1),
                (3, 100, MissingMinutes, 10),
                (3, 389, MissingMinutes, 1),
                (9, 200, MissingMinutes, 1)
            ]
        );
    }

    #[test]
    fn a_thin_ticker_rests_and_only_what_its_rhythm_cannot_explain_is_a_gap() {
        // Trades in 95 % of the minutes at open and close, in half of them at noon.
        let rests = |day, minute: usize| {
            let share = if (120..270).contains(&minute) {
                0.5
            } else {
                0.05
            };
            dice(day, minute) < share
        };
        assert_eq!(found(rests), []);
        // Six minutes at noon are nothing, in the morning they are a hole.
        let holes = |day, minute| {
            rests(day, minute)
                || (day == 4 && (150..156).contains(&minute))
                || (day == 6 && (40..46).contains(&minute))
        };
        let gaps = found(holes);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!(gaps[0].0, 6);
        assert!((38..=40).contains(&gaps[0].1), "{gaps:?}");
    }

    #[test]
    fn an_outage_does_not_hide_itself_or_others() {
        // Half a session is lost, in a history of two.
        let sessions = sessions(2);
        let starts = bars(sessions, |day, minute| {
            day == 1 && (30..230).contains(&minute)
        });
        let stretches = missing_stretches(&starts, sessions, |_| true);
        assert_eq!(stretches.len(), 1);
        assert_eq!(stretches[0].expected_bars, 200);
        // A long one first, and later a single minute.
        let gaps = found(|day, minute| {
            (day == 2 && (30..330).contains(&minute)) || (day == 8 && minute == 77)
        });
        assert_eq!(gaps.len(), 2, "{gaps:?}");
    }

    #[test]
    fn a_session_without_a_bar_is_a_gap_and_what_was_before_the_first_bar_is_none() {
        assert_eq!(
            found(|day, _| day < 3 || day == 5),
            [(5, 0, GapReason::MissingSession, 390)]
        );
        // As it ends: two sessions could still come.
        assert_eq!(
            found(|day, _| day >= 8),
            [
                (8, 0, GapReason::MissingSession, 390),
                (9, 0, GapReason::MissingSession, 390)
            ]
        );
    }

    #[test]
    fn a_ticker_that_stops_is_one_gap_that_does_not_grow() {
        let stops = |day, minute| day > 3 || (day == 3 && minute >= 300);
        let all = sessions(10);
        let starts = bars(all, stops);
        let stop = |count: usize| missing_stretches(&starts, &all[..count], |_| true);
        assert_eq!(stop(6).len(), 3, "the rest of the day and two sessions");
        let expected = MissingStretch {
            start: minute(&all[3], 300),
            end: all[6].close,
            reason: GapReason::Stopped,
            expected_bars: 90 + 3 * 390,
        };
        for count in 7..=10 {
            assert_eq!(stop(count), [expected]);
        }
        // Nobody traded: the vendor was silent, not the ticker.
        let silence = missing_stretches(&starts, all, |_| false);
        assert_eq!(silence.len(), 7);
        // It comes back: each session is a gap of its own.
        let back = found(|day, _| (3..7).contains(&day));
        assert_eq!(back.len(), 4);
        assert!(back.iter().all(|gap| gap.2 == GapReason::MissingSession));
    }
}
