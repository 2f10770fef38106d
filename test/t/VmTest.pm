# What the TAP tests share: a cluster with the extension, a parent of the article's shape, errors by SQLSTATE.
package VmTest;

use strict;
use warnings;

# What waits in vain fails soon.
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 30 }

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_cluster create_parent quarantine_mapping sqlstate oid_of ms_of server_survived);

my %postmaster;

# A running cluster; init's parameters, and under conf lines for postgresql.conf.
sub new_cluster
{
	my ($name, %params) = @_;
	my $conf = delete $params{conf} // '';
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%params);
	$node->append_conf('postgresql.conf', "log_statement = none\nautovacuum = off\n$conf\n");
	$node->start;
	$postmaster{$name} = postmaster_pid($node);
	return $node;
}

# A parent with the article's columns.
sub create_parent
{
	my ($node, $db, $table) = @_;
	$node->safe_psql($db, <<SQL);
CREATE TABLE $table (
    tenant_id            text NOT NULL,
    project_id           text NOT NULL,
    id                   text NOT NULL,
    code                 text,
    deleted              boolean NOT NULL DEFAULT false,
    discount             jsonb,
    publish              jsonb,
    validity_day_of_week integer[],
    created_at           timestamptz,
    updated_at           timestamptz,
    deleted_at           timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
CREATE INDEX ON $table (code);
SQL
	return;
}

# The shipped rules of voucher under another name, for a feed that never stops.
sub quarantine_mapping
{
	my ($node, $db, $name, $schema) = @_;
	$schema //= 'public';
	$node->safe_psql($db, <<SQL);
SELECT $schema.vm_define_mapping('$name', rules || '{"on_error": "quarantine"}')
FROM $schema.vm_mapping WHERE mapping = 'voucher' AND shipped;
SQL
	return;
}

# The SQLSTATE that a script ends in, 00000 if none.
sub sqlstate
{
	my ($node, $db, $sql) = @_;
	my ($stdout, $stderr);
	my $status = $node->psql($db, "\\set VERBOSITY sqlstate\n$sql", stdout => \$stdout, stderr => \$stderr);
	return '00000' if $status == 0;
	return $1 if $stderr =~ /ERROR:\s+([0-9A-Z]{5})/;
	return "no SQLSTATE: $stderr";
}

# The nth ObjectId, 24 hexadecimal digits.
sub oid_of
{
	my ($n) = @_;
	return sprintf('%08x%016x', 0x5dea3850, $n);
}

# Milliseconds for the nth version of a document.
sub ms_of
{
	my ($n) = @_;
	return 1575648464123 + 1000 * $n;
}

sub postmaster_pid
{
	my ($node) = @_;
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	return $pid;
}

# Neither the server nor one of its processes has crashed since it was started.
sub server_survived
{
	my ($node) = @_;
	is(postmaster_pid($node), $postmaster{ $node->name }, 'the server is the one that was started');
	unlike(
		slurp_file($node->logfile),
		qr/terminated by signal|terminating connection because of crash|PANIC:|TRAP:/,
		'no process of the server has crashed');
	return;
}

1;
