# A child as the target of logical replication: initial copy, changes, and documents that are bad.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VmTest;

my $publisher = new_cluster('publisher', allows_streaming => 'logical', conf => "max_prepared_transactions = 10\n");
my $subscriber = new_cluster('subscriber', allows_streaming => 'logical', conf => "max_prepared_transactions = 10\n");

# The publisher knows documents only; the names are those of the subscriber's child.
$publisher->safe_psql('postgres', <<'SQL');
CREATE TABLE feed (_id text PRIMARY KEY, _doc text);
CREATE PUBLICATION documents FOR TABLE feed;
SQL

sub doc
{
	my ($n, $version, $code) = @_;
	return sprintf('{"_id":{"$oid":"%s"},"id":"v_%d","code":"%s","updated_at":{"$date":%d}}',
		oid_of($n), $n, $code, ms_of($version));
}

sub publish
{
	my ($n, $doc) = @_;
	$publisher->safe_psql('postgres', <<SQL);
INSERT INTO feed (_id, _doc) VALUES ('@{[ oid_of($n) ]}', '$doc')
ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
SQL
	return;
}

publish($_, doc($_, 0, 'initial')) for 1 .. 3;
publish(4, '{"id":"v_4","updated_at":"soon"}');

$subscriber->safe_psql('postgres', 'CREATE EXTENSION voucher_migrate');
create_parent($subscriber, 'postgres', 'voucher');
quarantine_mapping($subscriber, 'postgres', 'careful');
$subscriber->safe_psql('postgres', "SELECT vm_create_child('voucher', 'careful', 'acme', 'shop', 'feed')");
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION documents CONNECTION '@{[ $publisher->connstr ]} dbname=postgres' PUBLICATION documents");
$subscriber->wait_for_subscription_sync($publisher, 'documents');

sub rows
{
	return $subscriber->safe_psql('postgres',
		"SELECT CASE WHEN _doc IS NULL THEN 'half a row' ELSE concat_ws('|', tenant_id, project_id, id, code, "
		  . 'extract(epoch FROM updated_at)) END FROM feed ORDER BY _id');
}

sub row
{
	my ($n, $version, $code) = @_;
	return sprintf('acme|shop|v_%d|%s|%.3f000', $n, $code, ms_of($version) / 1000);
}

sub quarantined
{
	return $subscriber->safe_psql('postgres',
		"SELECT right(_id, 1), sqlstate, operation, settled_by FROM vm_quarantine ORDER BY quarantine_id");
}

is(rows(), join("\n", map { row($_, 0, 'initial') } 1 .. 3), 'the initial copy is transformed');
is(quarantined(), '4|22007|INSERT|', '… and its bad document is in quarantine');

publish(5, doc(5, 0, 'streamed'));
publish(1, doc(1, 1, 'changed'));
publish(2, '{"id":"v_2","deleted":"maybe"}');
publish(6, '{"id":"v_6","cut":[1,');
$publisher->safe_psql('postgres', "INSERT INTO feed (_id) VALUES ('@{[ oid_of(7) ]}')");
publish(8, doc(8, 0, 'after'));
$publisher->wait_for_catchup('documents');

is( rows(),
	join("\n",
		row(1, 1, 'changed'),
		row(2, 0, 'initial'),
		row(3, 0, 'initial'),
		row(5, 0, 'streamed'),
		'half a row',
		row(8, 0, 'after')),
	'changes are transformed, bad ones leave the row as it was');
is( quarantined(),
	"4|22007|INSERT|\n2|22P02|UPDATE|\n6|22P02|INSERT|",
	'bad documents that are applied are in quarantine');

publish(7, doc(7, 0, 'second half'));
publish(2, doc(2, 2, 'mended'));
publish(4, doc(4, 2, 'mended'));
publish(1, doc(1, 0, 'stale'));
publish(3, doc(3, 3, 'last'));
$publisher->safe_psql('postgres', "DELETE FROM feed WHERE _id = '@{[ oid_of(8) ]}'");
$publisher->wait_for_catchup('documents');
is( rows(),
	join("\n",
		row(1, 1, 'changed'),
		row(2, 2, 'mended'),
		row(3, 3, 'last'),
		row(5, 0, 'streamed'),
		row(7, 0, 'second half')),
	'the second half, good versions, a stale one, a delete');
is( quarantined(),
	"4|22007|INSERT|\n2|22P02|UPDATE|good document\n6|22P02|INSERT|",
	'a good version settles what the subscriber can see');
is( $subscriber->safe_psql('postgres', "SELECT kind, incoming->>'code', stored->>'code' FROM vm_anomaly"),
	'late_document|stale|changed', 'an anomaly is recorded by the apply worker');
ok($subscriber->log_contains(qr/WARNING:  CAREFUL ANOMALY DETECTED - ID: 5dea38500+1, /), '… and is in the log');
is( $subscriber->safe_psql('postgres', 'SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats'),
	'0|0', 'the subscription never failed');

# Transactions that are prepared and stay so: the apply worker prepares them too, and goes on. The child is a project's, so
# that the feed is noted.
$subscriber->safe_psql('postgres', <<'SQL');
DROP SUBSCRIPTION documents;
SELECT vm_register_parent('voucher', 'careful', 'voucher');
SELECT vm_add_project('acme', 'shop');
INSERT INTO vm_project_entity (tenant, project, entity, child, prepare_at) VALUES ('acme', 'shop', 'voucher', 'feed', now());
SQL
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION prepared CONNECTION '@{[ $publisher->connstr ]} dbname=postgres' "
	  . 'PUBLICATION documents WITH (two_phase = true, copy_data = false)');
$subscriber->wait_for_subscription_sync($publisher, 'prepared');
for my $n (11 .. 13)
{
	sleep 1;
	$publisher->safe_psql('postgres', "BEGIN; INSERT INTO feed (_id, _doc) VALUES ('@{[ oid_of($n) ]}', '@{[ doc($n, 0, 'prepared') ]}'); PREPARE TRANSACTION 'n$n'");
}
$publisher->wait_for_catchup('prepared');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), '3', 'prepared transactions do not wait for each other');
$publisher->safe_psql('postgres', "COMMIT PREPARED 'n$_'") for 11 .. 13;
sleep 1;
publish(14, doc(14, 0, 'after'));
$publisher->wait_for_catchup('prepared');
is( $subscriber->safe_psql('postgres', q{SELECT count(*) FROM feed WHERE code IN ('prepared', 'after')}), '4', '… and all arrive');
is($subscriber->safe_psql('postgres', q{SELECT count(*), count(DISTINCT pid), max(last_at) > now() - interval '10 s' FROM vm_feed_seen}), '3|1|t', '… and the feed is noted');

server_survived($subscriber);
$subscriber->stop;
$publisher->stop;
done_testing();
