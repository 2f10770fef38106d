# Documents of a size nobody wants: a row or a clear error, never a crash, and no memory kept.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(time);
use VmTest;

my $node = new_cluster('limits', conf => "shared_buffers = 64MB\nmax_wal_size = 4GB");
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION voucher_migrate;
CREATE TABLE thing (id text PRIMARY KEY, note text, data jsonb, ints integer[], rest jsonb);
-- Uncompressed: what is measured is the transformation.
ALTER TABLE thing ALTER note SET STORAGE EXTERNAL, ALTER data SET STORAGE EXTERNAL;
SELECT vm_define_mapping('raise', '{"columns": {"rest": {"ignore": true}}}');
SELECT vm_define_mapping('all', '{"unmapped": "rest"}');
SELECT vm_define_mapping('quarantine', '{"on_error": "quarantine"}');
SELECT vm_create_child('thing', m, 't', 'p', m || '_child') FROM unnest('{raise,all,quarantine}'::text[]) m;
CREATE UNLOGGED TABLE doc (name text PRIMARY KEY, doc text);
ALTER TABLE doc ALTER doc SET STORAGE EXTERNAL;
SQL

# Documents are made in the server; none goes over the wire.
my %make = map { split /: /, $_, 2 } grep { $_ ne '' } split /\n/, <<'SQL';
deep unmapped: '{"id":"a","x":' || repeat('[', 100000) || repeat(']', 100000) || '}'
deep array: '{"id":"a","data":' || repeat('[', 100000) || repeat(']', 100000) || '}'
deep object: '{"id":"a","data":' || repeat('{"a":', 100000) || '1' || repeat('}', 100000) || '}'
deep and cut: '{"id":"a","data":' || repeat('[', 100000)
10000 levels: '{"id":"a","data":' || repeat('{"a":[', 5000) || '1' || repeat(']}', 5000) || '}'
200 MB text: '{"id":"a","note":"' || repeat('0123456789', 20000000) || '"}'
200 MB jsonb: '{"id":"a","data":"' || repeat('0123456789', 20000000) || '"}'
300 MB text: '{"id":"a","note":"' || repeat('0123456789', 30000000) || '"}'
100000 keys: (SELECT '{"id":"a","data":{' || string_agg(format('"key %s":%s', i * 7919 % 100003, i), ',') || '}}' FROM generate_series(1, 100000) i)
100000 members: (SELECT '{"id":"a",' || string_agg(format('"key %s":%s', i * 7919 % 100003, i), ',') || '}' FROM generate_series(1, 100000) i)
one key 100000 times: (SELECT '{"id":"a","data":{' || string_agg(format('"key":%s', i), ',') || '}}' FROM generate_series(1, 100000) i)
1000000 integers: (SELECT '{"id":"a","ints":[' || string_agg(i::text, ',') || ']}' FROM generate_series(1, 1000000) i)
1000000 elements: (SELECT '{"id":"a","data":[' || string_agg(CASE i % 3 WHEN 0 THEN i::text WHEN 1 THEN format('"s%s"', i) ELSE format('{"$numberLong":"%s"}', i) END, ',') || ']}' FROM generate_series(1, 1000000) i)
50 MB: (SELECT '{"id":"a","note":"' || repeat('n', 30000000) || '","data":[' || repeat('{"a":[1,"two",null,3.50],"b":{"c":"d"}},', 500000) || '0],"ints":[' || repeat('1,2,', 100000) || '3]}')
50 MB and cut: (SELECT '{"id":"a","note":"' || repeat('n', 30000000) || '","data":[' || repeat('{"a":[1,"two",null,3.50],"b":{"c":"d"}},', 500000))
long: '{"id":"a","data":[' || repeat('1,', 10000000) || '1]}'
longer: '{"id":"a","data":[' || repeat('[1],', 20000000) || '1]}'
SQL
$node->safe_psql('postgres', join '', map { "INSERT INTO doc VALUES ('$_', $make{$_});\n" } sort keys %make);

# One document, in a fresh backend and a transaction that is rolled back: what a query says about its row.
sub answer
{
	my ($child, $name, $query, $settings) = @_;
	my $began = time;
	my ($stdout, $stderr);
	my $status = $node->psql('postgres', <<SQL, stdout => \$stdout, stderr => \$stderr);
@{[ $settings // '' ]}
\\set VERBOSITY sqlstate
BEGIN;
INSERT INTO $child (_id, _doc) SELECT 'x', doc FROM doc WHERE name = '$name';
$query;
ROLLBACK;
SQL
	note sprintf('%s into %s: %.1f s', $name, $child, time - $began);
	return $stdout if $status == 0;
	return $stderr =~ /ERROR:\s+([0-9A-Z]{5})/ ? $1 : $stderr;
}

sub same_as_server
{
	my ($column, $field, $child) = @_;
	return "SELECT c.$column = (SELECT doc::jsonb " . ($field ? "-> '$field'" : "- 'id'") . " FROM doc WHERE doc.doc = c._doc) FROM $child c";
}

# Depth.
is(answer('raise_child', $_, 'SELECT 1'), '54001', "$_: refused") for 'deep unmapped', 'deep array', 'deep object';
like(answer('raise_child', 'deep and cut', 'SELECT 1'), qr/^(54001|22P02)$/, 'deep and cut: refused');
is(answer('raise_child', 'deep object', 'SELECT 1', "SET max_stack_depth = '6MB';"), '54001', 'deep object, a larger stack: refused');
is(answer('raise_child', '10000 levels', same_as_server('data', 'data', 'raise_child')), 't', '10000 levels: a row');
is(answer('quarantine_child', 'deep object', 'SELECT sqlstate FROM vm_quarantine'), '54001', 'deep object: quarantine');

# Length.
is(answer('raise_child', '200 MB text', 'SELECT length(note), right(note, 3) FROM raise_child'), '200000000|789', '200 MB of text: a row');
is(answer('raise_child', '200 MB jsonb', "SELECT length(data #>> '{}') FROM raise_child"), '200000000', '200 MB of text in jsonb: a row');
is(answer('raise_child', '300 MB text', 'SELECT 1'), '54000', '300 MB of text: refused as jsonb refuses it');

# Number.
is(answer('raise_child', '100000 keys', same_as_server('data', 'data', 'raise_child')), 't', '100000 keys: a row');
is(answer('all_child', '100000 members', same_as_server('rest', '', 'all_child')), 't', '100000 members, all collected: a row');
is(answer('raise_child', '100000 members', 'SELECT id FROM raise_child'), 'a', '100000 members, none wanted: a row');
is(answer('raise_child', 'one key 100000 times', 'SELECT data FROM raise_child'), '{"key": 100000}', 'one key 100000 times: a row');
is( answer('raise_child', '1000000 integers', 'SELECT cardinality(ints), (SELECT sum(i) FROM unnest(ints) i) FROM raise_child'),
	'1000000|500000500000', '1000000 integers: a row');
is(answer('raise_child', '1000000 elements', same_as_server('data', 'data', 'raise_child')), 't', '1000000 elements: a row');

# 50 MB of everything.
is( answer('raise_child', '50 MB', 'SELECT length(note), jsonb_array_length(data), cardinality(ints) FROM raise_child'),
	'30000000|500001|200001', '50 MB: a row');
is(answer('raise_child', '50 MB and cut', 'SELECT 1'), '22P02', '50 MB, cut off: refused');
is(answer('quarantine_child', '50 MB and cut', "SELECT sqlstate, _doc = (SELECT doc FROM doc WHERE name = '50 MB and cut') FROM vm_quarantine"),
	'22P02|t', '50 MB, cut off: quarantine');

# A statement can be cancelled while it looks at a document, whoever parses it.
for my $case ([ 'long', '100ms', qr/^57014$/ ], [ 'longer', '3s', qr/^(57014|54000)$/ ], [ '50 MB and cut', '500ms', qr/^(57014|22P02)$/ ])
{
	my ($name, $timeout, $expected) = @$case;
	my $began = time;
	like(answer('raise_child', $name, 'SELECT 1', "SET statement_timeout = '$timeout';"), $expected, "$name: statement_timeout cancels");
	cmp_ok(time - $began, '<', 7, "$name: … within a few seconds");
}

# What a backend took for large documents it gives back, after an error too.
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query_safe('SELECT pg_backend_pid()');

sub memory
{
	my ($rss) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $rss / 1024;
}

$session->query_safe(q{INSERT INTO raise_child (_id, _doc) VALUES ('small', '{"id":"small","data":[1]}')});
my $small = memory();
for my $name ('50 MB', '200 MB text', '1000000 elements', '1000000 integers', 'deep object', '50 MB and cut')
{
	$session->query("BEGIN; INSERT INTO raise_child (_id, _doc) SELECT 'x', doc FROM doc WHERE name = '$name'; ROLLBACK");
	cmp_ok(memory() - $small, '<', 64, "$name: the memory is given back, but for 64 MB");
}
is($session->query(q{SELECT data FROM raise_child WHERE _id = 'small'}), '[1]', 'the session goes on');
$session->quit;

server_survived($node);
$node->stop;
done_testing();
