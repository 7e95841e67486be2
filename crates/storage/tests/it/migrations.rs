use storage::{MIGRATOR, PgPool, bar_revisions, gaps_between, open_gaps, upsert_bars};

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
