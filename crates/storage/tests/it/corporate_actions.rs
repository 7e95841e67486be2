use std::time::Duration;

use chrono::TimeDelta;
use domain::{Bar, CorporateAction, ShareChange};
use storage::{
    ActionCounts, ActionKind, Channel, Listener, Notice, PgPool, VendorBar, bars_between, begin,
    commit, corporate_actions, correct_share_basis, remove_corporate_action,
    restore_corporate_action, stored_bars, upsert_bars, upsert_corporate_actions,
};
use tokio::time::timeout;

use crate::{date, ticker, time};

// Apple's four for one of 31 August 2020 and the dividends around it.
const SPLIT: &str = "2020-08-31T13:30:00Z";
const FETCHED: &str = "2020-09-01T12:00:00Z";

fn action(symbol: &str, effective_at: &str, change: ShareChange) -> CorporateAction {
    CorporateAction {
        ticker: ticker(symbol),
        ex_date: time(effective_at).date_naive(),
        effective_at: time(effective_at),
        change,
    }
}

fn split() -> CorporateAction {
    action("AAPL", SPLIT, ShareChange::Split { ratio: 4.0 })
}

fn dividend(effective_at: &str, amount: f64) -> CorporateAction {
    action("AAPL", effective_at, ShareChange::Dividend { amount })
}

fn counts(inserted: u64, changed: u64, unchanged: u64) -> ActionCounts {
    ActionCounts {
        inserted,
        changed,
        unchanged,
    }
}

async fn store(pool: &PgPool, actions: &[CorporateAction], fetched_at: &str) -> ActionCounts {
    upsert_corporate_actions(pool, actions, "test", time(fetched_at))
        .await
        .unwrap()
}

fn bar(start: &str, close: f64, fetched_at: &str) -> VendorBar {
    VendorBar {
        ticker: ticker("AAPL"),
        bar: Bar::new(time(start), close, close, close, close, 1_000.0).unwrap(),
        source: "test",
        fetched_at: time(fetched_at),
    }
}

async fn closes(pool: &PgPool) -> Vec<f64> {
    bars_between(
        pool,
        &ticker("AAPL"),
        time("2000-01-01T00:00:00Z"),
        time("2100-01-01T00:00:00Z"),
    )
    .await
    .unwrap()
    .into_iter()
    .map(|bar| bar.close.get())
    .collect()
}

async fn total_return(pool: &PgPool) -> Vec<f64> {
    sqlx::query_scalar(
        "select close from price_total_return where ticker = 'AAPL' order by bar_start",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

/// At 500 dollars, fetched when its session closed.
async fn store_the_last_bar_before_the_split(pool: &PgPool) {
    let last = bar("2020-08-28T19:59:00Z", 500.0, "2020-08-28T20:00:00Z");
    upsert_bars(pool, &[last]).await.unwrap();
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn storing_twice_is_storing_once(pool: PgPool) {
    let actions = [split(), dividend("2020-11-06T14:30:00Z", 0.205)];
    assert_eq!(store(&pool, &actions, FETCHED).await, counts(2, 0, 0));
    let stored = corporate_actions(&pool, &ticker("AAPL")).await.unwrap();
    assert_eq!(
        stored
            .iter()
            .map(|row| row.action.clone())
            .collect::<Vec<_>>(),
        actions
    );
    assert_eq!(
        store(&pool, &actions, "2021-01-01T12:00:00Z").await,
        counts(0, 0, 2)
    );
    let again = corporate_actions(&pool, &ticker("AAPL")).await.unwrap();
    assert_eq!(again[0], stored[0]);
    assert_eq!(again[1].action, stored[1].action);
    assert_eq!(
        again[1].fetched_at,
        time("2021-01-01T12:00:00Z"),
        "an amount is on the share basis of its last report"
    );
    // Of one given twice the last counts.
    let twice = [
        dividend("2020-11-06T14:30:00Z", 9.0),
        dividend("2020-11-06T14:30:00Z", 0.205),
    ];
    assert_eq!(store(&pool, &twice, FETCHED).await, counts(0, 0, 2));
    assert_eq!(store(&pool, &[], FETCHED).await, counts(0, 0, 0));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_later_report_corrects_and_an_earlier_one_does_not(pool: PgPool) {
    store(&pool, &[dividend(SPLIT, 0.82)], FETCHED).await;
    let corrected = [dividend(SPLIT, 0.205)];
    assert_eq!(
        store(&pool, &corrected, "2020-09-02T12:00:00Z").await,
        counts(0, 1, 0)
    );
    assert_eq!(
        store(&pool, &[dividend(SPLIT, 0.82)], FETCHED).await,
        counts(0, 0, 1)
    );
    let stored = corporate_actions(&pool, &ticker("AAPL")).await.unwrap();
    assert_eq!(stored[0].action, corrected[0]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_turns_out_to_be_a_spin_off_does_not_adjust_twice(pool: PgPool) {
    store_the_last_bar_before_the_split(&pool).await;
    let as_split = action("AAPL", SPLIT, ShareChange::Split { ratio: 1.25 });
    let as_spin_off = action("AAPL", SPLIT, ShareChange::SpinOff { ratio: 1.25 });
    store(&pool, &[as_split], FETCHED).await;
    assert_eq!(
        store(&pool, std::slice::from_ref(&as_spin_off), FETCHED).await,
        counts(0, 1, 0)
    );
    assert_eq!(closes(&pool).await, [400.0]);
    let stored = corporate_actions(&pool, &ticker("AAPL")).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].action, as_spin_off);

    // Both on one day, reported together, are two events.
    assert_eq!(
        store(&pool, &[split(), as_spin_off], FETCHED).await,
        counts(1, 0, 1)
    );
    assert_eq!(closes(&pool).await, [100.0]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_a_person_took_back_stays_so_when_its_kind_changes(pool: PgPool) {
    store_the_last_bar_before_the_split(&pool).await;
    let as_split = action("AAPL", SPLIT, ShareChange::Split { ratio: 1.25 });
    let as_spin_off = action("AAPL", SPLIT, ShareChange::SpinOff { ratio: 1.25 });
    let apple = ticker("AAPL");
    store(&pool, std::slice::from_ref(&as_split), FETCHED).await;
    remove_corporate_action(&pool, &apple, as_split.ex_date, ActionKind::Split)
        .await
        .unwrap();
    // There and back again; a dividend of the same day is another matter.
    for told in [&as_spin_off, &as_split] {
        store(&pool, &[told.clone(), dividend(SPLIT, 0.2)], FETCHED).await;
        let stored = corporate_actions(&pool, &apple).await.unwrap();
        let mut removed: Vec<_> = stored
            .iter()
            .map(|row| (ActionKind::of(row.action.change), row.removed_at.is_some()))
            .collect();
        removed.sort();
        let kind = ActionKind::of(told.change);
        assert_eq!(removed, [(kind, true), (ActionKind::Dividend, false)]);
        assert_eq!(closes(&pool).await, [500.0], "as a {kind}");
    }
    restore_corporate_action(&pool, &apple, as_split.ex_date, ActionKind::Split)
        .await
        .unwrap();
    assert_eq!(closes(&pool).await, [400.0]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn bars_fetched_before_and_after_a_split_are_both_right(pool: PgPool) {
    upsert_bars(
        &pool,
        &[
            bar("2020-08-28T19:58:00Z", 498.0, "2020-08-28T19:59:00Z"),
            // The vendor had already divided this one.
            bar("2020-08-28T19:59:00Z", 125.0, FETCHED),
            bar(SPLIT, 127.0, "2020-08-31T13:31:00Z"),
        ],
    )
    .await
    .unwrap();
    let raw = [498.0, 125.0, 127.0];
    assert_eq!(closes(&pool).await, raw);
    // Told an hour and a half before the open it waits, and it counts when it is told again after it.
    assert_eq!(
        store(&pool, &[split()], "2020-08-31T12:00:00Z").await,
        counts(1, 0, 0)
    );
    assert_eq!(closes(&pool).await, raw);
    let announced = corporate_actions(&pool, &ticker("AAPL")).await.unwrap();
    assert!(!announced[0].in_effect);
    assert_eq!(store(&pool, &[split()], SPLIT).await, counts(0, 0, 1));
    assert_eq!(closes(&pool).await, [124.5, 125.0, 127.0]);

    // Taken back: exactly as before, and it stays so when the vendor reports it again.
    let (apple, day) = (ticker("AAPL"), date("2020-08-31"));
    let remove = || remove_corporate_action(&pool, &apple, day, ActionKind::Split);
    assert!(remove().await.unwrap());
    assert!(!remove().await.unwrap(), "there is none left");
    assert_eq!(closes(&pool).await, raw);
    assert_eq!(store(&pool, &[split()], FETCHED).await, counts(0, 0, 1));
    assert_eq!(closes(&pool).await, raw);
    assert!(
        corporate_actions(&pool, &apple).await.unwrap()[0]
            .removed_at
            .is_some()
    );

    let restore = || restore_corporate_action(&pool, &apple, day, ActionKind::Split);
    assert!(restore().await.unwrap());
    assert!(!restore().await.unwrap());
    assert_eq!(closes(&pool).await, [124.5, 125.0, 127.0]);
    assert!(
        !remove_corporate_action(&pool, &apple, day, ActionKind::Dividend)
            .await
            .unwrap(),
        "of another kind"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_bar_that_was_not_adjusted_after_all_can_be_put_right_with_what_was_sent(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &[Channel::CorporateAction])
        .await
        .unwrap();
    let old = bar("2020-08-28T19:59:00Z", 500.0, FETCHED);
    upsert_bars(&pool, std::slice::from_ref(&old))
        .await
        .unwrap();
    store(&pool, &[split()], FETCHED).await;
    assert_eq!(
        closes(&pool).await,
        [500.0],
        "as if the vendor had adjusted it"
    );
    let mut transaction = begin(&pool).await.unwrap();
    let until = time(SPLIT) - TimeDelta::microseconds(1);
    correct_share_basis(&mut transaction, &ticker("AAPL"), &[(old.bar.start, until)])
        .await
        .unwrap();
    commit(transaction).await.unwrap();
    assert_eq!(closes(&pool).await, [125.0]);
    let stored = stored_bars(
        &pool,
        &ticker("AAPL"),
        old.bar.start,
        old.bar.start + TimeDelta::minutes(1),
    )
    .await
    .unwrap();
    assert_eq!((stored[0].bar, stored[0].fetched_at), (old.bar, until));
    let heard = Notice::CorporateActions {
        tickers: Some(vec![ticker("AAPL")]),
    };
    for _ in ["the action", "the correction"] {
        let notice = timeout(Duration::from_secs(10), listener.next()).await;
        assert_eq!(notice.unwrap(), heard);
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn dividends_are_taken_out_of_earlier_prices_only(pool: PgPool) {
    upsert_bars(
        &pool,
        &[
            bar("2020-08-06T19:58:00Z", 440.0, "2020-08-06T20:00:00Z"),
            bar("2020-08-06T19:59:00Z", 456.0, "2020-08-06T20:00:00Z"),
            bar("2020-08-07T13:30:00Z", 452.0, "2020-08-07T13:31:00Z"),
            bar(SPLIT, 127.0, "2020-08-31T13:31:00Z"),
            bar("2020-11-06T14:30:00Z", 118.0, "2020-11-06T14:31:00Z"),
        ],
    )
    .await
    .unwrap();
    assert_eq!(
        total_return(&pool).await,
        [440.0, 456.0, 452.0, 127.0, 118.0]
    );
    // The first is reported in shares of before the split.
    store(
        &pool,
        &[dividend("2020-08-07T13:30:00Z", 0.82)],
        "2020-08-07T13:31:00Z",
    )
    .await;
    let first = 1.0 - 0.82 / 456.0;
    assert_eq!(
        total_return(&pool).await,
        [440.0 * first, 456.0 * first, 452.0, 127.0, 118.0]
    );
    store(
        &pool,
        &[split(), dividend("2020-11-06T14:30:00Z", 0.205)],
        "2020-11-06T14:31:00Z",
    )
    .await;
    let second = 1.0 - 0.205 / 127.0;
    let expected = [
        110.0 * first * second,
        114.0 * first * second,
        113.0 * second,
        127.0 * second,
        118.0,
    ];
    for (found, expected) in total_return(&pool).await.into_iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-14, "{found} {expected}");
    }

    // An amount above the price is an error of the vendor; one before the first bar has nothing to adjust.
    let before = total_return(&pool).await;
    store(
        &pool,
        &[
            dividend("2020-09-04T13:30:00Z", 200.0),
            dividend("2019-09-04T13:30:00Z", 0.2),
        ],
        "2020-11-06T14:31:00Z",
    )
    .await;
    assert_eq!(total_return(&pool).await, before);

    for day in ["2020-08-07", "2020-11-06"] {
        remove_corporate_action(&pool, &ticker("AAPL"), date(day), ActionKind::Dividend)
            .await
            .unwrap();
    }
    assert_eq!(total_return(&pool).await, closes(&pool).await);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_is_announced_for_the_future_changes_nothing(pool: PgPool) {
    store_the_last_bar_before_the_split(&pool).await;
    let announced = [
        action(
            "AAPL",
            "2999-01-02T14:30:00Z",
            ShareChange::Split { ratio: 4.0 },
        ),
        dividend("2999-01-02T14:30:00Z", 1.0),
    ];
    store(&pool, &announced, FETCHED).await;
    assert_eq!(closes(&pool).await, [500.0]);
    assert_eq!(total_return(&pool).await, [500.0]);
    // Its day has come.
    sqlx::query("update corporate_actions set effective_at = now(), in_effect = true")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(closes(&pool).await, [125.0]);
    // The dollar was announced for the shares of before the split.
    assert_eq!(total_return(&pool).await, [124.75]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn two_runs_at_once_are_one(pool: PgPool) {
    let actions: Vec<_> = (0..200)
        .map(|number| {
            let effective_at = time(SPLIT) + TimeDelta::days(number);
            dividend(&effective_at.to_rfc3339(), 0.2)
        })
        .collect();
    let reversed: Vec<_> = actions.iter().rev().cloned().collect();
    let (first, second) = tokio::join!(
        store(&pool, &actions, FETCHED),
        store(&pool, &reversed, FETCHED)
    );
    assert_eq!(first.inserted + second.inserted, 200);
    assert_eq!(first.unchanged + second.unchanged, 200);
    let stored = corporate_actions(&pool, &ticker("AAPL")).await.unwrap();
    assert_eq!(stored.len(), 200);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_run_that_dies_halfway_leaves_nothing(pool: PgPool) {
    let wrong = action("MSFT", SPLIT, ShareChange::Split { ratio: -1.0 });
    upsert_corporate_actions(&pool, &[split(), wrong], "test", time(FETCHED))
        .await
        .unwrap_err();
    assert_eq!(corporate_actions(&pool, &ticker("AAPL")).await.unwrap(), []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn listeners_hear_of_what_changed(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &[Channel::CorporateAction])
        .await
        .unwrap();
    let heard = Notice::CorporateActions {
        tickers: Some(vec![ticker("AAPL")]),
    };
    let mut next = async || {
        timeout(Duration::from_secs(10), listener.next())
            .await
            .unwrap()
    };
    store(&pool, &[split()], FETCHED).await;
    assert_eq!(next().await, heard);
    // Nothing of this one.
    store(&pool, &[split()], FETCHED).await;
    remove_corporate_action(
        &pool,
        &ticker("AAPL"),
        date("2020-08-31"),
        ActionKind::Split,
    )
    .await
    .unwrap();
    assert_eq!(next().await, heard);
    let foreign = action("MSFT", SPLIT, ShareChange::Split { ratio: 2.0 });
    store(&pool, &[split(), foreign], FETCHED).await;
    assert_eq!(
        next().await,
        Notice::CorporateActions {
            tickers: Some(vec![ticker("MSFT")])
        }
    );
}
