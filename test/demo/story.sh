# Sourced by run: three projects of acme come to where the spring project of globex lives.
# shellcheck shell=bash
# shellcheck disable=SC2154  # VM_TMP and the colours are run's
run_file mongo.sql
run_file app.sql

# As the feed, whose warnings go to a log of its own.
feed() {
    PGAPPNAME=feed psql -Xq -v ON_ERROR_STOP=1 -c "$1" >>feed.log 2>&1 || { cat feed.log; die 'the feed failed'; }
}

# A session of the application: each write is a transaction, and it rests now and then. What the server said is written goes
# to application.log. A deleted voucher is not redeemed, and v_777 is for later.
application() {
    local n=0 voucher
    while [[ -d $VM_TMP && ! -e application.stop ]]; do
        n=$((n + 1)) voucher=$((n * 7 % 2900 + 1))
        if ((n % 10 == 0)); then
            echo "SELECT 'issued', issue($((100000 + n))), 'v_$((100000 + n))';"
        elif ((voucher % 29 && voucher != 777)); then
            echo "SELECT 'redeemed', redeem('v_$voucher'), 'v_$voucher';"
        fi
        ((n % 4)) || sleep 0.01
        ((n % 150)) || sleep 0.7
    done | psql -XqAt -F $'\t' -v ON_ERROR_STOP=1 >application.log 2>application.err
}
told() { wc -l <application.log; }
await_writes() {
    local i goal=$(($(told) + $1))
    for ((i = 0; i < 100 && $(told) < goal; i++)); do sleep 0.1; done
}

await() {
    local i
    for ((i = 0; i < 100; i++)); do
        [[ $(ask "$1") != t ]] || return 0
        sleep 0.1
    done
    die "in vain: $1"
}

title 'Production, and three projects to come'
say "globex lives in the tables vouchers and campaigns. $(ask 'SELECT count(*) FROM mongo.vouchers') vouchers of acme are in" \
    'MongoDB: the project winter is at rest, outlet is dirty, summer is busy.'
show <<'SQL'
SELECT vm_register_parent('vouchers', 'voucher', source_database => 'shop') AS first,
       vm_register_parent('campaigns', 'campaign', source_database => 'shop') AS second,
       vm_add_projects('SELECT tenant, project FROM mongo.projects') AS projects;
SQL
show <<'SQL'
SELECT problem FROM vm_preflight('vouchers') WHERE topic = 'mapping' AND statement <> '';
SQL
say 'The statement that mends it stands beside it. Now each project gets a child of each table, and the feed its orders:'
unseen <<'SQL'
SELECT statement FROM vm_preflight('vouchers') WHERE topic = 'mapping' AND statement <> '' \gexec
SELECT statement FROM vm_preflight('campaigns') WHERE topic = 'mapping' AND statement <> '' \gexec
SQL
show <<'SQL'
SELECT project, string_agg(child::text, ', ') AS children
FROM vm_project, vm_prepare(tenant, project) GROUP BY project;
SQL
type_sql "SELECT vm_feed_task('acme', NULL);"
ask "SELECT vm_feed_task('acme', NULL)" | sed -n 's/^ *\(.\{103\}\).*/ \1 …/; 2,3p' | indent
echo
feed 'SELECT mongo.copy_all()'

title 'winter, at rest, and outlet, dirty: one CALL'
show <<'SQL'
CALL vm_migrate($$project <> 'summer'$$, source_checked => 'clean', feed_stopped => 'yes', finish => true);
SQL
show <<'SQL'
SELECT step, why_not_yet FROM vm_next('acme', 'outlet');
SQL
show <<'SQL'
SELECT field, count(*), min(message) AS message FROM vm_quarantine GROUP BY field;
SQL
say 'Nothing goes on over an error. An old release wrote voucher_code: the mapping learns that. What else is dirty is mended' \
    'in MongoDB, and the feed brings it.'
run_sql <<'SQL'
SELECT vm_define_mapping('voucher', jsonb_set(rules, '{columns,code}', '{"from": ["code", "voucher_code"]}'))
FROM vm_mapping WHERE mapping = 'voucher' AND NOT shipped;
SQL
show <<'SQL'
SELECT * FROM vm_retry_quarantine('vouchers_acme_outlet');
SQL
ask "UPDATE mongo.vouchers SET dirt = NULL, updated_at = updated_at + interval '1 day' WHERE dirt <> 'code'"
feed 'SELECT mongo.replicate()'
show <<'SQL'
CALL vm_migrate($$project <> 'summer'$$, source_checked => 'clean', feed_stopped => 'yes', finish => true);
SQL

title 'summer, busy: the application goes on'
run_sql <<'SQL'
CREATE FUNCTION redeem(voucher text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF NOT vm_is_switched('acme', 'summer', 'voucher') THEN
        CALL mongo.redeem('summer', voucher);
        RETURN 'MongoDB';
    END IF;
    UPDATE vouchers SET redeemed = redeemed + 1, updated_at = clock_timestamp()
    WHERE (tenant_id, project_id, id) = ('acme', 'summer', voucher);
    RETURN 'PostgreSQL';
EXCEPTION WHEN serialization_failure THEN  -- the row was just moved: once more
    RETURN redeem(voucher);
END $$;
SQL
touch application.log
application &
application_pid=$!
feed 'CALL mongo.feed()' &
feed_pid=$!
await_writes 200
unseen <<<"SELECT vm_record_step('acme', 'summer', 'source_check', 'clean');"
findings=$(ask "SELECT count(*) FROM vm_check_project('acme', 'summer')")
say "$(told) writes were acknowledged so far, all by MongoDB, from where the feed brings them; the check has $findings findings. Closed" \
    'rows move first. The switch waits for the feed to drain, checks again and flips the flag, or says why not.'
ask "SELECT redeem('v_777')" >late.log
show <<'SQL'
CALL vm_move('vouchers_acme_summer', filter => 'deleted');
SQL
show <<'SQL'
SELECT entity, rows_staged, warnings, waited FROM vm_switch('acme', 'summer', quiet_seconds => 0.4);
SQL
await_writes 100
ask "SELECT redeem('v_777')" >>late.log
unseen <<<'UPDATE mongo.oplog SET held = false'
await 'SELECT count(*) > 0 FROM vm_anomaly'
say 'From then on PostgreSQL is written to. One document was held up on its way and comes only now:'
show <<'SQL'
SELECT kind, incoming_time, stored_time, incoming -> 'redeemed' AS incoming, stored -> 'redeemed' AS stored
FROM vm_anomaly;
SQL
show <<'SQL'
SELECT project, entity, step, next_step, moved, anomalies FROM vm_status WHERE project = 'summer';
SQL
say 'Both sides have counted to the same number, neither knew of the other. Someone decides, then all the rows move under the' \
    "application's hands."
run_sql <<'SQL'
UPDATE vouchers SET redeemed = redeemed + 1 WHERE (tenant_id, project_id, id) = ('acme', 'summer', 'v_777');
SELECT vm_resolve_anomaly(anomaly_id, 'redeemed on both sides, added by hand') FROM vm_anomaly;
SELECT * FROM vm_check_anomalies('acme', 'summer');
SQL
show <<'SQL'
CALL vm_move('vouchers_acme_summer', max_rows_per_second => 1500);
SQL
unseen <<<"CALL vm_move('campaigns_acme_summer', quiet => true);"
touch application.stop
wait "$application_pid" || { cat application.err; die 'the application failed'; }
unseen <<<'INSERT INTO mongo.stopped DEFAULT VALUES'
wait "$feed_pid" || die 'the feed failed'
unseen <<<"SELECT vm_record_step('acme', 'summer', 'feed_stop');"
show <<'SQL'
SELECT * FROM vm_finish('acme', 'summer');
SQL

sed 's/^/redeemed\t/; s/$/\tv_777/' late.log >>application.log
unseen <<<'\copy mongo.acknowledged FROM application.log'
run_file reckoning.sql
read -r to_mongo to_postgres <<<"$(ask "SELECT count(*) FILTER (WHERE place = 'MongoDB'), count(*) FILTER (WHERE place = 'PostgreSQL') FROM mongo.acknowledged")"
title 'Nothing was lost'
say "Every document by its key, every value of it; every write the application was told of, $to_mongo to MongoDB and $to_postgres" \
    'to PostgreSQL, on its row:'
show <<'SQL'
SELECT * FROM reckoning;
SQL
show <<'SQL'
SELECT * FROM left_over;
SQL
verdict="SELECT sum(lost), (SELECT \"rows nobody wrote\" + children + quarantine + anomalies FROM left_over) FROM reckoning"
[[ $(ask "$verdict") == '0 0' ]] || die "Something was lost: $(ask "$verdict")"
((to_mongo > 0 && to_postgres > 0)) || die 'The application was not busy on both sides of the switch'
# A reckoning that cannot fail says nothing: without one row it must.
broken=$(ask "BEGIN; DELETE FROM vouchers WHERE ctid = (SELECT min(ctid) FROM ONLY vouchers WHERE project_id = 'summer'); $verdict; ROLLBACK")
[[ $broken != '0 0' ]] || die 'The reckoning does not notice that a row is missing'
say "${bold}The columns add up: no document and no write was lost.$plain"
