# One writer of the soak: the application, the feed, or both, on keys that nobody else writes. So it knows of each key
# what the last acknowledged state is, and its log, written after the server's answer, cannot lie.
#
# A line of the log: key, event, operation, rows or "maybe". Events of a key are numbered; an absolute write (doc, upsert)
# leaves val = its event and hits = 0, an increment adds 1 to hits. Each sets updated_at to base + event milliseconds.
#   doc, upsert   absolute, by the feed or the application     inc, lock    increment, lock with SELECT … FOR UPDATE first
#   delete        by the application                           old          the feed sends version `val` once more
#   poison        a new document that the parent refuses       read         rows the application saw, if none
package SoakWriter;

use strict;
use warnings;

use DBI;
use Exporter 'import';
use Time::HiRes qw(time usleep);

our @EXPORT = qw(any_key connect_as write_until WRITERS);

use constant WRITERS => 3;
use constant BASE => 1_600_000_000_000;
use constant RETRY => qr/^(?:40001|40P01|55P03)$/;

# What each writer does, and how often.
my %weight = (
	application => { inc => 40, lock => 25, upsert => 12, delete => 6, read => 5 },
	feed => { doc => 50, old => 25, new => 20, poison => 0.3 },
	both => { inc => 25, lock => 10, upsert => 12, delete => 4, read => 3, doc => 20, old => 12, new => 3 },);
my @role = qw(application feed both);

sub connect_as
{
	my ($name) = @_;
	my $dbh = DBI->connect("dbi:Pg:dbname=$ENV{PGDATABASE};application_name='$name'",
		'', '', { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1, AutoInactiveDestroy => 1 });
	$dbh->do('SET client_min_messages = error');
	return $dbh;
}

sub document
{
	my ($key, $event) = @_;
	return sprintf '{"id":"k%d","val":%d,"updated_at":{"$date":%d}}', $key, $event, BASE + $event;
}

sub stamp
{
	my ($event) = @_;
	return sprintf '%.3f', (BASE + $event) / 1000;
}

my $increment = 'UPDATE account SET hits = hits + 1, updated_at = to_timestamp(?) WHERE id = ?';
my $feed = 'INSERT INTO staged (_id, _doc) VALUES (?, ?) ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc '
  . 'RETURNING (xmax = 0)::integer';

# Each gives the rows it found, and adds to the ledger what came and went.
my %operation = (
	inc => sub {
		my ($w, $key, $event) = @_;
		return $w->{dbh}->do($increment, undef, stamp($event), "k$key") + 0;
	},
	lock => sub {
		my ($w, $key, $event) = @_;
		my $dbh = $w->{dbh};
		my $rows = 0;
		$dbh->begin_work;
		my $nowait = rand() < 0.2 ? 'NOWAIT' : '';
		my $found = $dbh->selectall_arrayref("SELECT hits FROM account WHERE id = ? FOR UPDATE $nowait", undef, "k$key");
		usleep(2000) if rand() < 0.3;
		$rows = $dbh->do($increment, undef, stamp($event), "k$key") + 0 if @$found;
		$dbh->commit;
		return $rows;
	},
	delete => sub {
		my ($w, $key) = @_;
		my $gone = $w->{dbh}->selectcol_arrayref('DELETE FROM account WHERE id = ? RETURNING tableoid::regclass::text',
			undef, "k$key");
		return (scalar @$gone, map { $_ eq 'staged' ? (staged => -1) : (parent => -1) } @$gone);
	},
	upsert => sub {
		my ($w, $key, $event) = @_;
		my ($new) = $w->{dbh}->selectrow_array(<<'SQL', undef, "k$key", $event, stamp($event));
INSERT INTO account (id, val, hits, updated_at) VALUES (?, ?, 0, to_timestamp(?))
ON CONFLICT (id) DO UPDATE SET val = excluded.val, hits = 0, updated_at = excluded.updated_at RETURNING (xmax = 0)::integer
SQL
		return (1, parent => $new);
	},
	doc => sub {
		my ($w, $key, $event) = @_;
		my ($new) = $w->{dbh}->selectrow_array($feed, undef, $key, document($key, $event));
		return (1, staged => $new);
	},
	old => sub {
		my ($w, $key, undef, $old) = @_;
		my ($new) = $w->{dbh}->selectrow_array($feed, undef, $key, document($key, $old));
		return (1, staged => $new);
	},
	poison => sub {
		my ($w, $key) = @_;
		$w->{dbh}->do('INSERT INTO staged (_id, _doc) VALUES (?, ?)', undef, $key, document($key, -1));
		return (1, staged => 1);
	},
	read => sub {
		my ($w, $key) = @_;
		return $w->{dbh}->selectrow_array('SELECT count(*) FROM account WHERE id = ?', undef, "k$key");
	},);

# Does it until the server says yes or no: (rows, ledger…), or ("maybe") if the connection is gone.
sub acknowledged
{
	my ($w, $name, @args) = @_;
	for my $try (1 .. 5000)
	{
		my @result = eval { $operation{$name}->($w, @args) };
		return @result unless $@;
		my ($state, $why) = ($w->{dbh}->state // '', $@);
		if ($state =~ RETRY)
		{
			$w->{retries}++;
			$w->{dbh}->rollback unless $w->{dbh}{AutoCommit};
			usleep(1000 * rand(5));
			next;
		}
		die "$name: $state $why" if $w->{dbh}->ping;
		eval { $w->{dbh}->disconnect };  # what is gone cannot say goodbye
		$w->{dbh} = connect_as($w->{name});
		return 'maybe';
	}
	die "$name: retried 5000 times";
}

# A key of a writer's among those that were there in the beginning; dice: from 0 to below 1.
sub any_key
{
	my ($number, $initial, $dice) = @_;
	return $number + WRITERS * (1 + int($dice * int(($initial - $number) / WRITERS)));
}

# A key of ours: mostly one that the movers are about to take, or one we wrote lately.
sub choose_key
{
	my ($w) = @_;
	my $dice = rand();
	if ($dice < 0.6)
	{
		unless (@{ $w->{ahead} })
		{
			my ($block) = $w->{article} ? 0 : $w->{dbh}->selectrow_array('SELECT max(block) FROM vm_move_place');
			$w->{ahead} = $w->{dbh}->selectcol_arrayref(
				'SELECT substr(id, 2) FROM ONLY staged WHERE ctid >= ?::tid AND _id::bigint % ? = ? LIMIT 40',
				undef, '(' . ($block // 0) . ',0)', WRITERS, $w->{number});
		}
		my $key = shift @{ $w->{ahead} };
		return $key if defined $key;
	}
	return $w->{lately}[ rand @{ $w->{lately} } ] if $dice < 0.9 && @{ $w->{lately} };
	return any_key($w->{number}, $w->{initial}, rand);
}

sub choose_operation
{
	my ($w, $key) = @_;
	my $name = $w->{wheel}[ rand @{ $w->{wheel} } ];
	if ($name eq 'new' || $name eq 'poison')
	{
		$name = 'upsert' if $name eq 'new' && $w->{role} eq 'both' && rand() < 0.5;
		$name = 'doc' if $name eq 'new';
		return ($name, $w->{next} += WRITERS);
	}
	# What is deleted can only be written anew, and only what was written again has older versions.
	my $state = $w->{keys}{$key} // $w->{untouched};
	$name = $w->{role} eq 'feed' ? 'doc' : 'upsert' if $state->{gone};
	$name = 'doc' if $name eq 'old' && $state->{was} < 0;
	return ($name, $key);
}

sub write_until
{
	my ($w, $over) = @_;
	$w->{role} = $role[ $w->{number} ];
	my %wheel = %{ $weight{ $w->{role} } };
	delete @wheel{qw(poison)} if $w->{article};
	$w->{wheel} = [ map { ($_) x (10 * $wheel{$_}) } sort keys %wheel ];
	$w->{untouched} = { event => 0, last => 0, was => -1, gone => 0 };
	$w->{next} = $w->{initial} - $w->{initial} % WRITERS + WRITERS + $w->{number};
	@$w{qw(ahead lately retries)} = ([], [], 0);
	my %ledger = (staged => 0, parent => 0, maybe => 0);
	$w->{dbh} = connect_as($w->{name});
	open my $log, '>', $w->{log} or die "$w->{log}: $!";
	$log->autoflush;
	until ($over->())
	{
		my ($name, $key) = eval { choose_operation($w, choose_key($w)) };
		if ($@)
		{
			die $@ if $w->{dbh}->ping;
			$w->{dbh} = connect_as($w->{name});
			next;
		}
		next if $w->{retired}{$key};
		my $state = $w->{keys}{$key} //= { %{ $w->{untouched} } };
		my $event = $name eq 'read' ? $state->{event} : ++$state->{event};
		my ($rows, @change) = acknowledged($w, $name, $key, $event, $state->{was});
		next if $name eq 'read' && $rows ne '0';
		print $log join(' ', $key, $event, $name, $rows), "\n";
		# What the server did not say is one of two things: the key rests.
		$w->{retired}{$key} = 1 if $rows eq 'maybe' || $name eq 'poison';
		$ledger{maybe}++ if $rows eq 'maybe';
		while (my ($what, $n) = splice @change, 0, 2) { $ledger{$what} += $n }
		if ($name eq 'doc' || $name eq 'upsert')
		{
			@$state{qw(was last)} = ($state->{gone} ? -1 : $state->{last}, $event);
			$state->{gone} = 0;
		}
		$state->{gone} = 1 if $name eq 'delete';
		push @{ $w->{lately} }, $key;
		shift @{ $w->{lately} } if @{ $w->{lately} } > 60;
		usleep(300);
	}
	print $log join(' ', 'ledger', %ledger, retries => $w->{retries}), "\n";
	close $log or die "$w->{log}: $!";
	return;
}

1;
