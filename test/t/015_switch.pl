# vm_switch and those around it: who listens, a feed that comes to rest, a wait that is ended from outside, locks that others
# hold, autovacuum; standbys and subscribers that read the flag.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use MoveTest;
use VmTest;

my $node = new_cluster('primary', allows_streaming => 'logical', conf => "autovacuum_naptime = 1\nmax_prepared_transactions = 2\n");
create_shop($node);
$node->safe_psql('postgres', <<SQL);
SELECT vm_create_child('shop', 'shop', 'T', 'Q', 'other');
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_collection) VALUES ('shop', 'shop', 'shop', 1, 'shop');
INSERT INTO vm_project (tenant, project) VALUES ('T', 'P'), ('T', 'Q');
INSERT INTO vm_project_entity (tenant, project, entity, child, source_check_at, prepare_at, feed_start_at)
VALUES ('T', 'P', 'shop', 'feed', now(), now(), now()), ('T', 'Q', 'shop', 'other', now(), now(), now());
SQL
fill($node, 1, 100);
my $state = q{SELECT (SELECT count(*) FROM vm_flag WHERE switched), (SELECT count(*) FROM vm_history), (SELECT count(switch_at) FROM vm_project_entity)};

sub switch_of { return "SELECT entity, rows_staged FROM vm_switch('T', 'P', $_[0])"; }

sub unswitch
{
	$node->safe_psql('postgres', 'DELETE FROM vm_flag; DELETE FROM vm_history; UPDATE vm_project_entity SET switch_at = NULL');
	return;
}

sub nothing_changed
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($node->safe_psql('postgres', $state), '0|0|0', $name);
}

# A feed that writes every 0.2 s for three seconds; who switches waits until it has rested, who listens is told.
my $listener = begin_session($node, 'LISTEN voucher_migrate',
	q{DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM vm_flag) LOOP PERFORM pg_sleep(0.05); END LOOP; END $$},
	'SELECT pg_sleep(0.5)', q{SELECT 'end'});
my $feed = begin_session($node, <<'SQL');
DO $$
BEGIN
    FOR i IN 1..15 LOOP
        INSERT INTO feed (_id, _doc) VALUES ('late' || i, jsonb_build_object('id', 'late' || i, 'updated_at', (extract(epoch FROM clock_timestamp()) * 1000)::bigint)::text);
        COMMIT;
        PERFORM pg_sleep(0.2);
    END LOOP;
END $$
SQL
wait_until($node, 'a feed writes', q{EXISTS (SELECT FROM feed WHERE _id = 'late1')});
my ($out, $err) = end_session(begin_session($node, switch_of(q{quiet_seconds => 1.5, max_wait => '2 minutes'})));
like($err, qr/NOTICE: .*waiting for the feed to be quiet for 1\.5 s\nDETAIL:  The last was _id late\d+ in public\.feed, seen [0-9.]+ s ago\./, 'who switches is told that the feed is not quiet, and why');
is($out, 'shop|115', '… and waits for all of it');
end_session($feed);
is($node->safe_psql('postgres', q{SELECT (SELECT switch_at FROM vm_project_entity WHERE project = 'P') - max(updated_at) > '1.5 s' FROM feed}), 't', '… and for the silence');
($out, $err) = end_session($listener);
like($out, qr/^Asynchronous notification "voucher_migrate" with payload "\{"tenant": "T", "project": "P", "entity": "shop", "switched": true\}" received/m, 'who listens is told');
unswitch();

# The wait is ended from outside.
my $waiting = q{EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%vm_switch%' AND wait_event = 'Extension')};
for my $how (qw(pg_cancel_backend pg_terminate_backend))
{
	my $session = begin_session($node, switch_of(q{quiet_seconds => 60}));
	my $pid = pid_of($session);
	wait_until($node, "$how: a switch waits", $waiting);
	like((end_session(begin_session($node, switch_of(q{quiet_seconds => 0}))))[1],
		qr/ERROR:  55P03: another session is at work on project P of tenant T\nDETAIL:  Process $pid \(user \w+, session \d+\) holds it, in a transaction that began [0-9.]+ s ago\. Nothing was changed\./,
		'… a second one is refused, and told whose end to wait for');
	is((end_session(begin_session($node, q{SELECT entity FROM vm_switch('T', 'Q', quiet_seconds => 0)})))[0], 'shop', '… and another project switched') if $how =~ /cancel/;
	unswitch() if $how =~ /cancel/;
	$node->safe_psql('postgres', "SELECT $how($pid)");
	like((end_session($session))[1], qr/ERROR:  57014|FATAL:  57P01/, '… it ends');
	nothing_changed('… and nothing is changed');
}
is($node->safe_psql('postgres', switch_of('quiet_seconds => 0')), 'shop|115', 'the project can be switched then');
unswitch();

# An application with an open transaction, of another project: its UPDATE through the parent has locked every child.
my $application = begin_session($node, q{BEGIN; UPDATE shop SET code = 'app' WHERE id = 'elsewhere'; SELECT pg_sleep(100); COMMIT});
my $holder = pid_of($application);
wait_until($node, 'an application has updated', q{EXISTS (SELECT FROM pg_locks WHERE relation = 'feed'::regclass AND mode = 'RowExclusiveLock')});
($out, $err) = end_session(begin_session($node, switch_of(q{quiet_seconds => 0, max_wait => '1 s', lock_timeout_ms => 50})));
like($err, qr/ERROR:  55000: not switched: waited in vain for a lock on the rows of public\.feed\nDETAIL:  Process $holder \(user \w+, session \d+\) holds RowExclusiveLock on it, in a transaction that began [0-9.]+ s ago\./, 'a lock that is not to be had is waited for, and who has it is named');
nothing_changed('… and nothing is changed');
my $patient = begin_session($node, switch_of(q{quiet_seconds => 0, max_wait => '1 minute', lock_timeout_ms => 20}));
wait_until($node, 'a patient switch waits', $waiting);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($holder)");
end_session($application);
is((end_session($patient))[0], 'shop|115', '… and goes on once the lock is free');
unswitch();

# A prepared transaction has no process.
$node->safe_psql('postgres', q{BEGIN; UPDATE shop SET code = 'app' WHERE id = 'elsewhere'; PREPARE TRANSACTION 'it''s open'});
($out, $err) = end_session(begin_session($node, switch_of(q{quiet_seconds => 0, max_wait => '0.2 s', lock_timeout_ms => 50})));
like($err, qr/^DETAIL:  Prepared transaction 'it''s open' holds RowExclusiveLock on it, since [0-9.]+ s\.$/m, 'so is a prepared transaction');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'it''s open'});

# So may one that has taken the project a step further, in a subtransaction; a foreign key's lock beside it is in nobody's way.
my $keys = begin_session($node, q{BEGIN; INSERT INTO vm_project_entity (tenant, project, entity) VALUES ('T', 'P', 'other'); SELECT pg_sleep(60)});
my $keys_pid = pid_of($keys);
wait_until($node, 'a session has the row for a foreign key', "EXISTS (SELECT FROM pg_stat_activity WHERE pid = $keys_pid AND wait_event = 'PgSleep')");
$node->safe_psql('postgres', q{BEGIN; SAVEPOINT s; SELECT vm_record_step('T', 'P', 'source_check'); RELEASE s; PREPARE TRANSACTION 'a step'});
like((end_session(begin_session($node, q{SELECT entity FROM vm_switch_back('T', 'P', reason => 'why', lock_timeout_ms => 50)})))[1],
	qr/ERROR:  55P03: .*\nDETAIL:  Prepared transaction 'a step' holds it, since [0-9.]+ s\. Nothing was changed\./, 'a prepared transaction that has the project is named');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'a step'});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($keys_pid)");
end_session($keys);

# A switch back while rows move: the mover stops, also one that waits, and the feed has to begin anew.
$node->safe_psql('postgres', switch_of('quiet_seconds => 0'));
$node->safe_psql('postgres', 'CREATE TABLE gate (closed boolean); INSERT INTO gate VALUES (true)');
my $mover = begin_session($node, q{CALL vm_move('feed', max_batch_size => 10, max_rows_per_second => 200, quiet => true, throttle_query => 'SELECT closed AND EXISTS (SELECT FROM vm_move_batches) FROM gate')});
wait_until($node, 'a move has begun and waits', q{EXISTS (SELECT FROM vm_progress WHERE state = 'waiting' AND rows_done > 0)});
$node->safe_psql('postgres', q{SELECT vm_pause_move('feed')});
wait_until($node, '… and is paused', q{waits_for LIKE 'vm_resume_move%' FROM vm_progress});
($out, $err) = end_session(begin_session($node, q{SELECT entity FROM vm_switch_back('T', 'P', reason => 'wrong prices')}));
like($err, qr/WARNING: .*the feed of shop of project P of tenant T has to begin anew\nDETAIL:  Rows have moved since the switch/, 'a switch back while rows move says that the feed has to begin anew');
like((end_session($mover))[1], qr/ERROR:  55000: move of public\.feed: shop of project P, tenant T, is not switched over yet/, '… and the mover stops, without being resumed');
$node->safe_psql('postgres', q{SELECT vm_resume_move('feed')});
is($node->safe_psql('postgres', q{SELECT rows_done BETWEEN 1 AND 100, (SELECT count(*) FROM feed) + (SELECT count(*) FROM ONLY shop) FROM vm_progress}), 't|115', '… with what it had moved');
$node->safe_psql('postgres', 'UPDATE vm_project_entity SET feed_start_at = now()');
unswitch();

# Autovacuum, which a short wait would never make give in.
$node->safe_psql('postgres', <<SQL);
ALTER TABLE feed SET (autovacuum_enabled = true, autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
SQL
fill($node, 1000, 4000, 500);
$node->safe_psql('postgres', q{DELETE FROM feed WHERE _id::integer % 2 = 0 AND _id ~ '^[0-9]+$'});
$node->append_conf('postgresql.conf', "autovacuum = on\n");
$node->reload;
wait_until($node, 'autovacuum is at work on the child', q{EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE relid = 'feed'::regclass)});
like((end_session(begin_session($node, switch_of(q{quiet_seconds => 0, max_wait => '20 s'}))))[0], qr/^shop\|\d+$/, '… and gives in to a switch');
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->reload;
unswitch();

# A transaction that was prepared and has written keeps later snapshots old: it is named, not who has one just now.
$node->safe_psql('postgres', <<'SQL');
UPDATE vm_project_entity SET switch_at = now(), feed_stop_at = now() WHERE project = 'Q';
BEGIN; INSERT INTO gate VALUES (false); PREPARE TRANSACTION 'forgotten';
INSERT INTO other (_id, _doc) VALUES ('q1', '{"id": "q1"}');
SELECT FROM vm_move_batch('other');
SQL
my $reader = begin_session($node, 'SELECT pg_sleep(100)');
$holder = pid_of($reader);
wait_until($node, 'another session has a snapshot', "backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = $holder");
($out, $err) = end_session(begin_session($node, q{SELECT * FROM vm_finish('T', 'Q')}));
like($err, qr/ERROR:  55006: .*\nDETAIL:  Older snapshots .* Transaction 'forgotten' of role \S+ has been prepared since [0-9.]+ s\. Nothing was changed\./, 'vm_finish names a prepared transaction');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'forgotten'; SELECT pg_terminate_backend($holder)");
end_session($reader);
is((end_session(begin_session($node, q{SELECT found FROM vm_finish('T', 'Q')})))[0], 'empty, dropped', '… and goes through once that has ended');
unswitch();

# A standby and a subscriber, each with a session that has asked before.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', 'CREATE PUBLICATION flags FOR TABLE vm_flag');
my $subscriber = new_cluster('subscriber');
my $connection = $node->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE EXTENSION voucher_migrate; CREATE SUBSCRIPTION flags CONNECTION '$connection' PUBLICATION flags");
$subscriber->wait_for_subscription_sync($node, 'flags');
my $ask = q{SELECT vm_is_switched('T', 'P', 'shop')};
my @followers = map { begin_session($_, $ask, q{DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM vm_flag) LOOP PERFORM pg_sleep(0.05); END LOOP; END $$}, 'SELECT pg_sleep(0.3)', $ask) } $standby, $subscriber;
pid_of($_) for @followers;
is($standby->safe_psql('postgres', $ask), 'f', 'a standby can be asked');
is(sqlstate($standby, 'postgres', switch_of('quiet_seconds => 0')), '25006', '… and switches nothing');
is(sqlstate($standby, 'postgres', q{SELECT vm_switch_back('T', 'P', reason => 'why')}), '25006', '… and nothing back');
$node->safe_psql('postgres', switch_of('quiet_seconds => 0'));
my ($of_standby, $of_subscriber) = map { (end_session($_))[0] } @followers;
is($of_standby, "f\n\nt", 'a session of a standby that has asked before hears of the switch');
is($of_subscriber, "f\n\nt", '… and one of a subscriber of vm_flag');

server_survived($node);
$_->stop for $subscriber, $standby, $node;
done_testing();
