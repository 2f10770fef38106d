# What a session has set makes no difference to what a document becomes.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VmTest;

my $node = new_cluster('settings', extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->safe_psql('postgres', <<'SQL');
CREATE SCHEMA vm;
CREATE EXTENSION voucher_migrate SCHEMA vm;
CREATE SCHEMA app;
CREATE TABLE app.thing (
    id text PRIMARY KEY, t text, tz timestamptz, ts timestamp, d date, tm time, iv interval, f4 real, f8 double precision,
    n numeric, m money, b bytea, j jsonb, js json, a timestamptz[], fa double precision[], ta text[], u uuid, x xml, r int4range,
    p point, c regclass, rest jsonb);
SELECT vm.vm_define_mapping('thing', '{"unmapped": "rest", "watermark": ["tz", "ts"], "columns": {"j": {"normalize": true}}}');
SELECT vm.vm_define_mapping('careful', '{"watermark": ["tz"], "on_error": "quarantine"}');
SELECT vm.vm_create_child('app.thing', 'thing', 't', 'p', 'feed');
SELECT vm.vm_create_child('app.thing', 'careful', 't', 'p', 'careful_feed');
CREATE TABLE app.document (n integer PRIMARY KEY, doc text);
-- A hostile path: names of the extension's and the server's own.
CREATE SCHEMA hostile;
CREATE TABLE hostile.vm_mapping (mapping text, shipped boolean, rules jsonb);
CREATE TABLE hostile.vm_anomaly (LIKE vm.vm_anomaly);
CREATE TABLE hostile.vm_quarantine (LIKE vm.vm_quarantine);
CREATE TABLE hostile.pg_inherits (inhrelid oid, inhparent oid);
CREATE TABLE hostile.feed (_id text, _doc text);
CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
CREATE FUNCTION hostile.md5(text) RETURNS text LANGUAGE sql AS $$SELECT 'hostile'$$;
CREATE FUNCTION hostile.count(integer) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION hostile.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.eq);
CREATE DOMAIN hostile.timestamptz AS text;
SQL

my @documents = (
	'{"tz":{"$date":1575648464123},"ts":{"$date":1575648464123},"d":{"$date":1575648464123},"a":[{"$date":1575648464123}]}',
	'{"tz":"2019-12-06T16:07:44.123Z","ts":"2019-12-06T16:07:44.123Z","d":"2019-12-06","tm":"16:07:44.123","a":["2019-07-06T16:07:44Z"]}',
	'{"tz":"2019-12-06 23:30:00","ts":"2019-12-06T23:30:00-05:00","d":"2019-12-06T23:30:00-05:00","a":["2019-12-06"]}',
	'{"tz":"2019-03-31T02:30:00","ts":"2019-03-31T02:30:00","d":"2019-03-31T02:30:00+01:00","tm":"02:30"}',
	'{"tz":"Fri, 06 Dec 2019 16:07:44 GMT","ts":1575648464123,"d":"1575648464123","tm":"00:00:00"}',
	'{"tz":"06/12/2019"}',
	'{"tz":"now"}',
	'{"iv":"1 year 2 mons 3 days 04:05:06.7","n":"1234567.89","f8":0.1,"f4":0.1,"fa":[0.1,1e-7,1e300]}',
	'{"f8":1.1000000000000000888,"f4":16777217,"n":1.1000000000000000888,"t":1.10,"ta":[1.10,"a,b","c\\\\d\"e"]}',
	'{"f8":{"$numberDouble":"-Infinity"},"n":{"$numberDecimal":"1.50E-2"},"j":{"d":{"$date":1575648464123},"n":{"$numberLong":"5"},"f":0.1}}',
	'{"b":{"$binary":{"base64":"AAECXA==","subType":"00"}},"t":{"$binary":{"base64":"AAECXA==","subType":"00"}},"j":{"$binary":{"base64":"AAECXA==","subType":"00"}}}',
	'{"t":{"$date":1575648464123},"ta":[{"$date":1575648464123}],"js":{"$date":1575648464123},"other":{"$date":1575648464123}}',
	'{"t":{"$timestamp":{"t":1575648464,"i":1}},"tz":{"$timestamp":{"t":1575648464,"i":1}}}',
	'{"t":"\\\\ \\u0027 \u017c\u00f3\u0142ty","j":"\\\\ \u017c","u":"C8EDABC3-F738-4CA3-B68D-AB92A91478A3","ta":["NULL","",null]}',
	'{"x":"<a>\u0142</a>","r":"[1,5]","p":"(0.1,1e-7)"}',
	'{"m":12.50}',
	'{"c":"app.thing"}',
	'{"c":"nowhere"}',
	'{"tm":"25:00"}',
	'{"d":"2019-02-30"}',
	'[1]',);
for my $n (0 .. $#documents)
{
	my $doc = $documents[$n] =~ s/^\{/{"id":"v_$n",/r;
	$node->safe_psql('postgres', "INSERT INTO app.document VALUES ($n, \$doc\$$doc\$doc\$)");
}

# A feed never stops where it is told not to.
is( sqlstate($node, 'postgres', 'INSERT INTO app.careful_feed (_id, _doc) SELECT n, doc FROM app.document'),
	'00000', 'no document stops a careful feed');

# What every document becomes in a session with such settings, read in a session without any.
my $read = <<'SQL';
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
SET search_path = pg_catalog;
SELECT 'row', f.* FROM app.feed f ORDER BY _id COLLATE "C";
SELECT 'careful row', f.* FROM app.careful_feed f ORDER BY _id COLLATE "C";
SELECT 'quarantine', child, mapping, _id, _doc, operation, sqlstate, message, field, column_name, attempts, settled_by
FROM vm.vm_quarantine ORDER BY _id COLLATE "C";
SELECT 'anomaly', child, mapping, _id, kind, incoming_time, stored_time, incoming_doc, times_seen FROM vm.vm_anomaly ORDER BY _id COLLATE "C";
SELECT 'parent', p.* FROM ONLY app.thing p ORDER BY id COLLATE "C";
SELECT 'hostile', (SELECT count(*) FROM hostile.vm_anomaly), (SELECT count(*) FROM hostile.vm_quarantine), (SELECT count(*) FROM hostile.feed);
SQL

sub outcome
{
	my ($settings) = @_;
	$node->safe_psql('postgres', 'TRUNCATE app.thing, vm.vm_anomaly, vm.vm_quarantine RESTART IDENTITY');
	my $script = "$settings\n\\set VERBOSITY sqlstate\n";
	for my $n (0 .. $#documents)
	{
		$script .= "\\echo $n\nINSERT INTO app.feed (_id, _doc) SELECT n, doc FROM app.document WHERE n OPERATOR(pg_catalog.=) $n RETURNING 'ok';\n";
		$script .= "INSERT INTO app.careful_feed (_id, _doc) SELECT n, doc FROM app.document WHERE n OPERATOR(pg_catalog.=) $n;\n";
	}
	# An anomaly, a preview, a retry and a move in the same session.
	$script .= q{
UPDATE app.feed SET _doc = '{"id":"v_0","tz":"2019-12-06T16:07:44.122"}' WHERE _id OPERATOR(pg_catalog.=) '0';
UPDATE app.feed SET _doc = '{"id":"v_1","tz":"2019-12-06T17:07:44.124+01:00"}' WHERE _id OPERATOR(pg_catalog.=) '1';
SELECT column_name, source, problem FROM vm.vm_preview('thing', 'app.feed', (SELECT doc FROM app.document WHERE n OPERATOR(pg_catalog.=) 1));
SELECT * FROM vm.vm_retry_quarantine('app.careful_feed');
SELECT * FROM vm.vm_move_batch('app.feed', 5);
};
	my ($stdout, $stderr);
	$node->psql('postgres', $script, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
	my $problems = join "\n", grep { !/WARNING/ } split /\n/, $stderr;
	$problems =~ s/^psql:<stdin>:\d+: //mg;
	my $outcome = join "\n", $stdout, $problems, $node->safe_psql('postgres', $read);
	$outcome =~ s/for type "(\w+)"/for type $1/g;    # the one thing that quote_all_identifiers is for
	return $outcome;
}

my $plain = outcome('');
like($plain, qr/^row\|v_0\|\|2019-12-06 16:07:44\.123\+00\|2019-12-06 16:07:44\.123\|2019-12-06\|/m, 'as documented: $date')
  or diag $plain;
like($plain, qr/^parent\|v_2\|\|2019-12-06 23:30:00\+00\|2019-12-07 04:30:00\|2019-12-07\|/m, 'as documented: no offset is UTC');
like($plain, qr/^quarantine\|app\.careful_feed\|careful\|5\|.*\|22007\|/m, 'as documented: no local order of day and month');
like($plain, qr/^anomaly\|app\.feed\|thing\|0\|late_document\|2019-12-06 16:07:44\.122\+00\|2019-12-06 16:07:44\.123\+00\|/m, 'as documented: an anomaly');
like($plain, qr/^hostile\|0\|0\|0$/m, 'as documented: rows go where they belong');

for my $settings (
	"SET TimeZone = 'Asia/Kolkata'",
	"SET TimeZone = 'America/New_York'; SET DateStyle = 'German, DMY'",
	"SET DateStyle = 'SQL, MDY'",
	"SET DateStyle = 'Postgres, YMD'",
	"SET IntervalStyle = 'sql_standard'",
	"SET IntervalStyle = 'iso_8601'",
	'SET extra_float_digits = -15',
	'SET extra_float_digits = 3',
	"SET bytea_output = 'escape'",
	'SET standard_conforming_strings = off; SET escape_string_warning = off',
	'SET backslash_quote = on; SET standard_conforming_strings = off; SET escape_string_warning = off',
	"SET lc_numeric = 'C.UTF-8'; SET lc_monetary = 'C.UTF-8'; SET lc_time = 'C.UTF-8'; SET lc_messages = 'C'",
	"SET xmlbinary = 'hex'; SET xmloption = 'document'",
	'SET array_nulls = off',
	'SET quote_all_identifiers = on',
	"SET search_path = ''",
	'SET search_path = hostile, vm, pg_catalog',
	'SET search_path = hostile, app, vm, pg_catalog, pg_temp',
	'SET check_function_bodies = off; SET row_security = off',
	"SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = force_generic_plan; SET jit = off",
	'SET default_text_search_config = simple; SET enable_seqscan = off; SET enable_indexscan = off',)
{
	my @got = split /\n/, outcome("$settings;");
	my @expected = split /\n/, $plain;
	my @differ = grep { ($got[$_] // '') ne ($expected[$_] // '') } 0 .. ($#got > $#expected ? $#got : $#expected);
	is(join("\n", @got[@differ]), join("\n", @expected[@differ]), $settings);
}

server_survived($node);
$node->stop;
done_testing();
