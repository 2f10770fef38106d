#!/usr/bin/env perl
# Prints a Markdown file with the answers to its commands brought up to date.
#
#   ```sql             its commands are run by one psql, and what that prints stands in the block without a language after it.
#                      Tags, and answers that have nothing in them, are left out
#   ```sql varies      the same; numbers in the answer may be others each time
#   <!-- run … -->     run, but not shown; an error ends it all
#
# An answer stays as it is as long as only times, durations, rates, sizes and numbers of processes and objects differ.
use strict;
use warnings;
use IO::Handle;
use IPC::Open2;

my ($file) = @ARGV;
open(my $in, '<:encoding(UTF-8)', $file) or die "$file: $!\n";
chomp(my @lines = <$in>);
close $in;
binmode STDOUT, ':encoding(UTF-8)';

# One psql for all; its errors and its answers come in their order.
my $pid = open2(my $out, my $psql, 'psql -X 2>&1');
binmode $_, ':encoding(UTF-8)' for $out, $psql;
$psql->autoflush(1);
my $mark = 0;

sub ask {
    my ($sql) = @_;
    $mark++;
    print $psql "$sql\n\\echo end of $mark\n";
    my $answer = '';
    local $SIG{ALRM} = sub { die "no answer for two minutes to:\n$sql\n" };
    alarm 120;
    while (my $line = <$out>) {
        if ($line eq "end of $mark\n") { alarm 0; return $answer }
        $answer .= $line;
    }
    die "psql has ended after:\n$sql\n$answer\n";
}

sub readable {
    my ($answer) = @_;
    $answer =~ s/^You are now connected .*\n//mg;
    $answer =~ s/^ *\w+ *\n-+\n(?: *\n)+\(\d+ rows?\)\n\n?//mg;    # of a function that returns nothing
    $answer =~ s/^(?:GRANT(?: ROLE)?|SET|CALL|BEGIN|COMMIT|ROLLBACK|LISTEN|(?:CREATE|ALTER|DROP) [A-Z ]+|(?:INSERT 0|UPDATE|DELETE|COPY|SELECT) \d+)\n//mg;
    $answer =~ s/[ \t]+$//mg;
    $answer =~ s/\n{3,}/\n\n/g;
    $answer =~ s/^\n+|\n+$//g;
    return $answer;
}

# What has to be the same each time.
sub essence {
    my ($answer, $varies) = @_;
    $answer =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::?\d\d)?)?/<time>/g;
    $answer =~ s/\b\d\d:\d\d:\d\d(?:\.\d+)?/<span>/g;
    $answer =~ s/\b\d+(?:\.\d+)? (?:ms|s|min|h)\b/<span>/g;
    $answer =~ s/\b\d+ rows\/s/<rate>/g;
    $answer =~ s/\b\d+ batch(?:es)?\b/<batches>/g;
    $answer =~ s/\b\d+ (?:bytes|[kMG]B)\b/<size>/g;
    $answer =~ s/\bPID \d+|\b[Pp]rocess \d+/<process>/g;
    $answer =~ s/\(\d{5,}\)/(<oid>)/g;
    $answer =~ s/\b\d+(?:\.\d+)?\b/<n>/g if $varies;
    $answer =~ s/-{2,}/--/g;
    $answer =~ s/[ \t]+/ /g;
    return $answer;
}

# The lines from @lines up to one that ends the block, which is taken away.
sub block {
    my ($end) = @_;
    my @block;
    while (@lines) {
        my $line = shift @lines;
        return join("\n", @block) if $line eq $end;
        push @block, $line;
    }
    die "$file: a block has no end\n";
}

while (@lines) {
    my $line = shift @lines;
    print "$line\n";
    if ($line eq '<!-- run') {
        my $sql = block('-->');
        print "$sql\n-->\n";
        my $answer = ask($sql);
        die "$sql\n$answer" if $answer =~ /^(?:psql: )?(?:ERROR|FATAL|error|invalid)/m;
    } elsif ($line =~ /^```sql( varies)?$/) {
        my $varies = $1;
        my $sql = block('```');
        print "$sql\n```\n";
        my $new = readable(ask($sql));
        shift @lines while @lines > 1 && $lines[0] eq '' && $lines[1] =~ /^(?:|```)$/;
        my $old = '';
        if (@lines && $lines[0] eq '```') {
            shift @lines;
            $old = block('```');
        }
        $new = $old if essence($old, $varies) eq essence($new, $varies);
        print "```\n$new\n```\n" if $new ne '';
    } elsif ($line =~ /^```./) {
        print block('```'), "\n```\n";
    }
}
close $psql;
waitpid $pid, 0;
