#!/usr/bin/env perl
# Prints what the README shows of RESULTS.md: the most telling figures, and every goal that is missed.
use strict;
use warnings;
use utf8;

my ($file) = @ARGV;
open(my $in, '<:encoding(UTF-8)', $file) or die "$file: $!\n";
binmode STDOUT, ':encoding(UTF-8)';

# Of each table's rows: section, cells. The first of several with one label is the one that `row` finds.
my ($section, $machine, @rows) = ('Benchmark', '');
while (my $line = <$in>) {
    $section = $1 if $line =~ /^#+ (.*)/;
    $machine = $1 if $line =~ /^(PostgreSQL .*?), shared_buffers/;
    next unless $line =~ /^\| (.*?) \|$/ || $line =~ /^\| (.*)\|$/;
    my @cells = split / *\| */, $1, -1;
    tr/*//d for @cells;
    push @rows, [$section, @cells];
}
close $in;

sub row {
    my ($in, $label, $where, $is) = @_;
    for my $row (@rows) {
        return @$row[1 .. $#$row] if $row->[0] eq $in && $row->[1] eq $label && (!$where || $row->[$where + 1] =~ $is);
    }
    die "$file: no line \"$label\" under \"$in\"\n";
}

sub ratio { return sprintf('%.1f×', $_[0] / $_[1]) }

my $statement = "the article's statement, batches of 30,000";
my $move = '`vm_move`';
my (undef, $there_insert, $insert, $insert_ratio) = row('Benchmark', 'Trigger alone, INSERT');
my (undef, $there_copy, $copy, $copy_ratio) = row('Benchmark', "COPY, logged child with the parent's indexes");
my @theirs = row('The move', $statement);
my @native = row('The move', "$move, native");
my @whole = row('The move', '`vm_move_whole`');
my @alone = row('The move', 'nothing');
my @beside_theirs = row('The move', $statement, 1, qr/^\d+$/);
my @beside = row('The move', $move);
my (undef, $there_check, $check, $check_ratio) = row('Checks', 'as the feed brought them: each row is dirty');
my (undef, $few, $there_few, $few_took, $few_ratio) = row('Distinct values', 'in one child', 1, qr/category/);
my (undef, $many, $there_many, $many_took, $many_ratio) = row('Distinct values', 'in one child', 1, qr/`id`/);

# Some tables say of a goal that it is missed; those of the move have a number, and what it is held against.
my @missed;
for my $row (@rows) {
    my (undef, $label, @cells) = @$row;
    next unless @cells;
    if ($cells[-1] =~ /^(.*), missed$/) {
        push @missed, "$label: " . ($cells[-2] || $cells[-3]) . ", where the goal is $1";
        next;
    }
    for my $goal (split /, /, $cells[-1]) {
        next unless $goal =~ /([≥≤]) ([\d.]+).*?(the article|the floor|: ([\d.]+).*)$/;
        my ($sign, $wanted) = ($1, $2);
        my $got = $4 ? $goal =~ s/.*: //r : $3 eq 'the article' ? $cells[2] : $cells[3];
        my $number = $got =~ s/[^\d.]//gr;
        push @missed, "$label: $got, where the goal is " . $goal =~ s/: .*//r
            if $sign eq '≥' ? $number < $wanted : $number > $wanted;
    }
}

print <<"END";
$machine; medians, fsync off, all in memory. Made by `make bench`.

| | without | with | |
|---|---|---|---|
| a document's columns: plpgsql trigger, `vm_transform` | $there_insert | $insert | **$insert_ratio** |
| COPY of documents into a child with the parent's indexes | $there_copy | $copy | **$copy_ratio** |
| the move of a row: `DELETE … INSERT`, `vm_move` | $theirs[1] µs | $native[1] µs | **$native[3]** |
| its WAL: `DELETE … INSERT`, `vm_move_whole` | $theirs[5] bytes | $whole[5] bytes | **@{[ratio($theirs[5], $whole[5])]}** |
| an application's updates meanwhile: 99th percentile (alone: $alone[3] ms) | $beside_theirs[3] ms | $beside[3] ms | |
| … and how many of them are lost | $beside_theirs[5] of $beside_theirs[1] | $beside[5] of $beside[1] | |
| checks of a million rows: 17 queries, `vm_check` | $there_check | $check | **$check_ratio** |
| `SELECT DISTINCT`, `vm_distinct` of $few values | $there_few | $few_took | **$few_ratio** |
| `SELECT DISTINCT`, `vm_distinct` of $many values | $there_many | $many_took | **$many_ratio** |
END
print @missed ? "\nGoals that are missed:\n\n" . join('', map { "- $_\n" } @missed) : "\nEvery goal is reached.\n";
