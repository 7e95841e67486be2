//! Tests on a real PostgreSQL: `DATABASE_URL` names a server on which databases may be created.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod adjusted;
mod analyses;
mod bars;
mod connect;
mod corporate_actions;
mod drift;
mod economy;
mod history;
mod listener;
mod migrations;
mod news;
mod operations;
mod outcomes;
mod pipeline;
mod quality;
mod revisions;
mod silence;
mod timescale;
mod validation;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Bar, Ticker};
use storage::{PgPool, VendorBar};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

fn bar(start: DateTime<Utc>, close: f64) -> Bar {
    Bar::new(start, close, close + 1.0, close - 1.0, close, 100.0).unwrap()
}

fn vendor_bar(symbol: &str, bar: Bar) -> VendorBar {
    VendorBar {
        ticker: ticker(symbol),
        bar,
        source: "test",
        fetched_at: bar.close_time(),
    }
}

/// From now on a statement that reads rows of two stocks more than a month apart fails: so would, one day, one that reads
/// all that is stored. Of a table or view by ticker and start of the bar, which can only be read after this.
async fn refuse_long_reads(pool: &PgPool, name: &str) {
    let statement = format!(
        "create or replace function is_near(ticker text, bar_start timestamptz) returns boolean
        language plpgsql as $$
        declare
            this constant text := statement_timestamp()::text;
            seen constant text[] := string_to_array(current_setting('test.seen', true), '|');
        begin
            if seen[1] is distinct from this then
                perform set_config('test.seen', concat_ws('|', this, ticker, bar_start), false);
            elsif seen[2] <> ticker and abs(extract(epoch from bar_start - seen[3]::timestamptz)) > 31 * 86400 then
                raise exception 'one statement reads % and %, more than a month apart', seen[2], ticker;
            end if;
            return true;
        end
        $$;
        alter table {name} rename to every_{name};
        create view {name} as select * from every_{name} where is_near(ticker, bar_start)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(pool)
        .await
        .unwrap();
}

/// One bar a minute from `first` on, closes 100, 101 and so on.
fn minutes(symbol: &str, first: &str, count: i64) -> Vec<VendorBar> {
    (0..count)
        .map(|minute| {
            let start = time(first) + TimeDelta::minutes(minute);
            vendor_bar(symbol, bar(start, 100.0 + minute as f64))
        })
        .collect()
}
