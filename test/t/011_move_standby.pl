# CALL vm_move and those who follow: a standby that is behind holds it back, a subscriber gets the rows in their new place.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use MoveTest;
use VmTest;

my $primary = new_cluster('primary', allows_streaming => 'logical');
create_shop($primary);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

my $rows = 6000;
fill($primary, 1, $rows);
$primary->safe_psql('postgres', <<SQL);
SELECT vm_create_child('shop', 'shop', 'T', 'Q', 'feed2');
INSERT INTO feed2 (_id, _doc) SELECT i, format('{"id":"other%s"}', i) FROM generate_series(1, $rows) i;
CREATE ROLE mover LOGIN;
GRANT ALL ON shop, feed TO mover;
GRANT EXECUTE ON PROCEDURE vm_move TO mover;
SQL
$primary->wait_for_catchup($standby);

# How far replicas are is not for everyone to see.
my $as_mover = "SET ROLE mover; SET client_min_messages = warning;\n";
my $limited = q{CALL vm_move('feed', filter => $$id = 'k1'$$, max_replica_lag => '1 min', quiet => true)};
is(sqlstate($primary, 'postgres', "$as_mover$limited"), '42501', 'max_replica_lag without pg_monitor is refused');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM vm_progress'), '0', '… before anything is done');
$primary->safe_psql('postgres', 'GRANT pg_monitor TO mover');
is(sqlstate($primary, 'postgres', "$as_mover$limited"), '00000', '… and with it accepted');
is(last_move($primary, 'state, rows_done, started_by'), 'done|1|mover', '… as who calls');

# The standby receives and does not replay. Both movers are of the same speed; only one of them looks at replicas.
$primary->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('postgres', "SELECT pg_get_wal_replay_pause_state() = 'paused'");
my $seen = 'SELECT count(*) FROM ONLY shop';
my $replayed = $standby->safe_psql('postgres', $seen);
my $patient = begin_session($primary, q{CALL vm_move('feed', quiet => true, max_rows_per_second => 2000, max_replica_lag => '1 s')});
wait_until($primary, 'a standby that is behind: the move waits and names it', q{state = 'waiting' AND waits_for ~ '^replica standby, [0-9.]+ s behind$' FROM vm_progress ORDER BY move_id DESC LIMIT 1});
my $moved = last_move($primary, 'rows_done');
cmp_ok($moved, '<', $rows, '… with rows to move');
my ($out, $err) = end_session(begin_session($primary, q{CALL vm_move('feed2', quiet => true, max_rows_per_second => 2000)}));
is($err, '', 'without max_replica_lag');
is(last_move($primary, 'child, state, rows_done'), "feed2|done|$rows", '… a move ends meanwhile');
is( $primary->safe_psql('postgres', "SELECT p.state, p.rows_done FROM vm_progress p JOIN vm_move_run r USING (move_id) WHERE r.child = 'feed'::regclass AND r.filter IS NULL"),
	"waiting|$moved", '… and the other one still waits');
is($standby->safe_psql('postgres', $seen), $replayed, '… for the standby has replayed nothing');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
($out, $err) = end_session($patient);
is($err, '', 'once the standby is there');
is($primary->safe_psql('postgres', "SELECT string_agg(state, ' ') FROM vm_progress"), 'done done done', '… the move ends');
one_place($primary, 2 * $rows, '… every row moved');
$primary->wait_for_catchup($standby);
one_place($standby, 2 * $rows, '… on the standby, too');
my $content = q{SELECT md5(string_agg(s::text, ' ' ORDER BY id)) FROM ONLY shop s};
is($standby->safe_psql('postgres', $content), $primary->safe_psql('postgres', $content), '… as they are on the primary');
$primary->safe_psql('postgres', 'DROP TABLE feed2');

# A subscriber of parent and child, which knows no extension: rows vanish there and appear here.
fill($primary, 1, 1000);
$primary->safe_psql('postgres', <<'SQL');
INSERT INTO shop SELECT 'k' || i, 'older', to_timestamp(0) FROM generate_series(1, 100) i;
INSERT INTO shop SELECT 'k' || i, 'newer', now() FROM generate_series(101, 200) i;
CREATE PUBLICATION moved FOR TABLE ONLY shop, ONLY feed;
SQL
my $subscriber = new_cluster('subscriber', allows_streaming => 'logical');
my $connection = $primary->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', <<SQL);
CREATE TABLE shop (id text PRIMARY KEY, code text, updated_at timestamptz);
CREATE TABLE feed (_id text PRIMARY KEY, _doc text) INHERITS (shop);
CREATE SUBSCRIPTION moved CONNECTION '$connection' PUBLICATION moved;
SQL
$subscriber->wait_for_subscription_sync($primary, 'moved');
is($subscriber->safe_psql('postgres', 'SELECT (SELECT count(*) FROM ONLY shop), (SELECT count(*) FROM feed)'), '200|1000', 'a subscriber has parent and child');
($out, $err) = end_session(begin_session($primary, q{CALL vm_move('feed', quiet => true, max_batch_size => 300)}));
is($err, '', 'the child is moved');
is(last_move($primary, 'state, inserted, updated, kept, path'), 'done|800|100|100|native', '… natively, with rows that the parent has');
$primary->wait_for_catchup('moved');
one_place($subscriber, 1000, '… on the subscriber, too');
is($subscriber->safe_psql('postgres', $content), $primary->safe_psql('postgres', $content), '… as they are on the publisher');
is( $subscriber->safe_psql('postgres', 'SELECT code, count(*) FROM ONLY shop GROUP BY 1 ORDER BY 1'), "child|900\nnewer|100", '… the newer ones');
is($subscriber->safe_psql('postgres', 'SELECT apply_error_count FROM pg_stat_subscription_stats'), '0', '… and nothing failed there');

server_survived($primary);
$subscriber->stop;
$standby->stop;
$primary->stop;
done_testing();
