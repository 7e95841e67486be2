-- What was said of the economy, and since when it was known.

create table macro_observation (
    series text collate "C" not null check (series <> ''),
    period date not null,
    available_at timestamptz not null,
    value double precision,
    source text not null check (source <> ''),
    ingested_at timestamptz not null default now(),
    primary key (series, period, available_at),
    -- NaN sorts above infinity in PostgreSQL, so this refuses it too.
    constraint macro_observation_is_finite check (value > '-infinity' and value < 'infinity')
);

comment on table macro_observation is
    'Every vintage of every value of the economic series: a revision is another row with a later available_at. Rows '
    'are never changed.';
comment on column macro_observation.series is 'Id of the series as FRED spells it, upper case.';
comment on column macro_observation.period is 'First day of the period described: a day, month or quarter.';
comment on column macro_observation.available_at is
    'When this vintage could be known, UTC, market clock: its release, or when it was first seen. Features may use it '
    'from here on, until a later vintage takes its place.';
comment on column macro_observation.value is
    'The value in the series'' own unit; empty where it was due and does not exist.';
comment on column macro_observation.source is
    'Where it was read, lower case: fred with all vintages, fred_csv without.';
comment on column macro_observation.ingested_at is 'When this row was stored, UTC, clock of the database.';

create index macro_observation_available_at on macro_observation (available_at);
