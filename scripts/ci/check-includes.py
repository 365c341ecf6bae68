#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks how the files of a directory include each other.

The headers must not include each other in a circle, and a .c file that has a
header of its own includes it first, which shows that it needs no other.
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def includes(path):
    """All includes of a file, as ("\"" or "<", name)."""
    return INCLUDE.findall(path.read_text())


def circle(graph, node, trail=()):
    """A path from node back to itself, or None."""
    if node in trail:
        return trail[trail.index(node):] + (node,)
    for other in graph.get(node, ()):
        found = circle(graph, other, trail + (node,))
        if found:
            return found
    return None


def main():
    top = pathlib.Path(sys.argv[1])
    complaints = []

    graph = {path.name: [name for kind, name in includes(path) if kind == '"']
             for path in sorted(top.glob('*.h'))}
    for name in graph:
        found = circle(graph, name)
        if found:
            complaints.append('headers in a circle: ' + ' -> '.join(found))
            break

    for path in sorted(top.glob('*.c')):
        own = path.with_suffix('.h')
        if path.name.endswith('.mod.c') or not own.exists():
            continue
        first = includes(path)[:1]
        if first != [('"', own.name)]:
            complaints.append(f'{path}: does not include {own.name} first')

    print('\n'.join(complaints), end='\n' if complaints else '')
    return bool(complaints)


sys.exit(main())
