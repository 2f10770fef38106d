# 2,000 projects: with a child each, all of them there at once; then with two entities through pools. What is asserted are
# counts, not times: nothing is left behind, and no table is read more often the more projects there are.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Test::More;
use VmTest;

my $projects = 2000;
my $rows = 4;

# A query through the parent locks every child and its indexes.
my $node = new_cluster('thousands', conf => <<CONF);
max_worker_processes = 8
max_locks_per_transaction = 256
shared_buffers = 256MB
track_counts = on
CONF
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION voucher_migrate;
CREATE TABLE vouchers (tenant_id text, id text PRIMARY KEY, code text, deleted boolean, updated_at timestamptz);
CREATE INDEX ON vouchers (code);
CREATE TABLE campaigns (LIKE vouchers INCLUDING ALL);
SELECT vm_define_mapping('doc', '{"watermark": ["updated_at"]}');
SELECT vm_register_parent('vouchers', 'doc', 'voucher');
SQL

sub ask
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub migrate
{
	my ($arguments, $states, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $began = time;
	ask("CALL vm_migrate($arguments, quiet => true)");
	note "$name: " . (time - $began) . ' s';
	return is(ask('SELECT string_agg(DISTINCT concat_ws(\' \', state, step, why), \', \') || \' \' || count(*) FROM vm_migrate_project WHERE run_id = (SELECT max(run_id) FROM vm_migrate_run)'),
		$states, $name);
}

# Catalog rows that come and go with a child.
sub catalog
{
	return ask(q{SELECT string_agg(format('%s %s', t, n), ', ' ORDER BY t) FROM (
		SELECT 'class' AS t, count(*) AS n FROM pg_class WHERE oid > 16384 UNION ALL SELECT 'inherits', count(*) FROM pg_inherits
		UNION ALL SELECT 'trigger', count(*) FROM pg_trigger UNION ALL SELECT 'index', count(*) FROM pg_index
		UNION ALL SELECT 'constraint', count(*) FROM pg_constraint UNION ALL SELECT 'type', count(*) FROM pg_type
		UNION ALL SELECT 'depend', count(*) FROM pg_depend WHERE objid > 16384 OR refobjid > 16384) c});
}

# No table, of ours or the server's, was read by more than a number of rows a project: a look at all projects for each would be
# half of $projects or more. The parents are left out: while they are small the planner looks a child's keys up in the whole of them.
sub linear
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ask('SELECT pg_stat_force_next_flush()');
	my $read = q{seq_tup_read + coalesce(idx_tup_fetch, 0)};
	is( ask("SELECT string_agg(format('%s: %s', relname, n / $projects), ', ') FROM (SELECT relname, $read AS n FROM pg_stat_all_tables) t WHERE n > 500 * $projects AND relname NOT IN ('vouchers', 'campaigns')"),
		'', $name);
	note ask("SELECT string_agg(format('%s %s', relname, n / $projects), ', ' ORDER BY n DESC) FROM (SELECT relname, $read AS n FROM pg_stat_all_tables ORDER BY 2 DESC LIMIT 8) t");
	ask('SELECT pg_stat_reset()');
	return;
}

# Rows that came from a feed, twice as many closed ones as others.
sub feed
{
	my ($prefix) = @_;
	return ask(<<SQL);
DO \$\$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT e.child, e.project FROM vm_project_entity e WHERE e.child IS NOT NULL AND e.finish_at IS NULL LOOP
        EXECUTE format('INSERT INTO %s (_id, _doc) SELECT i, format(\$d\${"id":"$prefix-%s-%%s","code":"c%%s","deleted":%%s,"updated_at":{"\$date":1600000000000}}\$d\$,
            i, i, (mod(i, 3) > 0)::text) FROM generate_series(1, $rows) i', c.child, c.project);
    END LOOP;
END \$\$;
SQL
}

my $before = catalog();
is(ask("SELECT vm_add_projects('SELECT ''t'' || i % 10, ''p'' || i FROM generate_series(1, $projects) i')"), $projects, "$projects projects are registered");
ask('SELECT pg_stat_reset()');

migrate("source_checked => 'clean'", "stopped feed_start feed_start is not on record $projects", 'all are prepared');
is(ask("SELECT count(*) FROM pg_inherits WHERE inhparent = 'vouchers'::regclass"), $projects, 'each has a child, all of them at once');
linear('preparing reads no table again and again');

feed('a');
is(ask("SELECT count(*) FROM vouchers WHERE code = 'c1'"), $projects, 'a query through the parent sees all of them');
# The parent has two indexes; a child has one more.
is(ask("BEGIN; SELECT FROM vouchers WHERE code = 'none'; SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation::regclass::text LIKE 'vouchers%'"),
	$projects * 4 + 3, 'and locks each child and each of its indexes');
is(ask("SELECT count(*), count(DISTINCT (tenant, project)), sum(in_child) FROM vm_status"), "$projects|$projects|" . $projects * $rows, 'vm_status shows all of them');
linear('the feed and vm_status read no table again and again');

migrate("feed_started => 'loaded', feed_stopped => 'stopped', finish => true", "done done $projects", 'all are switched, moved and finished');
is(ask("SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM ONLY vouchers) FROM vouchers"), join('|', ($projects * $rows) x 3), 'every row is in the parent once');
is(ask("SELECT count(*) FROM vm_flag WHERE switched"), $projects, 'every flag is set');
is(catalog(), $before, 'nothing is left in the catalog');
is(ask("SELECT (SELECT count(*) FROM vm_child), (SELECT count(*) FROM vm_feed_seen), (SELECT count(*) FROM vm_move_place), (SELECT count(*) FROM vm_move_control)"),
	'0|0|0|0', 'nor in what is kept of children');
linear('moving and finishing read no table again and again');
is(ask("SELECT max(n), min(n) FROM (SELECT count(*) AS n FROM vm_history GROUP BY tenant, project) h"), '10|10', 'each project has its history');

#
# Two entities, through pools
#
ask(q{SELECT vm_register_parent('campaigns', 'doc', 'campaign'); SELECT vm_create_pool('voucher', 50), vm_create_pool('campaign', 50)});
ask("SELECT vm_add_projects('SELECT ''u'', ''p'' || i FROM generate_series(1, $projects) i')");
my $pooled = catalog();
ask('SELECT pg_stat_reset()');
my $second = q{'tenant = ''u''', movers => 4};
migrate("$second, source_checked => 'clean', feed_started => 'loaded', feed_stopped => 'stopped', finish => true", "done done $projects", 'all go through 50 children of each entity');
is(catalog(), $pooled, 'no child is made or dropped');
linear('pools read no table again and again');
is(ask("SELECT count(*) FROM vm_project_entity WHERE (tenant, finish_at IS NOT NULL, child IS NULL) = ('u', true, true)"), 2 * $projects, 'all are finished');

# Waves of as many projects as the pool has children, with rows.
ask("SELECT vm_add_projects('SELECT ''w'', ''p'' || i FROM generate_series(1, 200) i')");
for my $wave (1 .. 4)
{
	my $filter = "'tenant = ''w'' AND substr(project, 2)::integer BETWEEN " . (50 * $wave - 49) . ' AND ' . 50 * $wave . "'";
	ask("CALL vm_migrate($filter, source_checked => 'clean', quiet => true)");
	feed("w$wave");
	migrate("$filter, feed_started => 'loaded', feed_stopped => 'stopped', finish => true", 'done done 50', "wave $wave");
}
is(ask("SELECT count(*), count(DISTINCT id) FROM ONLY vouchers WHERE id LIKE 'w%'"), join('|', (200 * $rows) x 2), 'every row of the waves is in its parent once');
is(ask("SELECT count(*), count(DISTINCT id) FROM ONLY campaigns WHERE id LIKE 'w%'"), join('|', (200 * $rows) x 2), 'in either');
is(catalog(), $pooled, 'the pools are as they were');

server_survived($node);
done_testing();
