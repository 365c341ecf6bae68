#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
#
# Makes x86-64 ELF files cheaper to load for emulated machines.
#
#   lean-elf.pl kernel IN OUT
#	A kernel whose segments end in megabytes of stored zeros (.bss): leaves
#	these out, the loader clears that memory anyway.
#   lean-elf.pl program IN OUT LIBRARY...
#	A program that needs LIBRARY (sonames) only for things nobody will use
#	here: lets it start without them. What it calls from them is looked up
#	at the first call, which then fails.

use strict;
use warnings;

use constant {
	PT_NULL => 0, PT_LOAD => 1, PT_DYNAMIC => 2, PT_GNU_RELRO => 0x6474e552,
	DT_NULL => 0, DT_NEEDED => 1, DT_STRTAB => 5, DT_BIND_NOW => 24,
	DT_FLAGS => 30, DT_FLAGS_1 => 0x6ffffffb, DT_VERNEED => 0x6ffffffe,
	DT_DEBUG => 21, DF_BIND_NOW => 8, DF_1_NOW => 1,
};

my ($mode, $in, $out, @drop) = @ARGV;
die "usage: lean-elf.pl kernel|program IN OUT [LIBRARY...]\n" unless $out;

open(my $fh, '<:raw', $in) or die "$in: $!\n";
my $elf = do { local $/; <$fh> };
close($fh);
die "$in: not an x86-64 ELF file\n"
	unless substr($elf, 0, 6) eq "\x7fELF\x02\x01";

sub get {
	my ($at, $format, $size) = @_;

	return unpack($format, substr($elf, $at, $size));
}

sub put {
	my ($at, $format, $size, $value) = @_;

	substr($elf, $at, $size) = pack($format, $value);
}

# The program headers, as hashes that know where they stand in the file.
sub segments {
	my ($start) = get(32, 'Q<', 8);
	my ($size, $count) = get(54, 'S<S<', 4);
	my @list;

	for my $i (0 .. $count - 1) {
		my $at = $start + $i * $size;
		my ($type, undef, $offset, $addr, undef, $filesz) =
			get($at, 'L<L<Q<Q<Q<Q<', 40);

		push @list, { at => $at, type => $type, offset => $offset,
			      addr => $addr, filesz => $filesz };
	}
	return @list;
}

sub kernel {
	my $end = 0;

	for my $seg (sort { $a->{offset} <=> $b->{offset} } segments()) {
		my $size = $seg->{filesz};

		if ($seg->{type} == PT_LOAD) {
			my $data = substr($elf, $seg->{offset}, $size);

			$data =~ s/\0+\z//;
			$size = length($data);
			put($seg->{at} + 32, 'Q<', 8, $size);
		}
		$end = $seg->{offset} + $size if $seg->{offset} + $size > $end;
	}
	# No section headers: nobody needs them and they stand at the end.
	put(40, 'Q<', 8, 0);
	put(60, 'L<', 4, 0);
	substr($elf, $end) = '';
}

sub program {
	my @segs = segments();
	my %drop = map { $_ => 1 } @drop;
	my (%dyn, @dynamic);

	my $offset_of = sub {
		my ($addr) = @_;

		for my $seg (@segs) {
			return $addr - $seg->{addr} + $seg->{offset}
				if $seg->{type} == PT_LOAD &&
				   $addr >= $seg->{addr} &&
				   $addr < $seg->{addr} + $seg->{filesz};
		}
		die "$in: address outside of the file\n";
	};
	my $string = sub {
		return unpack('Z*', substr($elf, $_[0], 4096));
	};

	my ($dynseg) = grep { $_->{type} == PT_DYNAMIC } @segs
		or die "$in: not dynamically linked\n";
	for (my $at = $dynseg->{offset}; ; $at += 16) {
		my ($tag, $value) = get($at, 'Q<Q<', 16);

		last if $tag == DT_NULL;
		push @dynamic, [$at, $tag, $value];
		$dyn{$tag} = $value;
	}
	my $strtab = $offset_of->($dyn{+DT_STRTAB});

	for (@dynamic) {
		my ($at, $tag, $value) = @$_;

		# DT_DEBUG is an entry that its value does no harm in.
		put($at, 'Q<', 8, DT_DEBUG)
			if $tag == DT_BIND_NOW || ($tag == DT_NEEDED &&
				$drop{$string->($strtab + $value)});
		put($at + 8, 'Q<', 8, $value & ~DF_BIND_NOW)
			if $tag == DT_FLAGS;
		put($at + 8, 'Q<', 8, $value & ~DF_1_NOW)
			if $tag == DT_FLAGS_1;
	}
	# The table that is filled late must stay writable.
	for my $seg (@segs) {
		put($seg->{at}, 'L<', 4, PT_NULL)
			if $seg->{type} == PT_GNU_RELRO;
	}
	# Versions wanted of a library that is not there are an error: take
	# these entries out of their chain (the first one is always skipped to,
	# never dropped).
	my $prev;
	for (my $at = $offset_of->($dyn{+DT_VERNEED}); ; ) {
		my ($file, $next) = get($at + 4, 'L<x[4]L<', 12);

		if (!$drop{$string->($strtab + $file)}) {
			put($prev + 12, 'L<', 4, $at - $prev) if defined $prev;
			$prev = $at;
		} elsif (!defined $prev) {
			die "$in: first version entry is to be dropped\n";
		}
		last if !$next;
		$at += $next;
	}
	put($prev + 12, 'L<', 4, 0);
}

if ($mode eq 'kernel') {
	kernel();
} else {
	program();
}

open($fh, '>:raw', $out) or die "$out: $!\n";
print $fh $elf or die "$out: $!\n";
close($fh) or die "$out: $!\n";
chmod(0755, $out);
