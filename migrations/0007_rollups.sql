-- Longer bars: the minutes of a ticker by five minutes, hour and day, still on the share basis they were fetched in.

create function share_basis (bar_start timestamptz, fetched_at timestamptz) returns timestamptz
language sql immutable parallel safe
return greatest(
    date_bin(interval '1 day', greatest(bar_start, fetched_at), timestamptz '2000-01-03 13:30:00+00'),
    date_bin(interval '1 day', greatest(bar_start, fetched_at), timestamptz '2000-01-03 14:30:00+00')
);

comment on function share_basis is
    'The last moment, up to which the values of a bar carry all splits, at which one can take effect: half past nine in '
    'New York, in summer or in winter time. All bars with the same basis are adjusted by the same factors, whatever '
    'actions become known later.';

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
    volume bigint
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
            sum(minute.volume)::bigint as volume
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

create function drop_bars_before (target text, before timestamptz) returns void
language plpgsql as $$
begin
    -- In steps: without the extension its views are unknown.
    if not exists (select from pg_extension where extname = 'timescaledb') then
        execute format('delete from %I where bar_start < $1', target) using before;
        return;
    end if;
    if not exists (select from timescaledb_information.hypertables where hypertable_name = target) then
        execute format('delete from %I where bar_start < $1', target) using before;
        return;
    end if;
    -- Continuous aggregates outlive their minutes, unless they are refreshed.
    if target = 'price_data' and to_regclass('price_rollup_stale') is not null then
        insert into price_rollup_stale (ticker, day)
        select distinct ticker, (bucket at time zone 'UTC')::date from price_1d where bucket < before;
    end if;
    perform drop_chunks(target::regclass, before);
end
$$;

comment on function drop_bars_before is
    'Removes the rows of a table whose bars start before a moment; with TimescaleDB the chunks that end before it.';
