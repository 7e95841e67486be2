use domain::Bar;
use storage::{
    Finding, Gap, GapOutcome, GapReason, PgPool, SessionVolume, SoundCheck, close_gap,
    count_gap_attempt, findings_between, gaps_between, open_gaps, record_gaps, session_volumes,
    store_findings, upsert_bars, withdraw_findings,
};

use crate::{date, minutes, refuse_long_reads, ticker, time, vendor_bar};

fn gap(symbol: &str, start: &str, end: &str, detected_at: &str) -> Gap {
    Gap::found(
        ticker(symbol),
        time(start),
        time(end),
        GapReason::MissingMinutes,
        10,
        time(detected_at),
    )
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_gap_stays_open_until_it_is_closed(pool: PgPool) {
    let now = time("2018-03-26T14:00:00Z");
    let later = time("2018-03-26T21:00:00Z");
    let tomorrow = time("2018-03-27T12:00:00Z");
    let gap = gap(
        "AAPL",
        "2018-03-26T13:30:00Z",
        "2018-03-26T13:40:00Z",
        "2018-03-26T14:00:00Z",
    );
    let found = std::slice::from_ref(&gap);
    assert_eq!(record_gaps(&pool, found, now).await.unwrap(), 1);
    assert_eq!(record_gaps(&pool, found, later).await.unwrap(), 0);
    assert_eq!(open_gaps(&pool).await.unwrap(), found);

    count_gap_attempt(&pool, &gap, later).await.unwrap();
    let tried = Gap {
        attempts: 1,
        last_attempt_at: Some(later),
        ..gap.clone()
    };
    assert_eq!(
        open_gaps(&pool).await.unwrap(),
        std::slice::from_ref(&tried)
    );

    close_gap(&pool, &gap, GapOutcome::NoData, later)
        .await
        .unwrap();
    // The first outcome stands.
    close_gap(&pool, &gap, GapOutcome::Filled, tomorrow)
        .await
        .unwrap();
    assert_eq!(open_gaps(&pool).await.unwrap(), []);
    let (from, to) = (time("2018-03-26T13:39:00Z"), time("2018-03-26T13:45:00Z"));
    assert_eq!(
        gaps_between(&pool, None, from, to).await.unwrap(),
        [Gap {
            closed_at: Some(later),
            outcome: Some(GapOutcome::NoData),
            ..tried.clone()
        }]
    );

    // Found again, and longer: it is open again and its attempts are not forgotten.
    let longer = Gap {
        end: time("2018-03-26T13:50:00Z"),
        reason: GapReason::Stopped,
        expected_bars: 20,
        ..gap.clone()
    };
    let both = [gap, longer.clone()];
    assert_eq!(record_gaps(&pool, &both, tomorrow).await.unwrap(), 1);
    assert_eq!(
        open_gaps(&pool).await.unwrap(),
        [Gap {
            attempts: 1,
            last_attempt_at: Some(later),
            detected_at: tomorrow,
            ..longer
        }]
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn gaps_are_those_that_reach_into_the_stretch(pool: PgPool) {
    let gaps = [
        gap(
            "AAPL",
            "2018-03-26T13:30:00Z",
            "2018-03-26T13:40:00Z",
            "2018-03-27T00:00:00Z",
        ),
        gap(
            "AAPL",
            "2018-03-26T15:00:00Z",
            "2018-03-26T15:10:00Z",
            "2018-03-27T00:00:00Z",
        ),
        gap(
            "MSFT",
            "2018-03-26T13:30:00Z",
            "2018-03-26T13:40:00Z",
            "2018-03-27T00:00:00Z",
        ),
    ];
    record_gaps(&pool, &gaps, gaps[0].detected_at)
        .await
        .unwrap();
    assert_eq!(
        record_gaps(&pool, &[], gaps[0].detected_at).await.unwrap(),
        0
    );
    let apple = ticker("AAPL");
    let between = |ticker, from, to| {
        let pool = &pool;
        async move {
            gaps_between(pool, ticker, time(from), time(to))
                .await
                .unwrap()
        }
    };
    let all = between(None, "2018-03-26T13:39:00Z", "2018-03-26T15:00:00Z").await;
    assert_eq!(all, [gaps[0].clone(), gaps[2].clone()]);
    let apples = between(Some(&apple), "2018-03-26T13:40:00Z", "2018-03-27T00:00:00Z").await;
    assert_eq!(apples, [gaps[1].clone()]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn sessions_are_counted_by_new_york_days_in_shares_of_today(pool: PgPool) {
    let mut bars = minutes("AAPL", "2018-03-23T13:30:00Z", 390);
    bars.extend(minutes("AAPL", "2018-03-26T13:30:00Z", 10));
    bars.extend(minutes("MSFT", "2018-03-26T13:30:00Z", 3));
    let quiet = Bar::new(time("2018-03-26T13:33:00Z"), 9.0, 9.0, 9.0, 9.0, 0.0).unwrap();
    bars.push(vendor_bar("MSFT", quiet));
    upsert_bars(&pool, &bars).await.unwrap();
    sqlx::query(
        "insert into corporate_actions (ticker, kind, ex_date, effective_at, ratio, source, fetched_at) \
         values ('AAPL', 'split', '2018-03-26', '2018-03-26T13:30:00Z', 4, 'test', '2018-03-26T13:00:00Z')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let count =
        |symbol, session, bars, zero_volume_bars, volume, close, largest_step| SessionVolume {
            ticker: ticker(symbol),
            session: date(session),
            bars,
            zero_volume_bars,
            volume,
            close,
            largest_step,
        };
    // From the adjusted close of Friday to Monday's first low.
    let step = 1.0 - 99.0 / 122.25;
    let volumes = session_volumes(
        &pool,
        &[ticker("MSFT"), ticker("AAPL")],
        time("2018-03-23T00:00:00Z"),
        time("2018-03-27T00:00:00Z"),
    )
    .await
    .unwrap();
    assert_eq!(
        volumes,
        [
            count("AAPL", "2018-03-23", 390, 0, 156_000.0, 122.25, None),
            count("AAPL", "2018-03-26", 10, 0, 1_000.0, 109.0, Some(step)),
            count("MSFT", "2018-03-26", 4, 1, 300.0, 9.0, None),
        ]
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn years_of_many_stocks_are_summed_up_in_parts(pool: PgPool) {
    let mut bars = minutes("MSFT", "2018-03-26T13:30:00Z", 2);
    bars.extend(minutes("AAPL", "2019-03-26T13:30:00Z", 3));
    upsert_bars(&pool, &bars).await.unwrap();
    refuse_long_reads(&pool, "price_adjusted").await;
    let volumes = session_volumes(
        &pool,
        &[ticker("MSFT"), ticker("AAPL")],
        time("2018-01-01T00:00:00Z"),
        time("2028-01-01T00:00:00Z"),
    )
    .await
    .unwrap();
    let counted: Vec<_> = volumes
        .into_iter()
        .map(|volume| (volume.ticker, volume.session, volume.bars))
        .collect();
    assert_eq!(
        counted,
        [
            (ticker("AAPL"), date("2019-03-26"), 3),
            (ticker("MSFT"), date("2018-03-26"), 2),
        ]
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_finding_is_written_once_and_keeps_its_first_time(pool: PgPool) {
    let finding = |symbol: &str, session: &str, observed: f64, found_at: &str| Finding {
        ticker: ticker(symbol),
        session: date(session),
        check: "volume_ratio".to_owned(),
        observed,
        expected: 1.0,
        detail: format!("{observed} times the usual volume"),
        found_at: time(found_at),
    };
    let first = finding("AAPL", "2026-03-16", 5.0, "2026-03-16T21:00:00Z");
    let other = finding("MSFT", "2026-03-17", 5.5, "2026-03-17T21:00:00Z");
    let both = [first.clone(), other.clone()];
    assert_eq!(store_findings(&pool, &both).await.unwrap(), 2);
    assert_eq!(store_findings(&pool, &both).await.unwrap(), 0);
    let again = finding("AAPL", "2026-03-16", 4.0, "2026-03-20T21:00:00Z");
    assert_eq!(
        store_findings(&pool, &[again.clone(), again.clone()])
            .await
            .unwrap(),
        0
    );
    assert_eq!(store_findings(&pool, &[]).await.unwrap(), 0);
    let changed = Finding {
        found_at: first.found_at,
        ..again
    };
    let days = (date("2026-03-16"), date("2026-03-17"));
    assert_eq!(
        findings_between(&pool, None, days.0, days.1).await.unwrap(),
        [changed.clone(), other.clone()]
    );
    assert_eq!(
        findings_between(&pool, None, days.1, days.1).await.unwrap(),
        [other]
    );
    assert_eq!(
        findings_between(&pool, Some(&ticker("AAPL")), days.0, days.1)
            .await
            .unwrap(),
        [changed]
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_finding_is_withdrawn_when_its_check_finds_nothing_and_stands_again_when_it_does(
    pool: PgPool,
) {
    let finding = |check: &str| Finding {
        ticker: ticker("AAPL"),
        session: date("2026-03-16"),
        check: check.to_owned(),
        observed: 5.0,
        expected: 1.0,
        detail: "5 times the usual volume".to_owned(),
        found_at: time("2026-03-16T21:00:00Z"),
    };
    let (volume, zero) = (finding("session_volume"), finding("zero_volume_minutes"));
    let both = [volume.clone(), zero.clone()];
    assert_eq!(store_findings(&pool, &both).await.unwrap(), 2);
    let sound = |symbol: &str, check: &str| SoundCheck {
        ticker: ticker(symbol),
        session: date("2026-03-16"),
        check: check.to_owned(),
    };
    let checks = [
        sound("AAPL", "session_volume"),
        sound("MSFT", "zero_volume_minutes"),
    ];
    let evening = time("2026-03-17T21:00:00Z");
    let withdraw = async || withdraw_findings(&pool, &checks, evening).await.unwrap();
    assert_eq!((withdraw().await, withdraw().await), (1, 0));
    let standing = async || {
        let day = date("2026-03-16");
        findings_between(&pool, None, day, day).await.unwrap()
    };
    assert_eq!(standing().await, std::slice::from_ref(&zero));
    let kept: i64 = sqlx::query_scalar("select count(*) from data_quality_finding")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(kept, 2, "it stays for the record");

    assert_eq!(
        store_findings(&pool, &both).await.unwrap(),
        0,
        "it is not new"
    );
    assert_eq!(standing().await, both);
}
