-- Actions that a person took back, and prices adjusted for dividends.

alter table corporate_actions add column removed_at timestamptz;

comment on column corporate_actions.removed_at is
    'When a person took the action back, UTC, clock of the database: it adjusts nothing from then on, and stays so '
    'when the vendor reports it again. Empty for one that counts.';

comment on column corporate_actions.fetched_at is
    'When the vendor reported the action, of a dividend when it last did, UTC, market clock.';

create or replace view split_factor as
-- What is announced for the future has not happened yet.
with effective as (
    select
        ticker,
        effective_at,
        product(ratio) as price,
        product(case when kind = 'split' then ratio else 1 end) as shares
    from corporate_actions
    where ratio is not null and removed_at is null and effective_at <= now()
    group by ticker, effective_at
)
select
    ticker,
    lag(effective_at, 1, '-infinity') over (partition by ticker order by effective_at) as valid_from,
    effective_at as valid_until,
    product(price) over (partition by ticker order by effective_at desc) as price,
    product(shares) over (partition by ticker order by effective_at desc) as shares
from effective;

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
comment on column price_total_return.volume is 'Shares traded, in shares of today, rounded.';
