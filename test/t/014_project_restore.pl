# A migration half done is dumped and restored: projects go on where they were, pools know whom they serve, the past stays readable.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VmTest;

my $node = new_cluster('projects');
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql(
	'source', q{
CREATE SCHEMA "vm tools";
CREATE EXTENSION voucher_migrate SCHEMA "vm tools";
CREATE SCHEMA app;
CREATE TABLE app.shop (tenant text, project text, id text, updated_at timestamptz, PRIMARY KEY (project, id));
CREATE TABLE app.other (tenant text, project text, id text, updated_at timestamptz, PRIMARY KEY (project, id));
SELECT "vm tools".vm_define_mapping('shop',
	'{"watermark": "updated_at", "columns": {"tenant": {"default": {"arg": 1}}, "project": {"default": {"arg": 2}}}}');
SELECT "vm tools".vm_register_parent('app.shop', 'shop'), "vm tools".vm_register_parent('app.other', 'shop', 'other', closed => 'id = ''x''');
SELECT "vm tools".vm_add_projects('SELECT ''T''::text, ''P'' || i FROM generate_series(1, 4) i');
SELECT "vm tools".vm_create_pool('shop', 2);
SELECT "vm tools".vm_prepare('T', 'P1'), "vm tools".vm_prepare('T', 'P2');
INSERT INTO app."other_T_P1" (_id, _doc) VALUES ('1', '{"id": "1", "updated_at": 2000}');
UPDATE app."other_T_P1" SET _doc = '{"id": "1", "updated_at": 1000}';
DELETE FROM app."other_T_P1";
UPDATE "vm tools".vm_anomaly SET resolved_at = now(), resolution = 'seen';
UPDATE "vm tools".vm_project_entity SET switch_at = now(), feed_stop_at = now() WHERE project = 'P1';
});
$node->safe_psql('source', q{SELECT "vm tools".vm_finish('T', 'P1')});
$node->safe_psql('source', q{INSERT INTO app.shop_pool_2 (_id, _doc) VALUES ('1', '{"id": "1"}')});

my %state = map { $_ => qq{SELECT * FROM "vm tools".$_ ORDER BY 1, 2, 3} }
  qw(vm_parent vm_project vm_project_entity vm_history vm_anomaly);
$state{vm_pool} = 'SELECT child::text, entity FROM "vm tools".vm_pool ORDER BY 1';
my %before = map { $_ => $node->safe_psql('source', $state{$_}) } keys %state;
is($before{vm_pool}, "app.shop_pool_1|shop\napp.shop_pool_2|shop", 'source: the pool');
like($before{vm_anomaly}, qr/^1\|\d+\|app\."other_T_P1"\|shop\|/, 'source: an anomaly of a child that is gone');

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '--format=custom', '-f', $dump, 'source' ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '-d', 'restored', $dump ], 'pg_restore');
for my $what (sort keys %state)
{
	is($node->safe_psql('restored', $state{$what}), $before{$what}, $what);
}

# The pool's children serve whom they served; the free one goes to the next project.
$node->safe_psql('restored', q{INSERT INTO app.shop_pool_2 (_id, _doc) VALUES ('2', '{"id": "2"}')});
is($node->safe_psql('restored', 'SELECT id, project FROM app.shop_pool_2 ORDER BY 1'), "1|P2\n2|P2", 'a served child');
is(sqlstate($node, 'restored', q{INSERT INTO app.shop_pool_1 (_id, _doc) VALUES ('2', '{"id": "2"}')}), "55000", "a free child");
is($node->safe_psql('restored', q{SELECT * FROM "vm tools".vm_prepare('T', 'P3')}), qq{shop|app.shop_pool_1\nother|app."other_T_P3"}, 'the next project');
is($node->safe_psql('restored', q{INSERT INTO app.shop_pool_1 (_id, _doc) VALUES ('2', '{"id": "2"}') RETURNING project}), 'P3', '… has the free child');
$node->safe_psql('restored', q{DELETE FROM app.shop_pool_1; UPDATE "vm tools".vm_project_entity SET switch_at = now(), feed_stop_at = now()});

# A move that is under way keeps its child, and one that was interrupted does not.
my $mover = $node->background_psql('restored', on_error_stop => 0);
$mover->query_safe(q{SELECT "vm tools".vm_pause_move('app.shop_pool_1')});
$mover->query_until(qr/sent/, qq{\\echo sent\nCALL "vm tools".vm_move('app.shop_pool_1');\n});
$node->poll_query_until('restored', q{SELECT count(*) = 1 FROM "vm tools".vm_progress WHERE state = 'waiting'}) or die 'no move';
my ($status, $stdout, $stderr) = $node->psql('restored', q{SELECT "vm tools".vm_finish('T', 'P3')});
like($stderr, qr/DETAIL:  Child app\.shop_pool_1 has moves under way: 1\./, 'a move is under way');
like($stderr, qr/HINT:  SELECT "vm tools"\.vm_stop_move\('app\.shop_pool_1'\);/, '… and can be stopped');
$node->safe_psql('restored', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL%'});
$node->poll_query_until('restored', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'CALL%'});
eval { $mover->quit };
is( $node->safe_psql('restored', q{SELECT found FROM "vm tools".vm_finish('T', 'P3')}),
	"empty, given back to its pool\nempty, dropped", 'finished after the restore');

$node->stop;
done_testing();
