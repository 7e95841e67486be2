-- What the models said of each closed bar. Written once and never changed: this is the track record.

create table prediction (
    ticker text collate "C" not null,
    bar_start timestamptz not null,
    model_id text collate "C" not null,
    kind text not null check (kind in ('lstm', 'transformer')),
    down real not null,
    neutral real not null,
    up real not null,
    as_of timestamptz not null,
    primary key (ticker, bar_start, model_id),
    constraint prediction_is_a_distribution check (
        down between 0 and 1
        and neutral between 0 and 1
        and up between 0 and 1
        and abs(down + neutral + up - 1) < 0.001
    )
);

comment on table prediction is 'What one model said of one closed bar.';
comment on column prediction.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column prediction.bar_start is 'Start of the last bar of the window, UTC.';
comment on column prediction.model_id is 'Model, as the folder of its artifact is named.';
comment on column prediction.kind is 'lstm or transformer.';
comment on column prediction.down is 'Calibrated probability, 0 to 1, that the lower barrier is touched first.';
comment on column prediction.neutral is 'Calibrated probability, 0 to 1, that neither barrier is touched in time.';
comment on column prediction.up is 'Calibrated probability, 0 to 1, that the upper barrier is touched first.';
comment on column prediction.as_of is 'When the prediction was made, UTC, market clock: it uses nothing that was known later.';

create table recommendation (
    ticker text collate "C" not null,
    bar_start timestamptz not null,
    lstm_model_id text collate "C" not null,
    transformer_model_id text collate "C" not null,
    action text not null check (action in ('buy', 'sell', 'hold')),
    confidence real not null check (confidence between 0 and 1),
    reason text not null,
    abstained boolean not null,
    as_of timestamptz not null,
    -- Both predictions are written in the same transaction. No foreign keys: they would be checked on
    -- the way from the bar to the trader, and tie down a table that may become a hypertable.
    primary key (ticker, bar_start)
);

comment on table recommendation is 'Outcome of the dual confirmation for one closed bar. The first one stands.';
comment on column recommendation.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column recommendation.bar_start is 'Start of the bar it follows, UTC.';
comment on column recommendation.lstm_model_id is 'The LSTM that took part.';
comment on column recommendation.transformer_model_id is 'The Transformer that took part.';
comment on column recommendation.action is 'buy, sell or hold.';
comment on column recommendation.confidence is
    'The smaller of both models'' probabilities of the recommended direction, 0 to 1; for a hold, of the direction '
    'that came nearest.';
comment on column recommendation.reason is 'One sentence that says why, for people.';
comment on column recommendation.abstained is
    'The models leaned to a direction and the policy held back, as opposed to both expecting nothing.';
comment on column recommendation.as_of is 'When the recommendation was made, UTC, market clock.';

create table model_event (
    model_event_id bigint generated always as identity primary key,
    event_time timestamptz not null,
    kind text not null check (kind in ('lstm', 'transformer')),
    event text not null check (event in ('trained', 'promoted', 'rolled_back', 'loaded', 'refused')),
    model_id text collate "C" not null,
    previous_model_id text collate "C",
    reason text not null
);

comment on table model_event is 'What happened to models: trained, promoted, rolled back, loaded or refused.';
comment on column model_event.model_event_id is 'Number of the event, ascending.';
comment on column model_event.event_time is 'When it happened, UTC, market clock.';
comment on column model_event.kind is 'lstm or transformer.';
comment on column model_event.event is
    'trained: an artifact was written; promoted and rolled_back: it became champion; loaded: a service uses it; '
    'refused: a service could not use it.';
comment on column model_event.model_id is 'The model concerned, as the folder of its artifact is named.';
comment on column model_event.previous_model_id is 'The champion before it, if any.';
comment on column model_event.reason is 'Why, for people.';

create index model_event_event_time on model_event (event_time, model_event_id);
