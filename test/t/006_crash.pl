# A crash in the middle of a move: afterwards every row is there once, in the child or in the parent.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VmTest;

my $node = new_cluster('crash', conf => 'restart_after_crash = on');
$node->safe_psql('postgres', 'CREATE EXTENSION voucher_migrate');
create_parent($node, 'postgres', 'voucher');
$node->safe_psql('postgres', "SELECT vm_create_child('voucher', 'voucher', 'acme', 'shop', 'feed')");

# 3000 documents; of every third the parent has a row, older for some and newer for others.
$node->safe_psql('postgres', <<SQL);
INSERT INTO voucher (tenant_id, project_id, id, code, updated_at)
SELECT 'acme', 'shop', 'v_' || i, 'application', to_timestamp(1575648464.123) + (i % 2 * 2 - 1) * interval '1 hour'
FROM generate_series(3, 3000, 3) i;
INSERT INTO feed (_id, _doc)
SELECT i, format('{"id":"v_%s","code":"document","updated_at":{"\$date":1575648464123}}', i) FROM generate_series(1, 3000) i;
SQL

my %state = (
	'the parent' => 'SELECT count(*), md5(string_agg(v::text, chr(10) ORDER BY v::text)) FROM ONLY voucher v',
	'the child' => 'SELECT count(*), md5(string_agg(f::text, chr(10) ORDER BY f::text)) FROM feed f',
	'anomalies' => 'SELECT count(*), count(DISTINCT _id) FROM vm_anomaly',);

sub state_of
{
	return { map { $_ => $node->safe_psql('postgres', $state{$_}) } keys %state };
}

# A session that has moved 1000 rows and not committed.
sub open_move
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("BEGIN; UPDATE voucher SET code = 'not committed' WHERE id = 'v_2999'");
	is($session->query_safe("SELECT moved FROM vm_move_batch('feed', 1000)"), '1000', 'a move is under way');
	is($session->query_safe('SELECT count(*) FROM vm_anomaly'), $_[0], '… with its anomalies');
	return ($session, $session->query_safe('SELECT pg_backend_pid()'));
}

# The session's psql, whose server has gone.
sub forget
{
	my ($session) = @_;
	eval { $session->quit };
	return;
}

# A backend is killed: the server restarts by itself.
my $before = state_of();
my ($session, $pid) = open_move(167);
my $offset = -s $node->logfile;
kill 'KILL', $pid;
$node->wait_for_log(qr/database system is ready to accept connections/, $offset);
$node->poll_query_until('postgres', 'SELECT true');
forget($session);
is_deeply(state_of(), $before, 'a backend killed: all is as it was');

# The server stops at once.
($session, $pid) = open_move(167);
$node->stop('immediate');
forget($session);
$node->start;
is_deeply(state_of(), $before, 'an immediate stop: all is as it was');

# One batch is committed, the next is not.
is($node->safe_psql('postgres', "SELECT moved FROM vm_move_batch('feed', 1000)"), '1000', 'a batch is committed');
my $after = state_of();
isnt($after->{$_}, $before->{$_}, "… and shows in $_") for sort keys %state;
($session, $pid) = open_move(333);
$node->stop('immediate');
forget($session);
$node->start;
is_deeply(state_of(), $after, 'an immediate stop: what was committed stays, and nothing else');

# The rest moves, and every row is there once.
is( $node->safe_psql('postgres', "SELECT moved, inserted + updated + kept FROM vm_move_batch('feed', 5000)"), '2000|2000', 'the rest moves');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM voucher'), '3000|3000', 'every row once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM feed'), '0', '… and none in the child');
is( $node->safe_psql('postgres', "SELECT code, count(*) FROM voucher GROUP BY 1 ORDER BY 1"),
	"application|500\ndocument|2500", 'the newer won');
is( $node->safe_psql('postgres', "SELECT count(*), count(DISTINCT _id), min(times_seen), max(times_seen), count(*) FILTER (WHERE kind = 'move_conflict') FROM vm_anomaly"),
	'500|500|1|1|500', 'what lost is recorded once');
is( $node->safe_psql('postgres', "SELECT count(*) FROM vm_anomaly a JOIN voucher v ON v.id = a.incoming->>'id' WHERE v.code = 'application' AND a.incoming->>'code' = 'document'"),
	'500', '… with the row that lost');
SKIP:
{
	skip 'no amcheck', 1
	  if $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'") eq '0';
	$node->safe_psql('postgres', 'CREATE EXTENSION amcheck');
	is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_class c, verify_heapam(c.oid) WHERE c.relname IN ('voucher', 'feed', 'vm_anomaly')"),
		'0', 'the tables are sound');
}

$node->stop;
done_testing();
