/* voucher_migrate--0.1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION voucher_migrate" to load this file. \quit

--
-- src/pg/mapping/functions.cpp: Helpers
--

CREATE FUNCTION hex_to_bigint(hexval text) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION hex_to_bigint(text) IS
'hexadecimal digits, 64 bits at most, as a bigint

hexval: 0 to 16 digits of either case, without a prefix
Returns: as x''...''::bigint reads them: ffffffffffffffff is -1, no digit is 0; NULL for NULL
Errors: 22P02 no hexadecimal digit; 22003 more than 64 bits';

CREATE FUNCTION json_arr2int_arr(js jsonb) RETURNS integer[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION json_arr2int_arr(jsonb) IS
'a JSON array of numbers or numeric strings as integers, rounded half away from zero

js: the array; NULL gives an empty one
Returns: one integer for each element, NULL for null
Errors: 22023 not an array; 22P02 an element is no number; 22003 beyond an integer';

--
-- src/pg/mapping/mapping.cpp: Mappings and triggers
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
COMMENT ON FUNCTION vm_mapping_check() IS
'refuses rules that are not of the documented form

The trigger of vm_mapping; vm_define_mapping writes there.
Errors: 22023, naming the mapping and the key';
CREATE FUNCTION vm_mapping_changed() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_mapping_changed() IS
'makes every backend compile its mappings anew

The trigger of vm_mapping; vm_define_mapping writes there.';
CREATE TRIGGER vm_mapping_check BEFORE INSERT OR UPDATE ON vm_mapping
    FOR EACH ROW EXECUTE FUNCTION vm_mapping_check();
COMMENT ON TRIGGER vm_mapping_check ON vm_mapping IS 'refuses rules that are not of the documented form';
CREATE TRIGGER vm_mapping_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON vm_mapping
    FOR EACH STATEMENT EXECUTE FUNCTION vm_mapping_changed();
COMMENT ON TRIGGER vm_mapping_changed ON vm_mapping IS 'makes every backend compile its mappings anew';
ALTER TABLE vm_mapping ENABLE ALWAYS TRIGGER vm_mapping_changed;

CREATE FUNCTION vm_define_mapping(mapping text, rules jsonb) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_define_mapping(text, jsonb) IS
'create or replace a mapping; rules that are bad, or do not fit its tables, are refused

Rows that there are stay as the former rules made them; a NOTICE says how many tables have such, and how to make them
 anew.
mapping: name, as triggers give it; one that is shipped is put aside, not changed
rules: {"columns": {...}, "unmapped": ..., "watermark": ..., "on_error": ...}, each optional; see docs/mapping.md
Errors: 22023 an unknown key, a rule that cannot be, or one that does not fit a table that uses the mapping, naming both';

CREATE FUNCTION vm_drop_mapping(mapping text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_drop_mapping(text) IS
'drop a mapping that no trigger uses

Rows stay as its rules made them; the same NOTICE as of vm_define_mapping.
mapping: name; if one of the name is shipped it is back then, and triggers go on with it
Errors: 42704 there is none; 2BP01 it is shipped, or a trigger uses it; 22023 the shipped one does not fit a table that uses it';

CREATE FUNCTION vm_explain_mapping(mapping text, child regclass,
    OUT column_name text, OUT column_type text, OUT source text, OUT conversion text, OUT fallback text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_explain_mapping(text, regclass) IS
'what a mapping will do with each column of a table

mapping: name
child: a child, or the parent it is to be made for
column_name: each column, in the order of the table
column_type: its type, with length or precision
source: field that fills it, as a path; NULL if it is left alone
conversion: how the value is read, or why the column is left alone
fallback: what a missing or null field gives
Errors: 42704 no such mapping; 22023 the mapping does not fit the table';

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
-- src/pg/mapping/preview.cpp
--

CREATE FUNCTION vm_preview(mapping text, child regclass, doc text, VARIADIC args text[] DEFAULT '{}',
    OUT column_name text, OUT value text, OUT source text, OUT problem text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_preview(text, regclass, text, text[]) IS
'try a document: each column''s value, where it comes from, and what is wrong with it; nothing is written

mapping: name
child: a child, or the parent it is to be made for
doc: the document, as JSON
args: the trigger''s arguments after the mapping''s name: tenant, project
column_name: each column that the mapping fills; NULL if the document as a whole is bad
value: as text; NULL for NULL, or where there is a problem
source: where the value stands in the document, or what gave it
problem: what is wrong; NULL: nothing
Errors: 42704 no such mapping; 22023 the mapping does not fit the table';

--
-- src/pg/trigger/trigger.cpp
--

CREATE FUNCTION vm_transform() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_transform() IS
'transform _doc into columns; trigger arguments: mapping, tenant, project

BEFORE INSERT OR UPDATE, FOR EACH ROW, on a table with _id and _doc; vm_create_child makes it. Further arguments are
for rules that say {"arg": n}. With "on_error": "quarantine" a bad document goes to vm_quarantine, else it is an error.
An UPDATE that is older than its row changes nothing: a WARNING and a row of vm_anomaly.
Errors: 22P02, 22003, 22007, 22008, 22023, 23502 a bad document, naming field, column, _id and table; 39P01 not such a
  trigger, or no mapping; 42703 no column _doc; 42704 no such mapping';

CREATE FUNCTION transform_voucher() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION transform_voucher() IS
'vm_transform with the mapping voucher; trigger arguments: tenant, project

The article''s trigger by its own name. Errors are those of vm_transform.';

CREATE FUNCTION transform_campaign() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION transform_campaign() IS
'vm_transform with the mapping campaign; trigger arguments: tenant, project

The article''s trigger by its own name. Errors are those of vm_transform.';

--
-- src/pg/trigger/anomaly.cpp: Late and bad documents
--

CREATE TABLE vm_anomaly (
    anomaly_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    child regclass NOT NULL,
    child_name text,
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
COMMENT ON COLUMN vm_anomaly.child_name IS 'its name when this was written; child shows a number once the table is gone';
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

--
-- src/pg/trigger/quarantine.cpp
--

CREATE TABLE vm_quarantine (
    quarantine_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    child regclass NOT NULL,
    child_name text,
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
    decided_by text,
    decision text,
    CHECK ((settled_by IS NOT DISTINCT FROM 'decision') = (decision IS NOT NULL)),
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
COMMENT ON COLUMN vm_quarantine.child_name IS 'its name when this was written; child shows a number once the table is gone';
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
'good document: a later version was fine; retry: it went in on a retry; kept back: another row stands in the parent, see vm_anomaly; decision: it was given up';
COMMENT ON COLUMN vm_quarantine.decided_by IS 'who gave it up, see vm_settle_quarantine';
COMMENT ON COLUMN vm_quarantine.decision IS 'what was decided';
SELECT pg_catalog.pg_extension_config_dump('vm_quarantine', '');
SELECT pg_catalog.pg_extension_config_dump('vm_quarantine_quarantine_id_seq', '');

CREATE FUNCTION vm_retry_quarantine(child regclass DEFAULT NULL,
    OUT retried bigint, OUT settled bigint, OUT still_open bigint)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_retry_quarantine(regclass) IS
'send quarantined documents, of one child or of all, through the trigger again

child: child table; NULL: all
retried: cases that were sent: documents to the child, refused rows to the parent
settled: of these, cases that are settled now
still_open: of these, cases that failed again; vm_quarantine has the new error
Errors: 42501 no right to write to the child, or to move its rows; 42809 the table is no child';

--
-- src/pg/trigger/decision.cpp
--

CREATE FUNCTION vm_resolve_anomaly(anomaly_id bigint, resolution text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_resolve_anomaly(bigint, text) IS
'mark an anomaly resolved, saying what was decided

anomaly_id: of an open row of vm_anomaly
resolution: what was decided, for people
Errors: 02000 no such open anomaly; 22023 no words

Whoever may call it may decide: no right on vm_anomaly is needed. resolved_by is the caller.';

CREATE FUNCTION vm_settle_quarantine(quarantine_id bigint, decision text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_settle_quarantine(bigint, text) IS
'give up a case of quarantine that cannot be mended, saying why

quarantine_id: of an open row of vm_quarantine, which stays there with its document
decision: what was decided, for people
Errors: 02000 no such open case; 22023 no words

Whoever may call it may decide: no right on vm_quarantine is needed. decided_by is the caller.
A document is not sent again; the same document, if the feed brings it once more, is another case. A row that the parent
refused (operation MOVE) has left the child and reaches no table any more: staged_row is all there is of it.';

--
-- src/pg/child/child.cpp: Children
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
'make a child of a parent for a feed to write to: table, indexes, constraints, trigger, storage

parent: an ordinary or a partitioned table; the child is made in its schema
mapping: what the trigger transforms by
tenant: for the trigger
project: for the trigger
child: name of the child; NULL: parent_tenant_project, cut with a hash where it is too long
Returns: the child, which has _id text PRIMARY KEY and _doc text beside the parent''s columns. It inherits the parent, or
  stands alone if that is partitioned
Errors: 42809 the parent is itself a child; 0A000 it is no such table; 42704 no such mapping; 22023 the mapping does not
  fit; 42P07 the name is taken; 42501 not the parent''s owner, or no right to create tables in its schema';

--
-- src/pg/move/move.cpp: The move
--

CREATE FUNCTION vm_move_batch(child regclass, batch_size integer DEFAULT 10000, filter text DEFAULT NULL,
    on_conflict text DEFAULT 'newer', locking text DEFAULT 'claim', dry_run boolean DEFAULT false,
    key_index name DEFAULT NULL,
    OUT moved bigint, OUT inserted bigint, OUT updated bigint, OUT kept bigint, OUT busy bigint,
    OUT quarantined bigint, OUT remaining boolean)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) IS
'move up to batch_size rows from a child to its parent; newer wins, what loses stands in vm_anomaly

child: child table
batch_size: rows, at least 1
filter: condition on the child''s columns, with your search_path; NULL: all rows
on_conflict: where the key stands in the parent: newer, overwrite, keep or error
locking: claim: rows are taken without waiting, racing writers get 40001; lock: the child is locked, they wait
dry_run: count, tell in NOTICEs, and take it all back
key_index: unique index of the parent that says which rows are the same; NULL: its primary key, or the first that will do
moved: inserted + updated + kept
inserted: rows that were new to the parent
updated: rows that replaced one of the parent''s
kept: rows that lost to one of the parent''s; in vm_anomaly if they differ
busy: rows left in the child because another session held or had just changed them
quarantined: rows that the parent refused; in vm_quarantine
remaining: whether there may be more to move
Errors: 0A000 not at READ COMMITTED; 22023 a bad argument; 23505 a key is taken and on_conflict is error; 42501 a right is
  missing: SELECT and DELETE on the child, INSERT, UPDATE and SELECT on the parent; 42703, 42804 a column of the parent is
  missing in the child, or of another type; 42704 no key to move by; 42809 no child of one parent, or without its trigger';

--
-- src/pg/move/move_whole.cpp
--

CREATE FUNCTION vm_move_whole(child regclass, on_conflict text DEFAULT 'newer',
    wait_for_snapshots boolean DEFAULT true, wait_ms integer DEFAULT 10000, key_index name DEFAULT NULL,
    OUT moved bigint, OUT inserted bigint, OUT updated bigint, OUT kept bigint, OUT quarantined bigint)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_move_whole(regclass, text, boolean, integer, name) IS
'move all rows of a child that is at rest in one transaction and truncate it; refuses while somebody writes

child: child table
on_conflict: as in vm_move_batch
wait_for_snapshots: wait for transactions that would see the rows neither in the child nor in the parent
wait_ms: how long, in milliseconds, and how long for readers of the child
key_index: as in vm_move_batch
moved: inserted + updated + kept
inserted: rows that were new to the parent
updated: rows that replaced one of the parent''s
kept: rows that lost to one of the parent''s; in vm_anomaly if they differ
quarantined: rows that the parent refused; in vm_quarantine
Errors: 55P03 somebody writes to the child, reads it for longer than wait_ms, or another vm_move_whole is under way; 55006
  older snapshots did not end; 55000 rows wait for their documents; 0A000 triggers, rules or row security of the child; and
  those of vm_move_batch. Nothing has moved then';

--
-- src/pg/move/move_scan.cpp
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
-- src/pg/move/move_progress.cpp
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
CREATE INDEX vm_move_batches_child ON vm_move_batches (child, moved_at);
COMMENT ON INDEX vm_move_batches_child IS 'the batches of a child, for vm_status';
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
    child_name text,
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
CREATE INDEX vm_move_run_child ON vm_move_run (child);
COMMENT ON INDEX vm_move_run_child IS 'the moves of a child, for vm_next';
CREATE INDEX vm_move_run_open ON vm_move_run (child) WHERE ended_at IS NULL;
COMMENT ON INDEX vm_move_run_open IS 'moves of a child that are under way';
COMMENT ON TABLE vm_move_run IS 'each CALL vm_move; read it through vm_progress';
COMMENT ON COLUMN vm_move_run.move_id IS 'number of the move';
COMMENT ON COLUMN vm_move_run.child IS 'child table';
COMMENT ON COLUMN vm_move_run.child_name IS 'its name when this was written; child shows a number once the table is gone';
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
COMMENT ON COLUMN vm_move_run.waiting_since IS 'since when it waits for that';
COMMENT ON COLUMN vm_move_run.last_error IS 'what it ended with';
COMMENT ON COLUMN vm_move_run.started_by IS 'who called';
COMMENT ON COLUMN vm_move_run.started_at IS 'when it began';
COMMENT ON COLUMN vm_move_run.last_seen_at IS 'when it last wrote this row';
COMMENT ON COLUMN vm_move_run.ended_at IS 'when it ended; NULL: it has not, or was killed';
SELECT pg_catalog.pg_extension_config_dump('vm_move_run', '');
SELECT pg_catalog.pg_extension_config_dump('vm_move_run_move_id_seq', '');

CREATE VIEW vm_progress AS
SELECT r.move_id, r.child, r.child_name,
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
    CASE WHEN r.ended_at IS NULL AND r.rows_per_second OPERATOR(pg_catalog.>) 0
        AND NOT coalesce(pg_catalog.starts_with(r.waits_for, 'vm_resume_move'), false) THEN pg_catalog.make_interval(secs =>
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
COMMENT ON COLUMN vm_progress.child_name IS 'its name when the move began; child shows a number once the table is gone';
COMMENT ON COLUMN vm_progress.state IS 'running, waiting, done, stopped, canceled, failed; interrupted: its session is gone';
COMMENT ON COLUMN vm_progress.rows_done IS 'moved or quarantined';
COMMENT ON COLUMN vm_progress.rows_estimated IS
'rows to move: as the planner sees it, then by how much of the child has been gone through';
COMMENT ON COLUMN vm_progress.percent IS 'rows_done of rows_estimated';
COMMENT ON COLUMN vm_progress.rows_per_second IS 'lately; of an ended move, over all';
COMMENT ON COLUMN vm_progress.eta IS 'time left at that rate; NULL: it has ended or is paused';
COMMENT ON COLUMN vm_progress.batch_size IS 'rows of the last batch, as asked for';
COMMENT ON COLUMN vm_progress.waits_for IS 'why it waits; NULL: it works';
COMMENT ON COLUMN vm_progress.waiting_since IS 'since when it waits for that';
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
-- src/pg/move/move_run.cpp
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
'move all rows of a child to its parent, batch by batch, each committed; see vm_progress

child: child table
filter: condition on the child''s columns, with your search_path; NULL: all rows
on_conflict: as in vm_move_batch
locking: as in vm_move_batch
target_batch_ms: milliseconds a batch is to take; it grows and shrinks by that
max_batch_size: rows
max_rows_per_second: NULL: no limit
max_wal_per_second: bytes; NULL: no limit
max_replica_lag: wait while the slowest replica is further behind; NULL: never
throttle_query: wait while this query returns true, one boolean; NULL: none
max_run_time: end after it; the same CALL goes on later. NULL: no limit
lock_timeout_ms: milliseconds to wait for a lock before trying again later
max_quarantined: stop if the parent refuses more rows; NULL: no limit
quiet: no NOTICEs
key_index: as in vm_move_batch
Errors: 2D000 inside a transaction block; 54000 more than max_quarantined rows were refused; 42501 max_replica_lag without
  pg_monitor; 22023 throttle_query gives no boolean; those of vm_move_batch; whatever a batch ran into. What was committed by then has moved';

--
-- src/pg/move/move_control.cpp
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
COMMENT ON FUNCTION vm_pause_move(regclass) IS
'make moves of a child wait until vm_resume_move; returns how many there are

child: child table
Returns: CALLs of vm_move under way
Errors: 42501 no right to DELETE from the child; 42809 the table is no child';
CREATE FUNCTION vm_resume_move(child regclass) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_resume_move(regclass) IS
'let moves of a child go on; returns how many there are

child: child table
Returns: CALLs of vm_move under way
Errors: 42501 no right to DELETE from the child; 42809 the table is no child';
CREATE FUNCTION vm_stop_move(child regclass) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_stop_move(regclass) IS
'end the moves of a child after the batch at hand; returns how many there are

child: child table
Returns: CALLs of vm_move under way
Errors: 42501 no right to DELETE from the child; 42809 the table is no child';

--
-- src/pg/mapping/profile.cpp: Profile
--

CREATE FUNCTION vm_profile(source regclass,
    OUT path text, OUT types text, OUT documents bigint, OUT nulls bigint, OUT distinct_values bigint,
    OUT smallest text, OUT largest text, OUT sample_id text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_profile(regclass) IS
'a row per field path of the documents in a table''s _doc: types, counts, extremes, a sample; one pass, bounded memory

source: a table with a column _doc, and _id if there is one
path: field, its steps divided by dots; [] for any element of an array, * for any member of an object used as a map
types: types of its values and how often each, the most frequent first
documents: documents that have it
nulls: of these, where it is null
distinct_values: different scalar values, an estimate above 256 unless all differ; NULL: it has none
smallest: of its numbers, times, texts or booleans, whichever are the most; at most 64 bytes as text
largest: the same
sample_id: _id of the first document that has it
Errors: 42703 no column _doc; 42501 no right to read it. Documents that are no JSON objects are counted in a WARNING';

CREATE FUNCTION vm_propose(source regclass, parent text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_propose(regclass, text) IS
'a script to read and run: CREATE TABLE and vm_define_mapping for the documents in a table''s _doc

source: a table with a column _doc
parent: name of the table to propose, with or without its schema; the mapping gets the table''s name
Returns: the script; nothing is created
Errors: those of vm_profile; 42602 the name cannot be one';

--
-- src/pg/check/distinct.cpp: Distinct values
--

CREATE FUNCTION vm_distinct(relation regclass, column_name name, filter jsonb DEFAULT NULL, OUT value text)
RETURNS SETOF text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE ROWS 100;
COMMENT ON FUNCTION vm_distinct(regclass, name, jsonb) IS
'the distinct values of a column, in order, of the rows whose columns equal the filter''s; from value to value by an index

relation: a table; rows of its children and partitions are in it
column_name: one of its columns
filter: a JSON object of columns and what they must equal, null for NULL; NULL: all rows
value: as text, in the type''s output form; NULL last
Errors: 42703 no such column; 42809 no table; 42883 a type without order or equality; 22023 the filter is no object; 42501
  no right to read. Values of the filter are read by the column''s type and give its errors. Tables without a
  fitting index are put to SELECT DISTINCT, with a NOTICE';

--
-- src/pg/check/check_wrapper.cpp: Checks
--

CREATE FUNCTION vm_has_wrapper(value jsonb) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vm_has_wrapper(jsonb) IS
'whether an object somewhere inside has a key that begins with $, as the wrappers of Extended JSON do

value: any jsonb
Returns: NULL for NULL';

--
-- src/pg/check/check_rule.cpp
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
'create or replace a check for children with a mapping, of a parent, or (NULL) for all that have the columns

check_name: name; one that is shipped is put aside for the children that this one is for
applies_to: a mapping, a parent, or NULL for all children that have the columns
condition: a boolean expression over the child''s columns, true for a dirty row; see docs/checks.md
severity: error: do not switch; warning: look; info: for you to know
hint: what to do about dirty rows
source: the same as a MongoDB filter, for vm_source_checks; NULL: not asked at the source
Errors: 22023 a name that is built in, a bad severity, neither a mapping nor a parent, a condition that does not fit';

CREATE FUNCTION vm_drop_check(check_name text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_drop_check(text) IS
'drop a check that was defined; a shipped one of the same name is back then

check_name: all of its definitions go
Errors: 42704 there is none; 2BP01 it is shipped';

CREATE FUNCTION vm_source_checks(mapping text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_source_checks(text) IS
'the checks of a mapping as a script for mongosh, to run at the source before the copy

mapping: name
Returns: the script; the collection is named in its second line
Errors: 42704 no such mapping';

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
 'The document has no ObjectId as _id, so nothing says when it was made.', '{ _id: { $not: { $type: "objectId" } } }'),
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
('publication_total', true, 'voucher',
 'jsonb_path_exists(publish::jsonb, ''$ ? (@.entries.type() == "array" && (@.count.double() != @.entries.size() || '
 '!exists(@.count) && @.entries.size() > 0))'')', 'warning',
 'publish.count is not the number of publish.entries.',
 '{ $expr: { $cond: [{ $isArray: "$publish.entries" }, { $ne: [{ $floor: { $convert: { input: "$publish.count", to: "double", '
 'onError: null, onNull: 0 } } }, { $size: "$publish.entries" }] }, false] } }'),
('redemption_total', true, 'voucher',
 'jsonb_path_exists(redemption::jsonb, ''$ ? (@.redemption_entries.type() == "array" && (@.redeemed_quantity.double() != '
 '@.redemption_entries.size() || !exists(@.redeemed_quantity) && @.redemption_entries.size() > 0))'')', 'warning',
 'redemption.redeemed_quantity is not the number of redemption.redemption_entries.',
 '{ $expr: { $cond: [{ $isArray: "$redemption.redemption_entries" }, { $ne: [{ $convert: { input: '
 '"$redemption.redeemed_quantity", to: "double", onError: null, onNull: 0 } }, { $size: "$redemption.redemption_entries" }] }, '
 'false] } }'),
('redeemed_too_often', true, 'voucher',
 'jsonb_path_exists(redemption::jsonb, ''$ ? (@.redeemed_quantity.double() > @.quantity.double())'')', 'warning',
 'redemption.redeemed_quantity is above redemption.quantity; null is unlimited.',
 '{ $expr: { $gt: [{ $convert: { input: "$redemption.redeemed_quantity", to: "double", onError: 0, onNull: 0 } }, '
 '{ $convert: { input: "$redemption.quantity", to: "double", onError: Infinity, onNull: Infinity } }] } }'),
('campaign_type_missing', true, 'campaign', '_doc IS NOT NULL AND coalesce(campaign_type::text, '''') = ''''', 'error',
 'A field that every campaign has. Mend it at the source.', '{ campaign_type: { $in: [null, ""] } }'),
('name_missing', true, 'campaign', '_doc IS NOT NULL AND coalesce(name::text, '''') = ''''', 'error',
 'A field that every campaign has. Mend it at the source.', '{ name: { $in: [null, ""] } }');

--
-- src/pg/check/reference.cpp
--

CREATE TABLE vm_reference (
    entity text NOT NULL CHECK (entity <> ''),
    column_name name NOT NULL,
    shipped boolean NOT NULL DEFAULT false,
    refers_to text CHECK (refers_to <> ''),
    refers_to_column name NOT NULL DEFAULT 'id',
    count_column name,
    counted text,
    severity text NOT NULL DEFAULT 'error' CHECK (severity IN ('error', 'warning', 'info')),
    count_severity text NOT NULL DEFAULT 'warning' CHECK (count_severity IN ('error', 'warning', 'info')),
    defined_by text NOT NULL DEFAULT current_user,
    defined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity, column_name, shipped)
);
COMMENT ON TABLE vm_reference IS 'which columns hold the key of another entity''s row, for vm_check; write with vm_define_reference';
COMMENT ON COLUMN vm_reference.entity IS 'entity whose rows refer, see vm_parent';
COMMENT ON COLUMN vm_reference.column_name IS 'its column that refers; NULL in it refers to nothing';
COMMENT ON COLUMN vm_reference.shipped IS 'came with the extension; a definition of the same entity and column goes before it';
COMMENT ON COLUMN vm_reference.refers_to IS 'entity that is meant; NULL: none, nothing is checked';
COMMENT ON COLUMN vm_reference.refers_to_column IS
'column of that entity; the other columns of its unique index, such as tenant and project, must be equal where both have them';
COMMENT ON COLUMN vm_reference.count_column IS 'column of that entity with the number of rows that refer to it; NULL: none';
COMMENT ON COLUMN vm_reference.counted IS
'which rows that number counts, as a condition on them; names outside pg_catalog must be qualified. NULL: all';
COMMENT ON COLUMN vm_reference.severity IS 'of a row that refers to nothing: error, warning or info';
COMMENT ON COLUMN vm_reference.count_severity IS 'of a number that is another: error, warning or info';
COMMENT ON COLUMN vm_reference.defined_by IS 'who defined it';
COMMENT ON COLUMN vm_reference.defined_at IS 'when it was defined';
SELECT pg_catalog.pg_extension_config_dump('vm_reference', 'WHERE NOT shipped');

CREATE FUNCTION vm_define_reference(entity text, column_name name, refers_to text, refers_to_column name DEFAULT 'id',
    count_column name DEFAULT NULL, counted text DEFAULT NULL, severity text DEFAULT 'error',
    count_severity text DEFAULT 'warning') RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_define_reference(text, name, text, name, name, text, text, text) IS
'create or replace a reference from an entity''s column to another entity, for vm_check

entity: whose rows refer, see vm_parent; it may be registered later
column_name: its column that refers
refers_to: entity that is meant; NULL: none, and what is shipped is switched off
refers_to_column: column of that entity; some unique index must have it
count_column: column of that entity with the number of rows that refer to it; NULL: none
counted: which rows that number counts, as a condition over their columns; NULL: all
severity: of a row that refers to nothing: error, warning or info
count_severity: of a number that is another
Errors: 22023 an empty name, a bad severity, a column that a registered parent lacks, a condition that does not fit';

CREATE FUNCTION vm_drop_reference(entity text, column_name name) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_drop_reference(text, name) IS
'drop a reference that was defined; a shipped one of the same column is back then

entity: whose rows refer
column_name: its column that refers
Errors: 42704 there is none; 2BP01 it is shipped';

INSERT INTO vm_reference (entity, column_name, shipped, refers_to, refers_to_column, count_column, counted) VALUES
('voucher', 'campaign_id', true, 'campaign', 'id', 'vouchers_count', 'deleted IS NOT TRUE');

--
-- src/pg/check/check.cpp
--

CREATE FUNCTION vm_check(child regclass,
    OUT check_name text, OUT severity text, OUT rows bigint, OUT sample_ids text[], OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE ROWS 30;
COMMENT ON FUNCTION vm_check(regclass) IS
'every check that applies to a child, errors first: dirty rows, some of their _ids, what to do; nothing is written

child: child table
check_name: see docs/checks.md and vm_check_rule
severity: error: do not switch; warning: look; info: for you to know
rows: dirty rows; 0: clean; NULL: it could not be asked, and hint says why
sample_ids: _ids of at most five of them
hint: what to do; NULL for a clean one
Errors: 42809 no child of one parent; 42501 no right to read the child';

--
-- src/pg/project/project.cpp: Projects
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

-- A row from the first step that is recorded on. Steps in their order. Rows outlive their entity's registration.
CREATE TABLE vm_project_entity (
    tenant text NOT NULL,
    project text NOT NULL,
    entity text NOT NULL,
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
COMMENT ON COLUMN vm_project_entity.entity IS
'entity, see vm_parent; a row that is finished or switched stays when it is unregistered, and counts again when it is back';
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
CREATE INDEX vm_history_project ON vm_history (tenant, project, entity, step, history_id);
COMMENT ON INDEX vm_history_project IS 'the history of a project, and the latest of a step for vm_status';
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
-- src/pg/feed/feed_seen.cpp
--

CREATE TABLE vm_feed_seen (
    child regclass NOT NULL,
    pid integer NOT NULL,
    last_at timestamptz NOT NULL,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (child, pid, first_at)
);
COMMENT ON TABLE vm_feed_seen IS 'when a feed last wrote to the child of a project, to about a second; nothing is lost with it';
COMMENT ON COLUMN vm_feed_seen.child IS 'child table';
COMMENT ON COLUMN vm_feed_seen.pid IS 'the server process that the feed used, so that two never wait for each other';
COMMENT ON COLUMN vm_feed_seen.last_at IS 'when its last statement began';
COMMENT ON COLUMN vm_feed_seen.first_at IS
'when the row was written first: another one, while a prepared transaction of the same process still holds the first';

--
-- src/pg/migrate/migrate.cpp
--

CREATE TABLE vm_migrate_run (
    run_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    filter text,
    movers integer NOT NULL,
    source_checked text,
    feed_started text,
    feed_stopped text,
    finish boolean NOT NULL,
    quiet_seconds numeric NOT NULL,
    whole boolean NOT NULL,
    role text,
    settings text[] NOT NULL,
    privileged_settings text[] NOT NULL,
    taken integer NOT NULL DEFAULT 0,
    started_by text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
CREATE INDEX vm_migrate_run_open ON vm_migrate_run (run_id) WHERE ended_at IS NULL;
COMMENT ON INDEX vm_migrate_run_open IS 'runs under way, or ended with their server';
COMMENT ON TABLE vm_migrate_run IS 'every CALL vm_migrate';
COMMENT ON COLUMN vm_migrate_run.run_id IS 'number of the run';
COMMENT ON COLUMN vm_migrate_run.filter IS 'which projects were meant; NULL: all that are not finished';
COMMENT ON COLUMN vm_migrate_run.movers IS 'movers asked for';
COMMENT ON COLUMN vm_migrate_run.source_checked IS 'what was recorded of the source check';
COMMENT ON COLUMN vm_migrate_run.feed_started IS 'what was recorded of the feed''s start';
COMMENT ON COLUMN vm_migrate_run.feed_stopped IS 'what was recorded of the feed''s end';
COMMENT ON COLUMN vm_migrate_run.finish IS 'children were to be dropped, or given back';
COMMENT ON COLUMN vm_migrate_run.quiet_seconds IS 'how long the feed had to be quiet before a switch';
COMMENT ON COLUMN vm_migrate_run.whole IS 'children were moved by vm_move_whole';
COMMENT ON COLUMN vm_migrate_run.role IS 'role that was set; NULL: the session''s user';
COMMENT ON COLUMN vm_migrate_run.settings IS 'what was set in the caller''s session, name=value; its movers have it, too';
COMMENT ON COLUMN vm_migrate_run.privileged_settings IS 'the same, of what only superusers may set, or who was granted it';
COMMENT ON COLUMN vm_migrate_run.taken IS 'number of the last project that a mover has taken, or asked for';
COMMENT ON COLUMN vm_migrate_run.started_by IS 'who called';
COMMENT ON COLUMN vm_migrate_run.started_at IS 'when it began';
COMMENT ON COLUMN vm_migrate_run.ended_at IS 'when it ended; NULL: it is under way, or its session is gone';
SELECT pg_catalog.pg_extension_config_dump('vm_migrate_run', '');
SELECT pg_catalog.pg_extension_config_dump('vm_migrate_run_run_id_seq', '');

CREATE TABLE vm_migrate_project (
    run_id bigint NOT NULL REFERENCES vm_migrate_run ON DELETE CASCADE,
    number integer NOT NULL,
    tenant text NOT NULL,
    project text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'stopped', 'failed')),
    step text,
    entity text,
    step_at timestamptz,
    why text,
    hint text,
    mover_pid integer,
    started_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (run_id, number)
);
COMMENT ON TABLE vm_migrate_project IS 'how each project came out of a CALL vm_migrate';
COMMENT ON COLUMN vm_migrate_project.run_id IS 'the run, see vm_migrate_run';
COMMENT ON COLUMN vm_migrate_project.number IS 'its place in the run';
COMMENT ON COLUMN vm_migrate_project.tenant IS 'tenant';
COMMENT ON COLUMN vm_migrate_project.project IS 'project';
COMMENT ON COLUMN vm_migrate_project.state IS
'waiting, running, done; stopped: something has to be done first; failed: a step raised an error';
COMMENT ON COLUMN vm_migrate_project.step IS 'the step it is at, or would be next';
COMMENT ON COLUMN vm_migrate_project.entity IS 'entity of that step; NULL: all';
COMMENT ON COLUMN vm_migrate_project.step_at IS 'since when it is at that step';
COMMENT ON COLUMN vm_migrate_project.why IS 'why it got no further; while it runs, why the step is tried again';
COMMENT ON COLUMN vm_migrate_project.hint IS 'what to do about it';
COMMENT ON COLUMN vm_migrate_project.mover_pid IS 'process of its mover';
COMMENT ON COLUMN vm_migrate_project.started_at IS 'when a mover took it';
COMMENT ON COLUMN vm_migrate_project.ended_at IS 'when the mover was done with it';
SELECT pg_catalog.pg_extension_config_dump('vm_migrate_project', '');

CREATE VIEW vm_migrate_progress AS
SELECT p.run_id, p.tenant, p.project,
    CASE WHEN p.ended_at IS NULL AND p.run_id OPERATOR(pg_catalog.<>) ALL (
        SELECT l.classid::bigint OPERATOR(pg_catalog.<<) 32 OPERATOR(pg_catalog.|) l.objid::bigint
        FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'
        AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock' AND l.database OPERATOR(pg_catalog.=)
            (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
        AND l.objsubid OPERATOR(pg_catalog.=) 34)
    THEN 'interrupted' ELSE p.state END AS state,
    p.step, p.entity, m.percent, m.eta,
    CASE WHEN p.state OPERATOR(pg_catalog.=) 'running' THEN
        pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) p.step_at) END AS at_it,
    coalesce(p.why, m.waits_for) AS why, p.hint, p.mover_pid,
    pg_catalog.date_trunc('second', p.started_at) AS started_at, pg_catalog.date_trunc('second', p.ended_at) AS ended_at
FROM vm_migrate_project p
LEFT JOIN vm_project_entity e ON p.state OPERATOR(pg_catalog.=) 'running'
    AND p.step OPERATOR(pg_catalog.=) ANY (ARRAY['move_closed', 'move'])
    AND e.tenant OPERATOR(pg_catalog.=) p.tenant AND e.project OPERATOR(pg_catalog.=) p.project
    AND e.entity OPERATOR(pg_catalog.=) p.entity
LEFT JOIN LATERAL (
    SELECT v.percent, v.eta, v.waits_for FROM vm_progress v
    WHERE v.child OPERATOR(pg_catalog.=) e.child AND v.ended_at IS NULL AND v.started_at OPERATOR(pg_catalog.>=) p.step_at
    ORDER BY v.move_id DESC LIMIT 1
) m ON true
ORDER BY p.run_id, p.number;
COMMENT ON VIEW vm_migrate_progress IS 'every project of every CALL vm_migrate: where it is, and why it got no further';
COMMENT ON COLUMN vm_migrate_progress.run_id IS 'the run, see vm_migrate_run';
COMMENT ON COLUMN vm_migrate_progress.tenant IS 'tenant';
COMMENT ON COLUMN vm_migrate_progress.project IS 'project';
COMMENT ON COLUMN vm_migrate_progress.state IS
'waiting, running, done; stopped: something has to be done first; failed: a step raised an error; interrupted: the session that called is gone';
COMMENT ON COLUMN vm_migrate_progress.step IS 'the step it is at, or would be next';
COMMENT ON COLUMN vm_migrate_progress.entity IS 'entity of that step; NULL: all';
COMMENT ON COLUMN vm_migrate_progress.percent IS 'of a move: rows done of rows estimated';
COMMENT ON COLUMN vm_migrate_progress.eta IS 'of a move: time left';
COMMENT ON COLUMN vm_migrate_progress.at_it IS 'how long it has been at the step; NULL: nobody is at work on it';
COMMENT ON COLUMN vm_migrate_progress.why IS 'why it got no further; while it runs, what it waits for, or why the step is tried again';
COMMENT ON COLUMN vm_migrate_progress.hint IS 'what to do about it';
COMMENT ON COLUMN vm_migrate_progress.mover_pid IS 'process of its mover';
COMMENT ON COLUMN vm_migrate_progress.started_at IS 'when a mover took it';
COMMENT ON COLUMN vm_migrate_progress.ended_at IS 'when the mover was done with it';

CREATE PROCEDURE vm_migrate(filter text DEFAULT NULL, movers integer DEFAULT 2, source_checked text DEFAULT NULL,
    feed_started text DEFAULT NULL, feed_stopped text DEFAULT NULL, finish boolean DEFAULT false, quiet_seconds numeric DEFAULT 0,
    whole boolean DEFAULT false, quiet boolean DEFAULT false)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE vm_migrate(text, integer, text, text, text, boolean, numeric, boolean, boolean) IS
'take projects at rest through all their steps, as vm_next says, by several movers in the background

filter: condition on tenant and project; NULL: all projects that are not finished
movers: background workers, 1 to 64; each takes one project after the other
source_checked: what to record as the outcome of the source check; NULL: projects without one stop there
feed_started: what to record of the feed''s start; NULL: projects stop there until documents have come
feed_stopped: what to record of the feed''s end; NULL: projects stop there once all has moved
finish: drop the children in the end, or give them back to their pools
quiet_seconds: how long the feed must have been quiet before a switch
whole: move with vm_move_whole: half the WAL, no dead rows; a transaction with an older snapshot misses the rows
quiet: no NOTICE
Errors: 2D000 inside a transaction block, 53000 no mover could be started, 55000 none could connect. What a step of a
 project raises is in vm_migrate_project, and the other projects go on.

See vm_migrate_progress while it runs. When it is cancelled its movers end, too; CALL it again to go on.';

--
-- src/pg/project/step.cpp
--

CREATE FUNCTION vm_record_step(tenant text, project text, step text, found text DEFAULT NULL,
    entity text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_record_step(text, text, text, text, text) IS
'put on record what is done outside the server; refused before its time

tenant: tenant
project: project
step: source_check, feed_start or feed_stop; the other steps are recorded by the functions that do them
found: what was found, for vm_history
entity: the entity; NULL: all of the project''s
Errors: 22023 another step, no such project or entity; 55000 a step before it is missing';

--
-- src/pg/check/check_project.cpp
--

CREATE FUNCTION vm_check_project(tenant text, project text, entity text DEFAULT NULL,
    OUT entity text, OUT check_name text, OUT severity text, OUT rows bigint, OUT sample_ids text[], OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C ROWS 10;
COMMENT ON FUNCTION vm_check_project(text, text, text) IS
'what vm_check finds in the children of a project, errors first; put on record

tenant: tenant
project: project
entity: the entity, and the one a row is about; NULL: all of the project''s
check_name: the check that found something; no row at all: all is clean
severity: error, warning or info
rows: dirty rows
sample_ids: _ids of some of them
hint: what to do about them
Errors: 22023 no such project or entity; 55000 a step before it is missing';

CREATE FUNCTION vm_check_anomalies(tenant text, project text,
    OUT entity text, OUT child regclass, OUT anomalies bigint, OUT quarantined bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C ROWS 2;
COMMENT ON FUNCTION vm_check_anomalies(text, text) IS
'open anomalies and quarantined documents of a project''s children, after the switch; put on record

tenant: tenant
project: project
entity: the entity
child: its child table
anomalies: unresolved anomalies since the child serves the project
quarantined: open quarantine since then; the step has passed if all are 0
Errors: 22023 no such project; 55000 it is not switched over';

--
-- src/pg/project/project_facts.cpp
--

CREATE VIEW vm_status AS
SELECT p.tenant, p.project, a.entity,
    CASE
        WHEN e.finish_at IS NOT NULL THEN 'finish'
        WHEN e.feed_stop_at IS NOT NULL THEN 'feed_stop'
        WHEN e.move_at IS NOT NULL AND NOT o.early THEN 'move'
        WHEN e.anomaly_check_at IS NOT NULL THEN 'anomaly_check'
        WHEN e.switch_at IS NOT NULL THEN 'switch'
        WHEN e.move_at IS NOT NULL THEN 'move'
        WHEN e.move_closed_at IS NOT NULL THEN 'move_closed'
        WHEN e.check_at IS NOT NULL THEN 'check'
        WHEN e.feed_start_at IS NOT NULL THEN 'feed_start'
        WHEN e.prepare_at IS NOT NULL THEN 'prepare'
        WHEN e.source_check_at IS NOT NULL THEN 'source_check'
    END AS step,
    CASE
        WHEN e.finish_at IS NOT NULL THEN 'done'
        WHEN e.switch_at IS NULL THEN CASE
            WHEN e.source_check_at IS NULL THEN 'source_check'
            WHEN e.prepare_at IS NULL OR NOT o.stands THEN 'prepare'
            WHEN l.lost OR e.feed_start_at IS NULL AND NOT w.written THEN 'feed_start'
            WHEN e.check_at IS NULL THEN 'check'
            WHEN o.early AND e.move_at IS NULL AND w.written THEN 'move'
            WHEN NOT o.early AND a.closed IS NOT NULL AND e.move_closed_at IS NULL AND w.written THEN 'move_closed'
            ELSE 'switch'
        END
        WHEN NOT o.stands THEN 'prepare'
        WHEN l.lost THEN 'feed_start'
        WHEN e.anomaly_check_at IS NULL OR c.anomalies OPERATOR(pg_catalog.>) 0
            OR c.quarantine OPERATOR(pg_catalog.>) 0 THEN 'anomaly_check'
        WHEN e.move_at IS NULL AND w.written THEN 'move'
        WHEN e.feed_stop_at IS NULL THEN 'feed_stop'
        ELSE 'finish'
    END AS next_step,
    o.live AS in_child, m.moved, c.anomalies, c.quarantine,
    pg_catalog.date_trunc('second', e.switch_at) AS switched_at,
    pg_catalog.date_trunc('second', f.last_at) AS feed_last_row,
    CASE WHEN e.check_at IS NULL AND NOT h.passed THEN h.found END AS failed_checks
FROM vm_project p CROSS JOIN vm_parent a
LEFT JOIN vm_project_entity e ON e.tenant OPERATOR(pg_catalog.=) p.tenant
    AND e.project OPERATOR(pg_catalog.=) p.project AND e.entity OPERATOR(pg_catalog.=) a.entity
CROSS JOIN LATERAL (
    SELECT a.move_active OPERATOR(pg_catalog.=) 'before_switch' AS early,
        c.stands, CASE WHEN c.stands THEN pg_catalog.pg_stat_get_live_tuples(e.child) END AS live
    -- It may have been dropped by hand.
    FROM (SELECT EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid OPERATOR(pg_catalog.=) e.child) AS stands) c) o
-- Each by an index, for one entity of one project.
LEFT JOIN LATERAL (
    SELECT coalesce(pg_catalog.sum(b.inserted OPERATOR(pg_catalog.+) b.updated), 0)::bigint AS moved
    FROM vm_move_batches b
    WHERE b.child OPERATOR(pg_catalog.=) e.child AND b.moved_at OPERATOR(pg_catalog.>=) e.prepare_at
) m ON e.child IS NOT NULL
-- Of a pool's child what is older than its project is not the project's. vm_finish counts the same.
CROSS JOIN LATERAL (
    SELECT CASE WHEN e.pooled THEN e.prepare_at ELSE '-infinity' END AS since
) i
LEFT JOIN LATERAL (
    SELECT (SELECT pg_catalog.count(*) FROM vm_anomaly x
            WHERE x.child OPERATOR(pg_catalog.=) e.child AND x.resolved_at IS NULL
            AND x.last_seen_at OPERATOR(pg_catalog.>=) i.since) AS anomalies,
        (SELECT pg_catalog.count(*) FROM vm_quarantine q
            WHERE q.child OPERATOR(pg_catalog.=) e.child AND q.settled_at IS NULL
            AND q.operation OPERATOR(pg_catalog.<>) 'MOVE'
            AND q.last_attempt_at OPERATOR(pg_catalog.>=) i.since) OPERATOR(pg_catalog.+)
        (SELECT pg_catalog.count(*) FROM vm_quarantine q
            WHERE q.child OPERATOR(pg_catalog.=) e.child AND q.settled_at IS NULL
            AND q.operation OPERATOR(pg_catalog.=) 'MOVE'
            AND q.last_attempt_at OPERATOR(pg_catalog.>=) i.since) AS quarantine
) c ON e.child IS NOT NULL
LEFT JOIN LATERAL (
    SELECT pg_catalog.max(s.last_at) AS last_at FROM vm_feed_seen s
    WHERE s.child OPERATOR(pg_catalog.=) e.child AND s.last_at OPERATOR(pg_catalog.>=) e.prepare_at
) f ON e.child IS NOT NULL
-- Statistics are lost in a crash.
CROSS JOIN LATERAL (SELECT o.stands AND (f.last_at IS NOT NULL OR o.live OPERATOR(pg_catalog.>) 0) AS written) w
-- The feed has to begin anew.
CROSS JOIN LATERAL (
    SELECT e.feed_start_at IS NULL AND EXISTS (SELECT FROM vm_history y
        WHERE y.tenant OPERATOR(pg_catalog.=) e.tenant AND y.project OPERATOR(pg_catalog.=) e.project
        AND y.entity OPERATOR(pg_catalog.=) e.entity AND y.step OPERATOR(pg_catalog.=) 'feed_start_back'
        AND y.done_at OPERATOR(pg_catalog.>=) p.added_at) AS lost
) l
LEFT JOIN LATERAL (
    SELECT y.passed, y.found FROM vm_history y
    WHERE y.tenant OPERATOR(pg_catalog.=) e.tenant AND y.project OPERATOR(pg_catalog.=) e.project
    AND y.entity OPERATOR(pg_catalog.=) e.entity AND y.step OPERATOR(pg_catalog.=) 'check'
    AND y.done_at OPERATOR(pg_catalog.>=) e.prepare_at
    ORDER BY y.history_id DESC LIMIT 1
) h ON true
ORDER BY p.tenant, p.project, a.move_order, a.entity;
COMMENT ON VIEW vm_status IS 'every entity of every project: how far it is, by what is on record and by statistics';
COMMENT ON COLUMN vm_status.tenant IS 'tenant';
COMMENT ON COLUMN vm_status.project IS 'project';
COMMENT ON COLUMN vm_status.entity IS 'entity, see vm_parent';
COMMENT ON COLUMN vm_status.step IS 'the last step of the order that is done; NULL: none';
COMMENT ON COLUMN vm_status.next_step IS 'the first that is not, or done; vm_next looks into the child, too';
COMMENT ON COLUMN vm_status.in_child IS 'rows in the child, as statistics have it; NULL: there is no child';
COMMENT ON COLUMN vm_status.moved IS 'rows that moved from this child to the parent, since prepare';
COMMENT ON COLUMN vm_status.anomalies IS 'open anomalies of the child; of a pool''s since prepare';
COMMENT ON COLUMN vm_status.quarantine IS 'documents and rows in quarantine; of a pool''s child since prepare';
COMMENT ON COLUMN vm_status.switched_at IS 'when applications were switched over; NULL while they are not';
COMMENT ON COLUMN vm_status.feed_last_row IS 'when a feed last wrote to the child';
COMMENT ON COLUMN vm_status.failed_checks IS 'what the latest vm_check_project since prepare found, if it did not pass';

--
-- src/pg/project/next.cpp
--

CREATE FUNCTION vm_next(tenant text, project text,
    OUT step_number integer, OUT steps integer, OUT step text, OUT entity text, OUT statement text,
    OUT why_not_yet text, OUT do_first text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_next(text, text) IS
'the next step of a project, the statement to run, and why not yet

tenant: tenant
project: project
step_number: its number in the project''s own order
steps: how many there are
step: the step; done after the last
entity: the entity it is for; NULL: all of the project''s
statement: runs as it is printed, in this session
why_not_yet: what stands in the way; NULL: nothing does
do_first: what to do outside, or before
Errors: 22023 no such project, no parent registered';

--
-- src/pg/project/parent.cpp
--

CREATE FUNCTION vm_register_parent(parent regclass, mapping text, entity text DEFAULT NULL,
    closed text DEFAULT NULL, move_order integer DEFAULT NULL, move_active text DEFAULT 'after_switch',
    source_collection text DEFAULT NULL, source_database text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_register_parent(regclass, text, text, text, integer, text, text, text) IS
'let a table take part in the migration of every project, or set all of how it does anew

parent: the table that the application uses; the caller must own it
mapping: mapping of its children
entity: short name for vm_switch and the like; NULL: the mapping''s name
closed: condition on the columns, true for rows that cannot change any more: they move before the switch. NULL:
 the boolean column deleted if there is one; false: no row is closed
move_order: entities with smaller numbers move first; NULL: after those that are registered, or as before
move_active: when rows that are not closed move: after_switch or before_switch
source_collection: MongoDB collection of a project, with {tenant} and {project}; NULL: <table>-{tenant}-{project}
source_database: MongoDB database; NULL: vm_feed_task asks for it
Returns: the entity
Errors: 42809, 0A000 no fit parent; 42501 not the caller''s; 42704 no such mapping; 22023 the mapping or the condition
 does not fit; 42710 the table is another entity; 55000 a pool, or with another table projects that have begun, are in
 the way';

CREATE FUNCTION vm_unregister_parent(entity text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_unregister_parent(text) IS
'take an entity out that no project is under way with; what was done stays on record, and counts if it comes back

entity: the entity, see vm_parent
Errors: 22023 not registered; 42501 the table is not the caller''s; 55000 projects are not finished, or it has a pool';

--
-- src/pg/project/add_project.cpp
--

CREATE FUNCTION vm_add_project(tenant text, project text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_add_project(text, text) IS
'add a project to migrate; one that is there already is left alone

tenant: tenant, as documents and triggers name it
project: project of the tenant
Errors: 22004 NULL, 22023 an empty name';

CREATE FUNCTION vm_add_projects(query text) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_add_projects(text) IS
'add the projects that a query gives

query: SELECT of two columns, tenant and project; runs as the caller and writes nothing
Returns: how many were new
Errors: 22023 no SELECT, or an empty name; 25006 it writes; 42804 other columns; 22004 NULL. Nothing is added then';

--
-- src/pg/project/remove_project.cpp
--

CREATE FUNCTION vm_remove_project(tenant text, project text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_remove_project(text, text) IS
'take out a project that was added by mistake, as long as nothing relies on it; vm_history keeps what was recorded

tenant: tenant
project: project of the tenant
Errors: 22023 no such project; 55000 an entity is switched over, it has a child, or rows of it have moved';

--
-- src/pg/child/pool.cpp
--

CREATE TABLE vm_pool (
    child regclass PRIMARY KEY,
    entity text NOT NULL REFERENCES vm_parent ON UPDATE CASCADE
);
CREATE INDEX vm_pool_entity ON vm_pool (entity);
COMMENT ON INDEX vm_pool_entity IS 'the pool of an entity';
COMMENT ON TABLE vm_pool IS
'children that serve one project after another; vm_project_entity says which. Write with vm_create_pool and vm_drop_pool';
COMMENT ON COLUMN vm_pool.child IS 'child table; its trigger names no tenant and no project';
COMMENT ON COLUMN vm_pool.entity IS 'entity, see vm_parent';
SELECT pg_catalog.pg_extension_config_dump('vm_pool', '');

CREATE FUNCTION vm_pool_changed() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_pool_changed() IS 'makes every backend look up anew whom a child serves';
CREATE TRIGGER vm_pool_changed AFTER INSERT OR UPDATE OR DELETE ON vm_pool
    FOR EACH ROW EXECUTE FUNCTION vm_pool_changed();
COMMENT ON TRIGGER vm_pool_changed ON vm_pool IS 'makes every backend look up anew whom a child serves';
ALTER TABLE vm_pool ENABLE ALWAYS TRIGGER vm_pool_changed;
CREATE TRIGGER vm_pool_changed AFTER INSERT OR DELETE OR UPDATE OF tenant, project, child ON vm_project_entity
    FOR EACH ROW EXECUTE FUNCTION vm_pool_changed();
COMMENT ON TRIGGER vm_pool_changed ON vm_project_entity IS 'makes every backend look up anew whom a child serves';
ALTER TABLE vm_project_entity ENABLE ALWAYS TRIGGER vm_pool_changed;

CREATE FUNCTION vm_create_pool(entity text, children integer) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_create_pool(text, integer) IS
'make children of an entity that serve one project after another; called again it adds to them

entity: the entity, see vm_parent
children: how many to make: <parent>_pool_1 and so on; some hundreds at a time, each is locks of one transaction
Returns: how many it made
Errors: 22023 not registered, or no positive number; 42501 the parent is not the caller''s; 55P03 it cannot be locked';

CREATE FUNCTION vm_drop_pool(entity text) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_drop_pool(text) IS
'drop the children of an entity''s pool that serve no project

entity: the entity, see vm_parent
Returns: how many were dropped; a NOTICE says how many still serve a project
Errors: 22023 not registered; 55000 one has rows; 42501 one is not the caller''s; 55P03 one cannot be locked';

--
-- src/pg/project/prepare.cpp
--

CREATE FUNCTION vm_prepare(tenant text, project text, OUT entity text, OUT child regclass)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C ROWS 5;
COMMENT ON FUNCTION vm_prepare(text, text) IS
'give a project a child of every registered parent for its feed to write to: made, taken from a pool, or there already

tenant: tenant
project: project
entity: the entity, in move order
child: its child; NULL where the entity is finished
Errors: 22023 no such project, no parent registered; 42P01 a parent is gone; 42501 not the caller''s; 42P07 a table
 stands in the way; 55000 no child of the pool is free, or one has not its parent''s columns; 55P03 a table cannot be
 locked. Nothing is left behind then';

--
-- src/pg/project/finish.cpp
--

CREATE FUNCTION vm_finish(tenant text, project text, OUT entity text, OUT child text, OUT found text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C ROWS 5;
COMMENT ON FUNCTION vm_finish(text, text) IS
'drop a project''s children, or give them back to their pools; refuses if anything is left in them

tenant: tenant
project: project
entity: an entity that is finished now, in move order
child: name of its child
found: what became of the child
Errors: 22023 no such project; 55000 a step is missing, or rows, quarantine, anomalies or moves are left; 42501 a child
 is not the caller''s; 55P03 it cannot be locked; 55006 an older snapshot still sees rows of it; 2BP01 something depends
 on it. Nothing is changed then';

--
-- src/pg/switch/flag.cpp
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
'whether applications are to use PostgreSQL; within a transaction always the same answer

tenant: tenant
project: project
entity: entity, see vm_parent
Returns: true once it is switched over; false for what is unknown, NULL for NULL';

--
-- src/pg/switch/switch.cpp
--

CREATE FUNCTION vm_switch(tenant text, project text, entity text DEFAULT NULL, override_reason text DEFAULT NULL,
    quiet_seconds numeric DEFAULT 5, last_document text DEFAULT NULL, max_wait interval DEFAULT '10 minutes',
    lock_timeout_ms integer DEFAULT 200,
    OUT entity text, OUT child regclass, OUT rows_staged bigint, OUT warnings bigint, OUT waited interval,
    OUT switched_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C ROWS 5;
COMMENT ON FUNCTION vm_switch(text, text, text, text, numeric, text, interval, integer) IS
'let the feed drain, check, and switch a project''s applications to PostgreSQL, or change nothing and say why

Commit at once: until then the feed, and updates through the parent, wait. LISTEN voucher_migrate hears of it.
tenant: tenant
project: project
entity: the entity to switch, and the one a row is about; NULL: all of the project''s, together
override_reason: why to switch against what is found; goes to vm_history. NULL: what is found stops it
quiet_seconds: how long the feed must not have written
last_document: an _id whose document must have come; NULL: none
max_wait: how long to wait in all for feed and locks
lock_timeout_ms: how long one try for the lock may hold others up, in milliseconds
child: its child table
rows_staged: rows in the child
warnings: checks of severity warning that found something
waited: how long it waited
switched_at: when
Errors: 55000 what stands in the way; 55P03 another session is at work on the project; 22023 arguments; 0A000 outside
 READ COMMITTED. Nothing is changed then';

--
-- src/pg/switch/switch_back.cpp
--

CREATE FUNCTION vm_switch_back(tenant text, project text, entity text DEFAULT NULL, reason text DEFAULT NULL,
    count_written boolean DEFAULT true, lock_timeout_ms integer DEFAULT 1000,
    OUT entity text, OUT written_since bigint, OUT switched_at timestamptz, OUT switched_back_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C ROWS 5;
COMMENT ON FUNCTION vm_switch_back(text, text, text, text, boolean, integer) IS
'switch a project''s applications back to MongoDB; what they wrote to PostgreSQL meanwhile stays there only

Movers of its children stop, if they may not move before the switch; paused ones too. Once rows have moved since the
 switch, or the feed was stopped, a WARNING says that the feed has to begin anew, and the next switch comes after that.
 What was finished begins anew with vm_prepare.
tenant: tenant
project: project
entity: the entity, and the one a row is about; NULL: all of the project''s
reason: why; goes to vm_history
count_written: count what was written since the switch; it may take a while
lock_timeout_ms: how long to wait for another session that is at work on the project, in milliseconds; and for a batch
 of a move at hand, whose rows count as moved if it takes longer
written_since: rows written to PostgreSQL since the switch, by the watermark; NULL: not counted
switched_at: when it had been switched
switched_back_at: when it was switched back
Errors: 22004 no reason; 22023 no such project or entity; 55P03 another session is at work on it; 0A000 outside READ
 COMMITTED';

--
-- src/pg/project/preflight.cpp
--

CREATE FUNCTION vm_preflight(parent regclass,
    OUT severity text, OUT topic text, OUT problem text, OUT statement text) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_preflight(regclass) IS
'what stands in the way of a migration into a table, errors first; nothing is written

parent: the table that the application uses; registered with vm_register_parent it is asked more
severity: error, warning or info
topic: what it is about
problem: what was found
statement: the statement that mends it; NULL: none does, or it would end or drop what others may need: then problem has it';

--
-- src/pg/feed/feed_task.cpp
--

CREATE FUNCTION vm_feed_task(tenant text, project text, format text DEFAULT 'dms', entity text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE;
COMMENT ON FUNCTION vm_feed_task(text, text, text, text) IS
'what a feed has to be told: a configuration to copy

tenant: tenant; NULL: all
project: project of the tenant; NULL: all that are prepared and not finished
format: dms (table mappings), dms-settings, dms-source, dms-target, debezium or mongoexport
entity: one entity only; NULL: all
Returns: JSON, properties, or command lines
Errors: 22023 an unknown format, project or entity, no source database, one collection for two children; 55000 a
 project that is named is not prepared, or none is; 0A000, 54000 what the feed cannot do';

--
-- Rights: what writes is for those it is granted to.
--

REVOKE ALL ON FUNCTION vm_mapping_check() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_mapping_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_define_mapping(text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_drop_mapping(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_define_check(text, text, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_drop_check(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_define_reference(text, name, text, name, name, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_drop_reference(text, name) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_transform() FROM PUBLIC;
REVOKE ALL ON FUNCTION transform_voucher() FROM PUBLIC;
REVOKE ALL ON FUNCTION transform_campaign() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_resolve_anomaly(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_settle_quarantine(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_retry_quarantine(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_create_child(regclass, text, text, text, name) FROM PUBLIC;
REVOKE ALL ON PROCEDURE vm_move(regclass, text, text, text, integer, integer, integer, bigint, interval, text, interval,
    integer, bigint, boolean, name) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_move_whole(regclass, text, boolean, integer, name) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_pause_move(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_resume_move(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_stop_move(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) FROM PUBLIC;
REVOKE ALL ON PROCEDURE vm_migrate(text, integer, text, text, text, boolean, numeric, boolean, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_record_step(text, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_check_project(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_check_anomalies(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_next(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_register_parent(regclass, text, text, text, integer, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_unregister_parent(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_add_project(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_add_projects(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_remove_project(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_pool_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_create_pool(text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_drop_pool(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_prepare(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_finish(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_flag_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_switch(text, text, text, text, numeric, text, interval, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_switch_back(text, text, text, text, boolean, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_feed_task(text, text, text, text) FROM PUBLIC;
