use chrono::{DateTime, TimeDelta, Utc};
use domain::Bar;
use storage::{HistoryRequest, Interval, PgPool, history_page, upsert_bars};

use crate::{minutes, ticker, time};

async fn page(pool: &PgPool, request: &HistoryRequest) -> storage::HistoryPage {
    history_page(pool, &ticker("AAPL"), request).await.unwrap()
}

fn all(interval: Interval) -> HistoryRequest {
    HistoryRequest {
        interval,
        start: None,
        end: None,
        limit: 20_000,
    }
}

/// Three sessions around the change to summer time on 11 March 2018, the last one of a few minutes.
async fn three_sessions(pool: &PgPool) {
    let mut bars = minutes("AAPL", "2018-03-08T14:30:00Z", 390);
    bars.extend(minutes("AAPL", "2018-03-09T14:30:00Z", 390));
    bars.extend(minutes("AAPL", "2018-03-12T13:30:00Z", 7));
    bars.extend(minutes("MSFT", "2018-03-12T13:30:00Z", 100));
    // Minutes without trades.
    bars.retain(|row| row.bar.start.timestamp() / 60 % 11 != 3);
    upsert_bars(pool, &bars).await.unwrap();
}

fn starts(bars: &[Bar]) -> Vec<DateTime<Utc>> {
    bars.iter().map(|bar| bar.start).collect()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn longer_bars_hold_their_minutes(pool: PgPool) {
    upsert_bars(&pool, &minutes("AAPL", "2018-03-09T14:30:00Z", 390))
        .await
        .unwrap();
    upsert_bars(&pool, &minutes("AAPL", "2018-03-12T13:30:00Z", 61))
        .await
        .unwrap();

    let days = page(&pool, &all(Interval::OneDay)).await;
    assert_eq!(
        days.bars,
        [
            // Half past nine in New York, in winter and in summer.
            Bar::new(
                time("2018-03-09T14:30:00Z"),
                100.0,
                490.0,
                99.0,
                489.0,
                39_000.0
            )
            .unwrap(),
            Bar::new(
                time("2018-03-12T13:30:00Z"),
                100.0,
                161.0,
                99.0,
                160.0,
                6_100.0
            )
            .unwrap(),
        ]
    );
    assert_eq!(days.next_end, None);

    let hours = page(&pool, &all(Interval::OneHour)).await;
    assert_eq!(hours.bars.len(), 7 + 2);
    assert_eq!(hours.bars[6].start, time("2018-03-09T20:30:00Z"));
    assert_eq!(
        hours.bars[6].volume, 3_000.0,
        "the last hour of a session has thirty minutes"
    );
    assert_eq!(hours.bars[7].start, time("2018-03-12T13:30:00Z"));

    let fives = page(&pool, &all(Interval::FiveMinutes)).await;
    assert_eq!(fives.bars.len(), 78 + 13);
    assert_eq!(
        fives.bars[1],
        Bar::new(
            time("2018-03-09T14:35:00Z"),
            105.0,
            110.0,
            104.0,
            109.0,
            500.0
        )
        .unwrap()
    );
    assert_eq!(
        page(&pool, &all(Interval::FifteenMinutes)).await.bars.len(),
        26 + 5
    );
}

/// Open, high, low, close and volume.
pub(crate) fn shape(bar: &Bar) -> (f64, f64, f64, f64, f64) {
    let [open, high, low, close] =
        [bar.open, bar.high, bar.low, bar.close].map(|price| price.get());
    (open, high, low, close, bar.volume)
}

/// What longer bars have to look like: the plainest way to make them of ascending minutes.
pub(crate) fn put_together(minutes: &[Bar], interval: Interval) -> Vec<(f64, f64, f64, f64, f64)> {
    let bucket = |bar: &Bar| match interval {
        Interval::OneMinute => bar.start.timestamp() / 60,
        Interval::FiveMinutes => bar.start.timestamp() / 300,
        Interval::FifteenMinutes => bar.start.timestamp() / 900,
        Interval::OneHour => (bar.start.timestamp() + 1_800) / 3_600,
        Interval::OneDay => bar.start.timestamp() / 86_400,
    };
    minutes
        .chunk_by(|a, b| bucket(a) == bucket(b))
        .map(|bars| {
            let mut whole = shape(&bars[0]);
            for bar in &bars[1..] {
                let (_, high, low, close, volume) = shape(bar);
                whole = (
                    whole.0,
                    whole.1.max(high),
                    whole.2.min(low),
                    close,
                    whole.4 + volume,
                );
            }
            whole
        })
        .collect()
}

/// Bars of one hour, fetched before and after two splits: each is adjusted by what its own fetch has not seen.
#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn minutes_on_different_bases_make_one_bar(pool: PgPool) {
    let mut bars = minutes("AAPL", "2018-03-09T14:30:00Z", 390);
    for row in &mut bars {
        let minute = row.bar.start.timestamp() / 60;
        // Friday after the close, Monday before and at the open, and Tuesday.
        row.fetched_at = match minute % 4 {
            0 => time("2018-03-09T22:00:00Z"),
            1 => time("2018-03-12T13:29:59Z"),
            2 => time("2018-03-12T13:30:00Z"),
            _ => time("2018-03-13T13:31:00Z"),
        };
    }
    upsert_bars(&pool, &bars).await.unwrap();
    for (day, ratio) in [("2018-03-12", 4.0), ("2018-03-13", 0.5)] {
        sqlx::query(
            "insert into corporate_actions (ticker, kind, ex_date, effective_at, ratio, source, fetched_at) \
             values ('AAPL', 'split', $1::date, ($1::date + time '13:30') at time zone 'UTC', $2, 'test', now())",
        )
        .bind(crate::date(day))
        .bind(ratio)
        .execute(&pool)
        .await
        .unwrap();
    }
    let minutes = page(&pool, &all(Interval::OneMinute)).await.bars;
    for interval in Interval::ALL {
        let found: Vec<_> = page(&pool, &all(interval))
            .await
            .bars
            .iter()
            .map(shape)
            .collect();
        assert_eq!(found, put_together(&minutes, interval), "{interval}");
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn pages_lose_and_repeat_nothing(pool: PgPool) {
    three_sessions(&pool).await;
    for interval in Interval::ALL {
        let whole = page(&pool, &all(interval)).await.bars;
        assert!(whole.is_sorted_by(|a, b| a.start < b.start));
        for limit in [1, 2, 3, 7, 64, whole.len() as u32, whole.len() as u32 + 1] {
            if limit < 7 && whole.len() > 200 {
                continue;
            }
            let mut collected = Vec::new();
            let mut request = HistoryRequest {
                limit,
                ..all(interval)
            };
            loop {
                let mut part = page(&pool, &request).await;
                assert!(part.bars.len() <= limit as usize && !part.bars.is_empty());
                part.bars.extend(collected);
                collected = part.bars;
                match part.next_end {
                    Some(end) => request.end = Some(end),
                    None => break,
                }
            }
            assert_eq!(collected, whole, "{interval} by {limit}");
        }
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_range_holds_the_bars_that_start_in_it_and_these_are_whole(pool: PgPool) {
    three_sessions(&pool).await;
    let (first, last) = (time("2018-03-08T14:00:00Z"), time("2018-03-12T14:00:00Z"));
    for interval in Interval::ALL {
        let whole = page(&pool, &all(interval)).await.bars;
        // Ends on and off every kind of boundary.
        for (from, to) in [
            (0, 0),
            (30, 4_000),
            (31, 93),
            (47, 1_473),
            (1_440, 1_830),
            (200, 5_731),
        ] {
            let (start, end) = (
                first + TimeDelta::minutes(from),
                last - TimeDelta::minutes(to),
            );
            for limit in [3, 20_000] {
                let request = HistoryRequest {
                    interval,
                    start: Some(start),
                    end: Some(end),
                    limit,
                };
                let expected: Vec<Bar> = whole
                    .iter()
                    .filter(|bar| bar.start >= start && bar.start < end)
                    .copied()
                    .collect();
                let newest = &expected[expected.len().saturating_sub(limit as usize)..];
                let found = page(&pool, &request).await.bars;
                assert_eq!(
                    starts(&found),
                    starts(newest),
                    "{interval} {start} {end} {limit}"
                );
                assert_eq!(found, newest);
            }
        }
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_unknown_ticker_has_no_history(pool: PgPool) {
    let page = page(&pool, &all(Interval::OneDay)).await;
    assert!(page.bars.is_empty() && page.next_end.is_none());
}
