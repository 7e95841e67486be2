-- Actions that are told before their day wait for it by the market's clock, which in a replay is not the database's.

alter table corporate_actions add column in_effect boolean not null default true;

comment on column corporate_actions.in_effect is
    'Whether the open of its ex-date had come, by the market''s clock, when the row was last written. One that was told '
    'earlier adjusts nothing until whoever stores the first prices after that open says that it has come.';

comment on table corporate_actions is
    'Splits, spin-offs and cash dividends, one row each. All price factors are computed from here and stored nowhere, so '
    'that applying an action twice is the same as once.';

comment on column price_data.fetched_at is
    'The vendor has applied all splits up to this moment, UTC: when it sent these values, as a rule. The open of an '
    'ex-date where it had restated its prices before that open; the moment before one where it had still not restated '
    'them after it; the bar''s own close for a vendor that never does. Splits after it are applied by price_adjusted.';

create or replace view split_factor as
-- What is announced for the future has not happened yet.
with effective as (
    select
        ticker,
        effective_at,
        product(ratio) as price,
        product(case when kind = 'split' then ratio else 1 end) as shares
    from corporate_actions
    where ratio is not null and removed_at is null and in_effect and effective_at <= now()
    group by ticker, effective_at
)
select
    ticker,
    lag(effective_at, 1, '-infinity') over (partition by ticker order by effective_at) as valid_from,
    effective_at as valid_until,
    product(price) over (partition by ticker order by effective_at desc) as price,
    product(shares) over (partition by ticker order by effective_at desc) as shares
from effective;

create or replace view dividend_factor as
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
        and corporate_actions.in_effect
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
