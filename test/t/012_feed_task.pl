# What vm_feed_task prints does what it says: the script runs with names that no shell should read, table mappings keep
# AWS DMS's rules, properties are read back as they were meant.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;
use VmTest;

my $node = new_cluster('feed_task');
my $bin = PostgreSQL::Test::Utils::tempdir();
my $where = "$bin/where";
mkdir $where or die $!;
$ENV{$_->[0]} = $_->[1] for [ PGHOST => $node->host ], [ PGPORT => $node->port ], [ PATH => "$bin:$ENV{PATH}" ],
	[ MONGODB_URI => 'mongodb://localhost:27017/?a=b&c=$(touch uri)' ], [ FAKE => $bin ];
$ENV{PGUSER} = (getpwuid($<))[0];

# The collection's documents stand in a file named by its bytes; what was asked for is written down.
PostgreSQL::Test::Utils::append_to_file("$bin/mongoexport", <<'FAKE');
#!/usr/bin/env bash
printf '%s\0' "$@" >>"$FAKE/asked"
for word; do [[ $word == --collection=* ]] && collection=${word#--collection=}; done
file=$FAKE/documents.$(printf '%s' "$collection" | od -An -v -tx1 | tr -d ' \n')
[[ -f $file ]] || { echo "no collection $collection" >&2; exit 1; }
if [[ -f $FAKE/fails ]]; then head -n 2 "$file"; echo 'connection lost' >&2; exit 1; fi
cat "$file"
FAKE
chmod 0755, "$bin/mongoexport" or die $!;

sub write_file
{
	my ($name, $text) = @_;
	open my $file, '>:raw', $name or die "$name: $!";
	print {$file} $text or die $!;
	close $file or die $!;
	return;
}

sub documents
{
	my ($collection, @lines) = @_;
	write_file("$bin/documents." . unpack('H*', $collection), join '', map { "$_\n" } @lines);
	return;
}

# The printed script in a file, and what became of it: status and stderr.
sub run_script
{
	my ($script) = @_;
	my ($stdout, $stderr);
	write_file("$bin/script", $script);
	unlink "$bin/asked";
	my $ok = IPC::Run::run([ 'bash', "$bin/script" ], '<', \undef, '>', \$stdout, '2>', \$stderr, init => sub { chdir $where or die $! });
	return ($ok, $stdout, $stderr);
}

# A SQL literal, for bytes.
sub literal
{
	my ($text) = @_;
	return "convert_from(decode('" . unpack('H*', $text) . "', 'hex'), 'UTF8')";
}

my @names = (
	[ 'acme', 'p_1' ],
	[ "o'neil; touch one", '$(touch two)`touch three`' ],
	[ '--db=other', "a\nb\"c\\d\te" ],
	[ '%s %d', "gr\xc3\xbcezi \xf0\x9f\x98\x80 [x] *" ],
	[ '{project}', '-rf {tenant} & | > out #' ]);
my $db = q{shop's "main"; touch four};
$node->safe_psql('postgres', qq{CREATE DATABASE "$_"}) for 'feeds', 'host=nowhere';
for my $to ('feeds', 'host=nowhere')
{
	my $connstr = $to eq 'feeds' ? 'feeds' : "dbname='host=nowhere'";
	# safe_psql would read the second name as a connection string.
	my $sql = join "\n", 'CREATE EXTENSION voucher_migrate;',
		'CREATE SCHEMA "Prod.data";',
		'CREATE TABLE "Prod.data"."Vouchers" (tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, code text, updated_at timestamptz, PRIMARY KEY (tenant_id, project_id, id));',
		q{SELECT vm_define_mapping('fed', '{"columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}}, "watermark": "updated_at", "on_error": "quarantine"}');},
		"INSERT INTO vm_parent (entity, parent, mapping, move_order, source_database, source_collection) VALUES ('vouchers', '\"Prod.data\".\"Vouchers\"', 'fed', 1, " . literal($db) . ", 'v-{tenant}-{project}');",
		map {
			sprintf "INSERT INTO vm_project (tenant, project) VALUES (%1\$s, %2\$s); INSERT INTO vm_project_entity (tenant, project, entity, child) SELECT %1\$s, %2\$s, 'vouchers', vm_create_child('\"Prod.data\".\"Vouchers\"', 'fed', %1\$s, %2\$s);",
				literal($_->[0]), literal($_->[1])
		} @names;
	IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') =~ s/dbname=\S+//r . " dbname='$to'" ], '<', \$sql, '>', \my $out) or die;
}

sub task
{
	my (@arguments) = @_;
	return $node->safe_psql('feeds', 'SELECT vm_feed_task(' . join(', ', @arguments) . ')');
}

#
# mongoexport
#
my @documents = (
	q({"_id":{"$oid":"5de8a1a0f1e2d3c4b5a69701"},"id":"v1","code":"plain","updated_at":{"$date":{"$numberLong":"1000"}}}),
	q({"_id":{"$oid":"5de8a1a0f1e2d3c4b5a69702"},"id":"v2","code":"\"quoted\", 'and' \\\\ back \\n \\\\. \\\\N \u0001\u0002 \t","updated_at":{"$date":{"$numberLong":"1000"}}}),
	qq({"_id":"text id", "id":"v3","code":"gr\xc3\xbcezi \xf0\x9f\x98\x80","updated_at":{"\$date":{"\$numberLong":"1000"}}}),
	q({"_id":{"$numberLong":"7"},"id":"v4","code":null,"updated_at":{"$date":{"$numberLong":"1000"}}}  ),
	q({"_id":{"$oid":"5de8a1a0f1e2d3c4b5a69705"},"id":"v5","code":"not a date","updated_at":"next friday"}));

sub collection_of
{
	my ($tenant, $project) = @{ $_[0] };
	return "v-$tenant-$project";
}
documents(collection_of($_), @documents) for @names;

my $script = task('NULL', 'NULL', q('mongoexport'));
my ($ok, $stdout, $stderr) = run_script($script);
ok($ok, 'the script runs') or diag $stderr;
is($stdout, '', '… and prints nothing');
is_deeply([ glob "$where/*" ], [], 'no name was run as a command');
is_deeply([ split /\0/, slurp_file("$bin/asked") ],
	[ map { ("--uri=$ENV{MONGODB_URI}", "--db=$db", '--collection=' . collection_of($_), '--jsonFormat=canonical') } sort { $a->[0] cmp $b->[0] } @names ],
	'mongoexport is asked for each collection by its name');

# What stands in each child: its documents, to the byte.
for my $i (0 .. $#names)
{
	my ($tenant, $project) = map { literal($_) } @{ $names[$i] };
	my $child = $node->safe_psql('feeds', "SELECT child FROM vm_project_entity WHERE (tenant, project) = ($tenant, $project)");
	is($node->safe_psql('feeds', "SELECT string_agg(encode(convert_to(_doc, 'UTF8'), 'hex'), ' ' ORDER BY id) FROM $child WHERE (tenant_id, project_id) = ($tenant, $project)"),
		join(' ', map { unpack 'H*', $_ } @documents[ 0 .. 3 ]), "project $i has its documents as they are");
	is($node->safe_psql('feeds', "SELECT string_agg(_id, ' ' ORDER BY id) FROM $child"), '5de8a1a0f1e2d3c4b5a69701 5de8a1a0f1e2d3c4b5a69702 text id 7', '… and their _ids');
	is($node->safe_psql('feeds', "SELECT string_agg(coalesce(_id, '?') || ' ' || coalesce(field, '?'), ', ') FROM vm_quarantine WHERE child = '" . ($child =~ s/'/''/gr) . "'::regclass AND settled_at IS NULL"),
		'5de8a1a0f1e2d3c4b5a69705 updated_at', '… but for one in quarantine');
}

# Again: what is there stays, row version and all; what has changed and what is new arrives; what came from later stays.
my $versions = q(SELECT string_agg(tableoid || ' ' || ctid || ' ' || xmin, ',' ORDER BY tableoid, ctid) FROM "Prod.data"."Vouchers");
my $before = $node->safe_psql('feeds', $versions);
($ok) = run_script($script);
ok($ok, 'a second run');
is($node->safe_psql('feeds', $versions), $before, '… writes no row anew');
is($node->safe_psql('feeds', 'SELECT count(*) FROM vm_quarantine WHERE settled_at IS NULL'), scalar @names, '… nor a second case of quarantine');
my @changed = @documents;
$changed[0] =~ s/"plain"/"changed"/;
$changed[0] =~ s/"1000"/"2000"/;
$changed[2] =~ s/"1000"/"500"/;
$changed[4] =~ s/"next friday"/{"\$date":{"\$numberLong":"3000"}}/;
documents(collection_of($names[0]), @changed, q({"_id":"six","id":"v6","code":"new"}));
($ok) = run_script($script);
ok($ok, 'a third run, after changes at the source');
is($node->safe_psql('feeds', q(SELECT string_agg(id || ' ' || coalesce(code, '-'), ', ' ORDER BY id) FROM "Prod.data"."Vouchers" WHERE tenant_id = 'acme' AND id NOT IN ('v2', 'v3'))),
	'v1 changed, v4 -, v5 not a date, v6 new', '… brings them');
is($node->safe_psql('feeds', 'SELECT count(*), min(kind), min(_id) FROM vm_anomaly'), '1|late_document|text id', '… and a document older than its row is an anomaly')
	or diag $node->safe_psql('feeds', 'SELECT kind FROM vm_anomaly');

# An export that breaks off.
$node->safe_psql('feeds', q(TRUNCATE "Prod.data"."Vouchers"));
write_file("$bin/fails", '');
($ok, $stdout, $stderr) = run_script($script);
ok(!$ok, 'mongoexport fails, and so does the script');
like($stderr, qr/connection lost/, '… saying why');
is($node->safe_psql('feeds', q(SELECT count(*) FROM "Prod.data"."Vouchers")), '0', '… and nothing is loaded');
is(() = slurp_file("$bin/asked") =~ /--db=/g, 1, '… nor asked for afterwards');
unlink "$bin/fails";

# Without a connection string, without the server, with a database whose name looks like a connection string.
{
	local $ENV{MONGODB_URI};
	($ok, $stdout, $stderr) = run_script($script);
	ok(!$ok && $stderr =~ /MONGODB_URI: is not set/, 'no MONGODB_URI');
}
{
	local $ENV{PGPORT} = 1;
	($ok) = run_script($script);
	ok(!$ok, 'no server');
}
IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres') =~ s/dbname=\S+//r . " dbname='host=nowhere'", '-c', q(SELECT vm_feed_task('acme', 'p_1', 'mongoexport')) ], '>', \my $odd) or die;
($ok, $stdout, $stderr) = run_script($odd);
ok($ok, 'a database with an odd name') or diag $stderr;

#
# AWS DMS: rules as its documentation has them.
#
my %of = (
	selection => { required => [qw(rule-type rule-id rule-name object-locator rule-action)], optional => ['filters'], action => { include => 1, exclude => 1, explicit => 1 } },
	transformation => { required => [qw(rule-type rule-id rule-name object-locator rule-action rule-target value)], optional => ['old-value'], action => { rename => 1 } });

sub dms_problems
{
	my ($text) = @_;
	my @problems;
	my $mappings = JSON::PP->new->utf8->decode($text);
	my (%id, %name);
	push @problems, 'not only rules' if join(' ', keys %$mappings) ne 'rules';
	push @problems, 'larger than 2 MB' if length $text > 2_000_000;
	for my $rule (@{ $mappings->{rules} })
	{
		my $kind = $of{ $rule->{'rule-type'} } or do { push @problems, 'unknown rule-type'; next };
		my %known = map { $_ => 1 } @{ $kind->{required} }, @{ $kind->{optional} };
		push @problems, grep { !exists $rule->{$_} } @{ $kind->{required} };
		push @problems, grep { !$known{$_} } keys %$rule;
		push @problems, "rule-id $rule->{'rule-id'}" if $rule->{'rule-id'} !~ /^[1-9][0-9]*$/ || $id{ $rule->{'rule-id'} }++;
		push @problems, "rule-name $rule->{'rule-name'}" if $rule->{'rule-name'} !~ /^[A-Za-z0-9]+$/ || $name{ $rule->{'rule-name'} }++;
		push @problems, "rule-action $rule->{'rule-action'}" if !$kind->{action}{ $rule->{'rule-action'} };
		my $target = $rule->{'rule-type'} eq 'selection' ? 'table' : $rule->{'rule-target'};
		my @locator = $target eq 'schema' ? ('schema-name') : ('schema-name', 'table-name');
		push @problems, 'object-locator' if join(' ', sort keys %{ $rule->{'object-locator'} }) ne "@locator";
		push @problems, 'rule-target' if $target !~ /^(schema|table)$/;
	}
	return @problems;
}

# A pattern of DMS as a regular expression of Perl.
sub dms_pattern
{
	my ($pattern) = @_;
	my $regex = '';
	while ($pattern =~ /\G(?:(%)|(_)|\[(.)\]|(.))/gs)
	{
		$regex .= defined $1 ? '.*' : defined $2 ? '.' : quotemeta($3 // $4);
	}
	return qr/\A$regex\z/s;
}

$node->safe_psql('feeds', q(UPDATE vm_project SET project = replace(project, '$', '')));
my @readable = map { [ $_->[0], $_->[1] =~ s/\$//gr ] } @names;
my $text = task('NULL', 'NULL');
is_deeply([ dms_problems($text) ], [], 'table mappings keep the rules');
is(task('NULL', 'NULL'), $text, '… and are the same the next time');
my @rules = @{ JSON::PP->new->utf8->decode($text)->{rules} };
my %child = map { /^([0-9a-f]+)\|([0-9a-f]+)$/ } split /\n/, $node->safe_psql('feeds', q(
	SELECT encode(convert_to('v-' || tenant || '-' || project, 'UTF8'), 'hex'), encode(convert_to(c.relname, 'UTF8'), 'hex') FROM vm_project_entity e JOIN pg_class c ON c.oid = e.child));

sub rules_for
{
	my ($type, $collection) = @_;
	utf8::decode(my $wide = $collection);
	return grep { $_->{'rule-type'} eq $type && $_->{'object-locator'}{'table-name'} && $wide =~ dms_pattern($_->{'object-locator'}{'table-name'})
		&& $db =~ dms_pattern($_->{'object-locator'}{'schema-name'}) } @rules;
}
for my $i (0 .. $#readable)
{
	my $collection = collection_of($readable[$i]);
	is(scalar rules_for('selection', $collection), 1, "project $i: one rule selects its collection");
	my ($rename) = rules_for('transformation', $collection);
	utf8::encode(my $value = $rename->{value});
	is(unpack('H*', $value), $child{ unpack 'H*', $collection }, '… and one renames it to the child');
}
is(scalar rules_for('selection', $_), 0, "nothing selects $_") for 'v-acme-pX1', 'v-acme-p_11', 'v-acme-', 'other';
is_deeply([ map { $_->{value} } grep { ($_->{'rule-target'} // '') eq 'schema' } @rules ], ['Prod.data'], 'the schema is renamed once');

#
# Debezium: properties as java.util.Properties reads them.
#
sub unescaped
{
	my ($value) = @_;
	$value =~ s/\\(?:u([0-9A-F]{4})|(.))/defined $1 ? "\x{FFFF}$1" : $2/ges;
	$value =~ s/\x{FFFF}(D[89AB]..)\x{FFFF}(D[C-F]..)/chr(0x10000 + ((hex($1) - 0xD800) << 10) + hex($2) - 0xDC00)/ges;
	$value =~ s/\x{FFFF}([0-9A-F]{4})/chr hex $1/ges;
	return $value;
}

# A backslash in a table's name the sink cannot be told.
is(sqlstate($node, 'feeds', q(SELECT vm_feed_task(NULL, NULL, 'debezium'))), '0A000', 'a name that the JDBC sink would not find');
$node->safe_psql('feeds', q(DELETE FROM vm_project_entity WHERE strpos(project, chr(92)) > 0));
@readable = grep { $_->[1] !~ /\\/ } @readable;

my (%file, $file);
for (split /\n/, task('NULL', 'NULL', q('debezium')))
{
	if (/^# file: ([\w.-]+)$/) { $file = $1; next }
	next if $_ eq '';
	my ($key, $value) = /^([A-Za-z.]+)=(.*)$/ or do { fail("property: $_"); next };
	like($value, qr/\A[\x20-\x7E]+\z/, "$key is ASCII") if $value !~ /\A[\x20-\x7E]+\z/;
	ok(0, "$key twice in $file") if exists $file{$file}{$key};
	$file{$file}{$key} = unescaped($value);
}
my ($source) = grep { /-source\.properties$/ } keys %file;
my @sinks = grep { /-sink\.properties$/ } sort keys %file;
is(@sinks, @readable, 'a sink for each child');
is($source, 'vm-source.properties', 'one source');
is(scalar(grep { "$file{$_}{name}.properties" ne $_ } keys %file), 0, 'files go by the names of their connectors');
my @collections = split /,/, $file{$source}{'collection.include.list'};
is(@collections, @readable, 'a collection for each child');
my %table = map { ($file{$_}{topics} => $file{$_}{'collection.name.format'}) } @sinks;
for my $i (0 .. $#readable)
{
	my $collection = collection_of($readable[$i]);
	utf8::decode(my $wide = $collection);
	is(scalar(grep { "$db.$wide" =~ /\A$_\z/ } @collections), 1, "project $i: one expression matches its collection");
	my $topic = "vm.$db.$wide";
	$topic =~ s/[\x{10000}-\x{10FFFF}]/__/g;
	$topic =~ s/[^A-Za-z0-9._-]/_/g;
	my ($schema, $table) = ($table{$topic} // '') =~ /\A"((?:[^"]|"")*)"\."((?:[^"]|"")*)"\z/s;
	is($schema, 'Prod.data', '… its topic goes to the schema');
	utf8::encode($table);
	is(unpack('H*', $table =~ s/""/"/gr), $child{ unpack 'H*', $collection }, '… and to the child');
}
my $sink = $file{ $sinks[0] };
my @transforms = split /,/, $sink->{transforms};
is(scalar(grep { !$sink->{"transforms.$_.type"} } @transforms), 0, 'each transformation has a type');
my %predicate = map { $_ => 1 } split /,/, $sink->{predicates};
is(scalar(grep { /^transforms\..*\.predicate$/ && !$predicate{ $sink->{$_} } } keys %$sink), 0, 'each predicate is defined');

$node->stop;
done_testing();
