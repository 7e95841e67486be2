-- The nights: what each run did, step by step and ticker by ticker, so that one that died halfway goes on where it was.

create table pipeline_run (
    pipeline_run_id bigint generated always as identity primary key,
    night date not null,
    state text not null check (state in ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED')),
    started_at timestamptz not null,
    ended_at timestamptz,
    host text not null,
    pid integer not null,
    ingested_at timestamptz not null default now(),
    constraint pipeline_run_ended check ((ended_at is not null) = (state in ('SUCCESS', 'FAILED')))
);

comment on table pipeline_run is 'Runs of the nightly pipeline. One at a time: its program holds an advisory lock meanwhile.';
comment on column pipeline_run.pipeline_run_id is 'Number of the run, ascending.';
comment on column pipeline_run.night is 'Session that the night follows, New York date.';
comment on column pipeline_run.state is
    'RUNNING: a program works on it, or died at it; PENDING: it was interrupted in good order and is to be resumed; '
    'SUCCESS: all steps succeeded; FAILED: a step failed for good.';
comment on column pipeline_run.started_at is 'When the run began, UTC, market clock.';
comment on column pipeline_run.ended_at is 'When it ended, UTC, market clock; empty while it is unfinished.';
comment on column pipeline_run.host is 'Machine of the program that last worked on it.';
comment on column pipeline_run.pid is 'Process number of that program on its machine.';
comment on column pipeline_run.ingested_at is 'When the row was first stored, UTC, clock of the database.';

create index pipeline_run_night on pipeline_run (night);

create table pipeline_step (
    pipeline_run_id bigint not null references pipeline_run on delete cascade,
    step text collate "C" not null check (step <> ''),
    ticker text collate "C" not null default '',
    place integer not null,
    state text not null check (state in ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED')),
    attempts integer not null default 0 check (attempts >= 0),
    started_at timestamptz,
    ended_at timestamptz,
    message text not null default '',
    next_attempt_at timestamptz,
    primary key (pipeline_run_id, step, ticker)
);

comment on table pipeline_step is
    'Steps of a run, and what a step made of each ticker where it works on them one by one.';
comment on column pipeline_step.pipeline_run_id is 'The run.';
comment on column pipeline_step.step is 'Name of the step, such as train.';
comment on column pipeline_step.ticker is
    'Exchange symbol as Yahoo spells it, upper case; the empty text for the step itself.';
comment on column pipeline_step.place is 'Position of the step in its run, from 0.';
comment on column pipeline_step.state is
    'PENDING: not begun, interrupted, or waiting for its next attempt; RUNNING: under way, or its program died; SUCCESS '
    'and FAILED: over. A step of which some tickers failed and others did not is a SUCCESS.';
comment on column pipeline_step.attempts is 'How many times it was begun.';
comment on column pipeline_step.started_at is 'When it was last begun, UTC, market clock; empty before that.';
comment on column pipeline_step.ended_at is 'When its last attempt ended, UTC, market clock; empty while it is under way.';
comment on column pipeline_step.message is 'What came of it, for people.';
comment on column pipeline_step.next_attempt_at is
    'When it is tried again after a passing failure, UTC, market clock; empty otherwise.';
