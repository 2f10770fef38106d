/* voucher_migrate--0.1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION voucher_migrate" to load this file. \quit

--
-- src/pg/functions.cpp
--

CREATE FUNCTION hex_to_bigint(hexval text) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION hex_to_bigint(text) IS
'hexadecimal digits, 64 bits at most, as a bigint';

CREATE FUNCTION json_arr2int_arr(js jsonb) RETURNS integer[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION json_arr2int_arr(jsonb) IS
'a JSON array of numbers or numeric strings as integers, rounded half away from zero';

--
-- src/pg/mapping.cpp
--

CREATE TABLE vm_mapping (
    mapping text NOT NULL CHECK (mapping <> ''),
    shipped boolean NOT NULL DEFAULT false,
    rules jsonb NOT NULL,
    defined_by text NOT NULL DEFAULT current_user,
    defined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (mapping, shipped)
);
COMMENT ON TABLE vm_mapping IS 'mappings from documents to columns; write with vm_define_mapping';
COMMENT ON COLUMN vm_mapping.mapping IS 'name, as triggers give it';
COMMENT ON COLUMN vm_mapping.shipped IS 'came with the extension; a definition of the same name goes before it';
COMMENT ON COLUMN vm_mapping.rules IS 'the exceptions to filling each column from the field of its name';
COMMENT ON COLUMN vm_mapping.defined_by IS 'who defined it';
COMMENT ON COLUMN vm_mapping.defined_at IS 'when it was defined';
SELECT pg_catalog.pg_extension_config_dump('vm_mapping', 'WHERE NOT shipped');

CREATE FUNCTION vm_mapping_check() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_mapping_check() IS 'refuses rules that are not of the documented form';
CREATE FUNCTION vm_mapping_changed() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_mapping_changed() IS 'makes every backend compile its mappings anew';
CREATE TRIGGER vm_mapping_check BEFORE INSERT OR UPDATE ON vm_mapping
    FOR EACH ROW EXECUTE FUNCTION vm_mapping_check();
COMMENT ON TRIGGER vm_mapping_check ON vm_mapping IS 'refuses rules that are not of the documented form';
CREATE TRIGGER vm_mapping_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON vm_mapping
    FOR EACH STATEMENT EXECUTE FUNCTION vm_mapping_changed();
COMMENT ON TRIGGER vm_mapping_changed ON vm_mapping IS 'makes every backend compile its mappings anew';
ALTER TABLE vm_mapping ENABLE ALWAYS TRIGGER vm_mapping_changed;

CREATE FUNCTION vm_define_mapping(mapping text, rules jsonb) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_define_mapping(text, jsonb) IS 'create or replace a mapping; bad rules are refused';

CREATE FUNCTION vm_drop_mapping(mapping text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_drop_mapping(text) IS 'drop a mapping that no trigger uses';

CREATE FUNCTION vm_explain_mapping(mapping text, child regclass,
    OUT column_name text, OUT column_type text, OUT source text, OUT conversion text, OUT fallback text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_explain_mapping(text, regclass) IS 'what a mapping will do with each column of a table';

INSERT INTO vm_mapping (mapping, shipped, rules) VALUES
('voucher', true, '{
  "columns": {
    "tenant_id":  {"default": {"arg": 1}},
    "project_id": {"default": {"arg": 2}},
    "id":         {"default": "MISSING"},
    "deleted":    {"default": false},
    "publish":    {"default": {}, "floor": {"count": 0}},
    "created_at": {"from": "_id", "as": "objectid_time"},
    "deleted_at": {"from": ["deletedAt", "deleted_at"]}
  },
  "watermark": ["updated_at", "deleted_at"],
  "on_error":  "raise"
}'),
('campaign', true, '{
  "columns": {
    "tenant_id":  {"default": {"arg": 1}},
    "project_id": {"default": {"arg": 2}},
    "id":         {"default": "MISSING"},
    "deleted":    {"default": false},
    "created_at": {"from": "_id", "as": "objectid_time"},
    "deleted_at": {"from": ["deletedAt", "deleted_at"]}
  },
  "watermark": ["updated_at", "deleted_at"],
  "on_error":  "raise"
}');

--
-- src/pg/preview.cpp
--

CREATE FUNCTION vm_preview(mapping text, child regclass, doc text, VARIADIC args text[] DEFAULT '{}',
    OUT column_name text, OUT value text, OUT source text, OUT problem text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_preview(text, regclass, text, text[]) IS
'try a document: each column''s value, where it comes from, and what is wrong with it; nothing is written';

--
-- src/pg/trigger.cpp
--

CREATE FUNCTION vm_transform() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_transform() IS
'transform _doc into columns; trigger arguments: mapping, tenant, project';

CREATE FUNCTION transform_voucher() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION transform_voucher() IS
'vm_transform with the mapping voucher; trigger arguments: tenant, project';

CREATE FUNCTION transform_campaign() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION transform_campaign() IS
'vm_transform with the mapping campaign; trigger arguments: tenant, project';

--
-- src/pg/anomaly.cpp
--

CREATE TABLE vm_anomaly (
    anomaly_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    child regclass NOT NULL,
    mapping text NOT NULL,
    _id text,
    kind text NOT NULL CHECK (kind IN ('late_document', 'move_conflict')),
    incoming_time timestamptz,
    stored_time timestamptz,
    incoming jsonb NOT NULL,
    stored jsonb,
    incoming_doc text,
    times_seen integer NOT NULL DEFAULT 1,
    detected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    CHECK ((resolved_at IS NULL) = (resolution IS NULL))
);
CREATE UNIQUE INDEX vm_anomaly_open ON vm_anomaly
    (child, (coalesce(_id, '')), kind, (md5(incoming_doc)), (md5(incoming::text))) WHERE resolved_at IS NULL;
COMMENT ON INDEX vm_anomaly_open IS 'a document sent again is counted, not written again';
COMMENT ON TABLE vm_anomaly IS 'documents and rows that were older than what stood in their place';
COMMENT ON COLUMN vm_anomaly.anomaly_id IS 'number of the anomaly';
COMMENT ON COLUMN vm_anomaly.child IS 'child table';
COMMENT ON COLUMN vm_anomaly.mapping IS 'its mapping';
COMMENT ON COLUMN vm_anomaly._id IS 'the document''s _id';
COMMENT ON COLUMN vm_anomaly.kind IS
'late_document: a feed''s update was older than its row; move_conflict: a row of the child was not newer than the parent''s';
COMMENT ON COLUMN vm_anomaly.incoming_time IS 'watermark of what came';
COMMENT ON COLUMN vm_anomaly.stored_time IS 'watermark of what stood, and stands';
COMMENT ON COLUMN vm_anomaly.incoming IS 'the row that came and was not taken';
COMMENT ON COLUMN vm_anomaly.stored IS 'the row that stood';
COMMENT ON COLUMN vm_anomaly.incoming_doc IS 'the document that came';
COMMENT ON COLUMN vm_anomaly.times_seen IS 'how often the same document came while unresolved';
COMMENT ON COLUMN vm_anomaly.detected_at IS 'first seen';
COMMENT ON COLUMN vm_anomaly.last_seen_at IS 'last seen';
COMMENT ON COLUMN vm_anomaly.resolved_at IS 'when it was resolved; NULL while it is open';
COMMENT ON COLUMN vm_anomaly.resolved_by IS 'who resolved it';
COMMENT ON COLUMN vm_anomaly.resolution IS 'what was decided';
SELECT pg_catalog.pg_extension_config_dump('vm_anomaly', '');
SELECT pg_catalog.pg_extension_config_dump('vm_anomaly_anomaly_id_seq', '');

CREATE FUNCTION vm_resolve_anomaly(anomaly_id bigint, resolution text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_resolve_anomaly(bigint, text) IS 'mark an anomaly resolved, saying what was decided';

--
-- src/pg/quarantine.cpp
--

CREATE TABLE vm_quarantine (
    quarantine_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    child regclass NOT NULL,
    mapping text NOT NULL,
    _id text,
    _doc text NOT NULL,
    operation text NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'MOVE')),
    sqlstate text NOT NULL,
    message text NOT NULL,
    field text,
    column_name text,
    staged_row jsonb,
    on_conflict text,
    key_index text,
    attempts integer NOT NULL DEFAULT 1,
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    settled_by text,
    CHECK ((operation = 'MOVE') = (staged_row IS NOT NULL))
);
CREATE UNIQUE INDEX vm_quarantine_open ON vm_quarantine
    (child, (coalesce(_id, '')), (md5(_doc))) WHERE settled_at IS NULL AND operation <> 'MOVE';
CREATE INDEX vm_quarantine_refused ON vm_quarantine (child, (coalesce(_id, '')))
    WHERE settled_at IS NULL AND operation = 'MOVE';
COMMENT ON INDEX vm_quarantine_refused IS 'finds rows that a parent refused';
COMMENT ON INDEX vm_quarantine_open IS 'a document that fails again is counted, not written again';
COMMENT ON TABLE vm_quarantine IS 'documents that could not be transformed, and rows that the parent refused';
COMMENT ON COLUMN vm_quarantine.quarantine_id IS 'number of the case';
COMMENT ON COLUMN vm_quarantine.child IS 'child table';
COMMENT ON COLUMN vm_quarantine.mapping IS 'its mapping';
COMMENT ON COLUMN vm_quarantine._id IS 'the document''s _id';
COMMENT ON COLUMN vm_quarantine._doc IS 'the document';
COMMENT ON COLUMN vm_quarantine.operation IS
'what the feed did; after an UPDATE the old version stands in the child. MOVE: the parent refused the row';
COMMENT ON COLUMN vm_quarantine.sqlstate IS 'the error''s code';
COMMENT ON COLUMN vm_quarantine.message IS 'the error';
COMMENT ON COLUMN vm_quarantine.field IS 'path of the field at fault';
COMMENT ON COLUMN vm_quarantine.column_name IS 'column it was for';
COMMENT ON COLUMN vm_quarantine.staged_row IS 'of a row the parent refused: its columns as they stood in the child, as texts';
COMMENT ON COLUMN vm_quarantine.on_conflict IS 'of such a row: how it was to be moved';
COMMENT ON COLUMN vm_quarantine.key_index IS 'of such a row: the index it was to be moved by; NULL: the parent''s first';
COMMENT ON COLUMN vm_quarantine.attempts IS 'how often this document failed';
COMMENT ON COLUMN vm_quarantine.quarantined_at IS 'first failure';
COMMENT ON COLUMN vm_quarantine.last_attempt_at IS 'last failure';
COMMENT ON COLUMN vm_quarantine.settled_at IS 'when it was settled; NULL while it is open';
COMMENT ON COLUMN vm_quarantine.settled_by IS
'good document: a later version was fine; retry: it went in on a retry; kept back: another row stands in the parent, see vm_anomaly';
SELECT pg_catalog.pg_extension_config_dump('vm_quarantine', '');
SELECT pg_catalog.pg_extension_config_dump('vm_quarantine_quarantine_id_seq', '');

CREATE FUNCTION vm_retry_quarantine(child regclass DEFAULT NULL,
    OUT retried bigint, OUT settled bigint, OUT still_open bigint)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_retry_quarantine(regclass) IS
'send quarantined documents, of one child or of all, through the trigger again';

--
-- src/pg/child.cpp
--

CREATE TABLE vm_child (
    child regclass PRIMARY KEY,
    parent regclass NOT NULL
);
COMMENT ON TABLE vm_child IS 'children of partitioned parents: those have no inheritance to say so';
COMMENT ON COLUMN vm_child.child IS 'child table';
COMMENT ON COLUMN vm_child.parent IS 'table its rows move to';
SELECT pg_catalog.pg_extension_config_dump('vm_child', '');

CREATE FUNCTION vm_create_child(parent regclass, mapping text, tenant text, project text,
    child name DEFAULT NULL) RETURNS regclass
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_create_child(regclass, text, text, text, name) IS
'make a child of a parent for a feed to write to: table, indexes, constraints, trigger, storage';

--
-- src/pg/move.cpp
--

CREATE FUNCTION vm_move_batch(child regclass, batch_size integer DEFAULT 10000, filter text DEFAULT NULL,
    on_conflict text DEFAULT 'newer', locking text DEFAULT 'claim', dry_run boolean DEFAULT false,
    key_index name DEFAULT NULL,
    OUT moved bigint, OUT inserted bigint, OUT updated bigint, OUT kept bigint, OUT busy bigint,
    OUT quarantined bigint, OUT remaining boolean)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) IS
'move up to batch_size rows from a child to its parent; newer wins, what loses stands in vm_anomaly';

--
-- src/pg/move_whole.cpp
--

CREATE FUNCTION vm_move_whole(child regclass, on_conflict text DEFAULT 'newer',
    wait_for_snapshots boolean DEFAULT true, wait_ms integer DEFAULT 10000, key_index name DEFAULT NULL,
    OUT moved bigint, OUT inserted bigint, OUT updated bigint, OUT kept bigint, OUT quarantined bigint)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_move_whole(regclass, text, boolean, integer, name) IS
'move all rows of a child that is at rest in one transaction and truncate it; refuses while somebody writes';

--
-- src/pg/move_scan.cpp
--

CREATE TABLE vm_move_place (
    child regclass NOT NULL,
    filter text NOT NULL,
    storage oid NOT NULL,
    block bigint NOT NULL,
    "offset" integer NOT NULL
);
CREATE UNIQUE INDEX vm_move_place_child ON vm_move_place (child, (md5(filter)));
COMMENT ON INDEX vm_move_place_child IS 'one place for a child and a filter';
COMMENT ON TABLE vm_move_place IS 'where in a child the next move begins; nothing is lost with it but time';
COMMENT ON COLUMN vm_move_place.child IS 'child table';
COMMENT ON COLUMN vm_move_place.filter IS 'the move''s filter; true for none';
COMMENT ON COLUMN vm_move_place.storage IS 'the child''s relfilenode; in another one the place means nothing';
COMMENT ON COLUMN vm_move_place.block IS 'block of the place';
COMMENT ON COLUMN vm_move_place."offset" IS 'line in the block';

--
-- src/pg/move_progress.cpp
--

CREATE TABLE vm_move_batches (
    batch_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    move_id bigint,
    child regclass NOT NULL,
    inserted bigint NOT NULL,
    updated bigint NOT NULL,
    kept bigint NOT NULL,
    busy bigint NOT NULL,
    quarantined bigint NOT NULL,
    took_ms numeric NOT NULL,
    waited_ms numeric NOT NULL,
    wal_bytes bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX vm_move_batches_move ON vm_move_batches (move_id);
COMMENT ON INDEX vm_move_batches_move IS 'the batches of a move';
COMMENT ON TABLE vm_move_batches IS 'what each batch of a move did';
COMMENT ON COLUMN vm_move_batches.batch_id IS 'number of the batch';
COMMENT ON COLUMN vm_move_batches.move_id IS 'its CALL vm_move; NULL for vm_move_batch';
COMMENT ON COLUMN vm_move_batches.child IS 'child table';
COMMENT ON COLUMN vm_move_batches.inserted IS 'rows that were new to the parent';
COMMENT ON COLUMN vm_move_batches.updated IS 'rows that replaced one of the parent''s';
COMMENT ON COLUMN vm_move_batches.kept IS 'rows that lost to one of the parent''s; in vm_anomaly if they differ';
COMMENT ON COLUMN vm_move_batches.busy IS 'rows left in the child because another session held or had just changed them';
COMMENT ON COLUMN vm_move_batches.quarantined IS 'rows that the parent refused; in vm_quarantine';
COMMENT ON COLUMN vm_move_batches.took_ms IS 'milliseconds of work';
COMMENT ON COLUMN vm_move_batches.waited_ms IS 'milliseconds waited before it: throttles, locks, a pause';
COMMENT ON COLUMN vm_move_batches.wal_bytes IS 'bytes of WAL it wrote';
COMMENT ON COLUMN vm_move_batches.moved_at IS 'when it was done';
SELECT pg_catalog.pg_extension_config_dump('vm_move_batches', '');
SELECT pg_catalog.pg_extension_config_dump('vm_move_batches_batch_id_seq', '');

CREATE TABLE vm_move_run (
    move_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    child regclass NOT NULL,
    parent regclass NOT NULL,
    filter text,
    on_conflict text NOT NULL,
    locking text NOT NULL,
    path text NOT NULL,
    state text NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'waiting', 'done', 'stopped', 'canceled', 'failed')),
    rows_estimated bigint NOT NULL,
    inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    kept bigint NOT NULL DEFAULT 0,
    busy bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    batches bigint NOT NULL DEFAULT 0,
    batch_size integer,
    wal_bytes bigint NOT NULL DEFAULT 0,
    rows_per_second numeric,
    waits_for text,
    waiting_since timestamptz,
    last_error text,
    started_by text NOT NULL,
    started_at timestamptz NOT NULL,
    last_seen_at timestamptz,
    ended_at timestamptz
);
COMMENT ON TABLE vm_move_run IS 'each CALL vm_move; read it through vm_progress';
COMMENT ON COLUMN vm_move_run.move_id IS 'number of the move';
COMMENT ON COLUMN vm_move_run.child IS 'child table';
COMMENT ON COLUMN vm_move_run.parent IS 'parent table';
COMMENT ON COLUMN vm_move_run.filter IS 'which rows were to move; NULL: all';
COMMENT ON COLUMN vm_move_run.on_conflict IS 'what became of rows whose key stood in the parent';
COMMENT ON COLUMN vm_move_run.locking IS 'claim: rows were taken without waiting; lock: the child was locked for each batch';
COMMENT ON COLUMN vm_move_run.path IS 'native, or SQL and why';
COMMENT ON COLUMN vm_move_run.state IS 'as the move last wrote it; vm_progress knows whether it is still true';
COMMENT ON COLUMN vm_move_run.rows_estimated IS
'rows to move: as the planner sees it, then by how much of the child has been gone through';
COMMENT ON COLUMN vm_move_run.inserted IS 'rows that were new to the parent';
COMMENT ON COLUMN vm_move_run.updated IS 'rows that replaced one of the parent''s';
COMMENT ON COLUMN vm_move_run.kept IS 'rows that lost to one of the parent''s; in vm_anomaly if they differ';
COMMENT ON COLUMN vm_move_run.busy IS 'how often a row was left for later because another session held it';
COMMENT ON COLUMN vm_move_run.quarantined IS 'rows that the parent refused; in vm_quarantine';
COMMENT ON COLUMN vm_move_run.batches IS 'batches committed';
COMMENT ON COLUMN vm_move_run.batch_size IS 'rows asked for by the last batch';
COMMENT ON COLUMN vm_move_run.wal_bytes IS 'bytes of WAL written';
COMMENT ON COLUMN vm_move_run.rows_per_second IS 'lately';
COMMENT ON COLUMN vm_move_run.waits_for IS 'why it waits; NULL: it works';
COMMENT ON COLUMN vm_move_run.waiting_since IS 'since when';
COMMENT ON COLUMN vm_move_run.last_error IS 'what it ended with';
COMMENT ON COLUMN vm_move_run.started_by IS 'who called';
COMMENT ON COLUMN vm_move_run.started_at IS 'when it began';
COMMENT ON COLUMN vm_move_run.last_seen_at IS 'when it last wrote this row';
COMMENT ON COLUMN vm_move_run.ended_at IS 'when it ended; NULL: it has not, or was killed';
SELECT pg_catalog.pg_extension_config_dump('vm_move_run', '');
SELECT pg_catalog.pg_extension_config_dump('vm_move_run_move_id_seq', '');

CREATE VIEW vm_progress AS
SELECT r.move_id, r.child,
    CASE WHEN r.ended_at IS NULL AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'
        AND l.database OPERATOR(pg_catalog.=)
            (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
        AND l.objsubid OPERATOR(pg_catalog.=) 30
        AND (l.classid::bigint OPERATOR(pg_catalog.<<) 32 OPERATOR(pg_catalog.|) l.objid::bigint)
            OPERATOR(pg_catalog.=) r.move_id)
    THEN 'interrupted' ELSE r.state END AS state,
    d.rows_done, r.rows_estimated,
    CASE WHEN r.state OPERATOR(pg_catalog.=) 'done' THEN 100.0
         ELSE pg_catalog.round(100.0 OPERATOR(pg_catalog.*) d.rows_done
              OPERATOR(pg_catalog./) GREATEST(r.rows_estimated, d.rows_done, 1), 1) END AS percent,
    r.rows_per_second,
    CASE WHEN r.ended_at IS NULL AND r.rows_per_second OPERATOR(pg_catalog.>) 0 THEN pg_catalog.make_interval(secs =>
        pg_catalog.round((GREATEST(r.rows_estimated, d.rows_done) OPERATOR(pg_catalog.-) d.rows_done)
            OPERATOR(pg_catalog./) r.rows_per_second)::double precision) END AS eta,
    r.batch_size, r.waits_for, r.waiting_since, r.last_error,
    r.inserted, r.updated, r.kept, r.busy, r.quarantined, r.batches,
    pg_catalog.pg_size_pretty(r.wal_bytes) AS wal, r.path, r.started_by, r.started_at, r.ended_at
FROM vm_move_run r CROSS JOIN LATERAL (SELECT r.inserted OPERATOR(pg_catalog.+) r.updated OPERATOR(pg_catalog.+) r.kept
    OPERATOR(pg_catalog.+) r.quarantined AS rows_done) d;
COMMENT ON VIEW vm_progress IS 'moves, now and past: how far, how fast, what they wait for';
COMMENT ON COLUMN vm_progress.move_id IS 'number of the move';
COMMENT ON COLUMN vm_progress.child IS 'child table';
COMMENT ON COLUMN vm_progress.state IS 'running, waiting, done, stopped, canceled, failed; interrupted: its session is gone';
COMMENT ON COLUMN vm_progress.rows_done IS 'moved or quarantined';
COMMENT ON COLUMN vm_progress.rows_estimated IS
'rows to move: as the planner sees it, then by how much of the child has been gone through';
COMMENT ON COLUMN vm_progress.percent IS 'rows_done of rows_estimated';
COMMENT ON COLUMN vm_progress.rows_per_second IS 'lately; of an ended move, over all';
COMMENT ON COLUMN vm_progress.eta IS 'time left at that rate';
COMMENT ON COLUMN vm_progress.batch_size IS 'rows of the last batch, as asked for';
COMMENT ON COLUMN vm_progress.waits_for IS 'why it waits; NULL: it works';
COMMENT ON COLUMN vm_progress.waiting_since IS 'since when';
COMMENT ON COLUMN vm_progress.last_error IS 'what it ended with';
COMMENT ON COLUMN vm_progress.inserted IS 'rows that were new to the parent';
COMMENT ON COLUMN vm_progress.updated IS 'rows that replaced one of the parent''s';
COMMENT ON COLUMN vm_progress.kept IS 'rows that lost to one of the parent''s';
COMMENT ON COLUMN vm_progress.busy IS 'how often a row was left for later because another session held it';
COMMENT ON COLUMN vm_progress.quarantined IS 'rows that the parent refused';
COMMENT ON COLUMN vm_progress.batches IS 'batches committed';
COMMENT ON COLUMN vm_progress.wal IS 'WAL written';
COMMENT ON COLUMN vm_progress.path IS 'native, or SQL and why';
COMMENT ON COLUMN vm_progress.started_by IS 'who called';
COMMENT ON COLUMN vm_progress.started_at IS 'when it began';
COMMENT ON COLUMN vm_progress.ended_at IS 'when it ended; NULL: it has not';

--
-- src/pg/move_run.cpp
--

CREATE PROCEDURE vm_move(child regclass, filter text DEFAULT NULL, on_conflict text DEFAULT 'newer',
    locking text DEFAULT 'claim', target_batch_ms integer DEFAULT 40, max_batch_size integer DEFAULT 10000,
    max_rows_per_second integer DEFAULT NULL, max_wal_per_second bigint DEFAULT NULL,
    max_replica_lag interval DEFAULT NULL, throttle_query text DEFAULT NULL, max_run_time interval DEFAULT NULL,
    lock_timeout_ms integer DEFAULT 200, max_quarantined bigint DEFAULT 1000, quiet boolean DEFAULT false,
    key_index name DEFAULT NULL)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE vm_move(regclass, text, text, text, integer, integer, integer, bigint, interval, text, interval,
    integer, bigint, boolean, name) IS
'move all rows of a child to its parent, batch by batch, each committed; see vm_progress';

--
-- src/pg/move_control.cpp
--

CREATE TABLE vm_move_control (
    child regclass PRIMARY KEY,
    paused_by text,
    paused_at timestamptz,
    stop_by text,
    stop_at timestamptz
);
COMMENT ON TABLE vm_move_control IS 'what moves were asked to do; write with vm_pause_move, vm_resume_move, vm_stop_move';
COMMENT ON COLUMN vm_move_control.child IS 'child table';
COMMENT ON COLUMN vm_move_control.paused_by IS 'who paused its moves; NULL: nobody';
COMMENT ON COLUMN vm_move_control.paused_at IS 'since when';
COMMENT ON COLUMN vm_move_control.stop_by IS 'who last stopped its moves';
COMMENT ON COLUMN vm_move_control.stop_at IS 'when; moves that began later are not meant';

CREATE FUNCTION vm_pause_move(child regclass) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_pause_move(regclass) IS 'make moves of a child wait until vm_resume_move; returns how many there are';
CREATE FUNCTION vm_resume_move(child regclass) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_resume_move(regclass) IS 'let moves of a child go on; returns how many there are';
CREATE FUNCTION vm_stop_move(child regclass) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_stop_move(regclass) IS 'end the moves of a child after the batch at hand; returns how many there are';

--
-- src/pg/profile.cpp
--

CREATE FUNCTION vm_profile(source regclass,
    OUT path text, OUT types text, OUT documents bigint, OUT nulls bigint, OUT distinct_values bigint,
    OUT smallest text, OUT largest text, OUT sample_id text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_profile(regclass) IS
'a row per field path of the documents in a table''s _doc: types, counts, extremes, a sample; one pass, bounded memory';

CREATE FUNCTION vm_propose(source regclass, parent text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_propose(regclass, text) IS
'a script to read and run: CREATE TABLE and vm_define_mapping for the documents in a table''s _doc';

--
-- src/pg/distinct.cpp
--

CREATE FUNCTION vm_distinct(relation regclass, column_name name, filter jsonb DEFAULT NULL, OUT value text)
RETURNS SETOF text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE ROWS 100;
COMMENT ON FUNCTION vm_distinct(regclass, name, jsonb) IS
'the distinct values of a column, in order, of the rows whose columns equal the filter''s; from value to value by an index';

--
-- src/pg/check_wrapper.cpp
--

CREATE FUNCTION vm_has_wrapper(value jsonb) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vm_has_wrapper(jsonb) IS
'whether an object somewhere inside has a key that begins with $, as the wrappers of Extended JSON do';

--
-- src/pg/check_rule.cpp
--

CREATE TABLE vm_check_rule (
    check_name text NOT NULL CHECK (check_name <> ''),
    shipped boolean NOT NULL DEFAULT false,
    mapping text,
    parent regclass,
    condition text,
    severity text NOT NULL DEFAULT 'error' CHECK (severity IN ('error', 'warning', 'info')),
    hint text,
    source text,
    defined_by text NOT NULL DEFAULT current_user,
    defined_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (check_name, shipped, mapping, parent),
    CHECK (mapping IS NULL OR parent IS NULL),
    CHECK (condition IS NOT NULL OR source IS NOT NULL)
);
COMMENT ON TABLE vm_check_rule IS 'what vm_check asks of each row of a child; write with vm_define_check';
COMMENT ON COLUMN vm_check_rule.check_name IS 'name of the check';
COMMENT ON COLUMN vm_check_rule.shipped IS 'came with the extension; a definition of the same name goes before it';
COMMENT ON COLUMN vm_check_rule.mapping IS 'for children with this mapping';
COMMENT ON COLUMN vm_check_rule.parent IS
'for children of this table; without mapping and parent: for all that have the columns';
COMMENT ON COLUMN vm_check_rule.condition IS
'true for a dirty row; names outside pg_catalog must be qualified. NULL: a check for the source only';
COMMENT ON COLUMN vm_check_rule.severity IS 'error, warning or info';
COMMENT ON COLUMN vm_check_rule.hint IS 'what to do about dirty rows';
COMMENT ON COLUMN vm_check_rule.source IS 'the same as a MongoDB filter, for vm_source_checks';
COMMENT ON COLUMN vm_check_rule.defined_by IS 'who defined it';
COMMENT ON COLUMN vm_check_rule.defined_at IS 'when it was defined';
SELECT pg_catalog.pg_extension_config_dump('vm_check_rule', 'WHERE NOT shipped');

CREATE FUNCTION vm_define_check(check_name text, applies_to text, condition text, severity text DEFAULT 'error',
    hint text DEFAULT NULL, source text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_define_check(text, text, text, text, text, text) IS
'create or replace a check for children with a mapping, of a parent, or (NULL) for all that have the columns';

CREATE FUNCTION vm_drop_check(check_name text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_drop_check(text) IS 'drop a check that was defined; a shipped one of the same name is back then';

CREATE FUNCTION vm_source_checks(mapping text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_source_checks(text) IS
'the checks of a mapping as a script for mongosh, to run at the source before the copy';

-- For every child.
INSERT INTO vm_check_rule (check_name, shipped, condition, severity, hint) VALUES
('half_row', true, '_doc IS NULL', 'error',
 'The feed has not brought these documents yet: let it catch up.'),
('json_null_in_jsonb', true, 'vm_jsonb = ''null''', 'error',
 'JSON null is not NULL, and null || {} is an array: write NULL.'),
('wrapper_in_jsonb', true, 'vm_has_wrapper(vm_jsonb)', 'warning',
 'Extended JSON was kept as it came; "normalize" in the column''s rule takes it off.'),
('watermark_missing', true, '_doc IS NOT NULL AND vm_watermark IS NULL', 'warning',
 'Without a time no document is late, and the row never replaces one of the parent''s.'),
('watermark_in_future', true, 'vm_watermark > now() + interval ''5 minutes''', 'error',
 'Later versions will count as late. Mend the time at the source.');

-- For vouchers and campaigns.
INSERT INTO vm_check_rule (check_name, shipped, mapping, condition, severity, hint, source)
SELECT c.check_name, true, m.mapping, c.condition, c.severity, c.hint, c.source
FROM (VALUES ('voucher'), ('campaign')) m(mapping) CROSS JOIN (VALUES
('id_missing', 'id::text = ''MISSING''', 'error',
 'The document has no id. Mend it at the source.', '{ id: { $in: [null, "MISSING"] } }'),
('tenant_missing', '_doc IS NOT NULL AND (coalesce(tenant_id::text, '''') = '''' OR coalesce(project_id::text, '''') = '''')',
 'error', 'Neither the document nor the trigger''s arguments say whose it is.', NULL),
('created_at_missing', '_doc IS NOT NULL AND created_at IS NULL', 'warning',
 'The document''s _id is no ObjectId, so nothing says when it was made.', '{ _id: { $not: { $type: "objectId" } } }'),
('watermark_missing', '_doc IS NOT NULL AND vm_watermark IS NULL', 'warning',
 'Without a time no document is late, and the row never replaces one of the parent''s.',
 '{ updatedAt: null, updated_at: null, deletedAt: null, deleted_at: null }'),
('watermark_in_future', 'vm_watermark > now() + interval ''5 minutes''', 'error',
 'Later versions will count as late. Mend the time at the source.',
 '{ $or: ["updatedAt", "updated_at", "deletedAt", "deleted_at"].map(f => ({ [f]: { $gt: new Date(Date.now() + 300000) } })) }'),
('deleted_at_old_name', NULL, 'warning',
 'An old name: deletedAt is what is read first.', '{ deleted_at: { $exists: true } }')
) c(check_name, condition, severity, hint, source)
UNION ALL VALUES
('type_missing', true, 'voucher', '_doc IS NOT NULL AND coalesce(type::text, '''') = ''''', 'error',
 'A field that every voucher has. Mend it at the source.', '{ type: { $in: [null, ""] } }'),
('discount_missing', true, 'voucher', '_doc IS NOT NULL AND (discount IS NULL OR discount::jsonb = ''null'')', 'warning',
 'Right for gift vouchers; others have lost it.', '{ discount: null }'),
('count_like_float', true, 'voucher', 'publish::jsonb ->> ''count'' ~ ''[^-0-9]''', 'error',
 'A cast to integer will fail. Mend it at the source, or let "floor" in the column''s rule do it.',
 '{ $or: [{ "publish.count": /[^-0-9]/ }, { $expr: { $and: [{ $isNumber: "$publish.count" }, '
 '{ $ne: ["$publish.count", { $trunc: ["$publish.count", 0] }] }] } }] }'),
('date_in_publish_entries', true, 'voucher', 'jsonb_path_exists(publish::jsonb, ''$.entries.**."$date"'')', 'error',
 'Applications read these dates as texts. Mend them at the source.',
 '{ $expr: { $anyElementTrue: [{ $map: { input: { $cond: [{ $isArray: "$publish.entries" }, "$publish.entries", []] }, '
 'as: "entry", in: { $anyElementTrue: [{ $map: { input: { $cond: [{ $eq: [{ $type: "$$entry" }, "object"] }, '
 '{ $objectToArray: "$$entry" }, []] }, as: "field", in: { $eq: [{ $type: "$$field.v" }, "date"] } } }] } } }] } }'),
('campaign_type_missing', true, 'campaign', '_doc IS NOT NULL AND coalesce(campaign_type::text, '''') = ''''', 'error',
 'A field that every campaign has. Mend it at the source.', '{ campaign_type: { $in: [null, ""] } }'),
('name_missing', true, 'campaign', '_doc IS NOT NULL AND coalesce(name::text, '''') = ''''', 'error',
 'A field that every campaign has. Mend it at the source.', '{ name: { $in: [null, ""] } }');

--
-- src/pg/check.cpp
--

CREATE FUNCTION vm_check(child regclass,
    OUT check_name text, OUT severity text, OUT rows bigint, OUT sample_ids text[], OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE ROWS 30;
COMMENT ON FUNCTION vm_check(regclass) IS
'every check that applies to a child, errors first: dirty rows, some of their _ids, what to do; nothing is written';

--
-- src/pg/project.cpp
--

CREATE TABLE vm_parent (
    entity text PRIMARY KEY CHECK (entity <> ''),
    parent regclass NOT NULL UNIQUE,
    mapping text NOT NULL,
    move_order integer NOT NULL,
    closed text,
    move_active text NOT NULL DEFAULT 'after_switch' CHECK (move_active IN ('after_switch', 'before_switch')),
    source_database text,
    source_collection text NOT NULL,
    registered_by text NOT NULL DEFAULT current_user,
    registered_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vm_parent IS 'tables that take part in the migration of every project; write with vm_register_parent';
COMMENT ON COLUMN vm_parent.entity IS 'short name, as vm_switch and vm_is_switched take it';
COMMENT ON COLUMN vm_parent.parent IS 'the table that the application uses';
COMMENT ON COLUMN vm_parent.mapping IS 'mapping of its children';
COMMENT ON COLUMN vm_parent.move_order IS 'rows of entities with smaller numbers move first';
COMMENT ON COLUMN vm_parent.closed IS
'true for rows that cannot change any more; they move before the switch. NULL: none are closed';
COMMENT ON COLUMN vm_parent.move_active IS 'when the other rows move: after_switch or before_switch';
COMMENT ON COLUMN vm_parent.source_database IS 'MongoDB database that the documents are in; NULL: asked for by vm_feed_task';
COMMENT ON COLUMN vm_parent.source_collection IS
'MongoDB collection of a project; {tenant} and {project} stand for its names';
COMMENT ON COLUMN vm_parent.registered_by IS 'who registered it';
COMMENT ON COLUMN vm_parent.registered_at IS 'when it was registered';
SELECT pg_catalog.pg_extension_config_dump('vm_parent', '');

CREATE TABLE vm_project (
    tenant text NOT NULL CHECK (tenant <> ''),
    project text NOT NULL CHECK (project <> ''),
    added_by text NOT NULL DEFAULT current_user,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, project)
);
COMMENT ON TABLE vm_project IS 'projects to migrate; COPY may write to it, tenant and project are enough';
COMMENT ON COLUMN vm_project.tenant IS 'tenant, as the triggers'' arguments give it';
COMMENT ON COLUMN vm_project.project IS 'project, as the triggers'' arguments give it';
COMMENT ON COLUMN vm_project.added_by IS 'who added it';
COMMENT ON COLUMN vm_project.added_at IS 'when it was added';
SELECT pg_catalog.pg_extension_config_dump('vm_project', '');

-- A row from the first step that is recorded on. Steps in their order.
CREATE TABLE vm_project_entity (
    tenant text NOT NULL,
    project text NOT NULL,
    entity text NOT NULL REFERENCES vm_parent ON UPDATE CASCADE,
    child regclass,
    pooled boolean NOT NULL DEFAULT false,
    source_check_at timestamptz,
    prepare_at timestamptz,
    feed_start_at timestamptz,
    check_at timestamptz,
    move_closed_at timestamptz,
    switch_at timestamptz,
    anomaly_check_at timestamptz,
    move_at timestamptz,
    feed_stop_at timestamptz,
    finish_at timestamptz,
    PRIMARY KEY (tenant, project, entity),
    FOREIGN KEY (tenant, project) REFERENCES vm_project ON UPDATE CASCADE
);
CREATE UNIQUE INDEX vm_project_entity_child ON vm_project_entity (child);
COMMENT ON INDEX vm_project_entity_child IS 'a child serves one project at a time';
CREATE INDEX vm_project_entity_entity ON vm_project_entity (entity);
COMMENT ON INDEX vm_project_entity_entity IS 'the projects of an entity';
COMMENT ON TABLE vm_project_entity IS 'how far each entity of a project is: when each step was last done; see vm_status';
COMMENT ON COLUMN vm_project_entity.tenant IS 'tenant';
COMMENT ON COLUMN vm_project_entity.project IS 'project';
COMMENT ON COLUMN vm_project_entity.entity IS 'entity, see vm_parent';
COMMENT ON COLUMN vm_project_entity.child IS 'its child table; NULL before prepare and after finish';
COMMENT ON COLUMN vm_project_entity.pooled IS 'the child belongs to a pool and serves another project afterwards';
COMMENT ON COLUMN vm_project_entity.source_check_at IS 'the source was checked';
COMMENT ON COLUMN vm_project_entity.prepare_at IS 'the child was made, with indexes, constraints and trigger';
COMMENT ON COLUMN vm_project_entity.feed_start_at IS 'the feed was started';
COMMENT ON COLUMN vm_project_entity.check_at IS 'the child was checked, and no check of severity error found anything';
COMMENT ON COLUMN vm_project_entity.move_closed_at IS 'closed rows were moved';
COMMENT ON COLUMN vm_project_entity.switch_at IS 'applications were switched over; NULL while they are not';
COMMENT ON COLUMN vm_project_entity.anomaly_check_at IS 'after the switch no anomaly and no quarantine were open';
COMMENT ON COLUMN vm_project_entity.move_at IS 'all rows were moved';
COMMENT ON COLUMN vm_project_entity.feed_stop_at IS 'the feed was stopped';
COMMENT ON COLUMN vm_project_entity.finish_at IS 'the child was dropped, or given back to its pool';
SELECT pg_catalog.pg_extension_config_dump('vm_project_entity', '');

-- What applications read: apart, so that only a switch makes them read it anew.
CREATE TABLE vm_flag (
    tenant text NOT NULL,
    project text NOT NULL,
    entity text NOT NULL,
    switched boolean NOT NULL,
    changed_by text NOT NULL DEFAULT current_user,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, project, entity)
);
COMMENT ON TABLE vm_flag IS 'which entities of which projects live in PostgreSQL; write with vm_switch and vm_switch_back';
COMMENT ON COLUMN vm_flag.tenant IS 'tenant';
COMMENT ON COLUMN vm_flag.project IS 'project';
COMMENT ON COLUMN vm_flag.entity IS 'entity, see vm_parent';
COMMENT ON COLUMN vm_flag.switched IS 'applications use PostgreSQL';
COMMENT ON COLUMN vm_flag.changed_by IS 'who switched it, or back';
COMMENT ON COLUMN vm_flag.changed_at IS 'when';
SELECT pg_catalog.pg_extension_config_dump('vm_flag', '');

CREATE TABLE vm_history (
    history_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    project text NOT NULL,
    entity text,
    step text NOT NULL,
    passed boolean NOT NULL DEFAULT true,
    found text,
    override_reason text,
    done_by text NOT NULL DEFAULT current_user,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX vm_history_project ON vm_history (tenant, project);
COMMENT ON INDEX vm_history_project IS 'the history of a project';
COMMENT ON TABLE vm_history IS 'every step of every project: who, when, and what was found; nothing is ever changed here';
COMMENT ON COLUMN vm_history.history_id IS 'number of the entry';
COMMENT ON COLUMN vm_history.tenant IS 'tenant';
COMMENT ON COLUMN vm_history.project IS 'project';
COMMENT ON COLUMN vm_history.entity IS 'entity, see vm_parent; NULL: all of the project''s';
COMMENT ON COLUMN vm_history.step IS 'the step';
COMMENT ON COLUMN vm_history.passed IS 'false: it found something that stands in the way';
COMMENT ON COLUMN vm_history.found IS 'what it found';
COMMENT ON COLUMN vm_history.override_reason IS 'why it was done against what was found';
COMMENT ON COLUMN vm_history.done_by IS 'who';
COMMENT ON COLUMN vm_history.done_at IS 'when';
SELECT pg_catalog.pg_extension_config_dump('vm_history', '');
SELECT pg_catalog.pg_extension_config_dump('vm_history_history_id_seq', '');

--
-- src/pg/feed_seen.cpp
--

CREATE TABLE vm_feed_seen (
    child regclass NOT NULL,
    pid integer NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (child, pid)
);
COMMENT ON TABLE vm_feed_seen IS 'when a feed last wrote to the child of a project, to about a second; nothing is lost with it';
COMMENT ON COLUMN vm_feed_seen.child IS 'child table';
COMMENT ON COLUMN vm_feed_seen.pid IS 'the server process that the feed used, so that two never wait for each other';
COMMENT ON COLUMN vm_feed_seen.last_at IS 'when its last statement began';

--
-- src/pg/flag.cpp
--

-- vm_is_switched keeps its answers; each change of vm_flag, by whomever, empties what is kept.
CREATE FUNCTION vm_flag_changed() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_flag_changed() IS 'triggers of vm_flag: every session reads the flags anew';

-- By rows: of triggers, logical replication fires no others.
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON vm_flag FOR EACH ROW EXECUTE FUNCTION vm_flag_changed();
ALTER TABLE vm_flag ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON vm_flag IS 'every session reads the flags anew';
CREATE TRIGGER truncated AFTER TRUNCATE ON vm_flag FOR EACH STATEMENT EXECUTE FUNCTION vm_flag_changed();
ALTER TABLE vm_flag ENABLE ALWAYS TRIGGER truncated;
COMMENT ON TRIGGER truncated ON vm_flag IS 'every session reads the flags anew';

CREATE FUNCTION vm_is_switched(tenant text, project text, entity text) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vm_is_switched(text, text, text) IS
'whether applications are to use PostgreSQL: false for what is unknown; within a transaction always the same answer';

--
-- src/pg/switch.cpp
--

CREATE FUNCTION vm_switch(tenant text, project text, entity text DEFAULT NULL, override_reason text DEFAULT NULL,
    quiet_seconds numeric DEFAULT 5, last_document text DEFAULT NULL, max_wait interval DEFAULT '10 minutes',
    lock_timeout_ms integer DEFAULT 200,
    OUT entity text, OUT child regclass, OUT rows_staged bigint, OUT warnings bigint, OUT waited interval,
    OUT switched_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C ROWS 5;
COMMENT ON FUNCTION vm_switch(text, text, text, text, numeric, text, interval, integer) IS
'let the feed drain, check, and switch a project''s applications to PostgreSQL, or change nothing and say why; commit at once';

--
-- src/pg/switch_back.cpp
--

CREATE FUNCTION vm_switch_back(tenant text, project text, entity text DEFAULT NULL, reason text DEFAULT NULL,
    count_written boolean DEFAULT true, lock_timeout_ms integer DEFAULT 1000,
    OUT entity text, OUT written_since bigint, OUT switched_at timestamptz, OUT switched_back_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C ROWS 5;
COMMENT ON FUNCTION vm_switch_back(text, text, text, text, boolean, integer) IS
'switch a project''s applications back to MongoDB, for a reason; what they wrote to PostgreSQL meanwhile stays there only';

--
-- Rights: what writes is for those it is granted to.
--

REVOKE ALL ON FUNCTION vm_mapping_check() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_mapping_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_define_mapping(text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_drop_mapping(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_define_check(text, text, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_drop_check(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_transform() FROM PUBLIC;
REVOKE ALL ON FUNCTION transform_voucher() FROM PUBLIC;
REVOKE ALL ON FUNCTION transform_campaign() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_resolve_anomaly(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_retry_quarantine(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_create_child(regclass, text, text, text, name) FROM PUBLIC;
REVOKE ALL ON PROCEDURE vm_move(regclass, text, text, text, integer, integer, integer, bigint, interval, text, interval,
    integer, bigint, boolean, name) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_move_whole(regclass, text, boolean, integer, name) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_pause_move(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_resume_move(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_stop_move(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_flag_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_switch(text, text, text, text, numeric, text, interval, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_switch_back(text, text, text, text, boolean, integer) FROM PUBLIC;
