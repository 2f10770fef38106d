-- Rows are laid out as the server lays them out, whatever the columns: alignment, short headers, nulls, toast.
SET search_path = vm, public;
SET timezone = 'UTC';
\pset null '<NULL>'

SELECT vm_define_mapping('rows', '{"columns": {"kept_text": {"ignore": true}, "kept_toast": {"ignore": true}}}');
CREATE TABLE rows (
    a_bool boolean, gone integer, b_int8 bigint, c_char "char", d_int2 smallint, e_char "char", f_int4 integer, g_bool boolean,
    h_time timestamptz, i_uuid uuid, j_bool boolean, k_name name, l_point point, m_macaddr macaddr, n_text text,
    o_plain text, p_jsonb jsonb, q_numeric numeric, r_int2s smallint[], s_int8s bigint[], t_bools boolean[], u_dates date[],
    v_texts text[], w_bytea bytea, x_float4 real, y_date date, kept_text text, kept_toast text, z_domain information_schema.yes_or_no,
    _id text, _doc text
);
ALTER TABLE rows ALTER o_plain SET STORAGE plain;
ALTER TABLE rows ALTER kept_toast SET STORAGE external;
CREATE TRIGGER transform BEFORE INSERT OR UPDATE OF _doc ON rows FOR EACH ROW EXECUTE FUNCTION vm_transform('rows');

-- The server's own rows of the same values.
CREATE TABLE plain_rows (LIKE rows INCLUDING STORAGE);

CREATE TABLE documents (n serial, doc jsonb);
-- Each column alone and each left out: every alignment meets every other.
WITH every (doc) AS (VALUES (
    '{"a_bool": true, "b_int8": 1234567890123, "c_char": "c", "d_int2": -2, "e_char": "e", "f_int4": 70000, "g_bool": false,
      "h_time": "2019-12-06T16:07:44.999+00:00", "i_uuid": "5dea3850-7b0b-3a00-1234-567890abcdef", "j_bool": true, "k_name": "a name",
      "l_point": "(1,2)", "m_macaddr": "08:00:2b:01:02:03", "n_text": "text", "o_plain": "plain", "p_jsonb": {"a": [1, "b"]},
      "q_numeric": 12.50, "r_int2s": [1, -2, 3], "s_int8s": [1, 2, 9007199254740993], "t_bools": [true, false, true],
      "u_dates": ["2020-01-01", "1999-12-31"], "v_texts": ["x", null, "y"], "w_bytea": "\\x0102", "x_float4": 1.5,
      "y_date": "2020-02-29", "z_domain": "YES"}'::jsonb))
INSERT INTO documents (doc)
SELECT '{}' UNION ALL SELECT doc FROM every
UNION ALL SELECT jsonb_build_object(key, value) FROM every, jsonb_each(doc)
UNION ALL SELECT doc - key FROM every, jsonb_each(doc)
-- Texts around the ends of short headers and of what is copied in one go.
UNION ALL SELECT jsonb_build_object('a_bool', true, 'n_text', repeat('n', i), 'o_plain', repeat('o', i), 'f_int4', i,
                                    'w_bytea', '\x' || repeat('ab', i), 'p_jsonb', repeat('p', i), 'e_char', 'e')
          FROM unnest('{0,1,2,3,4,7,8,9,15,16,17,31,32,33,63,64,125,126,127,128,129,200,1500}'::integer[]) i
UNION ALL SELECT jsonb_build_object('s_int8s', (SELECT jsonb_agg(i) FROM generate_series(1, n) i), 'r_int2s', '[]'::jsonb)
          FROM unnest('{1,1023,1024,1025}'::integer[]) n
-- Toasted, and larger than what is laid out in one go.
UNION ALL SELECT jsonb_build_object('n_text', repeat('long ', i), 'p_jsonb', jsonb_build_object('a', repeat('jsonb ', i)))
          FROM unnest('{500,3000,20000}'::integer[]) i;
INSERT INTO rows (_id, _doc, kept_text, kept_toast)
SELECT n, doc::text, repeat('k', n), CASE WHEN n % 3 = 0 THEN repeat('t', 40 * n) END FROM documents;
-- A column that is gone, and one that old rows do not hold.
ALTER TABLE rows DROP gone;
ALTER TABLE rows ADD late integer DEFAULT 7;
ALTER TABLE plain_rows DROP gone;
ALTER TABLE plain_rows ADD late integer DEFAULT 7;
INSERT INTO rows (_id, _doc, kept_text, kept_toast)
SELECT _id || '+', _doc, kept_text, kept_toast FROM rows;
UPDATE rows SET _doc = _doc || ' ' WHERE _id LIKE '%+';

INSERT INTO plain_rows SELECT * FROM rows;
SELECT count(*) FROM rows;
WITH ours AS MATERIALIZED (SELECT _id, pg_column_size(r) AS size, md5(r::text) AS hash FROM rows r),
     servers AS MATERIALIZED (SELECT _id, pg_column_size(p) AS size, md5(p::text) AS hash FROM plain_rows p)
SELECT o._id, o.size, s.size AS server_size FROM ours o JOIN servers s USING (_id)
WHERE o.hash <> s.hash OR (_id LIKE '%+' AND o.size <> s.size AND o.size < 2000)  -- larger ones are toasted
ORDER BY _id COLLATE "C";
-- And they are what the documents say.
SELECT count(*) FROM rows r JOIN documents d ON d.n::text = rtrim(r._id, '+')
WHERE (jsonb_strip_nulls(to_jsonb(r)) - '{_id,_doc,kept_text,kept_toast,late}'::text[])
      IS DISTINCT FROM jsonb_strip_nulls(to_jsonb(jsonb_populate_record(NULL::rows, d.doc)));

DROP TABLE rows, plain_rows, documents;
SELECT vm_drop_mapping('rows');
