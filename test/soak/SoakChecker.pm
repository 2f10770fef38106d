# What the writers' logs say against what is there. Gives a list of what is wrong; empty if every acknowledged write is
# there, once.
package SoakChecker;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(read_logs check_writes check_books);

my %absolute = (doc => 1, upsert => 1);
my %increment = (inc => 1, lock => 1);

# { events => { key => [[event, operation, rows], …] }, ledger => { staged, parent, maybe, retries } }
sub read_logs
{
	my (@files) = @_;
	my %logs = (events => {}, ledger => {}, count => 0);
	for my $file (@files)
	{
		my $ended = 0;
		open my $log, '<', $file or die "$file: $!";
		while (<$log>)
		{
			my ($key, @rest) = split;
			if ($key eq 'ledger')
			{
				my %part = @rest;
				$logs{ledger}{$_} += $part{$_} for keys %part;
				$ended = 1;
				next;
			}
			push @{ $logs{events}{$key} }, \@rest;
			$logs{count}++;
		}
		die "$file: its writer did not end well" unless $ended;
	}
	return \%logs;
}

# Why these events cannot have led to these rows; '' if they can. $seen->{event}: the anomaly with that version.
sub contradiction
{
	my ($events, $rows, $seen) = @_;
	my ($live, @since) = (1, [ 0, 'doc' ]);
	for my $event (@$events)
	{
		if ($event->[1] eq 'delete') { ($live, @since) = (0) }
		else
		{
			$live = 1 if $absolute{ $event->[1] };
			push @since, $event;
		}
	}
	return @$rows ? 'it was deleted, and is there' : '' unless $live;
	return @$rows . ' rows' if @$rows != 1;
	my ($val, $hits) = @{ $rows->[0] };

	# The application's increment gives a staged document and the parent's row the same time; then the parent's stays and
	# the document is an anomaly. Until it is moved the feed may have sent a newer one in its place.
	my ($found, $expected, $newer) = (0, 0);
	for my $event (@since)
	{
		my ($number, $operation) = @$event;
		if ($absolute{$operation} && $number == $val) { $found = 1 }
		elsif ($operation eq 'upsert' && $found) { return "version $val is there, the application's $number is not" }
		elsif ($operation eq 'doc' && $found) { $newer = $number }
		elsif ($increment{$operation} && $found) { $expected++ }
	}
	return "version $val was never written" unless $found;
	return "version $val is there, the feed's $newer is nowhere" if $newer && !$seen->{$newer};
	return $hits == $expected ? '' : "version $val was incremented $expected times, and says $hits";
}

# Events of a key, the last one perhaps unknown.
sub contradiction_or_unknown
{
	my ($events, $rows, $seen) = @_;
	my @all = grep { $_->[1] ne 'old' && $_->[1] ne 'read' } @$events;
	my $why = contradiction(\@all, $rows, $seen);
	return $why if $why eq '' || !@all || $all[-1][2] ne 'maybe';
	pop @all;
	return contradiction(\@all, $rows, $seen);
}

sub check_writes
{
	my ($dbh, $logs, $initial) = @_;
	my (%rows, %seen, %refused, @wrong);
	push @{ $rows{ $_->[0] } }, [ @$_[ 1, 2 ] ]
	  for @{ $dbh->selectall_arrayref('SELECT substr(id, 2), val, hits FROM account') };
	$seen{ $_->[0] }{ $_->[1] } = 1
	  for @{ $dbh->selectall_arrayref("SELECT _id, incoming->>'val' FROM vm_anomaly") };
	$refused{ $_->[0] } += 1 for @{ $dbh->selectall_arrayref('SELECT _id FROM vm_quarantine') };

	my $events = $logs->{events};
	for my $key (1 .. $initial)
	{
		my $why = contradiction_or_unknown($events->{$key} // [], delete $rows{$key} // [], $seen{$key} // {});
		push @wrong, "k$key: $why" if $why;
	}
	for my $key (grep { $_ > $initial } keys %$events)
	{
		my ($first) = @{ $events->{$key} };
		my $there = delete $rows{$key} // [];
		my $times = delete $refused{$key} // 0;
		next if $first->[2] eq 'maybe' && !@$there && $times == 0;
		if ($first->[1] eq 'poison')
		{
			push @wrong, "k$key: refused $times times, " . @$there . ' rows' if $times != 1 || @$there;
			next;
		}
		my $why = contradiction_or_unknown($events->{$key}, $there, $seen{$key} // {});
		push @wrong, "k$key: $why" if $why;
	}
	push @wrong, map { "k$_: nobody wrote it" } sort keys %rows;
	push @wrong, map { "k$_: in quarantine" } sort keys %refused;
	for my $key (sort keys %$events)
	{
		push @wrong, map { "k$key: event $_->[0], $_->[1], found no row" } grep { $_->[2] eq '0' } @{ $events->{$key} };
	}
	return @wrong;
}

# What came in, what is there, and what the moves say they did.
sub check_books
{
	my ($dbh, $logs, $initial) = @_;
	my $ledger = $logs->{ledger};
	my $unknown = $ledger->{maybe};
	my @wrong;
	my $same = sub {
		my ($what, $is, $expected, $slack) = @_;
		push @wrong, "$what: $is, expected $expected" if abs($is - $expected) > $slack;
	};
	my ($moved, $inserted, $kept, $quarantined) = $dbh->selectrow_array(<<'SQL');
SELECT sum(inserted + updated + kept + quarantined), sum(inserted), sum(kept), sum(quarantined) FROM vm_move_batches
SQL
	my ($staged, $parent, $anomalies, $open) = $dbh->selectrow_array(<<'SQL');
SELECT (SELECT count(*) FROM ONLY staged), (SELECT count(*) FROM ONLY account),
    (SELECT coalesce(sum(times_seen), 0) FROM vm_anomaly WHERE kind = 'move_conflict'), (SELECT count(*) FROM vm_quarantine)
SQL
	$same->('rows left in the child', $staged, 0, 0);
	$same->('rows that left the child', $moved, $initial + $ledger->{staged}, $unknown);
	$same->('rows in the parent', $parent, $inserted + $ledger->{parent}, $unknown);
	$same->('anomalies of the move', $anomalies, $kept, 0);
	$same->('rows in quarantine', $open, $quarantined, 0);

	push @wrong, map { "move $_->[0]: $_->[1]" } @{ $dbh->selectall_arrayref(<<'SQL') };
SELECT p.move_id, format('vm_progress (%s, %s) says %s, its batches %s', p.state, p.last_error, p.says, b.say) FROM (
    SELECT p.move_id, p.state, p.last_error, (p.inserted, p.updated, p.kept, p.quarantined, p.batches)::text AS says
    FROM vm_progress p) p
LEFT JOIN (SELECT move_id, (sum(inserted), sum(updated), sum(kept), sum(quarantined),
    count(*) FILTER (WHERE inserted + updated + kept + quarantined > 0))::text AS say
    FROM vm_move_batches GROUP BY 1) b USING (move_id)
WHERE p.says <> coalesce(b.say, '(0,0,0,0,0)')
SQL
	push @wrong, map { "move $_->[0] is $_->[1]" } @{ $dbh->selectall_arrayref(<<'SQL') };
SELECT move_id, state FROM vm_progress WHERE state NOT IN ('done', 'canceled', 'stopped', 'interrupted')
SQL
	return @wrong;
}

1;
