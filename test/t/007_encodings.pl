# Databases that are not UTF8: escapes mean what the server says they mean.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VmTest;

my $node = new_cluster('encodings', extra => [ '--locale=C', '--encoding=UTF8' ]);

# Everything here is bytes; \xe9 is é in LATIN1, \xc3\xa9 in UTF-8.
$ENV{PGCLIENTENCODING} = 'SQL_ASCII';

my %db = (latin1 => 'LATIN1', ascii => 'SQL_ASCII', utf8 => 'UTF8', euc => 'EUC_JP');
for my $db (sort keys %db)
{
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$db{$db}' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql($db, 'CREATE EXTENSION voucher_migrate');
	create_parent($node, $db, 'voucher');
	quarantine_mapping($node, $db, 'careful');
	$node->safe_psql($db, "SELECT vm_create_child('voucher', 'voucher', 'acme', 'shop', 'feed');
		SELECT vm_create_child('voucher', 'careful', 'acme', 'other', 'careful_feed')");
}

my $n = 0;

# A document's code and the discount's text, in hexadecimal, or its SQLSTATE; the server's own answer with jsonb.
sub both
{
	my ($db, $text) = @_;
	$n++;
	my $doc = qq({"id":"v_$n","code":"$text","discount":{"$text":"$text"}});
	my $hex = "encode(textsend(%s), 'hex')";
	my @answers;
	for my $sql (
		sprintf("INSERT INTO feed (_id, _doc) VALUES ('%d', \$\$%s\$\$) RETURNING $hex || ' ' || $hex", $n, $doc, 'code', 'discount::text'),
		sprintf("SELECT $hex || ' ' || $hex FROM (SELECT \$\$%s\$\$::jsonb d) x", "d->>'code'", "(d->'discount')::text", $doc))
	{
		my ($stdout, $stderr);
		my $status = $node->psql($db, "\\set VERBOSITY sqlstate\nSET standard_conforming_strings = on;\n$sql", stdout => \$stdout, stderr => \$stderr);
		push @answers, $status == 0 ? $stdout : $stderr =~ /ERROR:\s+([0-9A-Z]{5})/ ? $1 : $stderr;
	}
	return @answers;
}

# What the server says of a character that SQL_ASCII cannot know: 0A000, in later versions 22P05.
my $unknown = sqlstate($node, 'ascii', q{SELECT '"\u4e2d"'::jsonb});

# database, text, what the code must be (in hexadecimal), or its SQLSTATE
my @cases = (
	[ 'latin1', 'plain', '706c61696e' ],
	[ 'latin1', "caf\xe9", '636166e9' ],
	[ 'latin1', 'caf\u00e9', '636166e9' ],
	[ 'latin1', "\xe9" . '\u00e9\n', 'e9e90a' ],
	[ 'latin1', '\\\\u00e9', '5c7530306539' ],
	[ 'latin1', '\u4e2d', '22P05' ],
	[ 'latin1', '\ud83d\ude00', '22P05' ],
	[ 'latin1', '\u0000', '22P05' ],
	[ 'latin1', '\ud83d', '22P02' ],
	[ 'latin1', "\xed\xa0\x80", 'eda080' ],
	[ 'latin1', "\xed\xa0\x80" . '\n', 'eda0800a' ],
	[ 'ascii', 'plain\u0041', '706c61696e41' ],
	[ 'ascii', "caf\xe9", '636166e9' ],
	[ 'ascii', "caf\xc3\xa9", '636166c3a9' ],
	[ 'ascii', 'caf\u00e9', $unknown ],
	[ 'ascii', '\u4e2d', $unknown ],
	[ 'ascii', "\xff\xfe", 'fffe' ],
	[ 'ascii', "\xed\xa0\x80" . '\t', 'eda08009' ],
	[ 'euc', '\u4e2d', 'c3e6' ],
	[ 'euc', "\xc3\xe6", 'c3e6' ],
	[ 'euc', '\u00e9', '8fabb1' ],
	[ 'utf8', "caf\xc3\xa9", '636166c3a9' ],
	[ 'utf8', 'caf\u00e9\u4e2d\ud83d\ude00', '636166c3a9e4b8adf09f9880' ],
	[ 'utf8', '\udc00', '22P02' ],);

for my $case (@cases)
{
	my ($db, $text, $expected) = @$case;
	my ($ours, $servers) = both($db, $text);
	my $name = "$db: $text";
	$name =~ s/([^ -~])/sprintf('<%02x>', ord $1)/ge;
	$name =~ s/\\/\\\\/g;
	like($ours, qr/^\Q$expected\E( |$)/, $name);
	is($ours, $servers, "$name: as jsonb has it");
}

# Where the server refuses, a careful feed goes on, and its case is kept as it came.
for my $case ([ 'latin1', '22P05' ], [ 'ascii', $unknown ])
{
	my ($db, $state) = @$case;
	is( sqlstate($node, $db, q{INSERT INTO careful_feed (_id, _doc) VALUES ('bad', '{"id":"bad","code":"\u4e2d"}'), ('good', '{"id":"good","code":"\u0065"}')}),
		'00000', "quarantine, $db: the feed goes on");
	is( $node->safe_psql($db, "SELECT _id, sqlstate, _doc FROM vm_quarantine"),
		"bad|$state|" . '{"id":"bad","code":"\u4e2d"}', "quarantine, $db: the case");
	is($node->safe_psql($db, "SELECT id, code FROM careful_feed"), 'good|e', "quarantine, $db: the row");
}

# A client in UTF-8, a server in LATIN1: keys and values of a field beyond ASCII find their column.
delete $ENV{PGCLIENTENCODING};
$node->safe_psql('latin1', <<"SQL");
SET client_encoding = 'UTF8';
CREATE TABLE cafe (id text PRIMARY KEY, "caf\xc3\xa9" text);
SELECT vm_define_mapping('cafe', '{}');
SELECT vm_create_child('cafe', 'cafe', 'caf\xc3\xa9', 'shop', 'cafe_feed');
INSERT INTO cafe_feed (_id, _doc) VALUES (1, '{"id":"1","caf\xc3\xa9":"\xc3\xa9"}'), (2, '{"id":"2","caf\\u00e9":"\\u00e9"}');
SQL
is( $node->safe_psql('latin1', "SET client_encoding = 'UTF8'; SELECT id, ascii(\"caf\xc3\xa9\"), length(\"caf\xc3\xa9\") FROM cafe ORDER BY id"),
	"1|233|1\n2|233|1", 'latin1: a column beyond ASCII');

server_survived($node);
$node->stop;
done_testing();
