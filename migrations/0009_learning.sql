-- What is learnt about the models: what they say of bars that they have not seen, what came of what they said, and
-- whether the market is still the one they know.

create table validation_prediction (
    model_id text collate "C" not null,
    ticker text collate "C" not null check (ticker <> ''),
    bar_start timestamptz not null,
    down real not null,
    neutral real not null,
    up real not null,
    label text not null check (label in ('down', 'neutral', 'up')),
    gross_return double precision not null check (gross_return > '-infinity' and gross_return < 'infinity'),
    label_settings text not null check (label_settings <> ''),
    as_of timestamptz not null,
    primary key (model_id, bar_start, ticker),
    constraint validation_prediction_is_a_distribution check (
        down between 0 and 1
        and neutral between 0 and 1
        and up between 0 and 1
        and abs(down + neutral + up - 1) < 0.001
    )
);

comment on table validation_prediction is
    'What a model says of bars of sessions that it has not seen, with what came of them. Each night adds to it, so that '
    'the comparison of champion and challenger gains power. None of it was said to anybody: see prediction for that.';
comment on column validation_prediction.model_id is 'Model, as the folder of its artifact is named.';
comment on column validation_prediction.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column validation_prediction.bar_start is 'Start of the last bar of the window, UTC.';
comment on column validation_prediction.down is 'Calibrated probability, 0 to 1, that the lower barrier is touched first.';
comment on column validation_prediction.neutral is 'Calibrated probability, 0 to 1, that neither barrier is touched in time.';
comment on column validation_prediction.up is 'Calibrated probability, 0 to 1, that the upper barrier is touched first.';
comment on column validation_prediction.label is 'What came of it: down, neutral or up.';
comment on column validation_prediction.gross_return is
    'Return of a buyer from the first price that could be had to the touch, as a fraction, before costs.';
comment on column validation_prediction.label_settings is 'Hash of the settings of the barriers: only equal ones compare.';
comment on column validation_prediction.as_of is 'When it was computed, UTC, market clock.';

create table validation_report (
    validation_report_id bigint generated always as identity primary key,
    pipeline_run_id bigint references pipeline_run on delete set null,
    night date not null,
    kind text not null check (kind in ('lstm', 'transformer')),
    champion_id text collate "C",
    challenger_id text collate "C" not null,
    verdict text not null check (verdict in ('first', 'wins', 'does_not_win', 'cannot_tell', 'refused')),
    report jsonb not null,
    created_at timestamptz not null
);

comment on table validation_report is 'Comparisons of a champion with its challenger, and how they ended.';
comment on column validation_report.validation_report_id is 'Number of the report, ascending.';
comment on column validation_report.pipeline_run_id is 'Night''s run that it belongs to; empty when a person asked for it.';
comment on column validation_report.night is 'Session that the night follows, New York date.';
comment on column validation_report.kind is 'lstm or transformer.';
comment on column validation_report.champion_id is 'The model in service; empty when there was none.';
comment on column validation_report.challenger_id is 'The model that wants its place.';
comment on column validation_report.verdict is
    'What the challenger does. first: there was no champion that could be used; wins: it was promoted, or would have been '
    'in a dry run; does_not_win: it is not better; cannot_tell: it may be better by luck; refused: not comparable.';
comment on column validation_report.report is 'All figures, as the validator writes them.';
comment on column validation_report.created_at is 'When it was made, UTC, market clock.';

create index validation_report_kind on validation_report (kind, validation_report_id);

create table outcome (
    ticker text collate "C" not null check (ticker <> ''),
    bar_start timestamptz not null,
    label_settings text collate "C" not null check (label_settings <> ''),
    label text not null check (label in ('down', 'neutral', 'up')),
    gross_return double precision not null check (gross_return > '-infinity' and gross_return < 'infinity'),
    first_touch timestamptz not null,
    resolved_at timestamptz not null,
    ingested_at timestamptz not null default now(),
    primary key (ticker, bar_start, label_settings),
    constraint outcome_is_resolved_after_its_touch check (bar_start < first_touch and first_touch < resolved_at)
);

comment on table outcome is
    'What came of the bars that models predicted from, once it was known. Written once and never changed, also when the '
    'vendor revises bars later: the track record rests on it.';
comment on column outcome.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column outcome.bar_start is 'Start of the bar predicted from, UTC.';
comment on column outcome.label_settings is 'Hash of the settings of the barriers.';
comment on column outcome.label is 'down: the lower barrier was touched first; up: the upper one; neutral: neither in time.';
comment on column outcome.gross_return is
    'Return of a buyer from the first price that could be had to the touch, as a fraction, before costs.';
comment on column outcome.first_touch is 'Start of the bar that touched a barrier, the vertical one included, UTC.';
comment on column outcome.resolved_at is 'When it was looked at, UTC, market clock: after the close of the bar that touched.';
comment on column outcome.ingested_at is 'When the row was stored, UTC, clock of the database.';

-- The bars whose outcome is missing are looked for by time, over all tickers.
create index prediction_by_bar_start on prediction (bar_start);

create table drift_report (
    drift_report_id bigint generated always as identity primary key,
    model_id text collate "C" not null,
    kind text not null check (kind in ('lstm', 'transformer')),
    session date not null,
    as_of timestamptz not null,
    state text not null check (state in ('healthy', 'degraded', 'critical')),
    action text not null,
    report jsonb not null,
    ingested_at timestamptz not null default now(),
    constraint drift_report_once unique (model_id, as_of)
);

comment on table drift_report is 'How far the market has moved from what a model was trained on, and how it does.';
comment on column drift_report.drift_report_id is 'Number of the report, ascending.';
comment on column drift_report.model_id is 'The model looked at, as the folder of its artifact is named.';
comment on column drift_report.kind is 'lstm or transformer.';
comment on column drift_report.session is 'Session looked at, New York date.';
comment on column drift_report.as_of is 'When it was looked at, UTC, market clock: nothing known later was used.';
comment on column drift_report.state is 'healthy, degraded or critical, after hysteresis.';
comment on column drift_report.action is 'What was done about it, for people; empty for nothing.';
comment on column drift_report.report is 'All figures, as the drift monitor writes them.';
comment on column drift_report.ingested_at is 'When the row was stored, UTC, clock of the database.';

create index drift_report_newest on drift_report (kind, as_of);

create table drift_episode (
    drift_episode_id bigint generated always as identity primary key,
    kind text not null check (kind in ('lstm', 'transformer')),
    model_id text collate "C" not null,
    began_at timestamptz not null,
    ended_at timestamptz,
    action text check (action in ('rolled_back', 'retraining_requested')),
    acted_at timestamptz,
    constraint drift_episode_acted check ((action is null) = (acted_at is null)),
    check (began_at <= ended_at)
);

comment on table drift_episode is
    'Stretches of critical drift. What is done about one is done once, however long it lasts and whoever is champion '
    'meanwhile.';
comment on column drift_episode.drift_episode_id is 'Number of the episode, ascending.';
comment on column drift_episode.kind is 'lstm or transformer.';
comment on column drift_episode.model_id is 'The champion when it began.';
comment on column drift_episode.began_at is 'When the drift became critical, UTC, market clock.';
comment on column drift_episode.ended_at is 'When it was over, UTC, market clock; empty while it lasts.';
comment on column drift_episode.action is
    'rolled_back: an earlier champion took over; retraining_requested: none was better; empty: nothing was done yet.';
comment on column drift_episode.acted_at is 'When that was done, UTC, market clock; empty before.';

create unique index drift_episode_open on drift_episode (kind) where ended_at is null;
