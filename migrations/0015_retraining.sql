-- Which night carried out a training that the drift monitor asked for.

alter table drift_episode add column retrained_at timestamptz;

comment on column drift_episode.retrained_at is
    'When a night had trained and validated both networks after the request, UTC, market clock: a request is carried out '
    'once. Null while it is open, and where none was made.';
