-- Prices as the vendors sent them, the corporate actions that adjust them, and what readers see.

create table price_data (
    ticker text collate "C" not null check (ticker <> ''),
    bar_start timestamptz not null,
    open double precision not null,
    high double precision not null,
    low double precision not null,
    close double precision not null,
    volume bigint not null check (volume >= 0),
    source text not null check (source <> ''),
    fetched_at timestamptz not null,
    revision integer not null default 0,
    primary key (ticker, bar_start),
    -- NaN sorts above infinity in PostgreSQL, so the last condition refuses both.
    constraint price_data_is_a_bar check (
        low > 0
        and open between low and high
        and close between low and high
        and high < 'infinity'
    )
);

comment on table price_data is
    'Closed one-minute bars of the regular session, and of no other hours, as the vendor sent them. Never changed '
    'except when the vendor itself revises a bar. Readers use price_adjusted.';
comment on column price_data.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column price_data.bar_start is
    'First moment of the bar, UTC, on the minute. The bar is known one minute later.';
comment on column price_data.open is 'First trade, US dollars per share, on the share basis of fetched_at.';
comment on column price_data.high is 'Highest trade, US dollars per share, on the share basis of fetched_at.';
comment on column price_data.low is 'Lowest trade, US dollars per share, on the share basis of fetched_at.';
comment on column price_data.close is 'Last trade, US dollars per share, on the share basis of fetched_at.';
comment on column price_data.volume is 'Shares traded, on the share basis of fetched_at.';
comment on column price_data.source is 'Vendor that sent the bar, lower case, such as yahoo.';
comment on column price_data.fetched_at is
    'When the vendor sent these values, UTC. The vendor has applied all splits up to this moment; for a vendor that '
    'never adjusts, the bar''s own close. Splits after it are applied by price_adjusted.';
comment on column price_data.revision is 'How many times the vendor has changed the bar since it was first stored.';

create table corporate_actions (
    ticker text collate "C" not null check (ticker <> ''),
    kind text not null check (kind in ('split', 'spin_off', 'dividend')),
    ex_date date not null,
    effective_at timestamptz not null,
    ratio double precision check (ratio > 0 and ratio < 'infinity'),
    amount double precision check (amount > 0 and amount < 'infinity'),
    source text not null check (source <> ''),
    fetched_at timestamptz not null,
    primary key (ticker, kind, ex_date),
    constraint corporate_actions_ratio_or_amount check (
        (kind = 'dividend') = (amount is not null)
        and (kind = 'dividend') = (ratio is null)
    )
);

comment on table corporate_actions is
    'Splits, spin-offs and cash dividends, one row each, recorded once they are effective. All price factors are '
    'computed from here and stored nowhere, so that applying an action twice is the same as once.';
comment on column corporate_actions.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column corporate_actions.kind is
    'split: changes prices and share counts; spin_off: changes prices only; dividend: cash.';
comment on column corporate_actions.ex_date is 'First day of trading without the right, New York date.';
comment on column corporate_actions.effective_at is 'Open of the session of ex_date, UTC: bars from here on are on the new basis.';
comment on column corporate_actions.ratio is
    'Split: shares after for each share before, such as 4, or 0.125 for a reverse split. Spin-off: price before for '
    'each dollar of price after, such as 1.281. Empty for a dividend.';
comment on column corporate_actions.amount is
    'Dividend: US dollars per share on the share basis of fetched_at. Empty for other kinds.';
comment on column corporate_actions.source is 'Vendor that reported the action, lower case.';
comment on column corporate_actions.fetched_at is 'When the vendor reported the action, UTC.';

create index corporate_actions_effective_at on corporate_actions (ticker, effective_at) where ratio is not null;

create aggregate product (double precision) (
    sfunc = float8mul,
    stype = double precision,
    initcond = 1,
    parallel = safe,
    combinefunc = float8mul
);
comment on aggregate product (double precision) is 'Product of the values; 1 for no rows.';

create view split_factor as
-- What is announced for the future has not happened yet.
with effective as (
    select
        ticker,
        effective_at,
        product(ratio) as price,
        product(case when kind = 'split' then ratio else 1 end) as shares
    from corporate_actions
    where ratio is not null and effective_at <= now()
    group by ticker, effective_at
)
select
    ticker,
    lag(effective_at, 1, '-infinity') over (partition by ticker order by effective_at) as valid_from,
    effective_at as valid_until,
    product(price) over (partition by ticker order by effective_at desc) as price,
    product(shares) over (partition by ticker order by effective_at desc) as shares
from effective;

comment on view split_factor is
    'What prices are divided and share counts multiplied by to bring a bar to today''s share basis, by the moment '
    'whose splits the bar already carries. No row means 1: nothing has happened since.';
comment on column split_factor.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column split_factor.valid_from is 'First moment of the basis, UTC: an action took effect, or -infinity.';
comment on column split_factor.valid_until is 'First moment after it, UTC: the next action took effect.';
comment on column split_factor.price is 'Product of the ratios of all splits and spin-offs from valid_until on.';
comment on column split_factor.shares is 'Product of the ratios of all splits from valid_until on.';

create view price_adjusted as
select
    price_data.ticker,
    price_data.bar_start,
    price_data.open / coalesce(split_factor.price, 1) as open,
    price_data.high / coalesce(split_factor.price, 1) as high,
    price_data.low / coalesce(split_factor.price, 1) as low,
    price_data.close / coalesce(split_factor.price, 1) as close,
    round(price_data.volume * coalesce(split_factor.shares, 1))::bigint as volume
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
comment on column price_adjusted.volume is 'Shares traded, in shares of today, rounded.';

create table quarantine (
    quarantine_id bigint generated always as identity primary key,
    source text not null,
    ticker text collate "C" not null,
    event_time timestamptz,
    reason text not null,
    payload jsonb not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    occurrences bigint not null default 1,
    constraint quarantine_once unique nulls not distinct (ticker, event_time, source, reason)
);

comment on table quarantine is
    'Rows of vendors that were refused, with the reason. The same fault seen again counts up instead of adding a row.';
comment on column quarantine.quarantine_id is 'Number of the row.';
comment on column quarantine.source is 'Vendor that sent the row, lower case.';
comment on column quarantine.ticker is 'Symbol that was asked for, upper case.';
comment on column quarantine.event_time is 'When the refused thing happened as the vendor says, UTC; empty when that is what is wrong.';
comment on column quarantine.reason is 'What is wrong, in words.';
comment on column quarantine.payload is 'The row as received.';
comment on column quarantine.first_seen_at is 'When it was first refused, UTC.';
comment on column quarantine.last_seen_at is 'When it was last refused, UTC.';
comment on column quarantine.occurrences is 'How many times it was refused.';

create index quarantine_last_seen_at on quarantine (last_seen_at);

create table ingest_gap (
    ticker text collate "C" not null,
    gap_start timestamptz not null,
    gap_end timestamptz not null,
    detected_at timestamptz not null,
    closed_at timestamptz,
    attempts integer not null default 0,
    primary key (ticker, gap_start),
    check (gap_start < gap_end)
);

comment on table ingest_gap is 'Stretches of regular sessions whose bars are missing and should be fetched again.';
comment on column ingest_gap.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column ingest_gap.gap_start is 'Start of the first missing bar, UTC.';
comment on column ingest_gap.gap_end is 'Start of the first bar after the gap, UTC.';
comment on column ingest_gap.detected_at is 'When the gap was noticed, UTC.';
comment on column ingest_gap.closed_at is 'When it was filled or found to be unfillable, UTC; empty while it is open.';
comment on column ingest_gap.attempts is 'How many times a refetch was tried.';

create index ingest_gap_open on ingest_gap (ticker, gap_start) where closed_at is null;
