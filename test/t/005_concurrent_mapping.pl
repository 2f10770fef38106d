# What one session changes, the next statement of another one goes by; not even a new extension disturbs it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VmTest;

my $node = new_cluster('concurrent');
$node->safe_psql('postgres', 'CREATE EXTENSION voucher_migrate');
create_parent($node, 'postgres', 'voucher');
$node->safe_psql('postgres', <<'SQL');
SELECT vm_define_mapping('mine', '{"columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}}}');
SELECT vm_create_child('voucher', 'mine', 'acme', 'shop', 'feed');
SQL

my $feed = $node->background_psql('postgres', on_error_stop => 0);
my $other = $node->background_psql('postgres', on_error_stop => 0);
$other->query_safe('SET client_min_messages = warning');
my $n = 0;

# The feed's session writes one more document; what became of it.
sub feed
{
	my ($columns, $doc) = @_;
	$n++;
	$doc //= sprintf('{"id":"v_%d","code":"code","kod":"kod","colour":"red"}', $n);
	return $feed->query("INSERT INTO feed (_id, _doc) VALUES ('$n', '$doc') RETURNING $columns");
}

sub define
{
	my ($columns, $more) = @_;
	$other->query_safe(sprintf(q{SELECT vm_define_mapping('mine', '{"columns": {"tenant_id": {"default": {"arg": 1}},
		"project_id": {"default": {"arg": 2}}%s}%s}')}, $columns, $more // ''));
	return;
}

is(feed('code'), 'code', 'the first plan');
define(', "code": {"from": "kod"}');
is(feed('code'), 'kod', 'vm_define_mapping is seen by the next statement');

# In a transaction, and by a prepared statement, as feeds write.
$feed->query_safe("PREPARE write (text, text) AS INSERT INTO feed (_id, _doc) VALUES (\$1, \$2) RETURNING code");
is($feed->query(q{EXECUTE write ('p1', '{"id":"p1","code":"c","kod":"k"}')}), 'k', 'a prepared statement');
$feed->query_safe('BEGIN');
is($feed->query(q{EXECUTE write ('p2', '{"id":"p2","code":"c","kod":"k"}')}), 'k', '… in a transaction');
define(', "code": {"from": ["code", "kod"]}');
is($feed->query(q{EXECUTE write ('p3', '{"id":"p3","code":"c","kod":"k"}')}), 'c', '… which sees the new mapping in its next statement');
$feed->query_safe('COMMIT');

# Not before it is committed, and not when it is rolled back.
$other->query_safe('BEGIN');
define(', "code": {"from": "colour"}');
is(feed('code'), 'code', 'a mapping that is not committed is not seen');
$other->query_safe('ROLLBACK');
is(feed('code'), 'code', '… nor one that was rolled back');

# From raise to quarantine and back.
is(feed('id', '{"id":"bad","deleted":"maybe"}'), '', 'on_error raise: refused');
define('', ', "on_error": "quarantine"');
is(feed('id', '{"id":"bad","deleted":"maybe"}'), '', 'on_error quarantine: not stored');
is($node->safe_psql('postgres', "SELECT count(*) FROM vm_quarantine WHERE _id = '$n'"), '1', '… but in quarantine');
define('');

# The table changes: the parent, and the child alone.
$other->query_safe('ALTER TABLE voucher ADD COLUMN colour text');
is(feed('colour'), 'red', 'ADD COLUMN to the parent is seen');
$other->query_safe("CREATE TYPE colour AS ENUM ('red', 'green'); ALTER TABLE voucher ALTER colour TYPE colour USING colour::colour");
is(feed('colour'), 'red', 'ALTER TYPE is seen');
is(feed('colour', '{"id":"blue","colour":"blue"}'), '', '… and judged by');
$other->query_safe("ALTER TYPE colour ADD VALUE 'blue'");
is(feed('colour', '{"id":"blue","colour":"blue"}'), 'blue', 'ALTER TYPE ADD VALUE is seen');
$other->query_safe('ALTER TABLE voucher RENAME colour TO kod');
is(feed('kod', '{"id":"kod","kod":"green"}'), 'green', 'RENAME COLUMN is seen');
$other->query_safe('ALTER TABLE voucher DROP COLUMN kod');
is(feed('code'), 'code', 'DROP COLUMN is seen');
$other->query_safe('ALTER TABLE feed RENAME TO feed2; ALTER TABLE feed2 RENAME TO feed');
is(feed('code'), 'code', 'RENAME of the child is seen');

# A change during a long statement of the feed: every row of that is of one plan or the other, and the next is new.
$feed->query_until(qr/started/, <<'SQL');
\echo started
INSERT INTO feed (_id, _doc) SELECT 'long' || i, format('{"id":"long%s","code":"c","kod":"k"}', i) || left(pg_sleep(0.002)::text, 0)
FROM generate_series(1, 1000) i;
SQL
define(', "code": {"from": "kod"}') for 1 .. 3;
is($feed->query("SELECT count(*), count(*) FILTER (WHERE code IN ('c', 'k')) FROM feed WHERE id LIKE 'long%'"),
	'1000|1000', 'a mapping that changes under a statement');
is(feed('code'), 'kod', '… holds for the next');

# A mapping that is gone, or can not work, is an error in words, and comes back.
is(sqlstate($node, 'postgres', "SELECT vm_drop_mapping('mine')"), '2BP01', 'a mapping in use is not dropped');

# A row that has its columns already, for a child without a trigger.
sub plain
{
	$n++;
	return $feed->query("INSERT INTO feed (_id, _doc, tenant_id, project_id, id) VALUES ('$n', '{\"code\":\"c\"}', 't', 'p', '$n') RETURNING coalesce(code, 'none')");
}

# Another extension of the same name: plans of the old one are not used.
$other->query_safe('DROP EXTENSION voucher_migrate CASCADE');
is(plain(), 'none', 'without the extension the child is a plain table');
$other->query_safe('CREATE EXTENSION voucher_migrate');
define(', "code": {"from": "colour"}');
$other->query_safe("CREATE TRIGGER vm_transform BEFORE INSERT OR UPDATE OF _doc ON feed FOR EACH ROW EXECUTE FUNCTION vm_transform('mine', 'acme', 'shop')");
is(feed('code'), 'red', 'the extension made anew works in the same session');
is(feed('id', '{"id":"bad","deleted":"maybe"}'), '', '… and refuses what is bad');
$other->query_safe('DROP EXTENSION voucher_migrate CASCADE; CREATE SCHEMA elsewhere; CREATE EXTENSION voucher_migrate SCHEMA elsewhere');
is(plain(), 'none', 'in another schema: no trigger');
$other->query_safe("SELECT elsewhere.vm_define_mapping('mine', '{\"columns\": {\"code\": {\"default\": {\"arg\": 1}, \"from\": \"x\"}}}')");
$other->query_safe("CREATE TRIGGER vm_transform BEFORE INSERT OR UPDATE OF _doc ON feed FOR EACH ROW EXECUTE FUNCTION elsewhere.vm_transform('mine', 'moved')");
is(feed('code', '{"id":"e","tenant_id":"t","project_id":"p","deleted":false}'), 'moved', 'in another schema: a trigger');

$feed->quit;
$other->quit;
server_survived($node);
$node->stop;
done_testing();
