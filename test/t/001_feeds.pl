# Every way a feed may write to a child made by vm_create_child.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VmTest;

my $node = new_cluster('feeds');
$node->safe_psql('postgres', 'CREATE EXTENSION voucher_migrate');
create_parent($node, 'postgres', 'voucher');

sub child
{
	my ($mapping, $name) = @_;
	return $node->safe_psql('postgres', "SELECT vm_create_child('voucher', '$mapping', 'acme', 'shop', '$name')");
}

# The columns of the rows of a child, one line a row.
sub rows
{
	my ($child, $where) = @_;
	return $node->safe_psql('postgres', <<SQL);
SET TimeZone = 'UTC';
SELECT tenant_id, project_id, id, code, deleted, publish->'count', updated_at FROM $child
WHERE @{[ $where // 'true' ]} ORDER BY _id;
SQL
}

sub doc
{
	my ($n, $version, $code) = @_;
	return sprintf('{"_id":{"$oid":"%s"},"id":"v_%d","code":"%s","publish":{"count":"%d.5"},"updated_at":{"$date":%d}}',
		oid_of($n), $n, $code, $n, ms_of($version));
}

sub row
{
	my ($n, $version, $code) = @_;
	return sprintf('acme|shop|v_%d|%s|f|%d|2019-12-06 16:07:%02d.123+00', $n, $code, $n, 44 + $version);
}

# COPY, as a full load does it.
child('voucher', 'feed');
my $copy = join '', map { oid_of($_) . "\t" . doc($_, 0, 'copied') . "\n" } 1 .. 3;
$node->safe_psql('postgres', "COPY feed (_id, _doc) FROM STDIN;\n$copy\\.\n");
is(rows('feed'), join("\n", map { row($_, 0, 'copied') } 1 .. 3), 'COPY');
is( $node->safe_psql('postgres', "SELECT count(*), min(extract(epoch FROM created_at)) FROM voucher"),
	'3|1575630928.000000', 'the rows are seen through the parent');

# Single rows.
$node->safe_psql('postgres', "INSERT INTO feed (_id, _doc) VALUES ('@{[ oid_of(4) ]}', '@{[ doc(4, 0, 'inserted') ]}')");
is(rows('feed', "id = 'v_4'"), row(4, 0, 'inserted'), 'INSERT');
$node->safe_psql('postgres', "UPDATE feed SET _doc = '@{[ doc(4, 1, 'updated') ]}' WHERE _id = '@{[ oid_of(4) ]}'");
is(rows('feed', "id = 'v_4'"), row(4, 1, 'updated'), 'UPDATE');

# An upsert: the row is there, and is not.
for my $case ([ 4, 2, 'upserted' ], [ 5, 0, 'new' ])
{
	my ($n, $version, $code) = @$case;
	$node->safe_psql('postgres', <<SQL);
INSERT INTO feed (_id, _doc) VALUES ('@{[ oid_of($n) ]}', '@{[ doc($n, $version, $code) ]}')
ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
SQL
	is(rows('feed', "id = 'v_$n'"), row($n, $version, $code), "INSERT … ON CONFLICT DO UPDATE, $code");
}
my ($ret, $out, $err) = $node->psql('postgres', <<SQL);
INSERT INTO feed (_id, _doc) VALUES ('@{[ oid_of(4) ]}', '@{[ doc(4, 0, 'stale') ]}')
ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
SQL
is($ret, 0, 'a stale upsert does not stop the feed');
like(
	$err,
	qr/WARNING:  VOUCHER ANOMALY DETECTED - ID: 5dea38500+4, Incoming time: .*44\.123\S*, Stored time: .*46\.123/,
	'… warns in the words of the article');
is(rows('feed', "id = 'v_4'"), row(4, 2, 'upserted'), '… and leaves the newer row');
is( $node->safe_psql('postgres', "SELECT kind, _id, incoming->>'code', stored->>'code' FROM vm_anomaly"),
	"late_document|@{[ oid_of(4) ]}|stale|upserted", '… and is recorded');

# As AWS recommends for full loads, and as replication applies.
$node->safe_psql('postgres', <<SQL);
SET session_replication_role = replica;
INSERT INTO feed (_id, _doc) VALUES ('@{[ oid_of(6) ]}', '@{[ doc(6, 0, 'replica') ]}');
UPDATE feed SET _doc = '@{[ doc(5, 1, 'replica') ]}' WHERE _id = '@{[ oid_of(5) ]}';
SQL
is( rows('feed', "id IN ('v_5', 'v_6')"),
	row(5, 1, 'replica') . "\n" . row(6, 0, 'replica'),
	'session_replication_role = replica');

# In two steps: the row, then its document; two rows at a time, so that their empty keys meet.
$node->safe_psql('postgres', "COPY feed (_id) FROM STDIN;\n" . oid_of(7) . "\n" . oid_of(8) . "\n\\.\n");
is($node->safe_psql('postgres', 'SELECT count(*) FROM feed WHERE _doc IS NULL'), '2', 'rows without documents wait');
is( $node->safe_psql('postgres', "SELECT * FROM vm_move_batch('feed', 100, 'code IS NULL')"),
	'0|0|0|0|0|0|f', '… and are not moved');
$node->safe_psql('postgres', <<SQL);
UPDATE feed SET _doc = '@{[ doc(7, 0, 'second') ]}' WHERE _id = '@{[ oid_of(7) ]}';
INSERT INTO feed (_id, _doc) VALUES ('@{[ oid_of(8) ]}', '@{[ doc(8, 0, 'second') ]}')
ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
SQL
is( rows('feed', "id IN ('v_7', 'v_8')"),
	row(7, 0, 'second') . "\n" . row(8, 0, 'second'),
	'a NULL _doc filled by a later UPDATE');

# What does not touch the document.
$node->safe_psql('postgres', "UPDATE voucher SET code = 'application' WHERE id = 'v_1'");
is(rows('feed', "id = 'v_1'"), row(1, 0, 'application'), 'an UPDATE that leaves _doc alone');
$node->safe_psql('postgres', "UPDATE feed SET _doc = _doc WHERE id = 'v_1'");
is(rows('feed', "id = 'v_1'"), row(1, 0, 'application'), '… as one that writes the same document');
is(sqlstate($node, 'postgres', "UPDATE feed SET _doc = NULL WHERE id = 'v_1'"), '00000', '_doc may become NULL');
is(rows('feed', "id = 'v_1'"), row(1, 0, 'application'), '… and the columns stay');

# on_error: raise.
is( sqlstate($node, 'postgres', "COPY feed (_id, _doc) FROM STDIN;\nx\t{\"id\":\"x\",\"updated_at\":\"soon\"}\n\\.\n"),
	'22007', 'raise: a bad document stops the COPY');
is($node->safe_psql('postgres', "SELECT count(*) FROM feed WHERE _id = 'x'"), '0', '… and nothing is stored');

# on_error: quarantine.
quarantine_mapping($node, 'postgres', 'careful');
child('careful', 'careful_feed');
my %bad = (
	11 => [ '{"id":"v_11","updated_at":{"$date":"soon"}}', '22007', 'updated_at' ],
	12 => [ '{"id":"v_12","publish":{"entries":[1,2', '22P02', '' ],
	13 => [ '[1,2]', '22023', '' ],
	14 => [ '{"id":"v_14","validity_day_of_week":[1,"x"]}', '22P02', 'validity_day_of_week[1]' ],
	15 => [ '{"id":"v_15","validity_day_of_week":[3000000000]}', '22003', 'validity_day_of_week[0]' ],
	16 => [ '', '22P02', '' ],
	17 => [ '{"_id":{"$oid":"xyz"},"id":"v_17"}', '22P02', '_id' ],
	18 => [ '{"id":"v_18\\\\u0000"}', '22P05', '' ],);
$copy = join '', map { oid_of($_) . "\t" . ($bad{$_} ? $bad{$_}[0] : doc($_, 0, 'copied')) . "\n" } 10 .. 20;
is(sqlstate($node, 'postgres', "COPY careful_feed (_id, _doc) FROM STDIN;\n$copy\\.\n"),
	'00000', 'quarantine: no bad document stops the COPY');
is( rows('careful_feed'),
	join("\n", map { row($_, 0, 'copied') } 10, 19, 20),
	'quarantine: the good documents are rows');
is( $node->safe_psql('postgres', 'SELECT _id, sqlstate, _doc FROM vm_quarantine ORDER BY _id'),
	join("\n", map { my $d = $bad{$_}[0]; $d =~ s/\\\\/\\/; oid_of($_) . "|$bad{$_}[1]|$d" } sort keys %bad),
	'quarantine: the bad ones are kept as they came');
is( $node->safe_psql('postgres', "SELECT DISTINCT child, operation, settled_at IS NULL FROM vm_quarantine"),
	'careful_feed|INSERT|t', 'quarantine: of which child, and open');
for my $n (sort keys %bad)
{
	next unless $bad{$n}[2];
	is( $node->safe_psql('postgres', "SELECT field FROM vm_quarantine WHERE _id = '@{[ oid_of($n) ]}'"),
		$bad{$n}[2], "quarantine: the field at fault, $n");
}

# A bad version of a row that stands, in each way it may come.
my $before = rows('careful_feed');
for my $sql (
	"UPDATE careful_feed SET _doc = '{\"id\":5,\"deleted\":\"maybe\"}' WHERE _id = '@{[ oid_of(10) ]}'",
	"INSERT INTO careful_feed (_id, _doc) VALUES ('@{[ oid_of(10) ]}', '{\"cut\":\"of') "
	. 'ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc',
	"SET session_replication_role = replica; INSERT INTO careful_feed (_id, _doc) VALUES ('@{[ oid_of(30) ]}', 'x')")
{
	is(sqlstate($node, 'postgres', $sql), '00000', 'quarantine: no bad change stops the feed');
}
is(rows('careful_feed'), $before, 'quarantine: … and what stood stands');
is($node->safe_psql('postgres', 'SELECT count(*) FROM vm_quarantine WHERE settled_at IS NULL'),
	'11', 'quarantine: … each has its case');

# Documents that are well formed, but whose rows the child's constraints refuse.
$node->safe_psql('postgres', "ALTER TABLE voucher ADD CONSTRAINT short CHECK (length(code) < 20)");
for my $case ([ 'CHECK', doc(31, 0, 'x' x 30), '23514' ], [ 'a key of another row', doc(10, 0, 'twin'), '23505' ])
{
	my ($what, $doc, $state) = @$case;
	is( sqlstate($node, 'postgres', "INSERT INTO careful_feed (_id, _doc) VALUES ('$what', '$doc')"),
		'00000', "quarantine: a row that a constraint refuses does not stop the feed: $what");
	is($node->safe_psql('postgres', "SELECT sqlstate FROM vm_quarantine WHERE _id = '$what'"),
		$state, "quarantine: … and has its case: $what");
}
is(rows('careful_feed'), $before, 'quarantine: … and what stood stands');

# A good version settles the bad ones of the same _id.
$node->safe_psql('postgres', "INSERT INTO careful_feed (_id, _doc) VALUES ('@{[ oid_of(11) ]}', '@{[ doc(11, 1, 'mended') ]}')");
is(rows('careful_feed', "id = 'v_11'"), row(11, 1, 'mended'), 'a good version is taken');
is( $node->safe_psql('postgres', 'SELECT _id, settled_by FROM vm_quarantine WHERE settled_at IS NOT NULL'),
	oid_of(11) . '|good document', '… and settles the bad one');

server_survived($node);
$node->stop;
done_testing();
