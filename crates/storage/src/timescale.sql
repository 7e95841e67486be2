-- Makes price_data a hypertable where TimescaleDB is loaded, and does nothing elsewhere or a second time.
-- A table that already holds bars is left as it is: rewriting it locks out every reader and is for a person
-- to start. Only functions of the Apache edition are used.
do $$
begin
    if not exists (select from pg_available_extensions where name = 'timescaledb') then
        return;
    end if;
    begin
        if current_setting('shared_preload_libraries') not like '%timescaledb%' then
            return;
        end if;
    exception
        -- Not every role may look, and the extension itself says so when it is not loaded.
        when insufficient_privilege then
            if not exists (select from pg_extension where extname = 'timescaledb') then
                return;
            end if;
    end;
    -- Services that start together take turns. The number is arbitrary and only has to be the same.
    perform pg_advisory_xact_lock(7265018253);
    create extension if not exists timescaledb;
    if exists (
        select from timescaledb_information.hypertables where hypertable_name = 'price_data'
    ) then
        return;
    end if;
    if exists (select from price_data) then
        raise warning 'price_data already holds bars and stays a plain table; to convert it, stop the services and '
            'run: select create_hypertable(''price_data'', by_range(''bar_start'', interval ''30 days''), '
            'create_default_indexes => false, migrate_data => true)';
        return;
    end if;
    perform create_hypertable(
        'price_data',
        by_range('bar_start', interval '30 days'),
        create_default_indexes => false
    );
end
$$;
