# pg_dump and restore, plain and custom, with the extension in a schema of its own: nothing is lost, and the feed goes on.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VmTest;

my $node = new_cluster('dump');
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', 'CREATE SCHEMA "vm tools"; CREATE EXTENSION voucher_migrate SCHEMA "vm tools"; CREATE SCHEMA app');
create_parent($node, 'source', 'app.voucher');
quarantine_mapping($node, 'source', 'careful', '"vm tools"');

sub doc
{
	my ($n, $version, $code) = @_;
	return sprintf('{"_id":{"$oid":"%s"},"id":"v_%d","code":"%s","validity_day_of_week":[1,2],"updated_at":{"$date":%d}}',
		oid_of($n), $n, $code, ms_of($version));
}

sub upsert
{
	my ($child, $n, $doc) = @_;
	return "INSERT INTO app.$child (_id, _doc) VALUES ('@{[ oid_of($n) ]}', '$doc') "
	  . "ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;\n";
}

# What a query answers, or the error it ends in.
sub answer
{
	my ($db, $sql) = @_;
	my ($status, $stdout, $stderr) = $node->psql($db, $sql);
	return $status == 0 ? $stdout : $stderr;
}

# A shipped mapping redefined, one of the user's; children that raise and that do not; rows of every kind.
$node->safe_psql('source',
	    qq{SELECT "vm tools".vm_define_mapping('voucher', rules || '{"watermark": ["updated_at"]}')
       FROM "vm tools".vm_mapping WHERE mapping = 'voucher';
     SELECT "vm tools".vm_define_check('no_code', 'app.voucher', 'code IS NULL', 'info'), "vm tools".vm_define_check('no_type', 'voucher', 'type IS NULL');
     SELECT "vm tools".vm_define_reference('voucher', 'campaign_id', 'campaign', 'name'), "vm tools".vm_define_reference('order', 'code', 'voucher', 'code', 'orders', 'paid');
     SELECT "vm tools".vm_create_child('app.voucher', 'voucher', 'acme', 'shop', 'plain_feed');
     SELECT "vm tools".vm_create_child('app.voucher', 'careful', 'acme', 'it''s', 'careful_feed');
     INSERT INTO app.voucher (tenant_id, project_id, id, code) VALUES ('acme', 'shop', 'v_0', 'parent');
     INSERT INTO app.plain_feed (_id) VALUES ('half'), ('other half');
    }
	  . join('', map { upsert('plain_feed', $_, doc($_, 1, 'first')) } 1 .. 5)
	  . upsert('plain_feed', 2, doc(2, 0, 'stale'))
	  . upsert('plain_feed', 3, doc(3, 0, 'stale'))
	  . qq{SELECT "vm tools".vm_resolve_anomaly(1, 'the application''s version stays');\n}
	  . upsert('careful_feed', 11, doc(11, 0, 'good'))
	  . upsert('careful_feed', 12, '{"id":"v_12","updated_at":"soon"}')
	  . upsert('careful_feed', 13, '{"cut')
	  . upsert('careful_feed', 12, doc(12, 0, 'mended'))
	  . qq{SELECT "vm tools".vm_settle_quarantine(2, 'cut off at the source');\n});

# All that must be the same after the restore.
my %state = (
	'mappings' => 'SELECT mapping, shipped, rules, defined_by, CASE WHEN NOT shipped THEN defined_at END '
	  . 'FROM "vm tools".vm_mapping ORDER BY mapping, shipped',
	'checks' => 'SELECT check_name, shipped, mapping, parent, condition, severity, hint, source, CASE WHEN NOT shipped THEN defined_at END '
	  . 'FROM "vm tools".vm_check_rule ORDER BY check_name, shipped, mapping',
	'references' => 'SELECT entity, column_name, shipped, refers_to, refers_to_column, count_column, counted, severity, count_severity, '
	  . 'CASE WHEN NOT shipped THEN defined_at END FROM "vm tools".vm_reference ORDER BY entity, column_name, shipped',
	'anomalies' => 'SELECT * FROM "vm tools".vm_anomaly ORDER BY anomaly_id',
	'quarantine' => 'SELECT * FROM "vm tools".vm_quarantine ORDER BY quarantine_id',
	'parent' => 'SELECT tableoid::regclass::text, * FROM app.voucher ORDER BY 1, id',
	'plain child' => 'SELECT * FROM app.plain_feed ORDER BY _id',
	'careful child' => 'SELECT * FROM app.careful_feed ORDER BY _id',
	'triggers' => q{SELECT tgrelid::regclass::text, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
	     WHERE tgrelid::regclass::text LIKE 'app.%' ORDER BY 1},
	'columns' => q{SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attinhcount, attstorage,
	     attcompression FROM pg_attribute WHERE attrelid::regclass::text LIKE 'app.%\_feed' AND attnum > 0 ORDER BY 1, attname},
	'indexes' => q{SELECT indexdef FROM pg_indexes WHERE schemaname = 'app' ORDER BY 1},
	'constraints' => q{SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
	     WHERE conrelid::regclass::text LIKE 'app.%' ORDER BY 1, 2},
	'options' => q{SELECT oid::regclass::text, reloptions, obj_description(oid) FROM pg_class
	     WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' ORDER BY 1},
	'inheritance' => 'SELECT inhrelid::regclass::text, inhparent::regclass FROM pg_inherits ORDER BY 1',);
my %before = map { $_ => $node->safe_psql('source', $state{$_}) } keys %state;

# What the comparison is worth.
is(scalar(split /\n/, $before{'mappings'}), 4, 'source: two shipped mappings, two of the user');
like($before{'checks'}, qr/^no_code\|f\|\|app\.voucher\|/m, 'source: checks');
like($before{'anomalies'}, qr/^1\|app\.plain_feed\|.*the application's version stays\n2\|app\.plain_feed\|/s, 'source: anomalies');
like($before{'quarantine'}, qr/^1\|app\.careful_feed\|.*good document\|\|\n2\|app\.careful_feed\|.*\|decision\|.*\|cut off at the source$/s, 'source: quarantine');
like($before{'triggers'}, qr/app\.plain_feed\|A\|.*"vm tools"\.vm_transform/, 'source: triggers');
is($node->safe_psql('source', 'SELECT count(*) FROM app.voucher'), '10', 'source: rows');
is($node->safe_psql('source', 'SELECT count(*) FROM app.plain_feed WHERE _doc IS NULL'), '2', 'source: half rows');

my $dir = PostgreSQL::Test::Utils::tempdir();
for my $format ('plain', 'custom')
{
	my $db = "restored_$format";
	my $file = "$dir/$format";
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
	$node->command_ok([ 'pg_dump', "--format=$format", '-f', $file, 'source' ], "$format: pg_dump");
	if ($format eq 'plain')
	{
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $db, '-f', $file ], "$format: restored without an error");
	}
	else
	{
		$node->command_ok([ 'pg_restore', '-j', '2', '-d', $db, $file ], "$format: restored without an error");
	}
	for my $what (sort keys %state)
	{
		is(answer($db, $state{$what}), $before{$what}, "$format: $what");
	}

	# The feed goes on: documents, the second half of one, an anomaly, a bad one, the next numbers.
	is( sqlstate($node, $db,
			upsert('plain_feed', 6, doc(6, 0, 'new')) . upsert('plain_feed', 2, doc(2, 2, 'newer'))
			  . upsert('plain_feed', 4, doc(4, 0, 'stale')) . upsert('careful_feed', 14, '{"updated_at":"later"}')
			  . "UPDATE app.plain_feed SET _doc = '@{[ doc(7, 0, 'second half') ]}' WHERE _id = 'half';\n"),
		'00000', "$format: the feed goes on");
	is( answer($db, "SELECT id, code, validity_day_of_week FROM ONLY app.plain_feed WHERE id IN ('v_2', 'v_4', 'v_6', 'v_7') ORDER BY 1"),
		"v_2|newer|{1,2}\nv_4|first|{1,2}\nv_6|new|{1,2}\nv_7|second half|{1,2}",
		"$format: … is transformed");
	is(answer($db, q{SELECT anomaly_id, incoming->>'code' FROM "vm tools".vm_anomaly ORDER BY 1 DESC LIMIT 1}),
		'3|stale', "$format: … the next anomaly has the next number");
	is(answer($db, q{SELECT quarantine_id, sqlstate FROM "vm tools".vm_quarantine ORDER BY 1 DESC LIMIT 1}),
		'3|22007', "$format: … the next case has the next number");
	is(answer($db, q{SELECT moved, inserted FROM "vm tools".vm_move_batch('app.plain_feed')}),
		'7|7', "$format: … and the rows move");
}

$node->stop;
done_testing();
