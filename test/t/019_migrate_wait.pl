# CALL vm_migrate: movers that wait, for somebody's lock or for the end of a snapshot.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use MoveTest;
use PostgreSQL::Test::Utils;
use Test::More;
use VmTest;

my $node = new_cluster('migrate_wait', conf => 'max_worker_processes = 10');
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION voucher_migrate;
CREATE TABLE voucher (id text PRIMARY KEY, deleted boolean, updated_at timestamptz);
SELECT vm_define_mapping('test', '{"watermark": ["updated_at"]}');
SELECT vm_register_parent('voucher', 'test', 'voucher');
SQL
my $whole_way = q{source_checked => 'clean', feed_started => 'loaded', feed_stopped => 'there is none', finish => true};

sub ask
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub load
{
	my ($tenant, $projects) = @_;
	ask("SELECT vm_add_projects('SELECT ''$tenant'', ''p'' || i FROM generate_series(1, $projects) i')");
	for my $p (map { "p$_" } 1 .. $projects)
	{
		ask("SELECT vm_prepare('$tenant', '$p')");
		ask(qq{INSERT INTO voucher_${tenant}_$p (_id, _doc) SELECT i, format('{"id":"$tenant-$p-%s","deleted":false,"updated_at":{"\$date":1600000000000}}', i) FROM generate_series(1, 5) i});
	}
	return;
}

sub progress
{
	my ($tenant) = @_;
	return ask("SELECT string_agg(concat_ws(' ', project, state, step), E'\\n' ORDER BY project) FROM vm_migrate_progress WHERE tenant = '$tenant'");
}

#
# A mover that waits between two tries is cancelled
#
load('cancel', 2);
ask(q{ALTER ROLE CURRENT_USER SET lock_timeout = '10ms'});
my $holder = begin_session($node, q{BEGIN}, q{SELECT FROM vm_project WHERE (tenant, project) = ('cancel', 'p1') FOR UPDATE}, q{SELECT pg_sleep(600)});
wait_until($node, 'somebody holds the project', "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')");
# The holder's snapshot would hold up vm_finish.
my $call = begin_session($node, "CALL vm_migrate('tenant = ''cancel''', movers => 1, source_checked => 'clean', feed_started => 'loaded', feed_stopped => 'there is none')");
wait_until($node, 'a step that meets a lock is tried again', "EXISTS (SELECT FROM vm_migrate_progress WHERE tenant = 'cancel' AND state = 'running' AND why LIKE 'tried again%')");
wait_until($node, 'and waits in between', "EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'voucher_migrate mover' AND wait_event_type = 'Extension')");
ask("SELECT pg_cancel_backend(mover_pid) FROM vm_migrate_progress WHERE tenant = 'cancel' AND state = 'running' AND project = 'p1'");
end_session($call);
is(progress('cancel'), "p1 failed source_check\np2 done finish", 'its step fails, it takes the next project');
is(ask("SELECT why FROM vm_migrate_progress WHERE (tenant, project) = ('cancel', 'p1')"), 'canceling statement due to user request', 'and says why');
ask(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
end_session($holder);
ask(q{ALTER ROLE CURRENT_USER RESET lock_timeout});

#
# A snapshot that is in the way of all: they do not wait for each other
#
for my $movers (1, 2)
{
	load("old$movers", 2);
	my $reader = begin_session($node, 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM voucher', 'SELECT pg_sleep(600)');
	wait_until($node, 'somebody reads for long', "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')");
	$call = begin_session($node, "CALL vm_migrate('tenant = ''old$movers''', movers => $movers, $whole_way)");
	wait_until($node, "it ends, movers: $movers", "NOT EXISTS (SELECT FROM vm_migrate_progress WHERE tenant = 'old$movers' AND ended_at IS NULL) AND EXISTS (SELECT FROM vm_migrate_progress WHERE tenant = 'old$movers')");
	is(progress("old$movers"), "p1 stopped finish\np2 stopped finish", 'with both stopped at their last step');
	ask(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
	end_session($_) for $reader, $call;
}

done_testing();
