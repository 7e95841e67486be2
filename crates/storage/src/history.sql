-- Bars of length $6 (of a session if $5) of ticker $1 that start in [$7, $8), at most $9 of them, the newest first.
with stored as (
    -- The newest one-minute bars, as many as the wanted bars can hold, so that a short page of a long history
    -- reads little. The limits are wider than the range asked for by more than one wanted bar.
    select bar_start, open, high, low, close, volume
    from price_adjusted
    where ticker = $1
        and bar_start >= coalesce($2, '-infinity'::timestamptz)
        and bar_start < coalesce($3, 'infinity'::timestamptz)
    order by bar_start desc
    limit $4
),
bucket as (
    -- New York is a whole number of hours from UTC, so that hours counted from half past are hours counted from
    -- the open, in winter and in summer. A regular session never crosses midnight UTC.
    select
        date_bin(
            $6, bar_start, case when $5 then '2000-01-03 00:00:00+00' else '2000-01-03 14:30:00+00' end::timestamptz
        ) as start,
        min(bar_start) as first,
        max(bar_start) as last,
        max(high) as high,
        min(low) as low,
        sum(volume)::bigint as volume
    from stored
    group by 1
),
placed as (
    -- A session is stamped with its regular open, whichever its first stored minute.
    select
        case when $5
            then ((start at time zone 'UTC')::date + time '09:30') at time zone 'America/New_York'
            else start
        end as start,
        first, last, high, low, volume
    from bucket
)
select
    placed.start as "start!",
    opening.open as "open!",
    placed.high as "high!",
    placed.low as "low!",
    closing.close as "close!",
    placed.volume as "volume!"
from placed
join stored as opening on opening.bar_start = placed.first
join stored as closing on closing.bar_start = placed.last
where placed.start >= coalesce($7, '-infinity'::timestamptz)
    and placed.start < coalesce($8, 'infinity'::timestamptz)
order by placed.start desc
limit $9
