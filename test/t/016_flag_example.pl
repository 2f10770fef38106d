# The example of an application that reads the flag, over a switch and a move: no acknowledged request is lost, and each used
# one store only.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use VmTest;

my ($example) = grep { -d } map { "$FindBin::RealBin/$_/examples/flag" } '..', '../..';
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
my $folder = PostgreSQL::Test::Utils::tempdir();
my $node = new_cluster('example');
$node->safe_psql('postgres', 'CREATE EXTENSION voucher_migrate');
$node->safe_psql('postgres', slurp_file("$example/setup.sql"));
my $child = $node->safe_psql('postgres', 'SELECT child FROM vm_project_entity');

my %env = (PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PYTHONDONTWRITEBYTECODE => 1);
my @runs;

sub start
{
	my ($name, @command) = @_;
	local %ENV = (%ENV, %env, PGAPPNAME => $name);
	my $run = { name => $name, base => "$folder/$name" };
	$run->{run} = IPC::Run::start([ $python, @command ], '<', File::Spec->devnull, '>', "$run->{base}.out", '2>', "$run->{base}.err",
		IPC::Run::timeout(6 * $PostgreSQL::Test::Utils::timeout_default));
	push @runs, $run;
	return $run;
}

sub acknowledged
{
	my ($run) = @_;
	return map { decode_json($_) } grep { /\}$/ } split /\n/, slurp_file("$run->{base}.out");
}

# Waits until an application has had so many more requests acknowledged by a store.
sub requests
{
	my ($run, $store, $more) = @_;
	my $from = grep { $_->{store} eq $store } acknowledged($run);
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return pass("$run->{name}: $more requests are acknowledged by $store") if $from + $more <= grep { $_->{store} eq $store } acknowledged($run);
		select undef, undef, undef, 0.1;
	}
	return fail("$run->{name}: no $more requests were acknowledged by $store") || diag slurp_file("$run->{base}.err");
}

my $feed = start('feed', "$example/feed.py", $folder, $child, 20);
ok($node->poll_query_until('postgres', "SELECT count(*) = 20 FROM $child"), 'the feed has brought the documents');
my @applications = map { start("application$_", "$example/app.py", $folder, 600) } 1, 2;
requests($_, 'mongodb', 50) for @applications;
$node->safe_psql('postgres', slurp_file("$example/switch.sql"));
requests($_, 'postgresql', 50) for @applications;
$node->safe_psql('postgres', "CALL vm_move('$child', quiet => true)");
is($node->safe_psql('postgres', "SELECT count(*) FROM $child"), '0', 'all rows are moved');
requests($_, 'postgresql', 50) for @applications;
$_->{run}->signal('TERM') for @runs;
eval { $_->{run}->finish } for @runs;
is(slurp_file("$_->{base}.err") =~ s/^.*KeyboardInterrupt.*$//sr, '', "$_->{name} had no errors") for @runs;

my (%count, %stores, $crossed);
for my $application (@applications)
{
	my @lines = acknowledged($application);
	my $order = join '', map { $_->{store} eq 'mongodb' ? 'm' : 'p' } @lines;
	like($order, qr/^m+p+$/, "$application->{name} went from one store to the other, once");
	for (@lines)
	{
		$count{ $_->{voucher} }++;
		$stores{ $_->{voucher} }{ $_->{redeemed} }++;
		$crossed++ if $_->{store} ne $_->{flag_at_end};
	}
}
is($crossed, undef, 'each request was told the same at its end as at its beginning');
is_deeply([ grep { $_ > 1 } map { values %$_ } values %stores ], [], 'no number of redemptions was given out twice');
# A request that was done when the application was ended may not have been acknowledged any more.
my %stored = map { split /\|/ } split /\n/, $node->safe_psql('postgres', 'SELECT id, redeemed FROM vouchers');
my @lost = grep { ($stored{$_} // 0) < $count{$_} } keys %count;
is("@lost", '', 'no acknowledged request is lost');
my $more = 0;
$more += $stored{$_} - ($count{$_} // 0) for keys %stored;
cmp_ok($more, '<=', 2, 'no request counts twice');
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM vm_anomaly), (SELECT count(*) FROM vm_quarantine), count(*), count(DISTINCT id) FROM vouchers'), '0|0|20|20', 'nothing is left over');

server_survived($node);
$node->stop;
done_testing();
