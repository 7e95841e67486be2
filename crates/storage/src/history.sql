-- Bars of length $6 of ticker $1 that start in [$7, $8), at most $9 of them, the newest first.
with rollup as (
    -- Buckets of length $2, which divides $6, from a range wider than the one asked for: at least the newest $5 of
    -- them. A bucket comes once for each share basis of its minutes, on which it is adjusted.
    select
        rollup.bucket,
        rollup.first_start,
        rollup.last_start,
        rollup.open / coalesce(split_factor.price, 1) as open,
        rollup.high / coalesce(split_factor.price, 1) as high,
        rollup.low / coalesce(split_factor.price, 1) as low,
        rollup.close / coalesce(split_factor.price, 1) as close,
        rollup.volume * coalesce(split_factor.shares, 1) as volume
    from price_rollup(
        $1, $2, coalesce($3, '-infinity'::timestamptz), coalesce($4, 'infinity'::timestamptz), $5
    ) as rollup
    left join split_factor
        on split_factor.ticker = $1
        and rollup.basis >= split_factor.valid_from
        and rollup.basis < split_factor.valid_until
),
wanted as (
    select
        date_bin(
            $6,
            bucket,
            -- As price_rollup counts them.
            case when $6 = interval '1 hour' then '2000-01-03 14:30:00+00' else '2000-01-03 00:00:00+00' end::timestamptz
        ) as start,
        min(first_start) as first,
        max(last_start) as last,
        max(high) as high,
        min(low) as low,
        -- In order, so that sums of fractions do not depend on the way in which the rows were found.
        sum(volume order by first_start) as volume
    from rollup
    group by 1
),
placed as (
    -- A session is stamped with its regular open, whichever its first stored minute.
    select
        case when $6 = interval '1 day'
            then ((start at time zone 'UTC')::date + time '09:30') at time zone 'America/New_York'
            else start
        end as start,
        first, last, high, low, volume
    from wanted
)
select
    placed.start as "start!",
    opening.open as "open!",
    placed.high as "high!",
    placed.low as "low!",
    closing.close as "close!",
    placed.volume as "volume!"
from placed
join rollup as opening on opening.first_start = placed.first
join rollup as closing on closing.last_start = placed.last
where placed.start >= coalesce($7, '-infinity'::timestamptz)
    and placed.start < coalesce($8, 'infinity'::timestamptz)
order by placed.start desc
limit $9
