#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Gives the instructions that count.c has counted to functions."""

import bisect
import collections
import subprocess

USER_END = 1 << 47


def run(*command, text=None):
    return subprocess.run(command, input=text, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


class Symbols:
    """Functions by address."""

    def __init__(self, entries):
        entries = sorted(entries)
        self.addrs = [addr for addr, _ in entries]
        self.names = [name for _, name in entries]

    def at(self, addr):
        i = bisect.bisect_right(self.addrs, addr) - 1
        return self.names[i] if i >= 0 else None


def kernel_symbols(path):
    """/proc/kallsyms; of several names for one address the last one stays."""
    entries = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            addr, kind, name = line.split()[:3]
            if kind in "tTwW":
                entries[int(addr, 16)] = name
    return Symbols(entries.items())


class Program:
    """A static program: its addresses are those of its file."""

    def __init__(self, path):
        out = run("nm", "--defined-only", path)
        entries = {}
        for line in out.splitlines():
            addr, kind, name = line.split()
            if kind in "tTwWi":
                entries[int(addr, 16)] = name
        self.symbols = Symbols(entries.items())
        self.end = max(entries) + 4096

    def at(self, addr):
        return self.symbols.at(addr) if addr < self.end else None


class Module:
    """A module with debug information: functions that were inlined as well."""

    def __init__(self, path, sections):
        self.path = path
        self.sections = []
        with open(sections, encoding="ascii") as file:
            for line in file:
                name, start = line.split()
                start = int(start, 16)
                self.sections.append((name, start, start + self.size(name)))

    def size(self, section):
        out = run("objdump", "-h", "-j", section, self.path)
        for line in out.splitlines():
            words = line.split()
            if len(words) > 2 and words[1] == section:
                return int(words[2], 16)
        return 0

    def find(self, addr):
        for name, start, end in self.sections:
            if start <= addr < end:
                return name, addr - start
        return None

    def chains(self, addrs):
        """{addr: (innermost function, ..., the one with a symbol)}"""
        by_section = collections.defaultdict(list)
        for addr in addrs:
            found = self.find(addr)
            if found:
                by_section[found[0]].append((addr, found[1]))
        result = {}
        for section, pairs in by_section.items():
            text = "".join(f"{offset:#x}\n" for _, offset in pairs)
            out = run("addr2line", "-aif", "-j", section, "-e", self.path,
                      text=text)
            groups = []
            for line in out.splitlines():
                if line.startswith("0x"):
                    groups.append([])
                else:
                    groups[-1].append(line)
            for (addr, _), lines in zip(pairs, groups):
                result[addr] = tuple(lines[0::2])
        return result


def read_sections(path):
    """Yields what ran before each mark: {(addr, sizes): count}"""
    section = None
    with open(path, encoding="ascii") as file:
        for line in file:
            if line == "mark\n":
                if section is not None:
                    yield section
                section = {}
            else:
                addr, count, sizes = line.split()
                section[int(addr, 16), sizes] = int(count)
    if section is not None:
        yield section


def difference(more, less):
    """Instructions per address that @more has above @less."""
    counts = collections.Counter()
    for section, sign in (more, 1), (less, -1):
        for (addr, sizes), count in section.items():
            for size in sizes:
                counts[addr] += sign * count
                addr += int(size, 16)
    return counts
