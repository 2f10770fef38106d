# CALL vm_move beside others: movers, writers, who pauses, stops or cancels it, who changes the tables under it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use MoveTest;
use VmTest;

my $node = new_cluster('move_control');
create_shop($node);

sub run_sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sub call
{
	return begin_session($node, 'CALL vm_move(' . join(', ', "'feed'", 'quiet => true', @_) . ')');
}

# Another session, with a transaction that stays open.
sub open_session
{
	my ($sql) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->set_query_timer_restart;
	$session->query_safe("BEGIN; $sql");
	return $session;
}

sub commit
{
	my ($session, $how) = @_;
	$session->query_safe($how // 'COMMIT');
	$session->quit;
	return;
}

# A move that has done a part and waits for "gate" to open: at most this many rows of a second pass before it is asked.
run_sql('CREATE TABLE gate (closed boolean); INSERT INTO gate VALUES (true)');
my @gated = (
	'max_batch_size => 100',
	'max_rows_per_second => 2000',
	'throttle_query => $$SELECT closed AND EXISTS (SELECT FROM vm_move_batches) FROM gate$$');

sub gate
{
	return run_sql("UPDATE gate SET closed = $_[0]");
}

sub gated_move
{
	my ($name, @more) = @_;
	gate('true');
	fill($node, 1, 3000);
	my $session = call(@gated, @more);
	wait_until($node, "$name: the move has begun and waits", "state = 'waiting' AND waits_for = 'throttle_query' AND rows_done > 0 FROM vm_progress");
	cmp_ok(run_sql('SELECT count(*) FROM feed'), '>', 0, '… with rows to move');
	return $session;
}

# The end of a session whose CALL succeeds.
sub ends_done
{
	my ($session, $name) = @_;
	my ($out, $err) = end_session($session);
	is("$out$err", '', "$name: no error");
	is(last_move($node, 'state, waits_for IS NULL, last_error IS NULL, ended_at IS NOT NULL'), 'done|t|t|t', '… done');
	return;
}

# Two movers of one child, which has several chunks. They begin at once, when the pause is over.
fill($node, 1, 12_000, 1400);
cmp_ok(run_sql("SELECT pg_relation_size('feed') / 8192"), '>', 2048, 'a child of three chunks');
is(run_sql("SELECT vm_pause_move('feed')"), '0', 'paused before there is a move');
my @movers = map { call('max_rows_per_second => 4000') } 1 .. 2;
wait_until($node, 'two movers wait', "count(*) = 2 FROM vm_progress WHERE state = 'waiting' AND waits_for LIKE 'vm_resume_move, paused by %'");
is(run_sql('SELECT sum(rows_done) FROM vm_progress'), '0', '… and have done nothing');
is(run_sql("SELECT vm_resume_move('feed')"), '2', 'resumed, both of them');
is((end_session($_))[1], '', '… and end without an error') for @movers;
one_place($node, 12_000, '… every row once');
is(run_sql("SELECT count(*), sum(inserted), bool_and(state = 'done'), min(rows_done) > 0 FROM vm_progress"), '2|12000|t|t', '… both had their part');

# Two movers of two children.
fill($node, 1, 3000);
run_sql(<<'SQL');
SELECT vm_create_child('shop', 'shop', 'T', 'Q', 'feed2');
INSERT INTO feed2 (_id, _doc) SELECT i, format('{"id":"other%s"}', i) FROM generate_series(1, 3000) i;
SELECT vm_pause_move('feed'), vm_pause_move('feed2');
SQL
@movers = map { begin_session($node, "CALL vm_move('$_', quiet => true)") } 'feed', 'feed2';
wait_until($node, 'movers of two children wait', "count(*) = 2 FROM vm_progress WHERE waits_for LIKE 'vm_resume_move, paused by %'");
is(run_sql("SELECT vm_resume_move('feed')"), '1', 'one is resumed');
is((end_session($movers[0]))[1], '', '… and ends') if wait_until($node, '… and is done', "state = 'done' FROM vm_progress WHERE child = 'feed'::regclass");
is(run_sql("SELECT state, rows_done FROM vm_progress WHERE child = 'feed2'::regclass"), 'waiting|0', '… the other one waits');
run_sql("SELECT vm_resume_move('feed2')");
my ($out, $err) = end_session($movers[1]);
is($err, '', '… until it is resumed');
one_place($node, 6000, 'every row of both once');
is(run_sql("SELECT count(*) FROM vm_progress WHERE state = 'done' AND inserted = 3000"), '2', '… and on record so');
run_sql('DROP TABLE feed2');

# Pause, resume and stop in the middle.
my $mover = gated_move('pause');
is(run_sql("SELECT vm_pause_move('feed')"), '1', 'a move is paused');
gate('false');
wait_until($node, '… and waits for that', "waits_for LIKE 'vm_resume_move, paused by %' FROM vm_progress");
my $left = run_sql('SELECT count(*) FROM feed');
run_sql('SELECT pg_sleep(0.5)');
is(run_sql('SELECT count(*) FROM feed'), $left, '… no row moves');
is(last_move($node, 'state, eta IS NULL OR eta >= interval \'0\', waiting_since IS NOT NULL'), 'waiting|t|t', '… and the view says so');
is(run_sql("SELECT vm_resume_move('feed')"), '1', 'resumed');
ends_done($mover, 'resumed');
one_place($node, 3000, '… all rows moved');

$mover = gated_move('stop');
$left = run_sql('SELECT count(*) FROM feed');
is(run_sql("SELECT vm_stop_move('feed')"), '1', 'a move is stopped, while it waits');
($out, $err) = end_session($mover);
is($err, '', '… which is no error');
is(last_move($node, "state, rows_done = 3000 - $left"), 'stopped|t', '… but its end');
is(run_sql('SELECT count(*) FROM feed'), $left, '… the rest stays in the child');
is(run_sql("SELECT vm_stop_move('feed')"), '0', '… and there is nothing to stop any more');
ends_done(call(), 'a later CALL is not meant');
one_place($node, 3000, '… and moves the rest');

# A stop reaches a paused move, too.
fill($node, 1, 100);
run_sql("SELECT vm_pause_move('feed')");
$mover = call();
wait_until($node, 'a paused move', "waits_for LIKE 'vm_resume_move, %' FROM vm_progress");
run_sql("SELECT vm_stop_move('feed')");
($out, $err) = end_session($mover);
is(last_move($node, 'state, rows_done'), 'stopped|0', 'a paused move is stopped');
run_sql("SELECT vm_resume_move('feed')");

# Cancelled: the text says how far it is and how to go on, and nothing is left behind, neither a lock nor a transaction.
my $locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid IN (30, 31)";
sub canceled
{
	my ($session, $name, $why, $before) = @_;
	my ($out, $err) = end_session($session);
	my $moved = run_sql('SELECT count(*) FROM ONLY shop') - ($before // 0);
	like($err, qr/\AERROR:  57014: move of public\.feed: canceling statement due to $why\n/, "$name: the error");
	like($err, qr/^DETAIL:  $moved rows have moved and stay moved; the batch at hand was undone, nothing is lost\.\nHINT:  CALL vm_move again goes on from there\.$/m,
		'… with what has moved and how to go on');
	is(() = $err =~ /ERROR/g, 1, '… is the only one');
	is($out, "alive\n0", '… the same session goes on, and holds no lock');
	is(last_move($node, "state, rows_done, last_error"), "canceled|$moved|canceling statement due to $why", '… on record');
	return $moved;
}
my @alive = ("SET statement_timeout = 0", "SELECT 'alive'", $locks);

run_sql(<<'SQL');
CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.id = 'k450' THEN PERFORM pg_sleep(1000); END IF;
	RETURN new;
END $$;
SQL
my $hang = 'CREATE TRIGGER hang BEFORE INSERT ON shop FOR EACH ROW EXECUTE FUNCTION hang()';
my $hangs = "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE 'CALL vm_move%')";

fill($node, 1, 1000);
run_sql($hang);
$mover = begin_session($node, "CALL vm_move('feed', quiet => true, max_batch_size => 100)", @alive);
wait_until($node, 'a batch hangs in a trigger', $hangs);
my $pid = pid_of($mover);
isnt(run_sql($locks), '0', '… locks are held');
run_sql("SELECT pg_cancel_backend($pid)");
is(canceled($mover, 'pg_cancel_backend', 'user request'), '400', '… four batches were committed');
$mover = begin_session($node, "SET statement_timeout = '1s'", "CALL vm_move('feed', quiet => true, max_batch_size => 100, locking => 'lock')", @alive);
is(canceled($mover, 'statement_timeout', 'statement timeout', 400), '0', '… the same batch, under a lock');
run_sql('DROP TRIGGER hang ON shop');
ends_done(call(), 'CALL again');
one_place($node, 1000, '… moves the rest');

# The same session calls again.
fill($node, 1, 1000);
run_sql($hang);
$mover = begin_session($node, "CALL vm_move('feed', quiet => true, max_batch_size => 100)", 'DROP TRIGGER hang ON shop', "CALL vm_move('feed', quiet => true)", $locks);
wait_until($node, 'a batch hangs', $hangs);
run_sql("SELECT pg_cancel_backend(" . pid_of($mover) . ")");
($out, $err) = end_session($mover);
is($out, '0', 'the same session calls again');
one_place($node, 1000, '… and moves the rest');
is(run_sql('SELECT string_agg(state, \' \' ORDER BY move_id) FROM vm_progress'), 'canceled done', '… done');

# At the commit, where deferred triggers run: the batch that was undone is not counted.
fill($node, 1, 1000);
run_sql(<<'SQL');
CREATE TABLE audit (id text);
CREATE CONSTRAINT TRIGGER hang AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hang();
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.audit VALUES (new.id); RETURN new; END';
CREATE TRIGGER audit AFTER INSERT ON shop FOR EACH ROW EXECUTE FUNCTION audit();
SQL
$mover = begin_session($node, "CALL vm_move('feed', quiet => true, max_batch_size => 100)", @alive);
wait_until($node, 'a commit hangs in a deferred trigger', $hangs);
run_sql("SELECT pg_cancel_backend(" . pid_of($mover) . ")");
is(canceled($mover, 'cancelled in the commit', 'user request'), '400', '… four batches were committed');
run_sql('DROP TABLE audit CASCADE; DROP FUNCTION audit() CASCADE');
ends_done(call(), 'CALL again');
one_place($node, 1000, '… moves the rest');

# While it waits.
for my $case ([ 'paused', "SELECT vm_pause_move('feed')", "waits_for LIKE 'vm_resume_move, %'", "SELECT vm_resume_move('feed')" ],
	[ 'throttled', 'UPDATE gate SET closed = true', "waits_for = 'throttle_query'", 'UPDATE gate SET closed = false' ])
{
	my ($name, $before, $waits, $after) = @$case;
	fill($node, 1, 1000);
	run_sql($before);
	$mover = begin_session($node, q{CALL vm_move('feed', quiet => true, throttle_query => 'SELECT closed FROM gate')}, @alive);
	wait_until($node, "a move is $name", "$waits FROM vm_progress");
	run_sql("SELECT pg_cancel_backend(" . pid_of($mover) . ")");
	is(canceled($mover, "cancelled while $name", 'user request'), '0', '… nothing had moved');
	run_sql($after);
	ends_done(call(), 'CALL again');
	one_place($node, 1000, '… moves all');
}

# A session that is terminated leaves nothing either.
gated_move('pg_terminate_backend');
run_sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'CALL vm_move%'");
is(last_move($node, 'state'), 'interrupted', 'a session that is gone: interrupted');
is(run_sql($locks), '0', '… without locks');
ends_done(call(), 'CALL again');
one_place($node, 3000, '… moves the rest');

# Rows that another session holds, one of them changed: its new version is on another page. The rest moves meanwhile.
fill($node, 1, 2000);
my $page = "SELECT (ctid::text::point)[0] FROM ONLY feed WHERE id = 'k50'";
my $before = run_sql($page);
my $writer = open_session("UPDATE shop SET code = 'application' WHERE id = 'k50'; SELECT FROM shop WHERE id = 'k1500' FOR UPDATE");
isnt($writer->query_safe($page), $before, 'an update moves a row to another page');
$mover = call();
wait_until($node, 'all other rows move', '(SELECT count(*) FROM ONLY shop) = 1998');
wait_until($node, '… and those that are held are waited for', "state = 'waiting' AND waits_for = 'rows that other sessions hold' FROM vm_progress");
commit($writer);
ends_done($mover, 'the other session has committed');
one_place($node, 2000, '… no row is left in the child');
is(run_sql("SELECT code FROM shop WHERE id = 'k50'"), 'application', '… and its change is not lost');
cmp_ok(last_move($node, 'busy'), '>=', 2, '… busy rows were counted');

# Deleted meanwhile: gone for good. And taken back: moved as it was.
fill($node, 1, 2000);
$writer = open_session("DELETE FROM shop WHERE id = 'k50'");
my $other = open_session("DELETE FROM shop WHERE id = 'k1500'");
$mover = call();
wait_until($node, 'rows that are being deleted are waited for', "waits_for = 'rows that other sessions hold' AND rows_done = 1998 FROM vm_progress");
commit($writer);
commit($other, 'ROLLBACK');
ends_done($mover, 'a deletion committed, another taken back');
one_place($node, 1999, '… a row for each that is not deleted');
is(run_sql("SELECT string_agg(id, ' ') FROM shop WHERE id IN ('k50', 'k1500')"), 'k1500', '… and no other');

# The application inserts the key of a staged row into the parent, and does not commit yet.
for my $end ('COMMIT', 'ROLLBACK')
{
	fill($node, 1, 2000);
	$writer = open_session("INSERT INTO shop VALUES ('k700', 'application', now())");
	$mover = call();
	wait_until($node, 'a key that the application is inserting: all others move', "(SELECT count(*) FROM ONLY shop) = 1999 AND state = 'waiting' FROM vm_progress");
	like(last_move($node, 'waits_for'), qr/that (another session holds|other sessions hold)$/, '… and that is waited for');
	is($writer->query_safe("SELECT count(*) FROM shop WHERE id = 'k700'"), '2', '… the application is not disturbed');
	commit($writer, $end);
	ends_done($mover, $end);
	one_place($node, 2000, '… every row once');
	is(run_sql("SELECT code FROM shop WHERE id = 'k700'"), $end eq 'COMMIT' ? 'application' : 'child', '… with the right one');
	is(run_sql('SELECT count(*) FROM vm_anomaly'), $end eq 'COMMIT' ? '1' : '0', '… and what lost on record');
}

# However long that takes, and wherever the row stands: here it is the last one of a child that is empty otherwise.
fill($node, 1, 2000);
ends_done(call(q{filter => $$id <> 'k1990'$$}), 'all rows but one');
$writer = open_session("INSERT INTO shop VALUES ('k1990', 'application', now())");
$mover = call('lock_timeout_ms => 10');
wait_until($node, 'a row that is in the way again and again', "bool_or(busy > 12 OR ended_at IS NOT NULL) FROM vm_progress WHERE move_id > (SELECT min(move_id) FROM vm_move_run)");
like(last_move($node, 'state'), qr/^(running|waiting)$/, '… is not given up');
commit($writer, 'ROLLBACK');
ends_done($mover, 'once the key is free');
one_place($node, 2000, '… it moves');

# Two movers share the child although the first batch of each had to be taken back.
fill($node, 1, 12_000, 1400);
$writer = open_session("INSERT INTO shop VALUES ('k1', 'application', now())");
$other = open_session("INSERT INTO shop VALUES ('k12000', 'application', now())");
run_sql("SELECT vm_pause_move('feed')");
@movers = map { call('max_rows_per_second => 4000') } 1 .. 2;
wait_until($node, 'two movers wait', "count(*) = 2 FROM vm_progress WHERE state = 'waiting'");
run_sql("SELECT vm_resume_move('feed')");
wait_until($node, '… begin with a row that is in the way, and move the others', '(SELECT count(*) FROM ONLY shop) = 11998');
is(run_sql('SELECT min(rows_done) > 0 FROM vm_progress'), 't', '… both of them');
is(run_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 30"), '2', '… and are at it still');
commit($_, 'ROLLBACK') for $writer, $other;
is((end_session($_))[1], '', '… until the keys are free') for @movers;
one_place($node, 12_000, '… every row once');
is(run_sql("SELECT sum(inserted), bool_and(state = 'done') FROM vm_progress"), '12000|t', '… done');

# Limits say who they are while they hold a move back.
for my $limit ('max_rows_per_second => 100', 'max_wal_per_second => 10000')
{
	my ($name) = $limit =~ /^(\w+)/;
	fill($node, 1, 5000);
	$mover = call($limit);
	wait_until($node, "$name holds a move back", "state = 'waiting' AND waits_for = '$name' AND rows_done > 0 FROM vm_progress");
	run_sql("SELECT vm_stop_move('feed')");
	end_session($mover);
	is(last_move($node, 'state, rows_done BETWEEN 1 AND 4999'), 'stopped|t', '… and does not let all rows pass');
	ends_done(call(), 'without it');
	one_place($node, 5000, '… all rows move');
}

# The caller's own throttle: true holds it, false and NULL let it go, an error ends it, and another type is refused.
fill($node, 1, 100);
run_sql('UPDATE gate SET closed = true');
$mover = call(q{throttle_query => 'SELECT closed FROM gate'});
wait_until($node, 'throttle_query holds a move', "state = 'waiting' AND waits_for = 'throttle_query' FROM vm_progress");
is(run_sql('SELECT count(*) FROM feed'), '100', '… at once');
run_sql('UPDATE gate SET closed = NULL');
ends_done($mover, 'NULL');
one_place($node, 100, '… lets it go');
fill($node, 1, 100);
is(sqlstate($node, 'postgres', q{CALL vm_move('feed', throttle_query => 'SELECT 1/0 = 1', quiet => true)}), '22012', 'an error of throttle_query is one of the move');
is(last_move($node, 'state, last_error, rows_done'), 'failed|division by zero|0', '… which has failed');
is( sqlstate($node, 'postgres', q{CALL vm_move('feed', throttle_query => $$SELECT 'f'::text$$, max_run_time => '1 s', quiet => true)}),
	'22023', 'a throttle_query that gives no boolean');

# A pause says nothing of how fast rows move. What is waited for next is waited for from then on.
fill($node, 1, 5000);
gate('true');
$mover = begin_session($node, 'CALL vm_move(' . join(', ', "'feed'", @gated) . ')');
wait_until($node, 'a move waits', "waits_for = 'throttle_query' AND rows_done > 0 FROM vm_progress");
run_sql("SELECT vm_pause_move('feed')");
wait_until($node, '… and is paused', "waits_for LIKE 'vm_resume_move, %' FROM vm_progress");
is(run_sql('SELECT eta IS NULL, waiting_since > paused_at FROM vm_progress JOIN vm_move_control USING (child)'), 't|t', '… from then on');
run_sql('SELECT pg_sleep(2.5)');
my $resumed = run_sql('SELECT clock_timestamp()');
run_sql("SELECT vm_resume_move('feed')");
wait_until($node, '… resumed, it waits as before', "waits_for = 'throttle_query' FROM vm_progress");
is(last_move($node, "waiting_since > '$resumed'"), 't', '… but not since then');
gate('false');
($out, $err) = end_session($mover);
like($err, qr/rows \(\d+ %\), waits for vm_resume_move, paused by \w+$/m, '… without a rate while it was paused');
unlike($err, qr/rows\/s.* waits for vm_resume_move/, '… nor a time left');
one_place($node, 5000, '… all rows move');

# Time is limited: that is no error, and the next CALL goes on.
fill($node, 1, 5000);
($out, $err) = end_session(begin_session($node, q{CALL vm_move('feed', max_rows_per_second => 100, max_run_time => '0.3 s')}));
like($err, qr/NOTICE:  00000: public\.feed: max_run_time is over, \d+ rows moved/, 'max_run_time');
is(last_move($node, 'state, rows_done < 5000'), 'stopped|t', '… stops a move');
ends_done(call(), 'CALL again');
one_place($node, 5000, '… goes on');

# A lock on the child: both kinds of a move back off, and the application gets through while they do.
for my $case ([ 'lock', 'ROW EXCLUSIVE' ], [ 'claim', 'SHARE ROW EXCLUSIVE' ])
{
	my ($locking, $mode) = @$case;
	fill($node, 1, 1000);
	$writer = open_session("LOCK TABLE ONLY feed IN $mode MODE");
	$mover = call("locking => '$locking'");
	wait_until($node, "$locking against $mode", "state = 'waiting' AND waits_for = 'a lock that another session holds' FROM vm_progress");
	is($writer->query_safe("UPDATE shop SET code = 'application' WHERE id = 'k5' RETURNING id"), 'k5', '… the holder goes on');
	is( sqlstate($node, 'postgres', "SET lock_timeout = '5s'; UPDATE shop SET code = 'application' WHERE id = 'k6'"), '00000', '… another writer, too')
	  if $locking eq 'lock';
	is(last_move($node, 'rows_done'), '0', '… and nothing moves');
	commit($writer);
	ends_done($mover, 'the lock is gone');
	one_place($node, 1000, '… all rows move');
	is(run_sql("SELECT count(*) FROM shop WHERE code = 'application'"), $locking eq 'lock' ? '2' : '1', '… no change is lost');
}

# The tables change between two batches: the move goes on as they are now.
sub changed
{
	my ($name, $ddl, $check, $expected) = @_;
	$mover = gated_move($name);
	run_sql($ddl);
	gate('false');
	ends_done($mover, $name);
	one_place($node, 3000, '… all rows move');
	is(run_sql($check), $expected, '… as they should') if defined $check;
	return;
}

changed('indexes', 'CREATE UNIQUE INDEX shop_code ON shop (id, code); CREATE INDEX ON feed (code); CREATE INDEX shop_code2 ON shop (code)',
	'SET enable_seqscan = off; SELECT count(*) FROM ONLY shop WHERE code = \'child\'', '3000');
changed('a new column', q{ALTER TABLE shop ADD COLUMN note text DEFAULT 'note'}, "SELECT count(*) FROM ONLY shop WHERE note = 'note'", '3000');
changed('a column dropped', 'ALTER TABLE shop DROP COLUMN note', 'SELECT count(*) FROM ONLY shop', '3000');
changed('another type', q{ALTER TABLE shop ALTER code TYPE varchar(10)}, "SELECT count(*) FROM ONLY shop WHERE code = 'child'", '3000');
changed('VACUUM FULL', 'VACUUM FULL feed');
changed('another name', 'ALTER TABLE feed RENAME TO food; ALTER TABLE food RENAME CONSTRAINT feed_pkey TO food_pkey; ALTER TABLE food RENAME TO feed');
changed('ANALYZE', 'ANALYZE shop; ANALYZE feed');
changed('a trigger of the parent', 'CREATE TRIGGER hang BEFORE INSERT ON shop FOR EACH ROW WHEN (new.id = \'k0\') EXECUTE FUNCTION hang()', 'SELECT path FROM vm_progress', 'SQL: the parent has triggers or foreign keys');
run_sql('DROP TRIGGER hang ON shop');
changed('a trigger of the child', 'CREATE TRIGGER hang BEFORE DELETE ON feed FOR EACH ROW WHEN (old.id = \'k0\') EXECUTE FUNCTION hang()', 'SELECT path FROM vm_progress', 'native, SQL DELETE under a lock: the child has triggers on DELETE');
run_sql('DROP TRIGGER hang ON feed');

# A child that is emptied.
$mover = gated_move('TRUNCATE');
my $moved = run_sql('SELECT count(*) FROM ONLY shop');
run_sql('TRUNCATE feed');
gate('false');
ends_done($mover, 'TRUNCATE');
one_place($node, $moved, '… what has moved stays');

# The mapping decides which row is newer; another one holds from the next batch on.
run_sql('ALTER TABLE shop ADD changed_at timestamptz');
$mover = gated_move('another mapping');
$moved = run_sql('SELECT count(*) FROM ONLY shop');
run_sql(<<'SQL');
INSERT INTO shop SELECT id, 'parent', to_timestamp(1600000000) + interval '1 hour', to_timestamp(0) FROM feed;
UPDATE feed SET changed_at = now();
SELECT vm_define_mapping('shop', '{"watermark": ["changed_at"]}');
SQL
gate('false');
ends_done($mover, 'another mapping');
is(run_sql('SELECT count(*), count(DISTINCT id) FROM ONLY shop'), '3000|3000', '… every row once');
is(run_sql('SELECT (SELECT count(*) FROM feed), (SELECT count(*) FROM vm_anomaly)'), '0|0', '… and none lost');
is(run_sql('SELECT code, count(*) FROM ONLY shop GROUP BY 1'), 'child|3000', '… the newer won by the new mapping');
run_sql(q{SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}')});

# What it cannot go on with it says, and the session lives.
sub fails
{
	my ($name, $ddl, $error) = @_;
	gate('true');
	fill($node, 1, 3000);
	my $session = begin_session($node, 'CALL vm_move(' . join(', ', "'feed'", 'quiet => true', @gated) . ')', @alive);
	wait_until($node, "$name: the move has begun and waits", "waits_for = 'throttle_query' AND rows_done > 0 FROM vm_progress");
	my $moved = run_sql('SELECT count(*) FROM ONLY shop');
	run_sql($ddl);
	gate('false');
	my ($out, $err) = end_session($session);
	like($err, qr/\AERROR:  $error\n/, "$name: the error");
	like($err, qr/^DETAIL:  (\S.* )?$moved rows have moved and stay moved;/m, '… with what has moved');
	is($out, "alive\n0", '… the session goes on, without locks');
	is(last_move($node, 'state, rows_done'), "failed|$moved", '… on record');
	return;
}

fails('no child any more', 'ALTER TABLE feed NO INHERIT shop', '42809: move of public\.feed: table feed is no child of exactly one parent');
run_sql('ALTER TABLE feed INHERIT shop');
ends_done(call(), 'CALL again');
one_place($node, 3000, '… moves the rest');
fails('no trigger any more', 'ALTER TABLE feed RENAME TO food; CREATE TABLE feed (LIKE food); DROP TABLE food', '42P01: move of public\.feed: child public\.feed was dropped while its rows moved');
run_sql('DROP TABLE feed');
run_sql("SELECT vm_create_child('shop', 'shop', 'T', 'P', 'feed')");
fails('no key any more', 'ALTER TABLE shop DROP CONSTRAINT shop_pkey; DROP INDEX shop_code', '42704: move of public\.feed: parent shop has no primary key or unique index to move by');
run_sql('ALTER TABLE shop ADD PRIMARY KEY (id)');
ends_done(call(), 'CALL again');
one_place($node, 3000, '… moves the rest');

# The change asks for a stronger lock, which another session does not let it have yet.
$mover = gated_move('a trigger of the child and a writer');
run_sql('CREATE TRIGGER hang BEFORE DELETE ON feed FOR EACH ROW WHEN (old.id = \'k0\') EXECUTE FUNCTION hang()');
$writer = open_session("LOCK TABLE feed IN ROW EXCLUSIVE MODE");
gate('false');
wait_until($node, '… waits for the lock', "waits_for = 'a lock that another session holds' FROM vm_progress");
commit($writer);
ends_done($mover, '… and goes on');
one_place($node, 3000, '… all rows move');
run_sql('DROP TRIGGER hang ON feed');

server_survived($node);
$node->stop;
done_testing();
