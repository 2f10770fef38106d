// What the caller may do, and how the server is set up.
#include "pg/project/preflight.h"

static const char kRights[] = R"(
    SELECT 'error', 'rights', format('role %I does not own the table, and only its owner makes tables that inherit from it', current_user),
        CASE WHEN r.rolsuper THEN format('ALTER TABLE %s OWNER TO %I;', $2, current_user) ELSE format('GRANT %I TO %I;', r.rolname, current_user) END
    FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = $1 AND NOT pg_has_role(c.relowner, 'USAGE')
    UNION ALL
    SELECT 'error', 'rights', format('role %I may not create tables in schema %I, where children are made', current_user, n.nspname),
        format('GRANT USAGE, CREATE ON SCHEMA %I TO %I;', n.nspname, current_user)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1 AND NOT has_schema_privilege(n.oid, 'CREATE')
    UNION ALL
    SELECT 'error', 'rights', format('role %I may not refer to %s, as foreign keys of the children do', current_user, k.confrelid::regclass),
        format('GRANT REFERENCES ON TABLE %s TO %I;', k.confrelid::regclass, current_user)
    FROM (SELECT DISTINCT confrelid FROM pg_constraint WHERE conrelid = $1 AND contype = 'f' AND confrelid <> $1) k
    WHERE NOT has_table_privilege(k.confrelid, 'REFERENCES')
    UNION ALL
    SELECT 'error', 'rights', format('role %I may not make tables in tablespace %I, the default_tablespace', current_user, spcname),
        format('GRANT CREATE ON TABLESPACE %I TO %I;', spcname, current_user)
    FROM pg_tablespace WHERE spcname = current_setting('default_tablespace') AND NOT has_tablespace_privilege(oid, 'CREATE')
    UNION ALL
    SELECT severity, topic, problem, statement FROM (
        WITH ours AS (
            SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'voucher_migrate'
        ), missing AS (
            SELECT p.proname, p.oid::regprocedure::text AS signature, row_number() OVER (ORDER BY p.proname, p.oid) AS n
            FROM ours p WHERE (p.prorettype <> 'trigger'::regtype OR p.proname = 'vm_transform') AND NOT has_function_privilege(p.oid, 'EXECUTE')
        ), alone AS (
            SELECT NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = $3::regnamespace AND oid NOT IN (SELECT oid FROM ours)) AS yes
        )
        -- With nothing else in the schema one statement says it all; else a few functions each.
        SELECT 'error' AS severity, 'rights' AS topic, format('role %I may not call %s of the extension''s functions, such as %s', current_user, count(*),
                (array_agg(proname ORDER BY n))[1]) AS problem, format('GRANT EXECUTE ON ALL ROUTINES IN SCHEMA %s TO %I;', $3, current_user) AS statement, 0 AS part
        FROM missing, alone WHERE yes HAVING count(*) > 0
        UNION ALL
        SELECT 'error', 'rights', format('role %I may not call %s', current_user, string_agg(proname, ', ' ORDER BY n)),
            format('GRANT EXECUTE ON ROUTINE %s TO %I;', string_agg(signature, ', ' ORDER BY n), current_user), (n - 1) / 6
        FROM missing, alone WHERE NOT yes GROUP BY (n - 1) / 6
        ORDER BY part) f)";

// In this session and for this role.
static const char kSession[] = R"(
    SELECT 'error', 'server', 'it is a standby, where nothing can be written', NULL WHERE pg_is_in_recovery()
    UNION ALL
    SELECT 'warning', 'session', format('statement_timeout is %s, and CALL vm_move is one statement: it is cancelled then', current_setting('statement_timeout')),
        'SET statement_timeout = 0;'
    WHERE current_setting('statement_timeout') <> '0'
    UNION ALL
    SELECT 'warning', 'session', format('default_transaction_isolation is %s, and moves run at read committed only', current_setting('default_transaction_isolation')),
        'SET default_transaction_isolation = ''read committed'';'
    WHERE current_setting('default_transaction_isolation') NOT IN ('read committed', 'read uncommitted')
    UNION ALL
    SELECT 'warning', 'session', 'default_transaction_read_only is on', 'SET default_transaction_read_only = off;'
    WHERE current_setting('default_transaction_read_only')::boolean
    UNION ALL
    SELECT 'warning', 'session', 'session_replication_role is replica: moves would check no foreign key and fire no trigger of the parent',
        'SET session_replication_role = origin;'
    WHERE current_setting('session_replication_role') = 'replica'
    UNION ALL
    SELECT 'info', 'server', format('the database is in %s: documents with \u escapes are read more slowly, and characters it does not know are refused', getdatabaseencoding()), NULL
    WHERE getdatabaseencoding() <> 'UTF8')";

// What keeps the rows dead that moves leave behind.
static const char kVacuum[] = R"(
    SELECT 'warning', 'vacuum', format('%s is off: the rows that moves leave dead in the children slow down all who read them; to be followed by SELECT pg_reload_conf();', name),
        format('ALTER SYSTEM SET %I = on;', name)
    FROM pg_settings WHERE name IN ('autovacuum', 'track_counts') AND setting = 'off'
    UNION ALL
    SELECT 'warning', 'vacuum', 'autovacuum is off for the table', format('ALTER TABLE %s RESET (autovacuum_enabled);', $2)
    FROM pg_class c, pg_options_to_table(c.reloptions) WHERE c.oid = $1 AND CASE WHEN option_name = 'autovacuum_enabled' THEN NOT option_value::boolean END
    UNION ALL
    (SELECT 'warning', 'vacuum', format('process %1$s of %2$s has had a transaction open since %3$s: until it ends, dead rows stay; if it was forgotten, SELECT pg_terminate_backend(%1$s);', pid, coalesce(usename, 'the server'),
        date_trunc('second', xact_start)), NULL
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - interval '10 minutes'
        AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND backend_type = 'client backend'
    ORDER BY xact_start LIMIT 3)
    UNION ALL
    (SELECT 'warning', 'vacuum', format('transaction %L has been prepared since %s: until it is committed or rolled back, dead rows stay', gid, date_trunc('second', prepared)), NULL
    FROM pg_prepared_xacts WHERE database = current_database() AND prepared < now() - interval '10 minutes' ORDER BY prepared LIMIT 3)
    UNION ALL
    SELECT 'warning', 'disk', format('nobody reads from replication slot %1$I now, and the WAL of the moves is kept for it; if its reader is gone for good, SELECT pg_drop_replication_slot(%1$L);', slot_name), NULL
    FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL)";

// Settings that cost time or disk.
static const char kSettings[] = R"(
    SELECT 'info', 'setting', 'json columns are compressed by pglz, which takes a large part of a load''s time; lz4 does not',
        format('ALTER DATABASE %I SET default_toast_compression = lz4;', current_database())
    FROM pg_settings WHERE name = 'default_toast_compression' AND setting = 'pglz' AND 'lz4' = ANY (enumvals)
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attlen = -1
            AND attstorage IN ('x', 'm') AND attcompression = '' AND atttypid IN ('json'::regtype, 'jsonb'::regtype))
    UNION ALL
    SELECT 'info', 'setting', 'wal_compression is off; with lz4 moves write a third less WAL, and take 10 to 20 % longer',
        format('ALTER DATABASE %I SET wal_compression = lz4;', current_database())
    FROM pg_settings WHERE name = 'wal_compression' AND setting = 'off' AND 'lz4' = ANY (enumvals)
    UNION ALL
    SELECT 'info', 'setting', format('max_wal_size is %s: a million rows moved write 2 to 5 GB of WAL, and a checkpoint comes whenever that much was written; to be followed by SELECT pg_reload_conf();',
        current_setting('max_wal_size')), 'ALTER SYSTEM SET max_wal_size = ''16GB'';'
    WHERE pg_size_bytes(current_setting('max_wal_size')) < pg_size_bytes('4GB')
    UNION ALL
    SELECT 'info', 'setting', format('commits wait for standbys (%s): so does each statement of a feed that commits by itself; moves wait at their end only',
        current_setting('synchronous_standby_names')), NULL
    WHERE current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') NOT IN ('off', 'local')
    UNION ALL
    SELECT 'info', 'setting', format('old_snapshot_threshold is %s: long queries over the children may end with "snapshot too old"', setting), NULL
    FROM pg_settings WHERE name = 'old_snapshot_threshold' AND setting <> '-1')";

// A statement that names the parent locks each child and each of its indexes, and holds the locks to the end
// of its transaction. A child has the parent's indexes and one on _id.
static const char kLocks[] = R"(
    WITH need AS (
        SELECT $6 AS children, $6 * (2 + indexes) + 1 + indexes AS locks, slots, sessions,
            floor(slots / ($6 * (2 + indexes) + 1 + indexes)) AS fit
        FROM (SELECT count(*) AS indexes FROM pg_index WHERE indrelid = $1) i, (
            SELECT max(n) FILTER (WHERE name = 'max_connections') AS sessions,
                max(n) FILTER (WHERE name = 'max_locks_per_transaction') * (1 + max(n) FILTER (WHERE name LIKE 'autovacuum%')
                    + sum(n) FILTER (WHERE name IN ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions'))) AS slots
            FROM (SELECT name, setting::numeric AS n FROM pg_settings WHERE name IN ('max_locks_per_transaction', 'max_connections',
                'autovacuum_max_workers', 'autovacuum_worker_slots', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions')) s) s
        WHERE EXISTS (SELECT FROM pg_class WHERE oid = $1 AND relkind = 'r')
    )
    SELECT CASE WHEN fit < 1 THEN 'error' WHEN fit < sessions / 4 THEN 'warning' ELSE 'info' END, 'locks',
        format('with %s children each statement through the parent takes %s locks of %s%s; have fewer children at a time (a pool), or restart with more',
            children, locks, slots, CASE WHEN fit < 1 THEN ', and fails: out of shared memory'
            ELSE format(', enough for %s of %s connections', fit, sessions) END),
        format('ALTER SYSTEM SET max_locks_per_transaction = %s;',
            ceil(locks * sessions / (slots / current_setting('max_locks_per_transaction')::numeric) / 64) * 64)
    FROM need WHERE children > 0 AND fit < sessions)";

void FindRights(Preflight* flight) {
    AskFindings(flight, kRights);
}

void FindServer(Preflight* flight) {
    const char* const all[] = {kSession, kVacuum, kLocks, kSettings};
    for (const char* sql : all) AskFindings(flight, sql);
}
