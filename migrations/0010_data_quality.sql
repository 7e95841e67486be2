-- Findings that no longer hold, what a stop is, and which splits a bar carries.

alter table data_quality_finding add column withdrawn_at timestamptz;

comment on column data_quality_finding.withdrawn_at is
    'When the check was made again and found nothing, since bars had come late or were revised, UTC, market clock. Empty '
    'for a finding that stands; emptied when the check fails once more.';

comment on column ingest_gap.reason is
    'missing_minutes: minutes within a session; missing_session: no bar of a whole session; stopped: the ticker no '
    'longer trades while others do.';

comment on column price_data.fetched_at is
    'The vendor has applied all splits up to this moment, UTC: when it sent these values, or the coming open of an ex-date '
    'if it had restated its prices before that; for a vendor that never adjusts, the bar''s own close. Splits after it are '
    'applied by price_adjusted.';
