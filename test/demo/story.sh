# Sourced by run: the winter project of acme comes to where the spring project of globex lives.
# shellcheck shell=bash
# shellcheck disable=SC2154  # VM_TMP and the colours are run's
child=vouchers_acme_winter

run_file mongo.sql
read -r vouchers campaigns live rehearsed < <(ask "SELECT (SELECT count(*) FROM mongo.vouchers), count(*),
    (SELECT count(*) FROM vouchers WHERE tenant_id = 'globex'), (SELECT count(*) FROM vouchers WHERE tenant_id = 'acme')
    FROM mongo.campaigns")

title 'Before: production, and another project lives in it'
say "The tables vouchers and campaigns serve globex, whose $live vouchers are in use. acme has $vouchers vouchers and" \
    "$campaigns campaigns in MongoDB; a rehearsal left $rehearsed of its vouchers here."
show <<'SQL'
SELECT tenant_id, project_id, count(*), max(updated_at) AS last_change FROM vouchers GROUP BY 1, 2 ORDER BY 2;
SQL

title 'A mapping, and a child of each table'
say 'Rules name only the exceptions: every other column takes the field of its name, or that name in camelCase.'
run_sql <<'SQL'
SELECT vm_define_mapping('voucher', '{
  "columns": {
    "tenant_id":  {"default": {"arg": 1}},
    "project_id": {"default": {"arg": 2}},
    "redeemed":   {"from": "redemption.redeemed_quantity", "default": 0},
    "deleted":    {"default": false},
    "publish":    {"default": {}, "floor": {"count": 0}},
    "created_at": {"from": "_id", "as": "objectid_time"},
    "deleted_at": {"from": ["deletedAt", "deleted_at"]}
  },
  "watermark": ["updated_at", "deleted_at"],
  "on_error":  "quarantine"
}');
SQL
say 'The mapping of campaigns is the one that comes with the extension. A child inherits its parent and has _id and' \
    '_doc beside its columns.'
show <<'SQL'
SELECT vm_create_child('vouchers', 'voucher', 'acme', 'winter') AS vouchers,
       vm_create_child('campaigns', 'campaign', 'acme', 'winter') AS campaigns;
SQL
show <<'SQL'
SELECT column_name, source, replace(conversion, 'timestamp with time zone', 'timestamptz') AS conversion,
       fallback
FROM vm_explain_mapping('voucher', 'vouchers_acme_winter') WHERE column_name NOT IN ('_id', '_doc');
SQL
run_file reckoning.sql

title 'A document tried on: nothing is written'
say 'Some documents are dirty. What would become of this one? What is wrong is told per column:'
show <<'SQL'
SELECT column_name, value, problem FROM vm_preview('voucher', 'vouchers_acme_winter', '{
    "_id": {"$oid": "651a7ae38f3a1c55d2000001"}, "id": "v_c0139bcd17d4", "code": "C7CD-00001",
    "campaignId": "camp_2", "redemption": {"redeemed_quantity": "many"},
    "publish": {"count": "1.00001"}, "discount": null, "deleted": "maybe",
    "validity_day_of_week": [1, {"$numberInt": "2"}, "3"],
    "updated_at": {"$date": "2023-10-02T11:32:23.001+0200"}}', 'acme', 'winter');
SQL

title 'The full load'
say 'The feed copies _id and _doc, as they are, into the children. A trigger makes the columns.'
ask "COPY (SELECT * FROM mongo.full_load) TO STDOUT" >vouchers.copy
ask "COPY (SELECT _id, _doc FROM mongo.campaigns) TO STDOUT" >campaigns.copy
show <<'SQL'
\copy vouchers_acme_winter (_id, _doc) FROM 'vouchers.copy'
\copy campaigns_acme_winter (_id, _doc) FROM 'campaigns.copy'
SQL
say "Of $(wc -l <vouchers.copy) vouchers $(ask "SELECT count(*) FROM vm_quarantine") could not be read and the feed went" \
    "on. Every form of a date is right to the millisecond, and 1.00001 is the 1 it was meant to be:"
show <<'SQL'
SELECT _doc::jsonb -> 'updated_at' AS "updated_at in _doc", updated_at,
       _doc::jsonb #>> '{publish,count}' AS "count in _doc", publish -> 'count' AS count
FROM vouchers_acme_winter WHERE _doc LIKE '%.00001"%' ORDER BY _id LIMIT 8;
SQL

say 'What could not be read, and why:'
show <<'SQL'
SELECT sqlstate, field, message FROM vm_quarantine ORDER BY quarantine_id;
SQL
say "The application sees the new project through the parent at once; $(ask "SELECT count(*) FROM $child WHERE _doc IS NULL")" \
    'vouchers came without their document, which follows by UPDATE.'
show <<'SQL'
SELECT tenant_id, project_id, tableoid::regclass AS in_table, count(*),
       count(*) FILTER (WHERE deleted) AS deleted
FROM vouchers WHERE tenant_id IN ('acme', 'globex') GROUP BY 1, 2, 3 ORDER BY 1, 3;
SQL

# One session of the application: redeems vouchers of both projects and creates new ones, each write a transaction. What
# the server told it is written goes to application.log.
application() {
    local n=0 ids
    mapfile -t ids < <(ask "SELECT id FROM mongo.vouchers WHERE n % 3 = 0 AND n > 40 AND NOT deleted ORDER BY md5(id)")
    while [[ ! -e application.stop ]]; do
        n=$((n + 1))
        case $((n % 10)) in
            0) echo "INSERT INTO vouchers (tenant_id, project_id, id, code, publish, created_at, updated_at)
                     VALUES ('acme', 'winter', 'v_new$n', 'NEW-$n', '{\"count\": 0}', now(), now())
                     RETURNING 'created', id;" ;;
            3 | 7) echo "UPDATE vouchers SET redeemed = redeemed + 1, updated_at = now()
                     WHERE (tenant_id, project_id, id) = ('globex', 'spring', 'v_s$((n % 500 + 1))')
                     RETURNING 'redeemed, other project', id;" ;;
            *) echo "UPDATE vouchers SET redeemed = redeemed + 1, updated_at = now()
                     WHERE (tenant_id, project_id, id) = ('acme', 'winter', '${ids[n % ${#ids[@]}]}')
                     RETURNING 'redeemed', id;" ;;
        esac
        ((n % 4)) || sleep 0.01
    done | psql -XqAt -F $'\t' >application.log 2>application.err
}
told() { wc -l <application.log; }

title 'Changes, while the application writes'
application &
application_pid=$!
ask "SELECT mongo.add_vouchers(4001, 4060);
     UPDATE mongo.vouchers SET updated_at = updated_at + interval '1 day',
        discount = '{\"type\": \"AMOUNT\", \"amount_off\": 1000}' WHERE n % 5 = 0 AND dirt IS NULL AND n <= 4000" >/dev/null
ask "SELECT CASE WHEN n % 10 = 5 AND n <= 4000 OR n = 606
        THEN format('UPDATE vouchers_acme_winter SET _doc = %L WHERE _id = %L;', _doc, _id)
        ELSE format('INSERT INTO vouchers_acme_winter (_id, _doc) VALUES (%L, %L) ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;', _id, _doc) END
     FROM mongo.vouchers WHERE n % 5 = 0 AND dirt IS NULL OR n > 4000 OR n IN (606, 607) ORDER BY updated_at" >changes.sql
for ((i = 0; i < 100 && $(told) < 200; i++)); do sleep 0.1; done
psql -Xq -v ON_ERROR_STOP=1 -f changes.sql >changes.log 2>&1 || { cat changes.log; die "the feed failed"; }
say "The application redeems and creates vouchers through the parent; it has been told of $(told) writes so far." \
    "Meanwhile $(wc -l <changes.sql) changes came from MongoDB, like these:"
type_sql "$(grep -m 1 '^UPDATE' changes.sql | cut -c 1-95) …"
type_sql "$(grep -m 1 '^INSERT' changes.sql | cut -c 1-95) …"
echo
say "$(grep -c 'ANOMALY DETECTED' changes.log) of them were older than what the application had written by then. They" \
    'were not taken, each with a WARNING and a row in vm_anomaly:'
show <<'SQL'
SELECT kind, count(*) AS anomalies, sum(times_seen) AS seen, max(incoming_time) AS last_incoming,
       min(stored_time) AS first_stored
FROM vm_anomaly GROUP BY kind;
SQL
say 'A feed that starts over sends an old version again. By hand:'
late=$(ask "SELECT _id FROM mongo.vouchers WHERE n = 808")
show <<SQL
UPDATE vouchers_acme_winter
SET _doc = jsonb_set(_doc::jsonb, '{updated_at}', '{"\$date": "2023-09-30T10:00:00Z"}')::text
WHERE _id = '$late';
SQL
show <<SQL
SELECT _id, kind, incoming_time, stored_time FROM vm_anomaly WHERE _id = '$late';
SQL

title 'The quarantine, mended'
say 'An old release named the id voucher_id. The mapping learns that, and the documents are tried again:'
run_sql <<'SQL'
SELECT vm_define_mapping('voucher', jsonb_set(rules, '{columns,id}', '{"from": ["id", "voucher_id"]}'))
FROM vm_mapping WHERE mapping = 'voucher' AND NOT shipped;
SQL
show <<'SQL'
SELECT * FROM vm_retry_quarantine('vouchers_acme_winter');
SQL
say 'The one that is "maybe" deleted is corrected in MongoDB, the one cut off on its way is sent again. Good documents' \
    'settle their cases:'
ask "UPDATE mongo.vouchers SET dirt = NULL, updated_at = updated_at + interval '1 day' WHERE n = 101" >/dev/null
ask "SELECT format('INSERT INTO vouchers_acme_winter (_id, _doc) VALUES (%L, %L) ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;', _id, _doc)
     FROM mongo.vouchers WHERE n IN (101, 202) ORDER BY n" >mended.sql
psql -Xq -v ON_ERROR_STOP=1 -f mended.sql
show <<'SQL'
SELECT _id, sqlstate, field, attempts, coalesce(settled_by, 'open') AS settled_by FROM vm_quarantine
ORDER BY quarantine_id;
SQL

title 'The move, while the application writes'
say 'What is deleted goes first, for nobody changes it any more; then the rest, here slowly. Rows are claimed batch by' \
    'batch while the application writes; of two versions the newer wins.'
show <<SQL
CALL vm_move('$child', 'deleted');
CALL vm_move('$child', max_rows_per_second => 1500);
CALL vm_move('campaigns_acme_winter');
SQL
show <<'SQL'
SELECT child, state, inserted, updated, kept, busy, quarantined, batches, wal, path FROM vm_progress
ORDER BY move_id;
SQL
sleep 0.5
touch application.stop
wait "$application_pid" || { cat application.err; die "the application failed"; }
psql -Xq -v ON_ERROR_STOP=1 -c '\copy mongo.acknowledged FROM application.log'
say 'Kept are rows that the parent has in a newer version: those of the rehearsal that were changed here afterwards.' \
    'Nothing is dropped without a trace; someone decides:'
run_sql <<'SQL'
SELECT vm_resolve_anomaly(anomaly_id, 'ours is right, #4711') FROM vm_anomaly WHERE kind = 'move_conflict';
SQL
show <<'SQL'
SELECT _id, incoming_time, stored_time, resolution FROM vm_anomaly WHERE kind = 'move_conflict' ORDER BY _id;
SQL

title 'Nothing was lost'
say "Every document of MongoDB, found by its key and compared column by column, or in quarantine, or lost. The application" \
    "was told of $(told) writes$( [[ ! -s application.err ]] || echo " and of $(grep -c '^ERROR' application.err) errors (40001: a row moved" \
    "under its hands; an application tries again)"); each is" \
    'looked for on its row.'
for view in documents writes rows; do show <<<"SELECT * FROM ${view}_accounted;"; done
verdict=$(ask "SELECT (SELECT sum(lost) FROM documents_accounted), (SELECT sum(lost) FROM writes_accounted),
    (SELECT abs(unexplained) FROM rows_accounted), (SELECT count(*) FROM (TABLE mongo.before EXCEPT SELECT * FROM ONLY vouchers) x
        WHERE tenant_id = 'globex' AND id NOT IN (SELECT id FROM mongo.acknowledged)), (SELECT count(*) > 0 FROM mongo.found)")
[[ $verdict == '0 0 0 0 t' ]] || die "Something was lost: $verdict"
say "${bold}The columns add up: no document and no write was lost.$plain What is in quarantine waits for its mending."
