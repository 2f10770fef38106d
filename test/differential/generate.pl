#!/usr/bin/perl
# Documents for the differential test, in COPY's text format: seq, document. Always the same for the same arguments.
#   generate.pl [how many] [seed]
# Most are good, so that a row reaches the comparison of all its columns; about one in eight has one bad field, and
# a few are broken as JSON.
use strict;
use warnings;
no warnings 'utf8';  # non-characters are wanted
use utf8;
binmode STDOUT, ':utf8';

my ($count, $seed) = ($ARGV[0] // 50000, $ARGV[1] // 1);

# A generator of our own: perl's differs from build to build.
my $state = $seed * 7919 + 12345;
sub chance_below {
    my ($n) = @_;
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    my $high = $state >> 8;
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    return (($high << 15) ^ ($state >> 8)) % $n;
}
sub pick { return $_[chance_below(scalar @_)] }
sub once_in { return chance_below($_[0]) == 0 }
sub between { my ($low, $high) = @_; return $low + chance_below($high - $low + 1) }
sub shuffle {
    my @list = @_;
    for my $i (reverse 1 .. $#list) {
        my $j = chance_below($i + 1);
        @list[$i, $j] = @list[$j, $i];
    }
    return @list;
}
sub digits { my ($n) = @_; return join '', map { chance_below(10) } 1 .. $n }
sub hex_digits { my ($n) = @_; return join '', map { pick(split //, '0123456789abcdefABCDEF') } 1 .. $n }

# JSON text ---------------------------------------------------------------------------------------------

sub blank { return once_in(12) ? pick(' ', '  ', "\n", "\t", "\r\n", " \n ") : '' }

sub escape_char {
    my ($c) = @_;
    my $code = ord $c;
    return sprintf once_in(2) ? '\\u%04x' : '\\u%04X', $code if $code < 0x10000;
    $code -= 0x10000;
    return sprintf '\\u%04x\\u%04X', 0xd800 + ($code >> 10), 0xdc00 + ($code & 0x3ff);
}

# A string as JSON: what must be escaped is; some of the rest is too, one time in $eager.
sub quoted {
    my ($s, $eager) = @_;
    $eager ||= 40;
    my %short = ("\n" => '\\n', "\t" => '\\t', "\r" => '\\r', "\b" => '\\b', "\f" => '\\f', '"' => '\\"',
        '\\' => '\\\\', '/' => '\\/');
    my $out = '';
    for my $c (split //, $s) {
        if ($c eq '"' || $c eq '\\' || ord $c < 32) {
            $out .= exists $short{$c} && !once_in(3) ? $short{$c} : escape_char($c);
        } elsif (once_in($eager)) {
            $out .= $c eq '/' ? '\\/' : escape_char($c);
        } else {
            $out .= $c;
        }
    }
    return "\"$out\"";
}

sub object {
    my @pairs = @_;
    my @members;
    while (my ($key, $value) = splice @pairs, 0, 2) {
        push @members, blank() . quoted($key, 200) . blank() . ':' . blank() . $value . blank();
    }
    return '{' . join(',', @members) . (@members ? '' : blank()) . '}';
}
sub mixed_object {
    my @pairs = @_;
    my @order = shuffle(0 .. $#pairs / 2);
    return object(map { @pairs[2 * $_, 2 * $_ + 1] } @order);
}
sub array { return '[' . join(',', map { blank() . $_ . blank() } @_) . ']' }

my @words = ('a', 'ab', 'abc', 'SUMMER-2019', 'żółć', "caf\x{e9}", "\x{1F600}", "\x{1F1F5}\x{1F1F1}", "tab\there",
    "line\nbreak", 'quote"s', 'back\\slash', 'a/b', "\x{7f}\x{1}", "\x{2028}", '', ' ', 'null', 'true', '$date',
    "\x{10FFFF}", "\x{FFFD}\x{FFFF}", 'it\'s', '{"a":1}', 'x' x 31, 'NaN', '0x10', "\x{feff}");
sub word {
    return pick(@words) if once_in(2);
    return pick('long ', "d\x{142}ugi ", 'q"') x between(100, 4000) if once_in(400);
    return join '', map { chr between(97, 122) } 1 .. between(1, 12);
}

# Numbers in every spelling JSON has.
sub number {
    my $sign = once_in(4) ? '-' : '';
    return $sign . pick(
        sub { between(0, 9) },
        sub { between(10, 100000) },
        sub { between(1, 9) . digits(between(5, 25)) },
        sub { between(0, 9) . '.' . digits(between(1, 6)) },
        sub { between(0, 200) . '.' . digits(1) . '0' x between(0, 8) },
        sub { '0.' . '0' x between(0, 12) . digits(between(1, 20)) },
        sub { between(1, 9) . pick('e', 'E') . pick('', '+', '-') . between(0, 30) },
        sub { between(1, 99) . '.' . digits(between(1, 5)) . pick('e', 'E') . pick('', '+', '-') . between(0, 40) },
        sub { pick('0', '0.0', '0e5', '0E-3', '0.000', '1E2', '1.10', '1.50e-2', '10000', '99999999', '100000000',
                '9999', '0.0001', '1e4', '1e-4', '12345678.9', '4294967296', '9007199254740993') },
        sub { pick('9223372036854775807', '9223372036854775808', '2147483647', '2147483648', '1e400', '1e-400',
                '1' . '0' x 309, between(1, 9) . digits(399), '0.' . digits(400), '0e400') },
    )->();
}

# Any JSON.
sub anything {
    my ($depth) = @_;
    my $kind = chance_below($depth > 0 ? 12 : 8);
    return number() if $kind < 3;
    return quoted(word()) if $kind < 6;
    return pick('true', 'false', 'null') if $kind == 6;
    return wrapper() if $kind == 7;
    return array(map { anything($depth - 1) } 1 .. between(0, 5)) if $kind < 10;
    my @pairs = map { (field_name(), anything($depth - 1)) } 1 .. between(0, 6);
    push @pairs, $pairs[0], anything(0) if @pairs && once_in(8);  # the last of equal keys counts
    return object(@pairs);
}
sub field_name { return once_in(3) ? word() : pick('id', 'a', 'b', 'aa', 'type', 'count', 'amount_off', '$date', 'x1') }

# Extended JSON -----------------------------------------------------------------------------------------

my @base64 = ('', 'AA==', 'AAE=', 'AAEC', '/+7d', 'SGVsbG8sIFdvcmxkIQ==', 'yO2rw/c4TKO2jauSqRR4ow==');
my $uuid_base64 = $base64[-1];

sub oid { return object('$oid', quoted(hex_digits(24), 5000)) }
sub wide { my ($n, $eager) = @_; return once_in(3) ? $n : quoted($n, $eager || 100) }

sub number_wrapper {
    return pick(
        sub { object('$numberInt', wide(between(-2147483648, 2147483647))) },
        sub { object('$numberLong', wide(pick('', '-') . between(1, 9) . digits(between(0, 17)))) },
        sub { object('$numberDouble', wide(pick('', '-') . between(0, 9) . '.' . digits(between(1, 15)))) },
        sub { object('$numberDouble', quoted(pick('NaN', 'Infinity', '-Infinity', '1.0E10', '5.0'))) },
        sub { object('$numberDecimal', quoted(pick('', '-') . between(0, 9) . '.' . digits(33))) },
        sub { object('$numberDecimal', quoted(pick('NaN', 'Infinity', '1E+6144', '1E-6176', '0E-10', '1.10'))) },
    )->();
}
sub whole_wrapper {
    my ($n) = @_;
    return pick(sub { object('$numberInt', quoted($n)) }, sub { object('$numberLong', wide($n)) },
        sub { object('$numberDouble', quoted("$n.0")) }, sub { object('$numberDecimal', quoted($n)) })->();
}
sub binary {
    my ($bytes, $type) = @_;
    return object('$binary', quoted($bytes, 5000), '$type', quoted($type, 5000)) if once_in(3);
    return object('$binary', mixed_object('base64', quoted($bytes, 5000), 'subType', quoted($type, 5000)));
}
sub uuid { return lc join '-', map { hex_digits($_) } 8, 4, 4, 4, 12 }
sub regex {
    return mixed_object('$regex', quoted('^a.*/b'), '$options', quoted(pick('', 'i', 'mx'))) if once_in(3);
    return object('$regularExpression', mixed_object('pattern', quoted(pick('^a', 'x/y', '')),
        'options', quoted('i')));
}
sub timestamp { return object('$timestamp', mixed_object('t', between(0, 2147483647), 'i', between(0, 9))) }
sub kept {
    return pick(
        sub { mixed_object('$code', quoted('f()'), '$scope', object('a', number())) },
        sub { object('$dbPointer', object('$ref', quoted('c'), '$id', oid())) },
        sub { mixed_object('$ref', quoted('c'), '$id', oid()) },
        sub { mixed_object('$ref', quoted('c'), '$id', between(1, 9), '$db', quoted('d')) },
    )->();
}
# Objects that are nearly wrappers.
sub no_wrapper {
    return pick(
        sub { mixed_object('$oid', quoted(hex_digits(24)), 'x', 1) },
        sub { object('$binary', object('base64', quoted('AAEC'))) },
        sub { object('$binary', quoted('AAEC')) },
        sub { object('$regex', quoted('a')) },
        sub { object('$numberInt', '"1"', '$numberLong', '"1"') },
        sub { object('$type', quoted('string')) },
        sub { object('$timestamp', object('t', 1)) },
        sub { object('$NUMBERLONG', '"1"') },
        sub { object('$gt', number()) },
        sub { object() },
    )->();
}
sub wrapper {
    return pick(\&oid, \&date, \&date, \&number_wrapper, \&number_wrapper, \&regex, \&timestamp, \&kept, \&no_wrapper,
        sub { binary(pick(@base64), pick('00', '02', '80')) },
        sub { binary($uuid_base64, pick('03', '04')) },
        sub { object('$uuid', quoted(uuid())) },
        sub { object('$undefined', 'true') },
        sub { object(pick('$minKey', '$maxKey'), '1') },
        sub { object(pick('$symbol', '$code'), quoted(word())) },
    )->();
}

# Times -------------------------------------------------------------------------------------------------

my @months = qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec);

sub millis {
    return pick(
        sub { between(1, 2) . digits(12) },
        sub { pick('', '-') . digits(between(1, 12)) =~ s/^(-?)0+(?=\d)/$1/r },
        sub { between(1000000000, 1999999999) . pick('000', '123', '999') },
        sub { pick('0', '-1', '-999', '-1001', '253402300799999', '253402300800000', '9224318015999999',
                '-210866803200000', '-62135596800000', '-62135596800001', '86400000', '-86400000') },
    )->();
}
sub iso {
    my $day = sprintf '%s-%02d-%02d', pick(between(1970, 2040), sprintf('%04d', between(1, 9999)), between(10000, 99999)),
        between(1, 12), between(1, 28);
    $day = pick('2020-02-29', '2000-02-29', '1900-02-28', '2019-12-31', '9999-12-31', '0001-01-01') if once_in(10);
    return $day if once_in(8);
    my $clock = sprintf '%02d:%02d', between(0, 23), between(0, 59);
    $clock = pick('24:00', '00:00', '02:30') if once_in(15);
    unless (once_in(10)) {
        $clock .= $clock eq '24:00' ? ':00' : sprintf ':%02d', between(0, 59);
        $clock .= '.' . digits(pick(1, 2, 3, 3, 3, 3, 6, 7, 9, 20)) unless once_in(3) || $clock =~ /^24/;
        $clock .= '.9999995' if once_in(60) && length $clock == 8 && $clock !~ /^24/;
    }
    my $zone = pick('Z', 'Z', 'Z', '', '+02:00', '-0500', '+05', '-12:00', '+14:00', '+0530', '-00:00', '+05:45');
    return $day . pick('T', 'T', ' ') . $clock . $zone;
}
sub rfc1123 {
    return sprintf '%s%02d %s %04d %02d:%02d:%02d %s', pick('Fri, ', 'Mon, ', ''), between(1, 28), pick(@months),
        between(1970, 2040), between(0, 23), between(0, 59), between(0, 59), pick('GMT', 'UTC', '+0100', '-0730');
}
sub date {
    return object('$date', pick(
        \&millis, \&millis,
        sub { between(1, 2) . '.' . digits(between(1, 12)) . pick('e', 'E') . pick('', '+') . '12' },
        sub { millis() . '.0' },
        sub { quoted(millis()) },
        sub { quoted(' ' . millis() . ' ') },
        sub { quoted(iso()) }, sub { quoted(iso()) },
        sub { object('$numberLong', wide(millis())) },
        sub { 'null' },
    )->());
}
sub good_time {
    return pick(
        \&date, \&date, \&date, \&millis,
        sub { quoted(iso()) }, sub { quoted(iso()) }, sub { quoted(rfc1123()) }, sub { quoted(millis()) },
        sub { object('$numberLong', quoted(millis())) }, \&timestamp, \&oid,
        sub { mixed_object('$date', millis(), 'x', anything(1)) },
        sub { object(pick('$minKey', '$maxKey'), '1') },
        sub { object('$undefined', 'true') },
    )->();
}
sub bad_time {
    return pick(
        sub { quoted(pick('now', 'today', 'infinity', '-infinity', 'epoch', '06/12/2019', '', '20191206T160744Z', 'x',
                '2019-12-06T16', '2019-12', '2019-1-1', '12:30', '2019-12-06T16:07:44.Z', '2019-12-06T16:07:44 CET',
                'Fri Dec 06 2019 16:07:44 GMT+0100 (CET)', '+010000-01-01T00:00:00Z', '-000001-01-01T00:00:00Z',
                '6 Foo 2019 10:00:00 GMT', '0x10', '1.5', '--1', '2019-12-06T16:07:44.123Zx', 'J2458824', 'allballs')) },
        sub { quoted(pick('0000-00-00', '2019-02-29', '2019-13-01', '2019-12-32', '2019-12-06T25:00:00Z', '1900-02-29',
                '2019-12-06T10:60:00Z', '2019-12-06T24:00:01Z', '294277-01-01T00:00:00Z', '31 Feb 2019 10:00:00 GMT')) },
        sub { pick('9224318016000000', '-210866803200001', '9223372036854775807', '9223372036854775808', '1e400') },
        sub { object('$date', pick('9224318016000000', '9224318016000000000', '-1e30')) },
        sub { pick('1.5', '-0.5', '1575648464123.5', '1e-3') },
        sub { object('$date', pick('1575648464123.5', 'true', '[]', '{}', '""', '"now"')) },
        sub { pick('true', 'false', '[]', '{}', array(millis())) },
        \&no_wrapper,
    )->();
}

# Columns: a good value, a bad one ------------------------------------------------------------------------

# A whole number below $limit in one of its spellings, as JSON.
sub whole {
    my ($limit, $wrapped) = @_;
    my $n = between(0, $limit - 1) * pick(1, -1);
    $n = 0 if $n == 0;
    return pick(
        sub { $n }, sub { $n }, sub { $n }, sub { "$n.000" }, sub { $n . 'e0' }, 
        sub { pick('1E2', '-0', '5e0', '0.0', '120e-1') },
        sub { quoted($n) }, sub { quoted(" $n ") }, sub { quoted("$n.0000") },
        sub { quoted(pick('+5', '5.', '1e1', '-0', '.0', '050', "\t7\n", '50e-1')) },
        sub { whole_wrapper($n) }, sub { whole_wrapper($n) }, sub { object('$undefined', 'true') },
    )->();
}
sub bad_number {
    return pick(
        sub { pick('true', 'false') },
        sub { quoted(pick('', ' ', 'abc', '0x10', '1_000', '1,5', '5 5', '--5', '1e', 'e5', '.', '+', "\x{661}", 'true')) },
        sub { array(1) }, sub { object() }, \&no_wrapper, \&oid, sub { object(pick('$minKey', '$maxKey'), '1') },
        sub { object('$uuid', quoted(uuid())) }, \&regex, \&kept,
    )->();
}
sub bad_integer {
    my ($too_large) = @_;
    return pick(
        \&bad_number, \&bad_number,
        sub { pick('1.5', '0.1', '-0.5', '1e-1', quoted('2.5'), object('$numberDouble', quoted('0.5'))) },
        sub { pick($too_large, "-$too_large" . '0', quoted($too_large), '1e400', "\"1e400\"", '1' . '0' x 400,
                object('$numberLong', quoted($too_large))) },
        sub { quoted(pick('NaN', 'Infinity', '-inf')) },
    )->();
}
sub good_text {
    return pick(\&number, \&number, sub { quoted(word()) }, sub { quoted(word(), 3) }, sub { quoted(word()) },
        sub { pick('true', 'false') }, \&oid, \&date, \&number_wrapper, \&regex, \&timestamp, \&kept, \&no_wrapper,
        sub { binary(pick(@base64), '00') }, sub { object('$uuid', quoted(uuid())) },
        sub { object(pick('$symbol', '$code'), quoted(word())) }, sub { object('$undefined', 'true') },
        sub { anything(3) =~ s/"\$[a-z]\w*"/"x"/gir })->();  # nothing that could be a bad wrapper
}
sub bad_text {
    return pick(sub { object(pick('$minKey', '$maxKey'), '1') },
        sub { object('$date', pick('"now"', 'true', '[]', '{}', '1.5', '9224318016000000', '"2019-02-29"')) },
        sub { object('$oid', pick('"5de"', '""', quoted(hex_digits(23) . 'g'), quoted(hex_digits(25)), '5', '{"a":1}')) })->();
}
sub good_boolean {
    return pick('true', 'false', 'true', 'false', '1', '0', '1e0', '0e0', '"yes"', '"Y"', '" on "', '"1"', '"of"', '"f"',
        '"TRUE"', '"tr"', '"No"', '"off"', '{"$numberInt":"1"}', '{"$numberLong":"0"}', '{"$numberInt":1}',
        '{"$undefined":true}');
}
sub bad_boolean {
    return pick('2', '-1', '1.0', '0.0', '10', '"o"', '""', '" "', '"maybe"', '"truex"', '"yess"', '{}', '[]', '[true]',
        '{"$numberInt":"2"}', '{"$numberDouble":"1.0"}', '{"$date":0}', '{"$minKey":1}', '"01"');
}
sub good_float {
    return pick(sub { number() =~ s/^(-?)(?:1e-?400|1?\d{300,}|0\.\d{400})$/$1.25/r =~ s/^(-?)\./${1}0./r },
        sub { quoted(pick('1.5', ' 2.5e10 ', '-0', 'NaN', 'Infinity', '-Infinity', '.5', '5.', '+1')) },
        sub { between(1, 9) . '.' . digits(16) . 'e' . between(-300, 300) },
        sub { pick('4.9e-324', '2.2250738585072014e-308', '2.2250738585072011e-308', '1.7976931348623157e308',
                '9007199254740993', '0.1', '1e23', '8.98846567431158e307', '123456789012345678') },
        \&number_wrapper_for_float)->();
}
sub number_wrapper_for_float {
    return number_wrapper() =~ s/1E\+6144|1E-6176/1E+30/r;
}
sub bad_float { return pick(\&bad_number, sub { pick('1e400', '-1e309', '1e-400', '"1e400"', '"1e-400"') })->() }
sub good_numeric {
    return pick(\&number, \&number, \&number_wrapper,
        sub { quoted(pick(' 1.50 ', '+5', '.5', '5.', '1e10', '-0.00', 'NaN', 'nan', 'Infinity', '-inf', '1e-100',
                '007')) },
        sub { quoted(number()) })->();
}
sub bad_numeric { return pick(\&bad_number, sub { pick('"1e131072"', '"1e-16384"', '"1e999999999"') })->() }
sub good_uuid {
    return pick(sub { quoted(uuid(), 500) }, sub { quoted(uc uuid()) }, sub { quoted('{' . uuid() . '}') },
        sub { quoted(uuid() =~ s/-//gr) }, sub { object('$uuid', quoted(uuid())) },
        sub { binary($uuid_base64, pick('03', '04')) })->();
}
sub bad_uuid {
    return pick(sub { quoted(uuid() . '0') }, sub { quoted('xyz') }, sub { '""' }, sub { '5' }, sub { 'true' }, \&oid,
        sub { binary('AAEC', '04') }, sub { binary($uuid_base64, '00') }, \&no_wrapper, sub { array(quoted(uuid())) })->();
}
sub good_bytea {
    return pick(sub { binary(pick(@base64), pick('00', '02', '05', '80')) }, sub { binary($uuid_base64, '04') },
        sub { quoted(pick('\\x', '\\x00ff', '\\xDEADbeef', 'plain', '', 'a\\\\b', '\\101', "\x{e9}")) })->();
}
sub bad_bytea {
    return pick(sub { quoted(pick('a\\b', '\\9', '\\400')) }, sub { pick('5', 'true', '[1]', '{"a":1}') },
        sub { binary('A-_=', '00') }, sub { binary('AAE', '00') })->();
}

sub good_publish {
    return pick(
        sub { anything(2) =~ s{"count"}{"total"}gr }, sub { object() }, sub { object('count', 'null') },
        sub { object('entries', array(map { date() } 1 .. between(0, 3)), 'count', number(), 'object', '"list"') },
        sub { object('count', quoted(pick('1.00001', '1.9999', '-0', ' 5 ', '1e3', '-0.5', '1e-400', '-1e-400', '+7', '.5'))) },
        sub { object('count', pick('1e400', '9007199254740993', '-1.5', '-0', '1.0', digits(40) =~ s/^0+(?=\d)//r)) },
        sub { object('count', whole_wrapper(between(-99, 99)), 'a', anything(1)) },
        sub { object('count', 'true', 'count', number()) },
    )->();
}
sub bad_publish {
    return object('x', number(), 'count', pick('""', '"abc"', 'true', 'false', '"0x10"', '"NaN"', '"inf"', '[1]', '{}',
        '{"$date":1}', '{"$numberDouble":"NaN"}', '"1e131072"', '{"a":1}', '"1_0"'));
}
sub list_of { my ($element) = @_; return array(map { once_in(10) ? 'null' : $element->() } 1 .. pick(0, 1, 2, 3, 7)) }
sub day {
    return pick(sub { between(0, 6) }, sub { between(0, 6) }, sub { pick('1.5', '2.5', '-0.5', '-1.5', '0.49999', '1e2',
            '2147483647.4', '-2147483648.4', '"2.5"', '" 3 "', '"1e1"', '1e-400') }, sub { whole(100) })->();
}
sub bad_array {
    my (@bad) = @_;
    return array(shuffle(pick(@bad), map { between(0, 6) } 1 .. between(0, 3))) unless once_in(3);
    return pick('5', '"1,2"', '""', 'false', '{}', '{"$numberInt":"1"}', '{"a":[1]}', '"{1,2}"');
}
sub document_value { my ($depth) = @_; return once_in(3) ? anything(1) : anything($depth) }

# name, other spelling, good, bad (absent: nothing is bad)
my @columns = (
    ['tenant_id', 'tenantId', \&good_text, \&bad_text],
    ['project_id', 'projectId', \&good_text, \&bad_text],
    ['id', '', \&good_text, \&bad_text],
    ['code', '', \&good_text, \&bad_text],
    ['deleted', '', \&good_boolean, \&bad_boolean],
    ['discount', '', sub { document_value(4) }],
    ['publish', '', \&good_publish, \&bad_publish],
    ['validity_day_of_week', 'validityDayOfWeek', sub { list_of(\&day) },
        sub { bad_array('true', '""', '"NaN"', '3000000000', '2147483647.5', '[1,2]', '{}', '"x"', '{"$date":0}') }],
    ['_id', '', sub { pick(\&oid, \&oid, \&oid, sub { mixed_object('$oid', quoted(hex_digits(24)), 'x', '1') },
            sub { object('$oid', 'null') }, sub { quoted(hex_digits(24)) }, sub { between(1, 99) },
            sub { object('$uuid', quoted(uuid())) }, sub { array(oid()) })->() },
        sub { object('$oid', pick('"5de"', '""', '5', '{"a":1}', '"zzzz38507b0b3a0012345678"', '" 5dea385"',
                '"5dea\'--x"', '"5dea\\\\385"')) }],
    ['updated_at', 'updatedAt', \&good_time, \&bad_time],
    ['deletedAt', 'deleted_at', \&good_time, \&bad_time],
    ['redeemed', '', sub { whole(pick(10, 1000000, 2147483647)) }, sub { bad_integer('9223372036854775808') }],
    ['quantity', '', sub { whole(pick(10, 100000, 2147483647)) }, sub { bad_integer('2147483648') }],
    ['ratio', '', \&good_float, \&bad_float],
    ['price', '', \&good_numeric, \&bad_numeric],
    ['active', '', \&good_boolean, \&bad_boolean],
    ['starts_on', 'startsOn', \&good_time, \&bad_time],
    ['local_time', 'localTime', \&good_time, \&bad_time],
    ['owner', '', \&good_uuid, \&bad_uuid],
    ['payload', '', \&good_bytea, \&bad_bytea],
    ['tags', '', sub { list_of(\&good_text) }, sub { bad_array('{"$minKey":1}', '{"$oid":"x"}') }],
    ['amounts', '', sub { list_of(\&good_numeric) }, sub { bad_array('true', '"x"', '""', '[1]', '{}', '"1e131072"') }],
    ['metadata', '', sub { document_value(5) }],
    ['normalized', '', sub { document_value(4) }],
);
my @can_be_bad = grep { $_->[3] } @columns;

# Documents ---------------------------------------------------------------------------------------------

sub members {
    my ($bad) = @_;
    my @pairs;
    for my $column (@columns) {
        my ($name, $other, $good) = @$column;
        my $is_bad = $bad && $bad == $column;
        next unless $is_bad || once_in(2) || once_in(2);
        my $value = $is_bad ? $column->[3]->() : once_in(15) ? 'null' : $good->();
        my @member = ($name, $value);
        if ($other && once_in(3)) {
            @member = ($other, $value);
            # Both spellings: the first with a value counts.
            push @member, $name, 'null' if once_in(3);
        } elsif ($other && once_in(6) && $value !~ /undefined|\$date|null/) {
            push @member, $other, anything(1);
        } elsif (once_in(25)) {
            # Given twice: the last counts, whatever the first was.
            unshift @member, $name, anything(1);
        }
        push @pairs, \@member;
    }
    # No column's field: the mapping has nothing to do with it.
    push @pairs, ['other' . between(1, 9), anything(3)] while once_in(2);
    push @pairs, ['deep', '[' x 200 . ']' x 200] if once_in(200);
    push @pairs, ['wide', object(map { ("k$_", number()) } shuffle(1 .. 150))] if once_in(300);
    push @pairs, ['many', array(map { between(-9, 99999) } 1 .. 600)] if once_in(300);
    return @pairs;
}

sub document {
    my $bad = chance_below(1000) < 120 ? pick(@can_be_bad) : undef;
    return blank() . object(map { @$_ } shuffle(members($bad))) . blank();
}

# Broken as JSON, or no object.
sub broken {
    my $text = document();
    return pick(
        sub { substr $text, 0, between(0, length($text) - 1) },
        sub { substr $text, 0, between(0, length($text) - 1) },
        sub { $text . pick(',', '}', 'x', '{}', '//', '/* */', "\x{a0}") },
        sub { pick("\x{feff}", "\x{a0}", '#', ']') . $text },
        sub { $text =~ s/\}(\s*)$/,}$1/r },
    )->() if once_in(2);
    my $inside = pick('"\\u0000"', '"\\ud800"', '"\\udc00"', '"\\udc00\\ud800"', '"\\ud800x"', '"\\ud83d\\u0041"', 'NaN',
        '-Infinity', '01', '1.', '.5', '+1', '1e', '0x1', '1e131072', '1e-16384', '"\\x41"', '"\\u00g0"', "\"\x{1}\"",
        "\"\x{1f}\"", "\"a\nb\"", '\'a\'', 'True', '[1,]', '{"a"}', '{"a":1,}', '{a:1}', '[', '"abc', '/**/1', 'nul',
        '"\\', '1' . '0' x 131072, '"a' . "\x{1b}" . 'bcdefghijklmnopqrstuvw"', '[1 2]', '{"a" 1}', '"\\ud83d\\ude0"',
        '1.' . digits(20) . 'e-2147483639', '1e2147483648', '{"\\u0000":1}', '{"\\ud800":1}', '--1', '1e99999999999');
    return object('a', number(), pick('id', 'zz', 'discount', 'tags'), pick($inside, array(number(), $inside)))
        unless once_in(3);
    return pick('null', 'true', '1', '"s"', '[]', '[{}]', '', ' ', number(), array(document()));
}

# COPY's text format
sub line {
    my ($seq, $text) = @_;
    $text =~ s/\\/\\\\/g;
    $text =~ s/\n/\\n/g;
    $text =~ s/\r/\\r/g;
    $text =~ s/\t/\\t/g;
    print "$seq\t$text\n";
}

line($_, once_in(40) ? broken() : document()) for 1 .. $count;
