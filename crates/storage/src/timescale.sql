-- What TimescaleDB adds where it is loaded: hypertables, and unless it is the Apache edition, which has nothing else,
-- compression and continuous aggregates for longer bars. Does nothing elsewhere, and nothing a second time.
--
-- Guarantee: price_rollup answers from the aggregates exactly what it would answer from the minutes at that moment.
-- Whoever writes to price_data, a trigger notes in the same transaction which days of which tickers changed. Those
-- days are read from the minutes until a job has refreshed them. If the job does not run, answers are slow, not wrong.
do $setup$
declare
    -- Rewriting a table locks out its readers: below this it takes seconds and is done here, above it is for a person
    -- to start, see convert_to_hypertables.
    most_rows_to_rewrite constant bigint := 1000000;
    rewrite_any constant boolean := coalesce(current_setting('tandem.rewrite_any_table', true), '') = 'on';
    complete_edition boolean;
    target regclass;
    rows_to_rewrite bigint;
    aggregate record;
begin
    if not exists (select from pg_available_extensions where name = 'timescaledb') then
        return;
    end if;
    begin
        if current_setting('shared_preload_libraries') not like '%timescaledb%' then
            return;
        end if;
    exception
        -- Not every role may look. This setting comes with the library.
        when insufficient_privilege then
            if current_setting('timescaledb.max_background_workers', true) is null then
                return;
            end if;
    end;
    -- Services that start together take turns. The number is arbitrary and only has to be the same.
    perform pg_advisory_xact_lock(7265018253);
    if not exists (select from pg_extension where extname = 'timescaledb') then
        begin
            create extension timescaledb;
        exception
            when insufficient_privilege then
                raise warning 'TimescaleDB is loaded and not used: % may not set it up. Have an administrator run '
                    '"create extension timescaledb" in this database',
                    current_user;
                return;
        end;
    end if;

    foreach target in array array['price_data', 'prediction', 'recommendation']::regclass[] loop
        continue when exists (
            select from timescaledb_information.hypertables where hypertable_name = target::text
        );
        if not rewrite_any then
            execute format('select count(*) from (select from %s limit %s) as counted', target, most_rows_to_rewrite + 1)
                into rows_to_rewrite;
            if rows_to_rewrite > most_rows_to_rewrite then
                raise warning '% stays a plain table, and history is read from its minutes: it holds more than % rows, '
                    'and while it is converted nobody can use it. Run: tandem doctor --fix',
                    target, most_rows_to_rewrite;
                continue;
            end if;
        end if;
        perform create_hypertable(
            target,
            by_range('bar_start', interval '30 days'),
            create_default_indexes => false,
            migrate_data => true
        );
    end loop;

    complete_edition := current_setting('timescaledb.license') = 'timescale' and (
        -- From this version on a refresh says how much it does at a time.
        select string_to_array(split_part(extversion, '-', 1), '.')::integer[] >= '{2,21}'
        from pg_extension
        where extname = 'timescaledb'
    );
    if not complete_edition then
        return;
    end if;

    for target in
        select hypertable_name::regclass
        from timescaledb_information.hypertables
        where hypertable_name in ('price_data', 'prediction', 'recommendation') and not compression_enabled
    loop
        execute format(
            'alter table %s set (timescaledb.compress, timescaledb.compress_segmentby = ''ticker'', '
            'timescaledb.compress_orderby = %L)',
            target,
            case when target = 'prediction'::regclass then 'bar_start desc, model_id' else 'bar_start desc' end
        );
        perform add_compression_policy(target, interval '7 days', if_not_exists => true);
    end loop;

    if not exists (select from timescaledb_information.hypertables where hypertable_name = 'price_data')
        or exists (select from timescaledb_information.continuous_aggregates where view_name = 'price_1d')
    then
        return;
    end if;

    create table price_rollup_stale (
        price_rollup_stale_id bigint generated always as identity primary key,
        ticker text collate "C" not null,
        day date not null
    );
    create index price_rollup_stale_ticker_day on price_rollup_stale (ticker, day);
    comment on table price_rollup_stale is
        'Days of which minutes have changed since the continuous aggregates were refreshed: one row for each statement, '
        'so that writers never wait for each other.';
    comment on column price_rollup_stale.price_rollup_stale_id is 'Number of the note; a later one is not seen by a refresh that has begun.';
    comment on column price_rollup_stale.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
    comment on column price_rollup_stale.day is 'Day, UTC: a regular session lies within it.';

    create function note_changed_minutes() returns trigger language plpgsql as $function$
    begin
        if tg_op in ('INSERT', 'UPDATE') then
            insert into price_rollup_stale (ticker, day)
            select distinct ticker, (bar_start at time zone 'UTC')::date from stored;
        end if;
        if tg_op = 'UPDATE' then
            insert into price_rollup_stale (ticker, day)
            select distinct ticker, (bar_start at time zone 'UTC')::date from replaced;
        end if;
        -- What is gone from compressed chunks no trigger can see: anything may be.
        if tg_op in ('DELETE', 'TRUNCATE') then
            insert into price_rollup_stale (ticker, day)
            select distinct ticker, (bucket at time zone 'UTC')::date from price_1d;
        end if;
        return null;
    end
    $function$;
    create trigger note_inserted_minutes after insert on price_data
        referencing new table as stored
        for each statement execute function note_changed_minutes();
    create trigger note_updated_minutes after update on price_data
        referencing old table as replaced new table as stored
        for each statement execute function note_changed_minutes();
    create trigger note_deleted_minutes after delete or truncate on price_data
        for each statement execute function note_changed_minutes();
    -- The triggers hold back every writer until this is committed, so that what is stored now is all there is to note.
    insert into price_rollup_stale (ticker, day)
    select distinct ticker, (bar_start at time zone 'UTC')::date from price_data;

    -- The same groups as those of price_rollup in the migrations.
    for aggregate in
        select *
        from (
            values
                ('price_5m', interval '5 minutes', timestamptz '2000-01-03 00:00:00+00'),
                ('price_1h', interval '1 hour', timestamptz '2000-01-03 14:30:00+00'),
                ('price_1d', interval '1 day', timestamptz '2000-01-03 00:00:00+00')
        ) as wanted (name, width, origin)
    loop
        execute format(
            $statement$
            create materialized view %I with (
                timescaledb.continuous,
                -- The newest minutes are noted as changed like any others.
                timescaledb.materialized_only = true,
                timescaledb.create_group_indexes = false
            ) as
            select
                ticker,
                time_bucket(%L::interval, bar_start, %L::timestamptz) as bucket,
                share_basis(bar_start, fetched_at) as basis,
                min(bar_start) as first_start,
                max(bar_start) as last_start,
                first(open, bar_start) as open,
                max(high) as high,
                min(low) as low,
                last(close, bar_start) as close,
                sum(volume) as volume
            from price_data
            group by 1, 2, 3
            with no data
            $statement$,
            aggregate.name,
            aggregate.width,
            aggregate.origin
        );
        execute format('create index on %I (ticker, bucket desc)', aggregate.name);
    end loop;

    create procedure refresh_price_rollups(job_id integer default null, config jsonb default null)
    language plpgsql as $procedure$
    declare
        part record;
        aggregate regclass;
    begin
        -- A month at a time, the newest first: each is done for good when it is done.
        for part in
            select
                date_trunc('month', day::timestamp) at time zone 'UTC' as start,
                (date_trunc('month', day::timestamp) + interval '1 month') at time zone 'UTC' as stop,
                array_agg(price_rollup_stale_id) as noted
            from price_rollup_stale
            group by 1, 2
            order by 1 desc
        loop
            -- What was noted is committed, so that a refresh that begins after this sees it.
            commit;
            foreach aggregate in array array['price_5m', 'price_1h', 'price_1d']::regclass[] loop
                call refresh_continuous_aggregate(
                    aggregate, part.start, part.stop, options => '{"buckets_per_batch": 0}'
                );
            end loop;
            delete from price_rollup_stale where price_rollup_stale_id = any (part.noted);
            commit;
        end loop;
    end
    $procedure$;
    comment on procedure refresh_price_rollups is
        'Brings the continuous aggregates up to date where price_rollup_stale says that they are not.';
    perform add_job('refresh_price_rollups', interval '15 minutes');

    create or replace function price_rollup(
        ticker text,
        width interval,
        range_start timestamptz,
        range_end timestamptz,
        buckets bigint
    ) returns table (
        bucket timestamptz,
        basis timestamptz,
        first_start timestamptz,
        last_start timestamptz,
        open double precision,
        high double precision,
        low double precision,
        close double precision,
        volume double precision
    )
    language plpgsql stable as $function$
    #variable_conflict use_column
    declare
        aggregate constant regclass := case width
            when interval '5 minutes' then 'price_5m'
            when interval '1 hour' then 'price_1h'
            when interval '1 day' then 'price_1d'
        end;
        origin constant timestamptz := case width
            when interval '1 hour' then '2000-01-03 14:30:00+00'
            else '2000-01-03 00:00:00+00'
        end;
        stale_days date[];
        stale_day date;
        oldest timestamptz;
        found_buckets bigint;
        previous timestamptz;
    begin
        select coalesce(array_agg(distinct price_rollup_stale.day order by price_rollup_stale.day desc), '{}')
        into stale_days
        from price_rollup_stale
        where price_rollup_stale.ticker = $1
            and price_rollup_stale.day >= (range_start at time zone 'UTC')::date
            and price_rollup_stale.day <= (range_end at time zone 'UTC')::date;

        -- Nothing older than the newest buckets that are wanted has to be read.
        execute format(
            'select count(*), min(bucket) from ('
            'select distinct bucket from %s '
            'where ticker = $1 and bucket >= $2 and bucket < $3 '
            'and (bucket at time zone ''UTC'')::date <> all ($4) '
            'order by bucket desc limit $5) as newest',
            aggregate
        ) into found_buckets, oldest using $1, range_start, range_end, stale_days, buckets;
        if found_buckets = buckets then
            range_start := oldest;
        end if;

        return query execute format(
            'select bucket, basis, first_start, last_start, open, high, low, close, volume from %s '
            'where ticker = $1 and bucket >= $2 and bucket < $3 '
            'and (bucket at time zone ''UTC'')::date <> all ($4)',
            aggregate
        ) using $1, range_start, range_end, stale_days;

        found_buckets := 0;
        foreach stale_day in array stale_days loop
            for bucket, basis, first_start, last_start, open, high, low, close, volume in
                select
                    time_bucket(width, price_data.bar_start, origin),
                    share_basis(price_data.bar_start, price_data.fetched_at),
                    min(price_data.bar_start),
                    max(price_data.bar_start),
                    first(price_data.open, price_data.bar_start),
                    max(price_data.high),
                    min(price_data.low),
                    last(price_data.close, price_data.bar_start),
                    sum(price_data.volume)
                from price_data
                where price_data.ticker = $1
                    and price_data.bar_start >= greatest(range_start, stale_day::timestamp at time zone 'UTC')
                    and price_data.bar_start < least(range_end, (stale_day + 1)::timestamp at time zone 'UTC')
                group by 1, 2
                order by 1 desc
            loop
                if bucket is distinct from previous then
                    exit when found_buckets = buckets;
                    found_buckets := found_buckets + 1;
                    previous := bucket;
                end if;
                return next;
            end loop;
            exit when found_buckets = buckets;
        end loop;
    end
    $function$;
end
$setup$;
