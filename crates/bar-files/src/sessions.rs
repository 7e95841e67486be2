//! Whether bars lie where an exchange trades: most mistakes about a file show there.

use std::{collections::BTreeMap, path::Path};

use calendar::{Calendar, Session};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::America::New_York;
use domain::{Bar, Ticker};

use crate::{BarFile, BarFileError, LeftOut};

/// From the open back to four in the morning, and from there on to eight in the evening.
const BEFORE_THE_OPEN: TimeDelta = TimeDelta::minutes(5 * 60 + 30);
const EXTENDED_DAY: TimeDelta = TimeDelta::hours(16);

/// Minutes of a regular session, and of pre-market and after-hours trading around it.
const REGULAR_MINUTES: usize = 390;
const EXTENDED_MINUTES: usize = 16 * 60 - REGULAR_MINUTES;

/// Intervals that vendors have beside a minute, in minutes.
const INTERVALS: [i64; 8] = [60, 30, 20, 15, 10, 5, 3, 2];
/// Steps that agree tell an interval once they are this improbable, in bits, of a stock that trades at random: 32 steps
/// of two minutes, 16 of five, 8 of half an hour.
const BITS_TO_TELL: u32 = 32;
/// Days of one bar each that are no accident.
const DAYS_TO_TELL: usize = 12;

impl BarFile {
    /// Keeps the bars of regular sessions, and counts the others by reason.
    ///
    /// # Errors
    /// [`BarFileError`] when the bars cannot be what they are taken for: of another interval than a minute, stamped at
    /// their end, in another zone than they say, of a market that never closes, or before the calendar begins.
    pub fn keep_regular_sessions(
        &mut self,
        path: &Path,
        calendar: &Calendar,
    ) -> Result<(), BarFileError> {
        let mut survey = Survey::default();
        for (ticker, bars) in &self.bars {
            let twofold = self.report.twofold.get(ticker);
            let twofold = twofold.map(Vec::as_slice).unwrap_or_default();
            survey.add(path, ticker, bars, twofold, calendar)?;
        }
        survey.judge(path, calendar)?;
        for bars in self.bars.values_mut() {
            let mut session: Option<Session> = None;
            bars.retain(|bar| {
                if !session.is_some_and(|session| session.contains(bar.start)) {
                    session = calendar.session_at(bar.start);
                }
                session.is_some()
            });
        }
        self.bars.retain(|_, bars| !bars.is_empty());
        for (reason, count) in survey.outside {
            if count > 0 {
                self.report.outside.insert(reason, count);
            }
        }
        Ok(())
    }
}

/// What all bars of a file look like from the calendar.
#[derive(Default)]
struct Survey {
    inside: usize,
    outside: BTreeMap<LeftOut, usize>,
    /// Days of trading, and on how many of them a bar is stamped with the open or the close.
    days: usize,
    at_open: usize,
    at_close: usize,
    /// Days whose bars are a whole session's, moved by so many minutes.
    moved: BTreeMap<i64, usize>,
    /// The first of them that proves another zone by itself: moved by half hours, with most of its minutes traded.
    other_zone: Option<(i64, Day)>,
    /// A day with bars outside its session.
    example: Option<Day>,
}

/// A day of one stock.
#[derive(Clone, Copy)]
struct Day {
    date: NaiveDate,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

impl Survey {
    /// Adds a ticker's bars, and the minutes of it that have different rows.
    fn add(
        &mut self,
        path: &Path,
        ticker: &Ticker,
        bars: &[Bar],
        twofold: &[DateTime<Utc>],
        calendar: &Calendar,
    ) -> Result<(), BarFileError> {
        let wrong_interval = |day, minutes| BarFileError::WrongInterval {
            path: path.to_owned(),
            ticker: ticker.clone(),
            day,
            minutes,
        };
        // A day's tell by themselves, as files that were put together may begin with another interval; those of all
        // days where a day has few.
        let mut all_steps = Steps::default();
        let mut days = 0_usize;
        for day in bars.chunk_by(|earlier, later| date_of(earlier) == date_of(later)) {
            let [first, .., last] = day else {
                if let [bar] = day {
                    self.place(day, date_of(bar), calendar);
                    days += 1;
                }
                continue;
            };
            days += 1;
            let date = date_of(first);
            let Some(session) = self.place(day, date, calendar) else {
                continue;
            };
            let minutes = |time: TimeDelta| time.num_minutes();
            let moved = minutes(first.start - session.open);
            if moved != 0 && moved == minutes(last.close_time() - session.close) {
                *self.moved.entry(moved).or_default() += 1;
                if moved % 30 == 0 && day.len() * 2 >= session.minutes() as usize {
                    let (first, last) = (first.start, last.start);
                    self.other_zone
                        .get_or_insert((moved, Day { date, first, last }));
                }
            }
            let starts = day.iter().map(|bar| bar.start);
            let starts: Vec<DateTime<Utc>> =
                starts.filter(|start| session.contains(*start)).collect();
            let mut steps = Steps::default();
            for (before, start) in starts.iter().zip(starts.iter().skip(1)) {
                let step = minutes(*start - *before);
                *steps.entry(step).or_default() += 1;
                *all_steps.entry(step).or_default() += 1;
            }
            if let Some(minutes) = interval(&steps) {
                return Err(wrong_interval(date, minutes));
            }
            // Of two rows for a minute one is a bar of five minutes, say.
            let from = twofold.partition_point(|start| *start < session.open);
            let to = twofold.partition_point(|start| *start < session.close);
            let twofold = twofold.get(from..to).unwrap_or_default();
            if let Some((minutes, first, last)) = stretch(&starts).or_else(|| stretch(twofold)) {
                return Err(BarFileError::MixedIntervals {
                    path: path.to_owned(),
                    ticker: ticker.clone(),
                    day: date,
                    minutes,
                    first: clock(first),
                    last: clock(last),
                });
            }
        }
        if let (Some(minutes), Some(bar)) = (interval(&all_steps), bars.first()) {
            return Err(wrong_interval(date_of(bar), minutes));
        }
        if days >= DAYS_TO_TELL && days == bars.len() {
            return Err(BarFileError::DailyBars {
                path: path.to_owned(),
                ticker: ticker.clone(),
            });
        }
        Ok(())
    }

    /// Counts a day's bars by where they lie, and finds its session.
    fn place(&mut self, day: &[Bar], date: NaiveDate, calendar: &Calendar) -> Option<Session> {
        let mut outside = |reason, count| *self.outside.entry(reason).or_default() += count;
        if !calendar.coverage().contains(&date) {
            outside(LeftOut::BeyondCalendar, day.len());
            return None;
        }
        let session = calendar.session_on(date);
        let mut inside = 0;
        for bar in day {
            match session {
                Some(session) if session.contains(bar.start) => inside += 1,
                Some(session) => {
                    let day_begins = session.open - BEFORE_THE_OPEN;
                    let is_extended = (day_begins..day_begins + EXTENDED_DAY).contains(&bar.start);
                    outside(
                        if is_extended {
                            LeftOut::ExtendedHours
                        } else {
                            LeftOut::MarketClosed
                        },
                        1,
                    );
                }
                None => outside(LeftOut::MarketClosed, 1),
            }
        }
        self.inside += inside;
        if inside < day.len()
            && let [first, ..] = day
            && let [.., last] = day
        {
            self.example.get_or_insert(Day {
                date,
                first: first.start,
                last: last.start,
            });
        }
        let session = session?;
        self.days += 1;
        let has = |time| day.binary_search_by_key(&time, |bar| bar.start).is_ok();
        self.at_open += usize::from(has(session.open));
        self.at_close += usize::from(has(session.close));
        Some(session)
    }

    /// Refuses what is not what it was taken for.
    fn judge(&self, path: &Path, calendar: &Calendar) -> Result<(), BarFileError> {
        let count = |reason| self.outside.get(&reason).copied().unwrap_or_default();
        let outside: usize = self.outside.values().sum();
        let rows = self.inside + outside;
        let beyond = count(LeftOut::BeyondCalendar);
        if beyond * 2 > rows {
            let coverage = calendar.coverage();
            return Err(BarFileError::OutsideCalendar {
                path: path.to_owned(),
                outside: beyond,
                rows,
                from: *coverage.start(),
                to: *coverage.end(),
            });
        }
        let moved: usize = self.moved.values().sum();
        let is_moved = moved * 5 >= self.days * 4 && moved > 0;
        let usual = self.moved.iter().max_by_key(|(_, days)| **days);
        let usual = usual.filter(|_| is_moved).map(|(by, _)| *by);
        let by = usual.or(self.other_zone.map(|(by, _)| by));
        let (extended, closed) = (count(LeftOut::ExtendedHours), count(LeftOut::MarketClosed));
        // Not every day need show it: a stock may not trade in each minute, and some vendors add the price of the opening
        // auction. Then most days have a bar at the close, few one at the open, and hardly anything lies beyond.
        let ends_at_close = self.at_close * 5 >= self.days * 4 && self.at_open * 2 < self.days;
        let beyond_close = extended.saturating_sub(self.at_close);
        let is_stamped_at_end = ends_at_close && beyond_close * 100 <= rows && self.days > 1;
        if by == Some(1) || (by.is_none() && is_stamped_at_end) {
            return Err(BarFileError::EndStamps {
                path: path.to_owned(),
            });
        }
        // Files with pre-market and after-hours trading are welcome, even where it takes more minutes than the session:
        // then the session is the busiest part of the day and nothing lies at night.
        let is_busiest = self.inside * EXTENDED_MINUTES >= extended * REGULAR_MINUTES;
        let is_day_of_trading = is_busiest && closed * 20 <= rows;
        let proof = self.other_zone.map(|(_, day)| day).or(self.example);
        if let Some(example) = proof
            && (by.is_some() || (outside > self.inside && !is_day_of_trading))
        {
            return Err(BarFileError::OutsideSessions {
                path: path.to_owned(),
                outside,
                rows,
                day: example.date,
                first: clock(example.first),
                last: clock(example.last),
                hint: hint(by, usual.is_some(), closed * 2 > rows),
            });
        }
        Ok(())
    }
}

/// What may be wrong with times of which most lie outside sessions, or which are moved by so many minutes, on most days
/// or on some.
const fn hint(moved: Option<i64>, on_most_days: bool, mostly_closed: bool) -> &'static str {
    match moved {
        Some(-60 | 60) if !on_most_days => {
            ": a whole session is moved by an hour while others are not, as where New York's clock is marked with one offset all \
             year; write the times without it and give --zone America/New_York"
        }
        // New York is four or five hours behind.
        Some(-300 | -240) => {
            ": these are New York's times marked as UTC; write them without a zone and give --zone America/New_York"
        }
        Some(240 | 300) => ": these are UTC's times taken for New York's; give --zone UTC",
        Some(-1) => ": they are stamped at their start; leave out --stamps end",
        Some(_) => ": they are whole sessions at other hours; give the zone of the times by --zone",
        None if mostly_closed => {
            ": the New York Stock Exchange is closed then; Tandem works on the stocks that it trades"
        }
        None => ": check the zone of the times, which --zone gives where they state none",
    }
}

/// How often bars follow each other in so many minutes.
type Steps = BTreeMap<i64, usize>;

/// The interval of bars by the steps between them, if it is not a minute.
fn interval(steps: &Steps) -> Option<i64> {
    let all: usize = steps.values().sum();
    INTERVALS.into_iter().find(|interval| {
        let multiples: usize = steps
            .iter()
            .filter(|(step, _)| **step % interval == 0)
            .map(|(_, count)| count)
            .sum();
        all >= steps_to_tell(*interval) && multiples * 20 >= all * 19
    })
}

/// The first stretch of a day's starts that is of another interval: which, its first start and its last.
fn stretch(starts: &[DateTime<Utc>]) -> Option<(i64, DateTime<Utc>, DateTime<Utc>)> {
    INTERVALS.into_iter().find_map(|interval| {
        let is_step = |before: &DateTime<Utc>, start: &DateTime<Utc>| {
            (*start - *before).num_minutes() % interval == 0
        };
        let stretch = starts
            .chunk_by(is_step)
            .find(|stretch| stretch.len() > steps_to_tell(interval))?;
        Some((interval, *stretch.first()?, *stretch.last()?))
    })
}

/// How many steps tell an interval.
const fn steps_to_tell(interval: i64) -> usize {
    (BITS_TO_TELL / interval.ilog2()) as usize
}

/// Wall clock of New York.
fn clock(time: DateTime<Utc>) -> String {
    let time: NaiveTime = time.with_timezone(&New_York).time();
    time.format("%H:%M").to_string()
}

fn date_of(bar: &Bar) -> NaiveDate {
    bar.start.with_timezone(&New_York).date_naive()
}
