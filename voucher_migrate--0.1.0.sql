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
    (child, (coalesce(_id, '')), kind, (md5(incoming_doc))) WHERE resolved_at IS NULL;
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
    operation text NOT NULL CHECK (operation IN ('INSERT', 'UPDATE')),
    sqlstate text NOT NULL,
    message text NOT NULL,
    field text,
    column_name text,
    attempts integer NOT NULL DEFAULT 1,
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    settled_by text
);
CREATE UNIQUE INDEX vm_quarantine_open ON vm_quarantine
    (child, (coalesce(_id, '')), (md5(_doc))) WHERE settled_at IS NULL;
COMMENT ON INDEX vm_quarantine_open IS 'a document that fails again is counted, not written again';
COMMENT ON TABLE vm_quarantine IS 'documents that could not be transformed';
COMMENT ON COLUMN vm_quarantine.quarantine_id IS 'number of the case';
COMMENT ON COLUMN vm_quarantine.child IS 'child table';
COMMENT ON COLUMN vm_quarantine.mapping IS 'its mapping';
COMMENT ON COLUMN vm_quarantine._id IS 'the document''s _id';
COMMENT ON COLUMN vm_quarantine._doc IS 'the document';
COMMENT ON COLUMN vm_quarantine.operation IS 'what the feed did; after an UPDATE the old version stands in the child';
COMMENT ON COLUMN vm_quarantine.sqlstate IS 'the error''s code';
COMMENT ON COLUMN vm_quarantine.message IS 'the error';
COMMENT ON COLUMN vm_quarantine.field IS 'path of the field at fault';
COMMENT ON COLUMN vm_quarantine.column_name IS 'column it was for';
COMMENT ON COLUMN vm_quarantine.attempts IS 'how often this document failed';
COMMENT ON COLUMN vm_quarantine.quarantined_at IS 'first failure';
COMMENT ON COLUMN vm_quarantine.last_attempt_at IS 'last failure';
COMMENT ON COLUMN vm_quarantine.settled_at IS 'when it was settled; NULL while it is open';
COMMENT ON COLUMN vm_quarantine.settled_by IS 'good document: a later version was fine; retry: it went in on a retry';
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

CREATE FUNCTION vm_create_child(parent regclass, mapping text, tenant text, project text,
    child name DEFAULT NULL) RETURNS regclass
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_create_child(regclass, text, text, text, name) IS
'make a child of a parent for a feed to write to: table, indexes, constraints, trigger, storage';

--
-- src/pg/move.cpp
--

CREATE FUNCTION vm_move_batch(child regclass, batch_size integer DEFAULT 10000, filter text DEFAULT NULL,
    OUT moved bigint, OUT inserted bigint, OUT updated bigint, OUT kept bigint)
AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vm_move_batch(regclass, integer, text) IS
'move up to batch_size rows from a child to its parent; newer wins, what loses stands in vm_anomaly';

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
-- Rights: what writes is for those it is granted to.
--

REVOKE ALL ON FUNCTION vm_mapping_check() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_mapping_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_define_mapping(text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_drop_mapping(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_transform() FROM PUBLIC;
REVOKE ALL ON FUNCTION transform_voucher() FROM PUBLIC;
REVOKE ALL ON FUNCTION transform_campaign() FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_resolve_anomaly(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_retry_quarantine(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_create_child(regclass, text, text, text, name) FROM PUBLIC;
REVOKE ALL ON FUNCTION vm_move_batch(regclass, integer, text) FROM PUBLIC;
