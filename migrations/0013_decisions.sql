-- What a recommendation follows from, as data, and how its rule had fared when it was made.

alter table recommendation add column decision jsonb;
alter table recommendation add column standing jsonb;
-- Programs of before go on writing it. A default, as not null cannot be dropped below compressed chunks.
alter table recommendation alter column confidence set default 0;

comment on column recommendation.confidence is
    'Not used any more: the smaller of two probabilities of different classes compares with nothing. 0 where decision is '
    'kept.';
comment on column recommendation.reason is 'One or two sentences that say why, made from decision and standing.';
comment on column recommendation.decision is
    'Horizon, expiry, prediction sets, leans over the base rates, expected value with its lower bound, cost, and what '
    'blocked it, as the api writes them; empty for recommendations made before it was kept.';
comment on column recommendation.standing is
    'How the rule that spoke had fared before, as the api writes it; empty for holds, and for recommendations made before '
    'it was kept.';

-- Few bars have one, and they are read over weeks.
create index recommendation_signal on recommendation (bar_start) where action <> 'hold';
