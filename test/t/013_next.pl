# vm_next while a move of the child is at work, paused, and gone.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use MoveTest;
use VmTest;

my $node = new_cluster('next');
create_shop($node);
fill($node, 1, 2000);
$node->safe_psql('postgres', <<SQL);
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_collection) VALUES ('shop', 'shop', 'shop', 1, 'shop');
INSERT INTO vm_project (tenant, project) VALUES ('T', 'P');
INSERT INTO vm_project_entity (tenant, project, entity, child, source_check_at, prepare_at, feed_start_at, check_at, switch_at, anomaly_check_at)
    VALUES ('T', 'P', 'shop', 'feed', now(), now(), now(), now(), now(), now());
CREATE TABLE gate (closed boolean);
INSERT INTO gate VALUES (true);
SQL

sub next_is
{
	my ($expected, $name) = @_;
	my $next = $node->safe_psql('postgres', "SELECT step, statement, why_not_yet FROM vm_next('T', 'P')");
	like($next, $expected, $name);
	return;
}

next_is(qr/^move\|CALL vm_move\('public\.feed'\);\|$/, 'the move is next');
my $move = begin_session($node,
	'CALL vm_move($$feed$$, max_batch_size => 100, max_rows_per_second => 1000, quiet => true,
	throttle_query => $$SELECT closed AND EXISTS (SELECT FROM vm_move_batches) FROM gate$$)');
wait_until($node, 'the move waits', "waits_for = 'throttle_query' AND rows_done > 0 FROM vm_progress");
next_is(qr/^move\|.*\|a move of this child is under way: [0-9]+ %(, .* left)?, waits for throttle_query$/, 'it is under way, and waits');
$node->safe_psql('postgres', "SELECT vm_pause_move('feed')");
wait_until($node, 'the move is paused', "waits_for LIKE 'vm_resume_move%' FROM vm_progress");
next_is(qr/ under way: .* waits for vm_resume_move, paused by /, 'it is paused');

# Its session is killed: nothing is under way, and the same CALL goes on.
my $pid = pid_of($move);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
end_session($move);
wait_until($node, 'the session is gone', "NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
next_is(qr/^move\|.*\|moves of this child are paused: by \w+, \d+ s ago$/, 'the next one would wait too');
$node->safe_psql('postgres', 'UPDATE gate SET closed = false');
$node->safe_psql('postgres', $node->safe_psql('postgres', "SELECT do_first FROM vm_next('T', 'P')"));
next_is(qr/^move\|CALL vm_move\('public\.feed'\);\|$/, 'the move is next again');
$node->safe_psql('postgres', $node->safe_psql('postgres', "SELECT statement FROM vm_next('T', 'P')"));
next_is(qr/^feed_stop\|/, 'all has moved');
is($node->safe_psql('postgres', 'SELECT moved FROM vm_status'), '2000', 'vm_status counts both moves');

$node->stop;
done_testing();
