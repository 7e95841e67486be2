//! What a vendor's answer tells of a stock's actions, beside what is known of them and what prices say.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::America::New_York;
use domain::{CorporateAction, ShareChange, Ticker};
use market_data::MAX_AGE;
use storage::{ActionKind, Finding, PgTransaction, StoredAction, StoredBar};

use crate::{
    IngestError,
    basis::{Answer, Applied, Change, changes_of, contradiction, misplaced},
};

/// Check of what was done to prices before an action's open.
pub(crate) const SHARE_BASIS: &str = "share_basis";

/// How far beyond an action's open bars tell the level after it.
const AFTERMATH: TimeDelta = TimeDelta::days(7);

/// An announced action whose open has been over for this long without taking effect never will.
const ANNOUNCEMENT_LASTS: TimeDelta = TimeDelta::days(1);

/// What is to be done about one ticker's actions.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Changes of the shares by which prices are judged, ascending.
    pub(crate) changes: Vec<Change>,
    /// Actions that have come into effect and are not stored like this.
    pub(crate) fresh: Vec<CorporateAction>,
    /// Actions that prices contradict, with what prices are divided by at their open.
    pub(crate) contradicted: Vec<(CorporateAction, f64)>,
    /// The ticker's bars as they are stored, from the one that the answer is measured from on; none where no change lies
    /// between it and the answer's last bar.
    pub(crate) stored: Vec<StoredBar>,
}

/// Brings what is `told` of one ticker's actions together with what is `known` of them. An action counts from its open
/// on, whoever tells of it and whenever; then stored bars of which something else was thought come to their right basis.
/// What prices contradict is left out.
///
/// `since` is the start of the oldest bar that matters beside the answer.
pub(crate) async fn settle(
    transaction: &mut PgTransaction<'_>,
    ticker: &Ticker,
    told: &[CorporateAction],
    known: &[&StoredAction],
    as_of: DateTime<Utc>,
    answer: Option<Answer<'_>>,
    since: Option<DateTime<Utc>>,
) -> Result<Settled, IngestError> {
    let mut in_use = in_use(told, known, as_of);
    let mut settled = Settled {
        changes: changes_of(&in_use),
        ..Settled::default()
    };
    let is_fresh = |action: &CorporateAction| {
        action.effective_at <= as_of
            && !known
                .iter()
                .any(|row| row.in_effect && row.action == *action)
    };
    let fresh = changes_of(in_use.iter().filter(|action| is_fresh(action)));
    let first = answer.and_then(|answer| answer.bars.first());
    let oldest = first.map(|bar| bar.start).into_iter().chain(since).min();
    let lies_between = |change: &Change| oldest.is_some_and(|oldest| oldest < change.at);
    let is_new = |at: DateTime<Utc>| fresh.iter().any(|change| change.at == at);
    let opens: Vec<DateTime<Utc>> = settled
        .changes
        .iter()
        .filter(|change| change.at <= as_of)
        .filter(|change| lies_between(change) || is_new(change.at))
        .map(|change| change.at)
        .collect();
    if !opens.is_empty() {
        storage::lock_corporate_actions(transaction).await?;
    }
    for at in opens {
        let (from, to) = (at - MAX_AGE - TimeDelta::days(1), at + AFTERMATH);
        let rows = storage::stored_bars(&mut **transaction, ticker, from, to).await?;
        let Some(place) = settled.changes.iter().position(|change| change.at == at) else {
            continue;
        };
        let contradiction = contradiction(&settled.changes, place, &rows, answer);
        if let Some(step) = contradiction.filter(|_| is_new(at)) {
            let (doubted, kept): (Vec<_>, Vec<_>) = in_use
                .into_iter()
                .partition(|action| action.effective_at == at && !is_dividend(action));
            in_use = kept;
            settled.changes = changes_of(&in_use);
            let doubted = doubted.into_iter().map(|action| (action, step));
            settled.contradicted.extend(doubted);
        } else {
            let rows = misplaced(&settled.changes, place, &rows, answer);
            if !rows.is_empty() {
                storage::correct_share_basis(transaction, ticker, &rows).await?;
            }
        }
    }
    if let Some(oldest) = oldest.filter(|_| settled.changes.iter().any(lies_between)) {
        settled.stored = storage::stored_bars(&mut **transaction, ticker, oldest, as_of).await?;
    }
    settled.fresh = in_use.into_iter().filter(is_fresh).collect();
    Ok(settled)
}

/// The actions that count, told ones before known ones: of each day one change of the shares and one dividend, and none
/// that a person took back.
fn in_use(
    told: &[CorporateAction],
    known: &[&StoredAction],
    as_of: DateTime<Utc>,
) -> Vec<CorporateAction> {
    let same = |one: &CorporateAction, other: &CorporateAction| {
        one.ex_date == other.ex_date && is_dividend(one) == is_dividend(other)
    };
    let key = |action: &CorporateAction| (action.ex_date, ActionKind::of(action.change));
    let is_removed = |action: &CorporateAction| {
        if let Some(row) = known.iter().find(|row| key(&row.action) == key(action)) {
            return row.removed_at.is_some();
        }
        // One that is told as another kind by now is still the one that a person took back.
        known.iter().any(|row| {
            row.removed_at.is_some()
                && same(&row.action, action)
                && !told.iter().any(|other| key(other) == key(&row.action))
        })
    };
    let mut in_use: Vec<CorporateAction> = Vec::new();
    // Of one that is told twice the last counts.
    for action in told.iter().rev().filter(|action| !is_removed(action)) {
        if !in_use.iter().any(|kept| same(kept, action)) {
            in_use.push(action.clone());
        }
    }
    let is_forgotten = |row: &StoredAction| {
        !row.in_effect && row.action.effective_at + ANNOUNCEMENT_LASTS <= as_of
    };
    for row in known {
        let is_told = told.iter().any(|action| same(action, &row.action));
        if row.removed_at.is_none() && !is_told && !is_forgotten(row) {
            in_use.push(row.action.clone());
        }
    }
    in_use
}

pub(crate) fn is_dividend(action: &CorporateAction) -> bool {
    ActionKind::of(action.change) == ActionKind::Dividend
}

/// The New York date of a change's open.
pub(crate) fn ex_date(change: &Change) -> NaiveDate {
    change.at.with_timezone(&New_York).date_naive()
}

/// What is wrong with an action that prices contradict.
pub(crate) fn not_in_prices(action: &CorporateAction, step: f64, at: DateTime<Utc>) -> Finding {
    let expected = match action.change {
        ShareChange::Split { ratio } | ShareChange::SpinOff { ratio } => ratio,
        ShareChange::Dividend { .. } => 1.0,
    };
    Finding {
        ticker: action.ticker.clone(),
        session: action.ex_date,
        check: SHARE_BASIS.to_owned(),
        observed: step,
        expected,
        detail: format!(
            "a change of the shares that divides prices by {expected} is reported for {}, but they only go from 1 to {:.2} \
             at its open: it is not applied",
            action.ex_date,
            1.0 / step
        ),
        found_at: at,
    }
}

/// What is wrong with prices before a change that a vendor has not applied once.
pub(crate) fn not_applied_once(
    ticker: &Ticker,
    applied: &Applied,
    bars: usize,
    at: DateTime<Utc>,
) -> Finding {
    let ex_date = ex_date(&applied.change);
    let done = if applied.times == 0 {
        "did not adjust"
    } else {
        "adjusted twice"
    };
    Finding {
        ticker: ticker.clone(),
        session: ex_date,
        check: SHARE_BASIS.to_owned(),
        observed: f64::from(applied.times),
        expected: 1.0,
        detail: format!(
            "the vendor {done} {bars} bars before the change of {ex_date} that divides prices by {}: they are adjusted \
             once here",
            applied.change.price
        ),
        found_at: at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(day: &str, change: ShareChange) -> CorporateAction {
        let ex_date = day.parse().unwrap();
        CorporateAction {
            ticker: Ticker::parse("AAPL").unwrap(),
            ex_date,
            effective_at: calendar::nyse().session_on(ex_date).unwrap().open,
            change,
        }
    }

    fn stored(action: CorporateAction, in_effect: bool, is_removed: bool) -> StoredAction {
        let fetched_at = action.effective_at;
        StoredAction {
            removed_at: is_removed.then_some(fetched_at),
            source: "yahoo".to_owned(),
            action,
            fetched_at,
            in_effect,
        }
    }

    #[test]
    fn of_each_day_one_change_counts_and_none_that_a_person_took_back() {
        let split = |day, ratio| action(day, ShareChange::Split { ratio });
        let told = [
            split("2020-08-31", 2.0),
            split("2020-08-31", 4.0),
            split("2020-09-01", 5.0),
            action("2020-08-31", ShareChange::Dividend { amount: 0.2 }),
        ];
        let known = [
            stored(split("2020-08-31", 7.0), true, false),
            stored(split("2020-09-01", 5.0), true, true),
            stored(split("2020-08-24", 3.0), true, false),
            // Announced: the one of today still counts, the one of last week never took effect.
            stored(split("2020-09-02", 6.0), false, false),
            stored(split("2020-08-26", 6.0), false, false),
        ];
        let known: Vec<&StoredAction> = known.iter().collect();
        let as_of = "2020-09-02T14:00:00Z".parse().unwrap();
        let mut days: Vec<_> = in_use(&told, &known, as_of)
            .into_iter()
            .map(|action| (action.ex_date.to_string(), action.change))
            .collect();
        days.sort_by(|one, other| one.0.cmp(&other.0));
        let split = |ratio| ShareChange::Split { ratio };
        assert_eq!(
            days,
            [
                ("2020-08-24".to_owned(), split(3.0)),
                (
                    "2020-08-31".to_owned(),
                    ShareChange::Dividend { amount: 0.2 }
                ),
                ("2020-08-31".to_owned(), split(4.0)),
                ("2020-09-02".to_owned(), split(6.0)),
            ]
        );
    }

    #[test]
    fn what_a_person_took_back_stays_so_under_another_kind() {
        let split = action("2020-08-31", ShareChange::Split { ratio: 1.5 });
        let spin_off = action("2020-08-31", ShareChange::SpinOff { ratio: 1.5 });
        let known = stored(split.clone(), true, true);
        let as_of = "2020-09-02T14:00:00Z".parse().unwrap();
        let used = |told: &[CorporateAction]| in_use(told, &[&known], as_of);
        assert_eq!(used(std::slice::from_ref(&spin_off)), []);
        assert_eq!(used(&[split, spin_off.clone()]), [spin_off]);
    }
}
