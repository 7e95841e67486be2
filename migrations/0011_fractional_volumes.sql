-- Volumes as vendors and files have them: fractions of shares (and of coins) are kept. Below 2^53, as all volumes are,
-- a double holds every whole number exactly: nothing that is stored changes.

-- What TimescaleDB added is taken down and set up again from the minutes when a service has migrated (see timescale.sql
-- of the crate storage): a column's type cannot change below compressed chunks and continuous aggregates.
do $teardown$
declare
    job record;
    aggregate text;
begin
    if not exists (select from pg_extension where extname = 'timescaledb') then
        return;
    end if;
    for job in
        select job_id from timescaledb_information.jobs where proc_name = 'refresh_price_rollups'
    loop
        perform delete_job(job.job_id);
    end loop;
    foreach aggregate in array array['price_5m', 'price_1h', 'price_1d'] loop
        if to_regclass(aggregate) is not null then
            execute format('drop materialized view %I', aggregate);
        end if;
    end loop;
    drop procedure if exists refresh_price_rollups (integer, jsonb);
    drop trigger if exists note_inserted_minutes on price_data;
    drop trigger if exists note_updated_minutes on price_data;
    drop trigger if exists note_deleted_minutes on price_data;
    drop function if exists note_changed_minutes ();
    drop table if exists price_rollup_stale;
    if exists (
        select from timescaledb_information.hypertables
        where hypertable_name = 'price_data' and compression_enabled
    ) then
        perform remove_compression_policy('price_data', if_exists => true);
        perform decompress_chunk(chunk, if_compressed => true) from show_chunks('price_data') as chunk;
        alter table price_data set (timescaledb.compress = false);
    end if;
end
$teardown$;

drop view price_total_return;
drop view dividend_factor;
drop view price_adjusted;
drop function price_rollup;
drop function keep_revised_bar;

alter table price_data
    drop constraint price_data_volume_check,
    alter column volume type double precision,
    -- NaN sorts above infinity in PostgreSQL, so that this refuses both.
    add constraint price_data_volume_check check (volume >= 0 and volume < 'infinity');
alter table price_revision alter column volume type double precision;

comment on column price_data.volume is 'Shares traded, fractions included, on the share basis of fetched_at.';
comment on column price_revision.volume is 'Shares traded, fractions included, on the share basis of fetched_at.';

create view price_adjusted as
select
    price_data.ticker,
    price_data.bar_start,
    price_data.open / coalesce(split_factor.price, 1) as open,
    price_data.high / coalesce(split_factor.price, 1) as high,
    price_data.low / coalesce(split_factor.price, 1) as low,
    price_data.close / coalesce(split_factor.price, 1) as close,
    price_data.volume * coalesce(split_factor.shares, 1) as volume
from price_data
-- A bar carries the splits up to its fetch, and never needs those before itself.
left join split_factor
    on split_factor.ticker = price_data.ticker
    and greatest(price_data.bar_start, price_data.fetched_at) >= split_factor.valid_from
    and greatest(price_data.bar_start, price_data.fetched_at) < split_factor.valid_until;

comment on view price_adjusted is
    'The bars of price_data on today''s share basis: divided by the product of all splits and spin-offs after both '
    'the bar and its fetch. Not adjusted for dividends.';
comment on column price_adjusted.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column price_adjusted.bar_start is 'First moment of the bar, UTC, on the minute.';
comment on column price_adjusted.open is 'First trade, US dollars per share of today.';
comment on column price_adjusted.high is 'Highest trade, US dollars per share of today.';
comment on column price_adjusted.low is 'Lowest trade, US dollars per share of today.';
comment on column price_adjusted.close is 'Last trade, US dollars per share of today.';
comment on column price_adjusted.volume is 'Shares traded, in shares of today.';

create view dividend_factor as
with dividend as (
    -- Amounts on today's share basis: a vendor restates them at each split, as it does prices.
    select
        corporate_actions.ticker,
        corporate_actions.effective_at,
        corporate_actions.amount / coalesce(split_factor.price, 1) as amount
    from corporate_actions
    left join split_factor
        on split_factor.ticker = corporate_actions.ticker
        and corporate_actions.fetched_at >= split_factor.valid_from
        and corporate_actions.fetched_at < split_factor.valid_until
    where corporate_actions.kind = 'dividend'
        and corporate_actions.removed_at is null
        and corporate_actions.effective_at <= now()
),
paid as (
    select dividend.ticker, dividend.effective_at, 1 - dividend.amount / reference.close as price
    from dividend
    -- The last close before the ex-date. Where nothing is stored before it there is nothing to adjust either.
    cross join lateral (
        select price_adjusted.close
        from price_adjusted
        where price_adjusted.ticker = dividend.ticker and price_adjusted.bar_start < dividend.effective_at
        order by price_adjusted.bar_start desc
        limit 1
    ) as reference
    -- A company does not pay out more than it is worth: such an amount is an error, and would turn prices negative.
    where dividend.amount < reference.close
)
select
    ticker,
    lag(effective_at, 1, '-infinity') over (partition by ticker order by effective_at) as valid_from,
    effective_at as valid_until,
    product(price) over (partition by ticker order by effective_at desc) as price
from paid;

comment on view dividend_factor is
    'What split-adjusted prices are multiplied by to take out dividends, by the start of the bar. No row means 1: '
    'nothing has been paid since.';
comment on column dividend_factor.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column dividend_factor.valid_from is 'First moment of the stretch, UTC: an ex-date''s open, or -infinity.';
comment on column dividend_factor.valid_until is 'First moment after it, UTC: the open of the next ex-date.';
comment on column dividend_factor.price is
    'Product of 1 - amount / close before the ex-date, of all dividends from valid_until on; above 0, at most 1.';

create view price_total_return as
select
    price_adjusted.ticker,
    price_adjusted.bar_start,
    price_adjusted.open * coalesce(dividend_factor.price, 1) as open,
    price_adjusted.high * coalesce(dividend_factor.price, 1) as high,
    price_adjusted.low * coalesce(dividend_factor.price, 1) as low,
    price_adjusted.close * coalesce(dividend_factor.price, 1) as close,
    price_adjusted.volume
from price_adjusted
left join dividend_factor
    on dividend_factor.ticker = price_adjusted.ticker
    and price_adjusted.bar_start >= dividend_factor.valid_from
    and price_adjusted.bar_start < dividend_factor.valid_until;

comment on view price_total_return is
    'The bars of price_adjusted with dividends taken out as well, so that returns across an ex-date hold what was '
    'paid. The same as Yahoo''s adj_close.';
comment on column price_total_return.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column price_total_return.bar_start is 'First moment of the bar, UTC, on the minute.';
comment on column price_total_return.open is 'First trade, US dollars per share of today, dividends taken out.';
comment on column price_total_return.high is 'Highest trade, US dollars per share of today, dividends taken out.';
comment on column price_total_return.low is 'Lowest trade, US dollars per share of today, dividends taken out.';
comment on column price_total_return.close is 'Last trade, US dollars per share of today, dividends taken out.';
comment on column price_total_return.volume is 'Shares traded, in shares of today.';

-- Called from the update that revises a bar, with the row that it has just locked: of two writers at once each keeps
-- what it really replaces, which a select before the update could not promise.
create function keep_revised_bar (
    ticker text,
    bar_start timestamptz,
    revision integer,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision,
    source text,
    fetched_at timestamptz,
    replaced_at timestamptz
) returns integer
language sql volatile
begin atomic
    insert into price_revision
        (ticker, bar_start, revision, open, high, low, close, volume, source, fetched_at, replaced_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
    select $3 + 1;
end;

comment on function keep_revised_bar is
    'Writes the values of a bar that is being revised to price_revision, and answers the number of the new revision.';

create function price_rollup (
    ticker text,
    width interval,
    range_start timestamptz,
    range_end timestamptz,
    buckets bigint
) returns table (
    bucket timestamptz,
    basis timestamptz,
    first_start timestamptz,
    last_start timestamptz,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision
)
language sql stable
begin atomic
    with minute as (
        -- As many as the buckets can hold, so that a short page of a long history reads little. A regular session
        -- has 390.
        select
            price_data.bar_start,
            -- New York is a whole number of hours from UTC, so that hours counted from half past are hours counted
            -- from the open, in winter and in summer. A regular session never crosses midnight UTC.
            date_bin(
                $2,
                price_data.bar_start,
                case when $2 = interval '1 hour' then '2000-01-03 14:30:00+00' else '2000-01-03 00:00:00+00' end::timestamptz
            ) as bucket,
            share_basis(price_data.bar_start, price_data.fetched_at) as basis,
            price_data.high,
            price_data.low,
            price_data.volume
        from price_data
        where price_data.ticker = $1 and price_data.bar_start >= $3 and price_data.bar_start < $4
        order by price_data.bar_start desc
        limit $5 * least(extract(epoch from $2) / 60, 390)
    ),
    grouped as (
        select
            minute.bucket,
            minute.basis,
            min(minute.bar_start) as first_start,
            max(minute.bar_start) as last_start,
            max(minute.high) as high,
            min(minute.low) as low,
            sum(minute.volume) as volume
        from minute
        group by minute.bucket, minute.basis
    )
    select
        grouped.bucket,
        grouped.basis,
        grouped.first_start,
        grouped.last_start,
        opening.open,
        grouped.high,
        grouped.low,
        closing.close,
        grouped.volume
    from grouped
    join price_data as opening on opening.ticker = $1 and opening.bar_start = grouped.first_start
    join price_data as closing on closing.ticker = $1 and closing.bar_start = grouped.last_start;
end;

comment on function price_rollup is
    'The minutes of a ticker in buckets of 5 minutes, 1 hour (from half past) or 1 day (UTC), split by share basis: raw '
    'prices and volumes, for the reader to adjust and put together. At least the newest of the given number of '
    'buckets that lie in [range_start, range_end), in no order; buckets that the range cuts are not whole. With '
    'TimescaleDB the same is read from continuous aggregates, see price_5m, price_1h and price_1d.';
