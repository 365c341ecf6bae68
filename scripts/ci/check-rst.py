#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks reStructuredText files with docutils.

Of what Sphinx adds, toctree is known here: what it names must exist. Files
that a document names in double quotes or back quotes and that begin with a
directory of this repository must exist as well.
"""

import pathlib
import re
import sys

from docutils import core, io, utils
from docutils.parsers.rst import Directive, directives

# "dir/file.ext", no wildcards or placeholders.
MENTION = re.compile(r'(?<![\w/.-])((?:Documentation|drivers|include|qemu|'
                     r'scripts|selftests|tools)/[\w./-]*[\w/])')
# Made by a build, or standing for any name.
NOT_THERE = re.compile(r'^(qemu|selftests)/build/|\.ko$|NAME')

top = pathlib.Path(__file__).resolve().parents[2]
complaints = []


class Toctree(Directive):
    """The table of contents, of which nothing is rendered."""

    has_content = True
    option_spec = {'maxdepth': directives.nonnegative_int,
                   'caption': directives.unchanged}

    def run(self):
        source = pathlib.Path(self.state.document['source'])
        for name in self.content:
            if name and not (source.parent / f'{name}.rst').exists():
                complaints.append(f'{source}:{self.lineno}: no {name}.rst')
        return []


def check(path):
    """Parses one file; warnings become complaints."""
    settings = {'report_level': utils.Reporter.INFO_LEVEL,
                'halt_level': utils.Reporter.SEVERE_LEVEL + 1,
                'warning_stream': io.NullOutput(), 'strict_visitor': True,
                'embed_stylesheet': False, 'syntax_highlight': 'none'}
    document = core.publish_doctree(path.read_text(), source_path=str(path),
                                    settings_overrides=settings)
    for message in document.parse_messages + document.transform_messages:
        if message['level'] >= utils.Reporter.WARNING_LEVEL:
            complaints.append(f'{path}:{message.get("line", "?")}: '
                              + message.astext().replace('\n', ' '))
    for mention in MENTION.findall(path.read_text()):
        if not NOT_THERE.search(mention) and not (top / mention).exists():
            complaints.append(f'{path}: there is no {mention}')


directives.register_directive('toctree', Toctree)
for argument in sys.argv[1:]:
    check(pathlib.Path(argument))
print('\n'.join(complaints), end='\n' if complaints else '')
sys.exit(bool(complaints))
