-- What a revised bar was before, which gaps are whose fault and how they ended, and what looks wrong though it is
-- stored.

create table price_revision (
    ticker text collate "C" not null,
    bar_start timestamptz not null,
    revision integer not null,
    open double precision not null,
    high double precision not null,
    low double precision not null,
    close double precision not null,
    volume bigint not null,
    source text not null,
    fetched_at timestamptz not null,
    replaced_at timestamptz not null,
    ingested_at timestamptz not null default now(),
    primary key (ticker, bar_start, revision)
);

comment on table price_revision is
    'The values that price_data held before a vendor revised a bar, one row for each revision. Only ever added to.';
comment on column price_revision.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column price_revision.bar_start is 'First moment of the bar, UTC, on the minute.';
comment on column price_revision.revision is 'Revision of price_data that held these values: 0 for those first stored.';
comment on column price_revision.open is 'First trade, US dollars per share, on the share basis of fetched_at.';
comment on column price_revision.high is 'Highest trade, US dollars per share, on the share basis of fetched_at.';
comment on column price_revision.low is 'Lowest trade, US dollars per share, on the share basis of fetched_at.';
comment on column price_revision.close is 'Last trade, US dollars per share, on the share basis of fetched_at.';
comment on column price_revision.volume is 'Shares traded, on the share basis of fetched_at.';
comment on column price_revision.source is 'Vendor that had sent these values, lower case.';
comment on column price_revision.fetched_at is 'When the vendor had sent these values, UTC, market clock.';
comment on column price_revision.replaced_at is
    'fetched_at of the values that took their place, UTC, market clock: up to then these were the known ones.';
comment on column price_revision.ingested_at is 'When this row was stored, UTC, clock of the database.';

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
    volume bigint,
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

alter table ingest_gap
    add column reason text not null default 'missing_minutes'
        check (reason in ('missing_minutes', 'missing_session', 'stopped')),
    add column expected_bars integer not null default 0 check (expected_bars >= 0),
    add column last_attempt_at timestamptz,
    add column outcome text check (outcome in ('filled', 'no_data', 'superseded')),
    add constraint ingest_gap_outcome_when_closed check (outcome is null or closed_at is not null);

comment on column ingest_gap.reason is
    'missing_minutes: minutes within a session; missing_session: no bar of a whole session; stopped: nothing was '
    'fetched, because no ingestor ran or the vendor was shut.';
comment on column ingest_gap.expected_bars is
    'How many bars are thought to be missing; 0 for a gap that was noticed before this was counted.';
comment on column ingest_gap.last_attempt_at is
    'When a refetch was last tried, UTC, market clock; empty before the first.';
comment on column ingest_gap.outcome is
    'filled: its bars are stored; no_data: the vendor has none; superseded: a gap with other ends took its place. '
    'Empty while it is open, and for gaps closed before this was kept.';

create index ingest_gap_gap_end on ingest_gap (gap_end);

create table data_quality_finding (
    ticker text collate "C" not null check (ticker <> ''),
    session date not null,
    check_name text collate "C" not null check (check_name <> ''),
    observed double precision not null,
    expected double precision not null,
    detail text not null,
    found_at timestamptz not null,
    ingested_at timestamptz not null default now(),
    primary key (ticker, session, check_name)
);

comment on table data_quality_finding is
    'Sessions whose stored bars look wrong though each bar is well formed. The bars are kept: this says not to trust '
    'them.';
comment on column data_quality_finding.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column data_quality_finding.session is 'Session concerned, New York date.';
comment on column data_quality_finding.check_name is 'The check that failed, snake case.';
comment on column data_quality_finding.observed is 'What was found, in the unit of the check.';
comment on column data_quality_finding.expected is 'What was expected, in the same unit.';
comment on column data_quality_finding.detail is 'What is wrong, for people.';
comment on column data_quality_finding.found_at is 'When it was first found, UTC, market clock.';
comment on column data_quality_finding.ingested_at is 'When this row was stored, UTC, clock of the database.';

create index data_quality_finding_session on data_quality_finding (session);
