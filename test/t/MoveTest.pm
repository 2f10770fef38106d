# What the TAP tests of CALL vm_move share: a shop with staged rows, and psql sessions that run beside the test.
package MoveTest;

use strict;
use warnings;

use Exporter 'import';
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(create_shop fill begin_session end_session pid_of wait_until last_move one_place);

my $sessions = 0;

# A parent "shop" and a child "feed" for it; the watermark is updated_at.
sub create_shop
{
	my ($node) = @_;
	$node->safe_psql('postgres', <<SQL);
CREATE EXTENSION voucher_migrate;
CREATE TABLE shop (id text PRIMARY KEY, code text, updated_at timestamptz);
SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}');
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'feed');
SQL
	return;
}

# Nothing anywhere, then rows $from … $to in the child, in the order of their numbers, of about $width bytes each.
sub fill
{
	my ($node, $from, $to, $width) = @_;
	$width //= 0;
	$node->safe_psql('postgres', <<SQL);
DELETE FROM vm_anomaly;
TRUNCATE shop, vm_move_run, vm_move_batches, vm_move_control, vm_move_place;
INSERT INTO feed (_id, _doc)
SELECT i, format('{"id":"k%s","code":"child","updated_at":{"\$date":1600000000000},"x":"%s"}', i, repeat('x', $width))
FROM generate_series($from, $to) i;
ANALYZE feed;
SQL
	return;
}

# Statements in a session of their own, one after the other whatever becomes of each, while the test goes on.
sub begin_session
{
	my ($node, @sql) = @_;
	my $name = 'session ' . ++$sessions;
	my $base = "$PostgreSQL::Test::Utils::tmp_check/session_$sessions";
	my $session = { node => $node, name => $name, base => $base };
	local $ENV{PGAPPNAME} = $name;
	note "$name: @sql";
	$session->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), map { ('-c', $_) } @sql ],
		'<', File::Spec->devnull, '>', "$base.out", '2>', "$base.err",
		IPC::Run::timeout(4 * $PostgreSQL::Test::Utils::timeout_default));
	return $session;
}

# Its output and its errors, once it has ended.
sub end_session
{
	my ($session) = @_;
	eval { $session->{run}->finish; 1 } or diag "$session->{name}: $@";
	my ($out, $err) = map { slurp_file("$session->{base}.$_") } qw(out err);
	chomp $out;
	note "$session->{name} ended\n$out\n$err";
	return ($out, $err);
}

# Its backend.
sub pid_of
{
	my ($session) = @_;
	wait_until($session->{node}, "$session->{name} has a backend", "EXISTS (SELECT FROM pg_stat_activity WHERE application_name = '$session->{name}')");
	return $session->{node}->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = '$session->{name}'");
}

# Polls for a condition; a test of its own.
sub wait_until
{
	my ($node, $name, $condition) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $true = $node->poll_query_until('postgres', "SELECT $condition");
	diag $node->safe_psql('postgres', 'SELECT state, waits_for, last_error, rows_done, busy FROM vm_progress ORDER BY move_id') unless $true;
	return ok($true, $name);
}

# Some columns of the last move.
sub last_move
{
	my ($node, $columns) = @_;
	return $node->safe_psql('postgres', "SELECT $columns FROM vm_progress ORDER BY move_id DESC LIMIT 1");
}

# Every row once, none of them in the child.
sub one_place
{
	my ($node, $count, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(
		$node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM ONLY shop), (SELECT count(DISTINCT id) FROM ONLY shop), (SELECT count(*) FROM feed)'),
		"$count|$count|0", $name);
}

1;
