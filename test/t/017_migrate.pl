# CALL vm_migrate: callers of all kinds, and every way that it, a mover or the server can come to an end.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use MoveTest;
use PostgreSQL::Test::Utils;
use Test::More;
use VmTest;

my $node = new_cluster('migrate', conf => 'max_worker_processes = 10');

# Parents of a schema of the owner's, with a trigger that needs the caller's search_path and a setting of his session.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE vm_owner NOLOGIN;
CREATE ROLE vm_dba LOGIN IN ROLE vm_owner;
CREATE ROLE vm_ghost NOLOGIN;
CREATE SCHEMA "Vm ""7""";
CREATE EXTENSION voucher_migrate SCHEMA "Vm ""7""";
CREATE SCHEMA shop AUTHORIZATION vm_owner;
GRANT USAGE ON SCHEMA "Vm ""7""" TO vm_owner;
GRANT SELECT ON ALL TABLES IN SCHEMA "Vm ""7""" TO vm_owner;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = '"Vm ""7"""'::regnamespace LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO vm_owner', f);
    END LOOP;
END $$;
SET ROLE vm_owner;
CREATE FUNCTION shop.region() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('shop.region') $$;
CREATE FUNCTION shop.fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.region := region();
    RETURN NEW;
END $$;
CREATE TABLE shop.voucher (id text PRIMARY KEY, region text, deleted boolean, updated_at timestamptz);
CREATE TABLE shop.campaign (id text PRIMARY KEY, deleted boolean, updated_at timestamptz);
CREATE TRIGGER fill BEFORE INSERT ON shop.voucher FOR EACH ROW EXECUTE FUNCTION shop.fill();
SET search_path = "Vm ""7""";
SELECT vm_define_mapping('test', '{"watermark": ["updated_at"]}');
SELECT vm_register_parent('shop.campaign', 'test', 'campaign'), vm_register_parent('shop.voucher', 'test', 'voucher');
SQL
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET search_path = "Vm ""7""", public');

# As the application's DBA: a session of one role, the rights of another.
my $session = q{SET ROLE vm_owner; SET search_path = shop, "Vm ""7"""; SET shop.region = 'eu, "west"';};
my $whole_way = q{source_checked => 'clean', feed_started => 'loaded', feed_stopped => 'there is none', finish => true};

sub dba
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, extra_params => [ '-U', 'vm_dba' ]);
	note "$sql\n$out\n$err";
	return ($out, $err);
}

sub ask
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# A CALL in a session of its own, while the test goes on.
sub begin_call
{
	my ($call) = @_;
	return begin_session($node, map({ "$_;" } split /;/, $session), $call);
}

# New projects of a tenant, prepared and loaded.
sub load
{
	my ($tenant, $projects, $rows) = @_;
	ask(<<SQL);
SELECT vm_add_projects('SELECT ''$tenant'', ''p'' || i FROM generate_series(1, $projects) i');
SELECT vm_record_step(tenant, project, 'source_check', 'clean') FROM vm_project WHERE tenant = '$tenant';
SQL
	for my $p (map { "p$_" } 1 .. $projects)
	{
		ask("$session SELECT vm_prepare('$tenant', '$p')");
		ask(<<SQL);
INSERT INTO shop.voucher_${tenant}_$p (_id, _doc)
SELECT i, format('{"id":"$tenant-$p-%s","deleted":%s,"updated_at":{"\$date":1600000000000}}', i, (i % 2 = 0)::text) FROM generate_series(1, $rows) i;
SQL
	}
	return;
}

# Every row of a tenant once in the parent and no child left, or all children empty.
sub moved
{
	my ($tenant, $rows, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(ask("SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM shop.voucher WHERE id LIKE '$tenant-%') FROM ONLY shop.voucher WHERE id LIKE '$tenant-%'"),
		"$rows|$rows|$rows", $name);
}

sub projects
{
	my ($run) = @_;
	return ask("SELECT string_agg(concat_ws(' ', project, state, step, why), E'\\n' ORDER BY project) FROM vm_migrate_progress WHERE run_id = $run");
}

sub last_run
{
	return ask('SELECT max(run_id) FROM vm_migrate_run');
}

sub no_movers
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_until($node, $name, "NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'voucher_migrate mover')");
}

#
# Who calls
#
load('acme', 3, 20);
my ($out, $err) = dba("$session CALL vm_migrate('tenant = ''acme''', movers => 3, $whole_way)");
like($err, qr/NOTICE:  3 of 3 projects are done, in \d+ s$/, 'a session user with the rights of a role that may not log in');
moved('acme', 60, 'all rows have moved');
is(ask("SELECT DISTINCT region FROM shop.voucher"), 'eu, "west"', 'movers have the settings of the session, and the search_path its triggers need');
is(ask("SELECT DISTINCT done_by FROM vm_history WHERE step NOT IN ('source_check')"), 'vm_owner', 'steps are those of the role that was set');
is(ask("SELECT count(*) FROM pg_inherits WHERE inhparent IN ('shop.voucher'::regclass, 'shop.campaign'::regclass)"), 0, 'no child is left');
load('nobody', 1, 1);
($out, $err) = ($node->psql('postgres', q{SET SESSION AUTHORIZATION vm_ghost; CALL "Vm ""7""".vm_migrate()}, on_error_stop => 0))[1, 2];
like($err, qr/permission denied/, 'a stranger is refused');
ask('GRANT USAGE ON SCHEMA "Vm ""7""" TO vm_ghost');
($out, $err) = ($node->psql('postgres', q{SET SESSION AUTHORIZATION vm_ghost; CALL vm_migrate()}))[1, 2];
like($err, qr/permission denied for procedure vm_migrate/, 'who was not granted EXECUTE, too');
ask('GRANT vm_owner TO vm_ghost');
($out, $err) = ($node->psql('postgres', q{SET SESSION AUTHORIZATION vm_ghost; CALL vm_migrate()}))[1, 2];
like($err, qr/role "vm_ghost" may not log in, and movers would have to/, 'a session whose user may not log in is refused');
ask(q{REVOKE CONNECT ON DATABASE postgres FROM PUBLIC});
($out, $err) = ($node->psql('postgres', q{SET SESSION AUTHORIZATION vm_dba; SET ROLE vm_owner; CALL vm_migrate('tenant = ''nobody''')}))[1, 2];
like($err, qr/the movers ended before they had begun.*The server's log says why/s, 'movers that may not connect are missed');
ask(q{GRANT CONNECT ON DATABASE postgres TO PUBLIC});

#
# Settings that only superusers may set, under a name that no library had claimed in the session
#
ask(q{CREATE OR REPLACE FUNCTION shop.region() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('plpgsql.variable_conflict') $$});
load('name', 1, 2);
dba("$session SET plpgsql.variable_conflict = 'use_column'; CALL vm_migrate('tenant = ''name''', $whole_way)");
is(ask(q{SELECT DISTINCT region FROM shop.voucher WHERE id LIKE 'name-%'}), 'error', 'a mover does not let its caller set what he could not');
load('super', 1, 2);
ask("$session RESET ROLE; SET plpgsql.variable_conflict = 'use_column'; CALL vm_migrate('tenant = ''super''', $whole_way)");
is(ask(q{SELECT DISTINCT region FROM shop.voucher WHERE id LIKE 'super-%'}), 'use_column', 'what a superuser has set, it has');
load('granted', 1, 2);
ask('GRANT SET ON PARAMETER deadlock_timeout TO vm_owner');
ask(q{CREATE OR REPLACE FUNCTION shop.region() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('deadlock_timeout') $$});
dba("$session SET deadlock_timeout = '900ms'; CALL vm_migrate('tenant = ''granted''', $whole_way)");
is(ask(q{SELECT DISTINCT region FROM shop.voucher WHERE id LIKE 'granted-%'}), '900ms', 'and what he was granted');
ask('REVOKE SET ON PARAMETER deadlock_timeout FROM vm_owner');
ask(q{CREATE OR REPLACE FUNCTION shop.region() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('shop.region') $$});

#
# A step that raises, and locks that are in the way
#
ask(q{CREATE TABLE shop.campaign_odd_p1 (id integer); SELECT vm_add_project('odd', 'p1'); SELECT vm_add_project('odd', 'p2')});
my $log = -s $node->logfile;
dba("$session CALL vm_migrate('tenant = ''odd''', $whole_way)");
is(projects(last_run()), "p1 failed prepare table shop.campaign_odd_p1 stands where the child of entity \"campaign\" is to be made: It is no child of shop.campaign.\np2 done done",
	'a step that raises fails its project; the other goes on');
my @raised = slurp_file($node->logfile, $log) =~ /ERROR:  table shop.campaign_odd_p1 stands/g;
is(scalar @raised, 1, 'its error is in the log once');
like(slurp_file($node->logfile, $log), qr/CONTEXT:.*vm_migrate, step prepare of project p1 of tenant odd/, 'with the project it is of');

ask(q{ALTER ROLE vm_dba SET lock_timeout = '300ms'});
load('locked', 1, 5);
my $holder = begin_session($node, q{BEGIN}, q{SELECT FROM vm_project WHERE tenant = 'locked' FOR UPDATE}, q{SELECT pg_sleep(60)});
wait_until($node, 'somebody holds the project', "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')");
local $ENV{PGUSER} = 'vm_dba';
my $call = begin_call("CALL vm_migrate('tenant = ''locked''', $whole_way)");
delete $ENV{PGUSER};
wait_until($node, 'a step that meets a lock is tried again, and says so',
	"EXISTS (SELECT FROM vm_migrate_progress WHERE tenant = 'locked' AND state = 'running' AND why LIKE 'tried again: canceling statement due to lock timeout%')");
ask(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
end_session($holder);
($out, $err) = end_session($call);
like($err, qr/1 of 1 project is done/, 'and done once it has gone');
ask(q{ALTER ROLE vm_dba RESET lock_timeout});

#
# A project that is being written to
#
load('busy', 1, 5);
my $writer = begin_session($node, 'BEGIN', q{INSERT INTO shop.voucher_busy_p1 (_id, _doc) VALUES ('late', '{"id":"busy-p1-late","updated_at":{"$date":1600000000000}}')},
	'SELECT pg_sleep(600)', 'ROLLBACK');
wait_until($node, 'a feed is in the middle of a transaction', "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')");
$call = begin_call("CALL vm_migrate('tenant = ''busy''', whole => true, $whole_way)");
wait_until($node, 'the switch waits for it', "EXISTS (SELECT FROM vm_migrate_progress WHERE (tenant, state, step) = ('busy', 'running', 'switch'))");
sleep 1;
is(ask("SELECT step FROM vm_migrate_progress WHERE tenant = 'busy'"), 'switch', 'and goes on waiting');
ask(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
end_session($writer);
($out, $err) = end_session($call);
like($err, qr/1 of 1 project is done/, 'until it has ended');
moved('busy', 5, 'its rows have moved');

#
# A snapshot that is in the way of the last step
#
load('old', 2, 5);
ask(qq{$session SELECT vm_pause_move('shop.voucher_old_p2')});
my $reader = begin_session($node, 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM shop.voucher', 'SELECT pg_sleep(600)', 'ROLLBACK');
wait_until($node, 'somebody reads for long', "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')");
$call = begin_call("CALL vm_migrate('tenant = ''old''', $whole_way)");
wait_until($node, 'a project whose child is still seen is put behind the others',
	"EXISTS (SELECT FROM vm_migrate_project WHERE (tenant, project, step) = ('old', 'p1', 'finish') AND number > 2 AND why LIKE 'postponed: child shop.voucher_old_p1 is empty, but not for every open transaction%')");
ask(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
end_session($reader);
ask(qq{$session SELECT vm_resume_move('shop.voucher_old_p2')});
($out, $err) = end_session($call);
like($err, qr/2 of 2 projects are done/, 'and finished in the end');
moved('old', 10, 'its rows have moved');

#
# vm_pause_move, vm_stop_move, a cancelled CALL
#
load('paused', 4, 20);
ask(qq{$session SELECT vm_pause_move('shop.voucher_paused_p1'), vm_pause_move('shop.voucher_paused_p2')});
$call = begin_call("CALL vm_migrate('tenant = ''paused''', $whole_way)");
wait_until($node, 'a paused move is shown in progress',
	"2 = (SELECT count(*) FROM vm_migrate_progress WHERE tenant = 'paused' AND state = 'running' AND (step, entity) = ('move_closed', 'voucher') AND percent = 0 AND at_it IS NOT NULL AND why LIKE 'vm_resume_move, paused by %')");
ask(qq{$session SELECT vm_stop_move('shop.voucher_paused_p1')});
wait_until($node, 'a stopped one stops its project',
	"EXISTS (SELECT FROM vm_migrate_progress WHERE (tenant, project, state, why) = ('paused', 'p1', 'stopped', 'the move was stopped with vm_stop_move'))");
wait_until($node, 'the others go on', "2 = (SELECT count(*) FROM vm_migrate_progress WHERE tenant = 'paused' AND state = 'done')");
my $pid = pid_of($call);
ask("SELECT pg_cancel_backend($pid)");
($out, $err) = end_session($call);
like($err, qr/ERROR:  57014: canceling statement due to user request\nDETAIL:  \d of 4 projects are done and stay so.*\nHINT:  CALL vm_migrate again goes on from there/, 'a cancelled CALL says how it stands');
is(ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'voucher_migrate mover'"), 0, 'and has taken its movers with it');
is(ask("SELECT count(*) FROM vm_migrate_progress WHERE tenant = 'paused' AND (state IN ('running', 'waiting', 'interrupted', 'failed') OR ended_at IS NULL)"), 0, 'nothing is left under way');
ask(qq{$session SELECT vm_resume_move('shop.voucher_paused_p1'), vm_resume_move('shop.voucher_paused_p2')});
dba("$session CALL vm_migrate('tenant = ''paused''', $whole_way)");
moved('paused', 80, 'the next CALL goes on from there');

#
# A caller that is killed
#
load('gone', 2, 20);
ask(qq{$session SELECT vm_pause_move('shop.voucher_gone_p1')});
$call = begin_call("CALL vm_migrate('tenant = ''gone''', movers => 1, $whole_way)");
wait_until($node, 'a mover is in the middle of a step', "EXISTS (SELECT FROM vm_migrate_progress WHERE tenant = 'gone' AND why LIKE 'vm_resume_move%')");
ask('SELECT pg_terminate_backend(' . pid_of($call) . ')');
end_session($call);
wait_until($node, 'its projects are interrupted', "2 = (SELECT count(*) FROM vm_migrate_progress WHERE tenant = 'gone' AND state = 'interrupted')");
my $run = last_run();
dba("$session CALL vm_migrate('tenant = ''gone''', $whole_way)");
is(projects(last_run()), "p1 stopped another CALL vm_migrate is at work on it\np2 done done", 'what its mover still has at hand nobody takes; what it had not begun they do');
is(projects($run), "p1 stopped move_closed the session that called vm_migrate is gone\np2 stopped not begun: the session that called vm_migrate is gone", 'the next CALL puts the run on record as ended');
ask(qq{$session SELECT vm_resume_move('shop.voucher_gone_p1')});
no_movers('the mover ends after the step at hand');
is(projects($run), "p1 stopped switch the session that called vm_migrate is gone\np2 stopped not begun: the session that called vm_migrate is gone", 'and says where');
dba("$session CALL vm_migrate('tenant = ''gone''', $whole_way)");
moved('gone', 40, 'nothing is lost');

#
# A mover that is killed
#
load('dead', 3, 20);
ask(qq{$session SELECT vm_pause_move('shop.voucher_dead_p1'), vm_pause_move('shop.voucher_dead_p2')});
$call = begin_call("CALL vm_migrate('tenant = ''dead''', $whole_way)");
wait_until($node, 'both movers are in the middle', "2 = (SELECT count(*) FROM vm_migrate_progress WHERE tenant = 'dead' AND why LIKE 'vm_resume_move%')");
ask("SELECT pg_terminate_backend(mover_pid) FROM vm_migrate_progress WHERE (tenant, project) = ('dead', 'p1')");
wait_until($node, 'its project has failed soon', "EXISTS (SELECT FROM vm_migrate_progress WHERE (tenant, project, state, why) = ('dead', 'p1', 'failed', 'its mover was ended'))");
is(ask("SELECT state FROM vm_migrate_progress WHERE (tenant, project) = ('dead', 'p2')"), 'running', 'the other mover is at work');
ask(qq{$session SELECT vm_resume_move('shop.voucher_dead_p1'), vm_resume_move('shop.voucher_dead_p2')});
dba("$session CALL vm_migrate('tenant = ''dead'' AND project = ''p1''', $whole_way)");
is(projects(last_run()), 'p1 done done', 'another CALL takes it up');
($out, $err) = end_session($call);
like($err, qr/2 of 3 projects are done/, 'the others are done');
moved('dead', 60, 'nothing is lost');

#
# A step of a mover that is cancelled
#
load('cancel', 1, 5);
ask(qq{$session SELECT vm_pause_move('shop.voucher_cancel_p1')});
$call = begin_call("CALL vm_migrate('tenant = ''cancel''', $whole_way)");
wait_until($node, 'a mover is in the middle of a step', "EXISTS (SELECT FROM vm_migrate_progress WHERE tenant = 'cancel' AND why LIKE 'vm_resume_move%')");
ask("SELECT pg_cancel_backend(mover_pid) FROM vm_migrate_progress WHERE tenant = 'cancel'");
end_session($call);
is(ask("SELECT state, why LIKE '%canceling statement due to user request%' FROM vm_migrate_progress WHERE tenant = 'cancel'"), 'failed|t', 'a cancelled step fails its project');

#
# Two CALLs at once, with vm_move_whole
#
load('two', 8, 50);
my @calls = map { begin_call("CALL vm_migrate('tenant = ''two''', whole => true, $whole_way)") } 1 .. 2;
end_session($_) for @calls;
is(ask("SELECT count(*) FROM vm_migrate_project WHERE tenant = 'two' AND state = 'failed'"), 0, 'two CALLs at once: no step is in the way of another');
is(ask("SELECT count(*) FROM vm_migrate_project a JOIN vm_migrate_project b USING (tenant, project) WHERE tenant = 'two' AND a.run_id < b.run_id AND a.step IS NOT NULL AND b.step IS NOT NULL AND a.started_at < b.ended_at AND b.started_at < a.ended_at"),
	0, 'no project is worked on by two');
is(ask("SELECT count(DISTINCT project) FROM vm_migrate_project WHERE tenant = 'two' AND state = 'done'"), 8, 'all are done');
moved('two', 400, 'by vm_move_whole in four movers');

#

#
# The server is killed
#
load('crash', 6, 200);
ask(qq{$session SELECT vm_pause_move('shop.voucher_crash_p3')});
$call = begin_call("CALL vm_migrate('tenant = ''crash''', movers => 1, $whole_way)");
wait_until($node, 'two projects are done, the third is in the middle', "EXISTS (SELECT FROM vm_migrate_progress WHERE (tenant, project) = ('crash', 'p3') AND why LIKE 'vm_resume_move%')");
ask('CHECKPOINT');
$node->stop('immediate');
end_session($call);
$node->start;
is(ask("SELECT string_agg(state, ' ' ORDER BY project) FROM vm_migrate_progress WHERE tenant = 'crash'"), 'done done interrupted interrupted interrupted interrupted', 'after a crash the run is interrupted');
ask(qq{$session SELECT vm_resume_move('shop.voucher_crash_p3')});
dba("$session CALL vm_migrate('tenant = ''crash''', $whole_way)");
is(ask("SELECT count(*) FROM vm_migrate_project WHERE tenant = 'crash' AND (run_id, state) = (" . last_run() . ", 'done')"), 4, 'the next CALL does the rest');
is(ask("SELECT count(*) FROM vm_migrate_run WHERE ended_at IS NULL"), 0, 'and closes the run that was lost');
moved('crash', 1200, 'every row is there once');

#
# No workers
#
$node->append_conf('postgresql.conf', "max_worker_processes = 2\nmax_logical_replication_workers = 4");
$node->restart;
load('few', 3, 5);
($out, $err) = dba("$session CALL vm_migrate('tenant = ''few''', movers => 3, $whole_way)");
like($err, qr/NOTICE:  1 of 3 movers could be started\nHINT:  Raise max_worker_processes for more\./, 'fewer movers than asked for');
moved('few', 15, 'do it all the same');
$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->restart;
load('none', 1, 5);
($out, $err) = dba("$session CALL vm_migrate('tenant = ''none''', $whole_way)");
like($err, qr/ERROR:  no mover could be started\nDETAIL:  All 1 background workers of the server are in use\./, 'no mover at all is an error');
is(ask("SELECT state, why FROM vm_migrate_progress WHERE tenant = 'none'"), 'stopped|not begun: the CALL was ended', 'and on record');
is(ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no lock is left');

done_testing();
