# The soak: writers and movers at once on a database of its own, then what is there against what was acknowledged.
#   soak.pl name=… mover=vm|article seconds=… rows=… locking=claim|lock parent=plain|trigger seed=… dir=…
# Needs PGHOST and its kin, the extension installed. Prints TAP lines.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use POSIX ':sys_wait_h';
use Time::HiRes qw(time usleep);
use SoakChecker;
use SoakWriter;

STDOUT->autoflush;
my %option = map { split /=/, $_, 2 } @ARGV;
my ($article, $rows) = ($option{mover} eq 'article', $option{rows});
my $failed = 0;
my $over = 0;
my %child;

srand($option{seed});

sub ok
{
	my ($true, $name, @why) = @_;
	@why = () if $true;
	my $shown = @why > 20 ? 20 : @why;
	print $true ? 'ok' : 'not ok', " - $option{name}: $name\n", map { "#   $_\n" } @why[ 0 .. $shown - 1 ];
	print '#   … ', @why - $shown, " more\n" if @why > $shown;
	$failed = 1 unless $true;
	return;
}

# A process of our own that is asked to end by SIGTERM.
sub start
{
	my ($name, $work) = @_;
	my $seed = int rand 1e9;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		srand($seed);
		$SIG{TERM} = sub { $over = 1 };
		my $well = eval { $work->(); 1 };
		print STDERR "$name: $@" unless $well;
		POSIX::_exit($well ? 0 : 1);
	}
	$child{$pid} = $name;
	return;
}

# Lets those whose name begins so end; the names of those that ended badly.
sub finish
{
	my ($prefix) = @_;
	my @bad;
	for my $pid (grep { $child{$_} =~ /^$prefix/ } keys %child)
	{
		kill 'TERM', $pid;
		waitpid $pid, 0;
		push @bad, $child{$pid} if $? != 0;
		delete $child{$pid};
	}
	return sort @bad;
}

END
{
	local $?;
	kill 'KILL', keys %child if %child;
}

sub set_up
{
	my $dbh = connect_as('soak');
	$dbh->do($_) for split /;\n/, <<SQL;
CREATE EXTENSION voucher_migrate;
CREATE TABLE account (id text PRIMARY KEY, val bigint NOT NULL, hits integer NOT NULL, updated_at timestamptz NOT NULL);
ALTER TABLE ONLY account ADD CONSTRAINT no_poison CHECK (val >= 0) NO INHERIT;
SELECT vm_define_mapping('account', '{"watermark": ["updated_at"], "columns": {"hits": {"default": 0}}}');
SELECT vm_create_child('account', 'account', 'T', 'P', 'staged');
INSERT INTO staged (_id, _doc)
SELECT i, format('{"id":"k%s","val":0,"updated_at":{"\$date":1600000000000}}', i) FROM generate_series(1, $rows) i;
ANALYZE
SQL
	return $dbh if $option{parent} eq 'plain';
	# With a trigger rows are written by SQL.
	$dbh->do("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'");
	$dbh->do('CREATE TRIGGER nothing AFTER INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION nothing()');
	return $dbh;
}

# CALL vm_move again and again, whoever interrupts it.
sub move_until_over
{
	my ($name) = @_;
	my $rate = int($rows / $option{seconds} / 2) + 1;
	my $dbh = connect_as($name);
	until ($over)
	{
		eval {
			$dbh->do("CALL vm_move('staged', locking => '$option{locking}', max_rows_per_second => $rate, quiet => true)");
		};
		if ($@)
		{
			my ($state, $why) = ($dbh->state // '', $@);
			if (!$dbh->ping) { $dbh = connect_as($name) }
			elsif ($state ne '57014') { die "$state $why" }
		}
		usleep(50_000);
	}
	return;
}

# As the article does it: one statement, in a transaction that takes its time.
sub move_by_the_article
{
	my ($name) = @_;
	my $dbh = connect_as($name);
	until ($over)
	{
		eval {
			$dbh->begin_work;
			$dbh->do(<<'SQL');
WITH batch AS (SELECT ctid AS tid FROM ONLY staged LIMIT 2000),
moved AS (DELETE FROM ONLY staged s USING batch WHERE s.ctid = batch.tid RETURNING s.id, s.val, s.hits, s.updated_at)
INSERT INTO account AS a SELECT * FROM moved
ON CONFLICT (id) DO UPDATE SET val = excluded.val, hits = excluded.hits, updated_at = excluded.updated_at
SQL
			usleep(150_000);
			$dbh->commit;
		};
		if ($@)
		{
			die $@ unless $dbh->state =~ /^40/;
			$dbh->rollback;
		}
		usleep(50_000);
	}
	return;
}

# What happens to movers and writers in the meantime.
sub disturb_until_over
{
	my $dbh = connect_as('soak disturber');
	my $signal = sub {
		my ($function, $whom) = @_;
		$dbh->do(<<SQL, undef, $whom);
SELECT $function(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE ?
ORDER BY random() LIMIT 1
SQL
	};
	my @disturbance = (
		sub { $signal->('pg_cancel_backend', 'soak mover%') },
		sub { $signal->('pg_cancel_backend', 'soak mover%') },
		sub { $signal->('pg_terminate_backend', 'soak mover%') },
		sub { $signal->('pg_terminate_backend', 'soak writer%') },
		sub { $dbh->do("SELECT vm_pause_move('staged')"); usleep(400_000); $dbh->do("SELECT vm_resume_move('staged')") },
		sub { $dbh->do("SELECT vm_stop_move('staged')") },
		sub { $dbh->do("SELECT vm_move_batch('staged', 300, locking => '$option{locking}')") },
		sub { $dbh->do('VACUUM staged') },);
	while (!$over)
	{
		usleep(200_000 + rand 600_000);
		# A batch in a transaction of its own may be the victim of a deadlock with a mover: it is undone, and that is all.
		eval { $disturbance[ rand @disturbance ]->(); 1 } or $dbh->state eq '40P01' or die $@;
	}
	return;
}

# 100,000 is no multiple of the writers: once in many runs one read a key that nobody had written.
my @absent = grep { $_ < 1 || $_ > $rows } map { my $number = $_; map { any_key($number, $rows, $_) } 0, 1 - 1e-9 } 0 .. WRITERS - 1;
ok(!@absent, 'writers choose keys that are there', @absent);

my $dbh = set_up();
my $log = "$option{dir}/$option{name}";
my @log = map { "$log.$_" } 0 .. WRITERS - 1;
my $until = time + $option{seconds};
for my $number (0 .. WRITERS - 1)
{
	my $name = "soak writer $number";
	my %writer = (name => $name, number => $number, initial => $rows, log => $log[$number], article => $article);
	start($name, sub { write_until(\%writer, sub { $over }) });
}
if ($article) { start('soak mover', sub { move_by_the_article('soak mover') }) }
else
{
	start("soak mover $_", sub { move_until_over("soak mover $_") }) for 1, 2;
	start('soak disturber', \&disturb_until_over);
}
usleep(100_000) while time < $until && waitpid(-1, WNOHANG) == 0;
my @bad = (finish('soak disturber'), finish('soak writer'));

if ($article)
{
	push @bad, finish('soak mover');
	ok(!@bad, 'writers and movers went on to the end', @bad);
	my $logs = read_logs(@log);
	my @wrong = check_writes($dbh, $logs, $rows);
	my $unseen = grep { /found no row/ } @wrong;
	my $gone = grep { /incremented|deleted|is not$/ } @wrong;
	ok($unseen > 0 && $gone > 0, "the article's statement loses writes, and the checker sees it");
	print "#   of $logs->{count} writes $unseen found no row, $gone keys are not what was acknowledged\n";
	exit $failed;
}

# Those that are under way wait for their limits no longer; then two at once move what is left.
$dbh->do("SELECT vm_stop_move('staged')");
push @bad, finish('soak mover');
for my $number (1, 2)
{
	start("last mover $number", sub { connect_as("last mover $number")->do("CALL vm_move('staged', locking => '$option{locking}', quiet => true)") });
}
usleep(100_000) for 1 .. 5;
for my $pid (keys %child) { waitpid $pid, 0; push @bad, $child{$pid} if $? != 0; delete $child{$pid} }
my ($left) = $dbh->selectrow_array('SELECT count(*) FROM ONLY staged');
ok(!@bad, 'writers and movers went on to the end', @bad);
ok($left == 0, 'the child is empty', "$left rows");
my $logs = read_logs(@log);
my @wrong = check_writes($dbh, $logs, $rows);
ok(!@wrong, 'every acknowledged write is there, once', @wrong);
@wrong = check_books($dbh, $logs, $rows);
ok(!@wrong, 'child, parent, anomalies, quarantine and the books of the moves agree', @wrong);
my ($moves, $kept, $refused) = $dbh->selectrow_array(<<'SQL');
SELECT (SELECT string_agg(format('%s %s', n, state), ', ') FROM (SELECT state, count(*) AS n FROM vm_progress GROUP BY 1) s),
    (SELECT count(*) FROM vm_anomaly), (SELECT count(*) FROM vm_quarantine)
SQL
print "#   $logs->{count} writes, $logs->{ledger}{retries} retries, $logs->{ledger}{maybe} unknown; ",
  "moves: $moves; $kept anomalies, $refused in quarantine\n";
ok($logs->{count} > 100 * $option{seconds}, 'the writers were not held up', "$logs->{count} writes");
exit $failed;
