# Sourced by run: an export of documents takes the whole way, and every field of every document is looked for.
# shellcheck shell=bash
# shellcheck disable=SC2154  # docs, bold and plain are run's
file=$(basename "$docs")
name=$(tr -cs '[:alnum:]' '_' <<<"${file%%.*}" | tr '[:upper:]' '[:lower:]' | sed 's/_*$//; s/^[0-9]/t&/')
name=${name:-things}
child=${name}_demo_import
link=${file//\'/_}
# By its own name, so that what is shown is what is run; empty lines are no documents.
if grep -q '^[[:space:]]*$' "$docs"; then
    grep -v '^[[:space:]]*$' "$docs" >"$link"
else
    ln -s "$docs" "$link"
fi
[[ -z $(ask "SELECT to_regclass('$name')") ]] || name+=_1 child=${name}_demo_import

run_file compare.sql

title "The documents of $file, as they are"
say 'One line is one document: no character may quote or separate, and no backslash be eaten.'
show <<SQL
\copy documents FROM '$link' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SQL
show <<'SQL'
SELECT count(*) AS documents, pg_size_pretty(sum(octet_length(_doc))) AS size, max(octet_length(_doc)) AS largest
FROM documents;
SQL

title 'What is in them'
show <<'SQL'
SELECT path, types, documents, nulls, distinct_values AS "distinct", left(smallest, 16) AS smallest,
       left(largest, 16) AS largest
FROM vm_profile('documents');
SQL

title 'A table and a mapping, proposed'
type_sql "SELECT vm_propose('documents', '$name') \\g (format=unaligned tuples_only) $name.sql"
echo
PGOPTIONS='-c client_min_messages=error' ask "SELECT vm_propose('documents', '$name')" >"$name.sql"
indent <"$name.sql"
say 'To be read and amended; here it is run as it is.'
type_sql "\\i $name.sql"
psql -Xq -v ON_ERROR_STOP=1 -f "$name.sql" >/dev/null
echo
show <<SQL
SELECT vm_create_child('$name', '$name', 'demo', 'import') AS child;
SQL
child=$(ask "SELECT format('%I', relname) FROM pg_class JOIN pg_inherits ON inhrelid = oid WHERE inhparent = '$name'::regclass")

title 'The feed'
say "The same documents, now into the child; a trigger makes the columns. $( \
    [[ $(ask "SELECT count(*) FROM documents WHERE _doc ~ '\"_id\"'") != 0 ]] || echo 'The documents have no _id, and need none.')"
show <<SQL
\copy $child (_doc) FROM '$link' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SQL
ask "SELECT demo.remember('$name', '$child')" >/dev/null
sample=$(ask "SELECT max(doc) FROM demo.keys")

if [[ -n $(ask "SELECT demo.key_of('$name')") ]]; then
    title 'The move'
    show <<<"CALL vm_move('$child');"
else
    say 'Nothing says which rows of parent and child are the same, as no key was proposed: the rows stay in the child.'
fi
ask "SELECT demo.look('$name', '$child'), demo.compare('$name', '$child')" >/dev/null

title 'The result'
if [[ -n $sample ]]; then
    say 'One document, and the row it became:'
    ask "SELECT left(_doc, 1000) || CASE WHEN length(_doc) > 1000 THEN ' …' ELSE '' END FROM documents
         WHERE md5(_doc) = '$sample' LIMIT 1" | fold -w 106 | indent
    echo
    psql -X -P null=∅ -P format=wrapped -P columns=110 -P linestyle=unicode -x -c "
        SELECT r.* FROM demo.keys k JOIN demo.rows d USING (key), jsonb_populate_record(NULL::$name, d.row) r
        WHERE k.doc = '$sample' LIMIT 1" | sed 1d | indent
fi
show <<'SQL'
SELECT * FROM documents_accounted;
SQL
show <<'SQL'
SELECT (SELECT count(*) FROM vm_anomaly) AS anomalies, (SELECT count(*) FROM vm_quarantine) AS quarantined;
SQL
if [[ $(ask 'SELECT count(*) FROM vm_quarantine') != 0 ]]; then
    show <<'SQL'
SELECT count(*), sqlstate, field, min(left(message, 70)) AS message FROM vm_quarantine
GROUP BY sqlstate, field ORDER BY count(*) DESC, field LIMIT 20;
SQL
fi
if [[ $(ask 'SELECT count(*) FROM vm_anomaly') != 0 ]]; then
    show <<'SQL'
SELECT kind, left(_id, 30) AS _id, incoming_time, stored_time FROM vm_anomaly ORDER BY anomaly_id LIMIT 20;
SQL
fi

title 'Every field of every document'
say 'Read from the documents by SQL alone, and compared with what is in the row now:'
show <<'SQL'
SELECT * FROM fields_accounted;
SQL
read -r fields differ <<<"$(ask "SELECT count(*), count(*) FILTER (WHERE NOT arrived) FROM demo.fields")"
if ((differ > 0)); then
    say "Of $fields fields $differ did not arrive:"
    show <<'SQL'
SELECT count(*), field, type, left(min(reason), 60) AS reason, left(min(sent::text), 24) AS "such as",
       left(min(found::text), 24) AS found
FROM demo.fields WHERE NOT arrived GROUP BY field, type, left(reason, 12) ORDER BY count(*) DESC, field LIMIT 30;
SQL
fi
read -r lost differs unread <<<"$(ask "SELECT (SELECT lost FROM documents_accounted), (SELECT sum(differs) FROM fields_accounted),
    (SELECT count(*) FROM demo.landed WHERE document IS NULL)")"
((unread == 0)) || say "$unread of the lines are no document: they are in quarantine and have no fields to look for."
[[ $lost == 0 && ${differs:-0} == 0 ]] || die "$lost documents were lost, ${differs:-0} fields are not what they were"
if ((differ == 0 && unread == 0)); then
    say "${bold}All $fields fields of all documents arrived, each with its type.$plain"
else
    say "${bold}Nothing was lost: what did not arrive waits in quarantine, with its reason.$plain"
fi
