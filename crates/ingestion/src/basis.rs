//! On which share basis a vendor's prices really are. What is told of the shares and what was done to the prices are two
//! things: a vendor restates its history early, late, not at all or twice. The level on both sides of an action's open
//! decides, and where a bar is stored already, that bar. Pure functions of bars and actions.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, CorporateAction, Price, ShareChange};
use storage::StoredBar;

use crate::quality::median;

/// Bars on each side of an action's open whose median is the level there.
const NEIGHBOURS: usize = 5;

/// Smallest change that the levels show, as a logarithm: a ratio of 1.16. A smaller one is lost in what a night does to
/// prices.
const SMALLEST_VISIBLE: f64 = 0.15;

/// Smallest change that shows in two values of one and the same bar, as a logarithm: prices are rounded.
const SMALLEST_MEASURABLE: f64 = 0.002;

/// How far from what is expected counts as what is expected, as a part of the change's logarithm.
const TOLERANCE: f64 = 0.25;

/// Levels further apart than this say nothing about each other.
const LEVEL_AGE: TimeDelta = TimeDelta::days(7);

/// What was done to the shares at one moment, all splits and spin-offs of that moment together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    /// The open of the ex-date, UTC.
    pub(crate) at: DateTime<Utc>,
    /// What prices are divided by.
    pub(crate) price: f64,
    /// What share counts are multiplied by.
    pub(crate) shares: f64,
}

impl Change {
    fn log(&self) -> f64 {
        self.price.ln()
    }

    /// Whether levels show it.
    pub(crate) fn is_visible(&self) -> bool {
        self.log().abs() >= SMALLEST_VISIBLE
    }

    /// Since when a vendor may send the bars before it restated, UTC; what was fetched earlier is as it was traded. Vendors
    /// restate in the night before the ex-date, some in the evening: never before the last session on the old basis has
    /// closed.
    fn restated_from(&self) -> DateTime<Utc> {
        let last = calendar::nyse().last_closed(self.at);
        last.map_or(DateTime::<Utc>::MIN_UTC, |session| session.close)
    }

    /// The part of a stretch about its open within which levels say something about it.
    fn around(&self, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> (DateTime<Utc>, DateTime<Utc>) {
        (from.max(self.at - LEVEL_AGE), to.min(self.at + LEVEL_AGE))
    }
}

/// The changes among one ticker's actions, ascending; dividends are none.
pub(crate) fn changes_of<'a>(
    actions: impl IntoIterator<Item = &'a CorporateAction>,
) -> Vec<Change> {
    let mut changes: BTreeMap<DateTime<Utc>, (f64, f64)> = BTreeMap::new();
    for action in actions {
        let (price, shares) = match action.change {
            ShareChange::Split { ratio } => (ratio, ratio),
            ShareChange::SpinOff { ratio } => (ratio, 1.0),
            ShareChange::Dividend { .. } => continue,
        };
        let known = changes.entry(action.effective_at).or_insert((1.0, 1.0));
        *known = (known.0 * price, known.1 * shares);
    }
    changes
        .into_iter()
        .map(|(at, (price, shares))| Change { at, price, shares })
        .collect()
}

/// What prices are divided by and share counts multiplied by from one moment to a later one.
pub(crate) fn factors_between(
    changes: &[Change],
    carried: DateTime<Utc>,
    to: DateTime<Utc>,
) -> (f64, f64) {
    changes
        .iter()
        .filter(|change| carried < change.at && change.at <= to)
        .fold((1.0, 1.0), |(price, shares), change| {
            (price * change.price, shares * change.shares)
        })
}

/// A bar that carries the changes up to a moment, as it is at a later one.
pub(crate) fn brought_to(
    bar: &Bar,
    carried: DateTime<Utc>,
    to: DateTime<Utc>,
    changes: &[Change],
) -> Bar {
    let (price, shares) = factors_between(changes, carried.max(bar.start), to);
    scaled(bar, 1.0 / price, shares)
}

/// Prices times one factor, volume times another; the bar as it is where that makes no bar.
fn scaled(bar: &Bar, price: f64, shares: f64) -> Bar {
    if price == 1.0 && shares == 1.0 {
        return *bar;
    }
    let [open, high, low, close] =
        [bar.open, bar.high, bar.low, bar.close].map(|value| value.get() * price);
    Bar::new(bar.start, open, high, low, close, bar.volume * shares).unwrap_or(*bar)
}

/// What an answer holds of one ticker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Ascending.
    pub(crate) bars: &'a [Bar],
    /// The price of the running minute.
    pub(crate) forming: Option<Price>,
    /// Market time just before it was asked for, UTC.
    pub(crate) as_of: DateTime<Utc>,
}

/// How often a vendor has applied a change to the bars before it: once, when all is well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Applied {
    pub(crate) change: Change,
    pub(crate) times: i32,
    /// Whether prices say so; otherwise it is what should be.
    pub(crate) is_seen: bool,
}

impl Applied {
    /// What should be at a moment: a change counts from its open on.
    fn expected(&self, as_of: DateTime<Utc>) -> i32 {
        i32::from(self.change.at <= as_of)
    }
}

/// An answer's bars on the basis that they really are on.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// Ascending, each with the moment up to which its values carry all changes, UTC: that of the answer, unless the
    /// vendor was late. What was divided too early or too often is put back.
    pub(crate) bars: Vec<(Bar, DateTime<Utc>)>,
    /// Of each change that lies after the first bar.
    pub(crate) applied: Vec<Applied>,
}

/// Finds out which of the changes (ascending) the bars of an answer carry. `stored` are the ticker's bars around them
/// as they are stored, ascending.
pub(crate) fn place(answer: Answer<'_>, changes: &[Change], stored: &[StoredBar]) -> Placed {
    let Answer { bars, as_of, .. } = answer;
    let Some(first) = bars.first() else {
        return Placed::default();
    };
    // The latest first: what lies before an earlier one carries the later ones as its neighbours do.
    let mut applied: Vec<Applied> = Vec::new();
    for (place, change) in changes.iter().enumerate().rev() {
        if change.at <= first.start {
            break;
        }
        let mut found = Applied {
            change: *change,
            times: 0,
            is_seen: false,
        };
        let expected = found.expected(as_of);
        let seen = Seen {
            answer,
            stored,
            stretch: stretch(changes, place),
            later: &applied,
        };
        // Bars that are stored as they were traded tell exactly, whatever the night did to prices.
        let restated_from = change.restated_from();
        let times = seen
            .by_bars(change, |row| row.fetched_at < restated_from)
            .or_else(|| seen.by_level(change, expected))
            .or_else(|| seen.by_bars(change, |_| true));
        found.times = times.unwrap_or(expected);
        found.is_seen = times.is_some();
        applied.push(found);
    }
    applied.reverse();
    let bars = bars
        .iter()
        .map(|bar| {
            let after = applied.partition_point(|applied| applied.change.at <= bar.start);
            carrying(bar, applied.get(after..).unwrap_or_default(), as_of)
        })
        .collect();
    Placed { bars, applied }
}

/// A bar with the moment up to which it carries all changes. `later` are those after it, ascending.
fn carrying(bar: &Bar, later: &[Applied], as_of: DateTime<Utc>) -> (Bar, DateTime<Utc>) {
    if later
        .iter()
        .all(|applied| applied.times == applied.expected(as_of))
    {
        return (*bar, as_of);
    }
    // Late or not at all: it carries the changes up to the first that is missing.
    let is_once = |applied: &&Applied| applied.times == 1;
    let (once, rest) = later.split_at(later.iter().take_while(is_once).count());
    let is_early = once.last().is_some_and(|last| last.change.at > as_of);
    if let Some(missing) = rest.first().filter(|_| !is_early)
        && rest.iter().all(|applied| applied.times == 0)
    {
        return (*bar, just_before(missing.change.at));
    }
    // Early or twice: put back, to the basis of the fetch.
    let (price, shares) = later.iter().fold((1.0, 1.0), |(price, shares), applied| {
        let too_often = applied.times - applied.expected(as_of);
        (
            price * applied.change.price.powi(too_often),
            shares / applied.change.shares.powi(too_often),
        )
    });
    (scaled(bar, price, shares), as_of)
}

/// The last moment before another that the database tells from it.
fn just_before(time: DateTime<Utc>) -> DateTime<Utc> {
    time - TimeDelta::microseconds(1)
}

/// From the change before to the change after one of the changes: within this nothing else moves the level.
fn stretch(changes: &[Change], place: usize) -> (DateTime<Utc>, DateTime<Utc>) {
    let before = place.checked_sub(1).and_then(|place| changes.get(place));
    let after = changes.get(place + 1);
    (
        before.map_or(DateTime::<Utc>::MIN_UTC, |change| change.at),
        after.map_or(DateTime::<Utc>::MAX_UTC, |change| change.at),
    )
}

/// What shows whether a vendor has applied a change. All levels are logarithms of prices without any later change.
struct Seen<'a> {
    answer: Answer<'a>,
    stored: &'a [StoredBar],
    stretch: (DateTime<Utc>, DateTime<Utc>),
    /// The later changes.
    later: &'a [Applied],
}

impl Seen<'_> {
    fn level_of_answered(&self, bar: &Bar) -> f64 {
        let carried = self.later.iter();
        let carried: f64 = carried
            .map(|applied| f64::from(applied.times) * applied.change.log())
            .sum();
        bar.close.get().ln() + carried
    }

    fn level_of_stored(&self, row: &StoredBar) -> f64 {
        level(row, self.later.iter().map(|applied| &applied.change))
    }

    /// Compares the levels before and after its open.
    fn by_level(&self, change: &Change, expected: i32) -> Option<i32> {
        if !change.is_visible() {
            return None;
        }
        let (from, to) = change.around(self.stretch);
        let before = last_of(between(self.answer.bars, from, change.at))
            .map(|bar| self.level_of_answered(bar));
        let answered = first_of(between(self.answer.bars, change.at, to))
            .map(|bar| self.level_of_answered(bar));
        let stored =
            first_of(rows_between(self.stored, change.at, to)).map(|row| self.level_of_stored(row));
        let is_after = change.at <= self.answer.as_of && self.answer.as_of < to;
        let forming = self.answer.forming.filter(|_| is_after);
        let after = median_of(answered)
            .or_else(|| forming.map(|price| price.get().ln()))
            .or_else(|| median_of(stored))?;
        let step = median_of(before)? - after;
        // Divided once, nothing is left of the change in the step; never, all of it.
        let left = |times: i32| f64::from(1 - times) * change.log();
        [expected, 1, 0, 2]
            .into_iter()
            .find(|times| (step - left(*times)).abs() <= TOLERANCE * change.log().abs())
    }

    /// Compares bars before it with the same bars as they are stored, those of them that count.
    fn by_bars(&self, change: &Change, counts: impl Fn(&StoredBar) -> bool) -> Option<i32> {
        if change.log().abs() < SMALLEST_MEASURABLE {
            return None;
        }
        let stored = rows_between(self.stored, self.stretch.0, change.at);
        let differences = between(self.answer.bars, self.stretch.0, change.at)
            .iter()
            .filter_map(|bar| {
                let place = stored.binary_search_by_key(&bar.start, |row| row.bar.start);
                let row = stored.get(place.ok()?).filter(|row| counts(row))?;
                let as_traded =
                    level(row, [change]) - row.bar.close.get().ln() + self.level_of_stored(row);
                Some(as_traded - self.level_of_answered(bar))
            });
        let times = median_of(differences)? / change.log();
        let nearest = times.round();
        let is_clear = (times - nearest).abs() <= TOLERANCE && (0.0..=2.0).contains(&nearest);
        is_clear.then_some(nearest as i32)
    }
}

/// The logarithm of a stored close without those of the changes that it carries.
fn level<'a>(row: &StoredBar, changes: impl IntoIterator<Item = &'a Change>) -> f64 {
    let carried = row.fetched_at.max(row.bar.start);
    let changes = changes.into_iter().filter(|change| change.at <= carried);
    row.bar.close.get().ln() + changes.map(Change::log).sum::<f64>()
}

/// What prices are divided by across a change where they go on as if it were none, so that adjusting for it would make
/// the step that it claims to explain. `place` is its place among all `changes`; the answer is what has just come, if
/// anything.
pub(crate) fn contradiction(
    changes: &[Change],
    place: usize,
    stored: &[StoredBar],
    answer: Option<Answer<'_>>,
) -> Option<f64> {
    let change = changes.get(place).filter(|change| change.is_visible())?;
    let (oldest, _) = change.around(stretch(changes, place));
    let later = changes.get(place + 1..).unwrap_or_default();
    let restated_from = change.restated_from();
    let certain: Vec<&StoredBar> = rows_between(stored, oldest, change.at)
        .iter()
        .filter(|row| row.fetched_at < restated_from)
        .collect();
    let before = median_of(last_of(&certain).map(|row| level(row, later)));
    let after = level_after(changes, place, stored, answer);
    let step = before? - after?;
    (step.abs() <= TOLERANCE * change.log().abs()).then(|| step.exp())
}

/// The level from a change's open on, as if no later change were, as it is stored or, of the last change, as it has just
/// come.
fn level_after(
    changes: &[Change],
    place: usize,
    stored: &[StoredBar],
    answer: Option<Answer<'_>>,
) -> Option<f64> {
    let change = changes.get(place)?;
    let from = change.at;
    let (_, to) = change.around(stretch(changes, place));
    let later = changes.get(place + 1..).unwrap_or_default();
    let rows = first_of(rows_between(stored, from, to)).map(|row| level(row, later));
    median_of(rows).or_else(|| {
        let is_last = |answer: &Answer<'_>| later.iter().all(|change| change.at > answer.as_of);
        let answer = answer.filter(is_last)?;
        let bars = first_of(between(answer.bars, from, to)).map(|bar| bar.close.get().ln());
        let is_after = from <= answer.as_of && answer.as_of < to;
        let forming = answer.forming.filter(|_| is_after);
        median_of(bars).or_else(|| forming.map(|price| price.get().ln()))
    })
}

/// Stored bars before a change that is now in effect of which it was thought, wrongly, that they carry it, or that they
/// do not: they were fetched when nobody knew of it, or before its open. Each by its start, with the moment up to which it
/// carries all changes.
///
/// What was fetched at once is on one basis, so that a fall within it is a fall. Fetches are judged by their newest bars,
/// back from the open, so that each has neighbours whose level is known. A fall as large as the change just where two of
/// the last night's fetches meet remains in doubt, and is taken for their difference.
pub(crate) fn misplaced(
    changes: &[Change],
    place: usize,
    stored: &[StoredBar],
    answer: Option<Answer<'_>>,
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let Some(change) = changes.get(place).filter(|change| change.is_visible()) else {
        return Vec::new();
    };
    let Some(after) = level_after(changes, place, stored, answer) else {
        return Vec::new();
    };
    let (earlier, later) = (
        changes.get(..place).unwrap_or_default(),
        changes.get(place + 1..).unwrap_or_default(),
    );
    let size = change.log().abs();
    let carries = |row: &StoredBar| row.fetched_at >= change.at;
    // The level on the basis of just after the change, by whether what is thought of the row is wrong.
    let level_if = |row: &StoredBar, is_wrong: bool| {
        let (price, _) = factors_between(earlier, row.fetched_at.max(row.bar.start), change.at);
        let missing = if carries(row) == is_wrong {
            change.log()
        } else {
            0.0
        };
        level(row, later) - price.ln() - missing
    };
    let before = |row: &StoredBar| row.bar.start < change.at;
    let rows = stored
        .get(..stored.partition_point(before))
        .unwrap_or_default();
    let mut fetches: HashMap<DateTime<Utc>, bool> = HashMap::new();
    let restated_from = change.restated_from();
    for count in (1..=rows.len()).rev() {
        let (older, newer) = rows.split_at(count);
        let Some(row) = older.last() else { continue };
        if row.fetched_at < restated_from || fetches.contains_key(&row.fetched_at) {
            continue;
        }
        let is_wrong_of =
            |row: &StoredBar| fetches.get(&row.fetched_at).is_some_and(|wrong| *wrong);
        let start = row.bar.start;
        let is_near = |other: &&StoredBar| (other.bar.start - start).abs() <= LEVEL_AGE;
        let neighbours = first_of(newer).filter(is_near);
        let neighbour = median_of(neighbours.map(|other| level_if(other, is_wrong_of(other))))
            .or_else(|| (newer.is_empty() && change.at - start <= LEVEL_AGE).then_some(after));
        let own = |is_wrong: bool| {
            let mates = older.iter().rev().take_while(is_near);
            let mates = mates.filter(|other| other.fetched_at == row.fetched_at);
            median_of(mates.take(NEIGHBOURS).map(|row| level_if(row, is_wrong)))
        };
        let distance = |is_wrong: bool| Some((own(is_wrong)? - neighbour?).abs());
        let is_wrong = distance(true).is_some_and(|distance| distance <= TOLERANCE * size)
            && distance(false).is_some_and(|distance| distance >= (1.0 - TOLERANCE) * size);
        fetches.insert(row.fetched_at, is_wrong);
    }
    rows.iter()
        .filter(|row| fetches.get(&row.fetched_at).is_some_and(|wrong| *wrong))
        .map(|row| {
            let until = if carries(row) {
                just_before(change.at)
            } else {
                change.at
            };
            (row.bar.start, until)
        })
        .collect()
}

/// Bars with `from <= start < to`.
fn between(bars: &[Bar], from: DateTime<Utc>, to: DateTime<Utc>) -> &[Bar] {
    let place = |time| bars.partition_point(|bar| bar.start < time);
    bars.get(place(from)..place(to)).unwrap_or_default()
}

fn rows_between(rows: &[StoredBar], from: DateTime<Utc>, to: DateTime<Utc>) -> &[StoredBar] {
    let place = |time| rows.partition_point(|row| row.bar.start < time);
    rows.get(place(from)..place(to)).unwrap_or_default()
}

fn first_of<T>(items: &[T]) -> impl Iterator<Item = &T> {
    items.iter().take(NEIGHBOURS)
}

fn last_of<T>(items: &[T]) -> impl Iterator<Item = &T> {
    items.iter().rev().take(NEIGHBOURS)
}

fn median_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| median(&values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens of two ex-dates, and a moment after both.
    fn opens() -> [DateTime<Utc>; 3] {
        [
            "2018-03-21T13:30:00Z",
            "2018-03-22T13:30:00Z",
            "2018-03-23T12:00:00Z",
        ]
        .map(|time| time.parse().unwrap())
    }

    fn split(at: DateTime<Utc>, ratio: f64) -> Change {
        Change {
            at,
            price: ratio,
            shares: ratio,
        }
    }

    fn bar(start: DateTime<Utc>, close: f64) -> Bar {
        Bar::new(start, close, close, close, close, 1_000.0).unwrap()
    }

    /// Ten minutes of the session before each open and ten after the last, at 100 dollars of the newest shares.
    fn bars(times: [i32; 2], changes: &[Change]) -> Vec<Bar> {
        let [first, second, _] = opens();
        let minutes = |from: DateTime<Utc>| (0..10).map(move |m| from + TimeDelta::minutes(m));
        let night = TimeDelta::minutes(17 * 60 + 40);
        minutes(first - night)
            .chain(minutes(second - night))
            .chain(minutes(second))
            .map(|start| {
                let later = changes.iter().zip(times);
                let later = later.filter(|(change, _)| start < change.at);
                let factor: f64 = later
                    .map(|(change, times)| change.price.powi(1 - times))
                    .product();
                bar(start, 100.0 * factor)
            })
            .collect()
    }

    fn stored(bars: &[Bar], fetched_at: DateTime<Utc>) -> Vec<StoredBar> {
        let rows = bars.iter();
        rows.map(|bar| StoredBar {
            bar: *bar,
            fetched_at: fetched_at.max(bar.close_time()),
        })
        .collect()
    }

    fn answer(bars: &[Bar], as_of: DateTime<Utc>) -> Answer<'_> {
        Answer {
            bars,
            forming: None,
            as_of,
        }
    }

    #[test]
    fn however_two_changes_were_applied_the_series_is_one() {
        let [first, second, as_of] = opens();
        for ratios in [[4.0, 2.0], [0.125, 20.0], [1.5, 7.0]] {
            let changes = [split(first, ratios[0]), split(second, ratios[1])];
            for times in [
                [1, 1],
                [0, 0],
                [1, 0],
                [0, 1],
                [2, 1],
                [1, 2],
                [2, 2],
                [0, 2],
            ] {
                let sent = bars(times, &changes);
                let placed = place(answer(&sent, as_of), &changes, &[]);
                let found: Vec<_> = placed.applied.iter().map(|applied| applied.times).collect();
                assert_eq!(found, times, "{ratios:?}");
                for (bar, until) in &placed.bars {
                    assert!(*until <= as_of, "nothing is carried that is to come");
                    let close = brought_to(bar, *until, as_of, &changes).close.get();
                    assert!((close / 100.0 - 1.0).abs() < 1e-12, "{times:?}: {close}");
                }
            }
        }
    }

    #[test]
    fn a_change_too_small_for_levels_is_measured_by_the_stored_bars() {
        let [first, second, as_of] = opens();
        let changes = [split(second, 1.037)];
        let raw = bars([1, 0], &[split(first, 1.0), changes[0]]);
        let rows = stored(&raw, first);
        for (times, sent) in [
            (0, raw.clone()),
            (1, bars([1, 1], &[split(first, 1.0), changes[0]])),
        ] {
            let placed = place(answer(&sent, as_of), &changes, &rows);
            assert_eq!(
                (placed.applied[0].times, placed.applied[0].is_seen),
                (times, true)
            );
        }
        // Without them, what should be is believed.
        let placed = place(answer(&raw, as_of), &changes, &[]);
        assert_eq!(
            (placed.applied[0].times, placed.applied[0].is_seen),
            (1, false)
        );
    }

    #[test]
    fn what_is_to_come_is_carried_by_no_bar_even_where_the_vendor_was_early() {
        let [first, second, _] = opens();
        let changes = [split(second, 4.0)];
        let before = second - TimeDelta::hours(1);
        let all = bars([1, 0], &[split(first, 1.0), changes[0]]);
        let raw = between(&all, DateTime::<Utc>::MIN_UTC, second);
        let placed = place(answer(raw, before), &changes, &[]);
        assert!(placed.bars.iter().all(|(_, until)| *until == before));
        let restated: Vec<Bar> = raw.iter().map(|bar| scaled(bar, 0.25, 4.0)).collect();
        let placed = place(answer(&restated, before), &changes, &stored(raw, first));
        assert_eq!(placed.applied[0].times, 1);
        let put_back: Vec<_> = raw.iter().map(|bar| (*bar, before)).collect();
        assert_eq!(placed.bars, put_back);
    }

    #[test]
    fn a_split_across_which_prices_go_on_is_contradicted_and_a_fall_is_not() {
        let [first, second, as_of] = opens();
        let changes = [split(second, 4.0)];
        let flat = stored(&bars([1, 1], &[split(first, 1.0), changes[0]]), first);
        let step = contradiction(&changes, 0, &flat, None).unwrap();
        assert!((step - 1.0).abs() < 1e-12, "{step}");
        let raw = bars([1, 0], &[split(first, 1.0), changes[0]]);
        assert_eq!(contradiction(&changes, 0, &stored(&raw, first), None), None);
        // What was sent on the day itself may have been restated before the open.
        let restated = stored(&bars([1, 1], &[split(first, 1.0), changes[0]]), second);
        assert_eq!(contradiction(&changes, 0, &restated, None), None);
        // The level after the open may be what has just come.
        let before = rows_between(&flat, DateTime::<Utc>::MIN_UTC, second);
        assert_eq!(
            contradiction(&changes, 0, before, None),
            None,
            "too early to say"
        );
        let forming = Answer {
            bars: &[],
            forming: Price::new(101.0).ok(),
            as_of,
        };
        assert!(contradiction(&changes, 0, before, Some(forming)).is_some());
    }

    #[test]
    fn stored_bars_are_put_right_when_a_change_becomes_known() {
        let [first, second, as_of] = opens();
        let changes = [split(second, 4.0)];
        let of = |times| bars([1, times], &[split(first, 1.0), changes[0]]);
        // Fetched after the open and not adjusted.
        let late = misplaced(&changes, 0, &stored(&of(0), as_of), None);
        assert_eq!(late.len(), 20);
        assert!(late.iter().all(|(_, until)| *until == just_before(second)));
        // Fetched in the morning and restated.
        let morning = second - TimeDelta::hours(2);
        let early = misplaced(&changes, 0, &stored(&of(1), morning), None);
        assert_eq!(early.len(), 20);
        assert!(early.iter().all(|(_, until)| *until == second));
        for (times, fetched_at) in [(0, first), (1, as_of), (0, morning)] {
            let rows = stored(&of(times), fetched_at);
            assert_eq!(misplaced(&changes, 0, &rows, None), [], "{times}");
        }
    }

    /// A session of ten minutes each day at the level of that day.
    fn days(levels: &[f64]) -> Vec<Bar> {
        let first: DateTime<Utc> = "2018-03-12T13:30:00Z".parse().unwrap();
        let days = (0..).map(|day| first + TimeDelta::days(day));
        days.zip(levels)
            .flat_map(|(open, level)| {
                (0..10).map(move |minute| bar(open + TimeDelta::minutes(minute), *level))
            })
            .collect()
    }

    #[test]
    fn a_fall_as_large_as_a_small_split_before_it_is_a_fall() {
        // A fall of 20 % on the second of four days, five for four at the open of the last.
        let open = "2018-03-15T13:30:00Z".parse().unwrap();
        let changes = [split(open, 1.25)];
        let traded = [100.0, 80.0, 80.0, 64.0];
        let restated = [80.0, 64.0, 64.0, 64.0];
        let later = open + TimeDelta::hours(8);
        let evening = open - TimeDelta::hours(16);
        for (levels, fetched_at, until) in [
            (restated, later, None),
            (traded, later, Some(just_before(open))),
            (restated, evening, Some(open)),
            (traded, evening, None),
        ] {
            let all = days(&levels);
            let rows = stored(&all, fetched_at);
            let wrong = misplaced(&changes, 0, &rows, None);
            let expected: Vec<_> = all
                .iter()
                .filter(|bar| bar.start < open)
                .filter_map(|bar| Some((bar.start, until?)))
                .collect();
            assert_eq!(wrong, expected, "{levels:?} {fetched_at}");
        }
        // The older half comes from another fetch that was on the other basis.
        let all = days(&[100.0, 80.0, 64.0, 64.0]);
        let mut rows = stored(&all, later);
        for row in &mut rows[..20] {
            row.fetched_at = later - TimeDelta::hours(1);
        }
        let wrong = misplaced(&changes, 0, &rows, None);
        let starts: Vec<_> = wrong.iter().map(|(start, _)| *start).collect();
        let older: Vec<_> = all[..20].iter().map(|bar| bar.start).collect();
        assert_eq!(starts, older);
    }

    #[test]
    fn levels_weeks_apart_say_nothing_about_a_split() {
        let open: DateTime<Utc> = "2018-03-15T13:30:00Z".parse().unwrap();
        let changes = [split(open, 1.5)];
        let old = bar(open - TimeDelta::days(20), 100.0);
        let as_of = open + TimeDelta::hours(1);
        // A vendor that is right, and a stock that rose by half in three weeks.
        let sent = [old, bar(open, 150.0)];
        let placed = place(answer(&sent, as_of), &changes, &[]);
        assert_eq!(
            (placed.applied[0].times, placed.applied[0].is_seen),
            (1, false)
        );
        let rows = stored(&sent, as_of);
        assert_eq!(misplaced(&changes, 0, &rows, None), []);
        let forming = Answer {
            bars: &[old],
            forming: Price::new(150.0).ok(),
            as_of: open + TimeDelta::days(20),
        };
        assert!(!place(forming, &changes, &[]).applied[0].is_seen);
    }

    #[test]
    fn bars_stored_as_traded_tell_more_than_a_night_that_looks_like_no_split() {
        // Three for two, and a rise of 40 % in the night before.
        let open = "2018-03-15T13:30:00Z".parse().unwrap();
        let changes = [split(open, 1.5)];
        let traded = days(&[150.0, 150.0, 150.0]);
        let rows = stored(&traded, open - TimeDelta::days(2));
        for (times, before) in [(1, 100.0), (0, 150.0), (2, 100.0 / 1.5)] {
            let sent = days(&[before, before, before, 140.0]);
            let placed = place(answer(&sent, open + TimeDelta::hours(1)), &changes, &rows);
            assert_eq!(placed.applied[0].times, times);
            let as_of = open + TimeDelta::hours(1);
            for (bar, until) in &placed.bars[..30] {
                let close = brought_to(bar, *until, as_of, &changes).close.get();
                assert!((close / 100.0 - 1.0).abs() < 1e-12, "{times}: {close}");
            }
        }
    }

    #[test]
    fn a_vendor_that_restates_the_evening_before_does_not_contradict_a_split() {
        let open: DateTime<Utc> = "2018-03-15T13:30:00Z".parse().unwrap();
        let changes = [split(open, 4.0)];
        let all = days(&[400.0, 400.0, 400.0, 100.0]);
        // Read live, but for the last minutes that came with the restated ones of the evening.
        let mut rows = stored(&all, open - TimeDelta::days(2));
        for row in &mut rows[25..30] {
            row.bar = bar(row.bar.start, 100.0);
            row.fetched_at = open - TimeDelta::hours(15);
        }
        assert_eq!(contradiction(&changes, 0, &rows, None), None);
        let wrong = misplaced(&changes, 0, &rows, None);
        let expected: Vec<_> = rows[25..30]
            .iter()
            .map(|row| (row.bar.start, open))
            .collect();
        assert_eq!(wrong, expected);
    }
}
