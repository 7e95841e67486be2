use chrono::TimeDelta;
use domain::Action;
use storage::{
    HistoryRequest, Interval, MIGRATOR, PgPool, bar_revisions, bars_between, gaps_between,
    history_page, open_gaps, predictions_page, upsert_bars,
};

use crate::{minutes, ticker, time};

/// What the first version of Tandem wrote, with its own statements.
const OLD_UPSERT: &str = "
    insert into price_data as stored
        (ticker, bar_start, open, high, low, close, volume, source, fetched_at)
    values ('AAPL', $1, $2, $2, $2, $2, 100, 'yahoo', $3)
    on conflict (ticker, bar_start) do update set
        open = excluded.open,
        high = excluded.high,
        low = excluded.low,
        close = excluded.close,
        volume = excluded.volume,
        source = excluded.source,
        fetched_at = excluded.fetched_at,
        revision = stored.revision + 1
    where excluded.fetched_at >= stored.fetched_at";
const OLD_GAP: &str = "
    insert into ingest_gap (ticker, gap_start, gap_end, detected_at)
    values ('AAPL', $1, $1 + interval '10 minutes', $1 + interval '1 hour')
    on conflict (ticker, gap_start) do nothing";
const OLD_CLOSE: &str = "
    update ingest_gap set closed_at = gap_end where ticker = 'AAPL' and gap_start = $1 and closed_at is null";
const OLD_SPLIT: &str = "
    insert into corporate_actions (ticker, kind, ex_date, effective_at, ratio, source, fetched_at)
    values ('AAPL', 'split', '2018-03-27', '2018-03-27T13:30:00Z', 4, 'yahoo', '2018-03-27T12:00:00Z')";

const OLD_PREDICTIONS: &str = "
    insert into prediction (ticker, bar_start, model_id, kind, down, neutral, up, as_of)
    select 'AAPL', $1, kind || '-1', kind, 0.25, 0.25, 0.5, $1 + interval '1 minute'
    from unnest('{lstm,transformer}'::text[]) as kind";
const OLD_RECOMMENDATION: &str = "
    insert into recommendation (
        ticker, bar_start, lstm_model_id, transformer_model_id, action, confidence, reason, abstained, as_of
    )
    values (
        'AAPL', $1, 'lstm-1', 'transformer-1', 'buy', 0.5, 'both expect a rise', false, $1 + interval '1 minute'
    )";

/// A database with data of the first version is brought up to date, and programs of that version go on writing to it.
#[sqlx::test(migrations = false)]
async fn full_tables_migrate_and_old_programs_survive_it(pool: PgPool) {
    let first = time("2018-03-26T13:30:00Z");
    for migration in MIGRATOR.iter().take(2) {
        sqlx::raw_sql(migration.sql.clone())
            .execute(&pool)
            .await
            .unwrap();
    }
    sqlx::query(
        "insert into price_data (ticker, bar_start, open, high, low, close, volume, source, fetched_at) \
         select 'AAPL', start, 500, 500, 500, 500, 100, 'yahoo', start + interval '1 minute' \
         from generate_series($1, $1 + interval '9999 minutes', interval '1 minute') as start",
    )
    .bind(first)
    .execute(&pool)
    .await
    .unwrap();
    let old = async |statement: &'static str| {
        sqlx::query(statement)
            .bind(first)
            .execute(&pool)
            .await
            .unwrap();
    };
    old(OLD_GAP).await;
    old(OLD_CLOSE).await;
    sqlx::query(OLD_SPLIT).execute(&pool).await.unwrap();
    for statement in [OLD_PREDICTIONS, OLD_RECOMMENDATION] {
        old(statement).await;
    }
    let adjusted = "select sum(close) from price_adjusted";
    let before: f64 = sqlx::query_scalar(adjusted).fetch_one(&pool).await.unwrap();

    for migration in MIGRATOR.iter().skip(2) {
        sqlx::raw_sql(migration.sql.clone())
            .execute(&pool)
            .await
            .unwrap();
    }
    let after: f64 = sqlx::query_scalar(adjusted).fetch_one(&pool).await.unwrap();
    assert_eq!(before, after);
    let gaps = gaps_between(&pool, None, first, time("2018-03-27T00:00:00Z"))
        .await
        .unwrap();
    assert_eq!((gaps.len(), gaps[0].outcome), (1, None));
    assert!(gaps[0].closed_at.is_some());

    let recommended = predictions_page(&pool, &ticker("AAPL"), None, 9)
        .await
        .unwrap();
    let [kept] = recommended.as_slice() else {
        panic!("{recommended:?}")
    };
    let recommendation = &kept.recommendation;
    assert_eq!(
        (recommendation.action, recommendation.reason.as_str()),
        (Action::Buy, "both expect a rise")
    );
    assert_eq!(
        (&recommendation.decision, &recommendation.standing),
        (&None, &None)
    );

    // Old programs beside new ones.
    sqlx::query(OLD_UPSERT)
        .bind(first)
        .bind(7.0)
        .bind(time("2018-03-26T13:40:00Z"))
        .execute(&pool)
        .await
        .unwrap();
    old(OLD_GAP).await;
    old(OLD_CLOSE).await;
    assert_eq!(open_gaps(&pool).await.unwrap(), []);
    let next = first + TimeDelta::minutes(1);
    for statement in [OLD_PREDICTIONS, OLD_RECOMMENDATION] {
        sqlx::query(statement)
            .bind(next)
            .execute(&pool)
            .await
            .unwrap();
    }
    let recommended = predictions_page(&pool, &ticker("AAPL"), None, 9)
        .await
        .unwrap();
    assert_eq!(recommended.len(), 2);
    let mut bars = minutes("AAPL", "2018-03-26T13:30:00Z", 1);
    bars[0].fetched_at = time("2018-03-26T14:00:00Z");
    upsert_bars(&pool, &bars).await.unwrap();
    let kept = bar_revisions(&pool, &ticker("AAPL"), first, time("2018-03-27T00:00:00Z"))
        .await
        .unwrap();
    assert_eq!(
        kept.len(),
        1,
        "the old program keeps none, the new one does"
    );
    assert_eq!((kept[0].revision, kept[0].old.close.get()), (1, 7.0));
}

/// Runs some of the migrations.
async fn migrate_from(pool: &PgPool, first: usize, count: usize) {
    for migration in MIGRATOR.iter().skip(first).take(count) {
        sqlx::raw_sql(migration.sql.clone())
            .execute(pool)
            .await
            .unwrap();
    }
}

/// How many migrations there were while volumes were whole numbers.
const WHOLE_VOLUMES: usize = 10;

/// Bars and what they were before, with volumes up to the largest there can be.
const WHOLE_BARS: &str = "
    insert into price_data (ticker, bar_start, open, high, low, close, volume, source, fetched_at)
    select 'AAPL', '2018-03-26T13:30:00Z'::timestamptz + number * interval '1 minute', 500, 500, 500, 500,
        9007199254740991 - number, 'yahoo', '2018-03-26T20:00:00Z'
    from generate_series(0, 999) as number;
    select keep_revised_bar(
        ticker, bar_start, 0, open, high, low, close, volume, source, fetched_at, fetched_at + interval '1 minute'
    ) from price_data;";
/// Their volumes as text, in which no digit is lost.
const VOLUMES: &str = "
    select string_agg(volume::bigint::text, ' ' order by bar_start) from price_data
    union all
    select string_agg(volume::bigint::text, ' ' order by bar_start) from price_revision";

#[sqlx::test(migrations = false)]
async fn whole_volumes_become_fractional_ones_without_loss(pool: PgPool) {
    migrate_from(&pool, 0, WHOLE_VOLUMES).await;
    sqlx::raw_sql(WHOLE_BARS).execute(&pool).await.unwrap();
    let before: Vec<String> = sqlx::query_scalar(VOLUMES).fetch_all(&pool).await.unwrap();
    assert!(before[0].starts_with("9007199254740991 9007199254740990 "));
    migrate_from(&pool, WHOLE_VOLUMES, usize::MAX).await;
    let after: Vec<String> = sqlx::query_scalar(VOLUMES).fetch_all(&pool).await.unwrap();
    assert_eq!(after, before);
    for volume in ["'NaN'", "'infinity'", "-0.5"] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "update price_data set volume = {volume}"
        )))
        .execute(&pool)
        .await;
        assert!(refused.is_err(), "{volume}");
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn fractions_of_shares_are_kept_in_bars_of_every_length(pool: PgPool) {
    let mut bars = minutes("AAPL", "2018-03-26T13:30:00Z", 5);
    for (bar, volume) in bars.iter_mut().zip([0.25, 0.000_5, 1_000.0, 0.0, 3.5]) {
        bar.bar.volume = volume;
    }
    upsert_bars(&pool, &bars).await.unwrap();
    let apple = ticker("AAPL");
    let (from, to) = (time("2018-03-26T13:00:00Z"), time("2018-03-26T14:00:00Z"));
    let stored = bars_between(&pool, &apple, from, to).await.unwrap();
    let volumes: Vec<f64> = stored.iter().map(|bar| bar.volume).collect();
    assert_eq!(volumes, [0.25, 0.000_5, 1_000.0, 0.0, 3.5]);
    for interval in [Interval::FiveMinutes, Interval::OneHour, Interval::OneDay] {
        let request = HistoryRequest {
            interval,
            start: None,
            end: None,
            limit: 10,
        };
        let page = history_page(&pool, &apple, &request).await.unwrap();
        assert!(
            (page.bars[0].volume - 1_003.750_5).abs() < 1e-9,
            "{interval}"
        );
    }
    // The same bars again are no revision.
    let again = upsert_bars(&pool, &bars).await.unwrap();
    assert_eq!((again.revised, again.unchanged), (0, 5));
}
