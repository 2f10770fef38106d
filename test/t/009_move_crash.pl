# CALL vm_move is killed, and its server stopped, at moments of no plan: the same CALL goes on, every row is moved once.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(usleep);
use MoveTest;
use VmTest;

my $seed = $ENV{VM_SEED} // int(rand(1_000_000));
srand($seed);
diag "seed $seed, again with VM_SEED=$seed";

my $rows = 80_000;
my $node = new_cluster('move_crash', conf => 'restart_after_crash = on');
create_shop($node);
fill($node, 1, $rows);

# Of every fourth the parent has a row: half of them older, half of them newer.
$node->safe_psql('postgres', <<SQL);
INSERT INTO shop SELECT 'k' || i, 'parent', to_timestamp(1600000000) + (i % 8 - 2) * interval '1 hour' FROM generate_series(4, $rows, 4) i;
SQL

# Held back so much that six crashes do not see its end, and so little that it mostly works.
sub begin_move
{
	my ($speed) = @_;
	return begin_session($node, "CALL vm_move('feed', quiet => true, max_rows_per_second => $speed)");
}

# All rows are somewhere, and what is on record is what is there.
sub check
{
	my ($name) = @_;
	is( $node->safe_psql('postgres', 'SELECT count(DISTINCT id) FROM shop'), $rows, "$name: every row is there");
	is( $node->safe_psql('postgres', "SELECT count(*) FROM feed JOIN ONLY shop p USING (id) WHERE p.code <> 'parent'"),
		'0', '… none of them twice');
	is( $node->safe_psql('postgres', "SELECT (SELECT sum(inserted + updated + kept) FROM vm_move_batches) = $rows - (SELECT count(*) FROM feed), sum(rows_done) = $rows - (SELECT count(*) FROM feed) FROM vm_progress"),
		't|t', '… and the batches on record are those that were committed');
	return;
}

for my $crash (1 .. 6)
{
	my $kill = $crash % 2;
	my $session = begin_move(15_000);
	my $pid = pid_of($session);
	wait_until($node, "move $crash has begun", "count(*) = $crash AND EXISTS (SELECT FROM vm_move_batches WHERE move_id = max(r.move_id)) FROM vm_move_run r");
	my $wait = int rand 300_000;
	note "$wait microseconds";
	usleep $wait;
	is(last_move($node, "state IN ('running', 'waiting')"), 't', '… and is under way');
	my $offset = -s $node->logfile;
	if ($kill)
	{
		kill 'KILL', $pid;
		$node->wait_for_log(qr/database system is ready to accept connections/, $offset);
		$node->poll_query_until('postgres', 'SELECT true');
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	end_session($session);
	check($kill ? "backend $crash killed" : "server $crash stopped");
	is(last_move($node, 'state, ended_at IS NULL'), 'interrupted|t', '… and the move was interrupted');
}
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM feed'), '>', 0, 'something is left to do');

my ($out, $err) = end_session(begin_move(1_000_000));
is($err, '', 'the same CALL once more');
check('in the end');
one_place($node, $rows, 'every row once, in the parent');
is( $node->safe_psql('postgres', "SELECT string_agg(state, ' ' ORDER BY move_id) FROM vm_progress"),
	'interrupted ' x 6 . 'done', 'what became of the moves');
is( $node->safe_psql('postgres', 'SELECT code, count(*) FROM shop GROUP BY 1 ORDER BY 1'), "child|70000\nparent|10000", 'the newer won');
is( $node->safe_psql('postgres', "SELECT count(*), count(DISTINCT _id), max(times_seen) FROM vm_anomaly WHERE kind = 'move_conflict'"),
	'10000|10000|1', 'what lost is recorded once');
is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0', 'no lock is left');

if ($node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'") eq '1')
{
	$node->safe_psql('postgres', 'CREATE EXTENSION amcheck');
	is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_class c, verify_heapam(c.oid) WHERE c.relname IN ('shop', 'feed', 'vm_anomaly', 'vm_move_run', 'vm_move_batches', 'vm_move_place')"),
		'0', 'the tables are sound');
	is( sqlstate($node, 'postgres', "SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid IN ('shop'::regclass, 'feed'::regclass) AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree')"),
		'00000', '… and so are their indexes');
}

$node->stop;
done_testing();
