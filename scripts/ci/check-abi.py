#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares Documentation/ABI with what the module puts into sysfs.

usage: check-abi.py [TOP OF THE SOURCES]

Each directory, attribute and module parameter has an entry, each entry is of
one that exists, and says whether it can be written. What is told of defaults
and largest values of the tunables is what tune.h has.

The attributes come out of macros, so the preprocessor expands them: each file
is given to it without its includes, behind the headers that have the lists.
"""

import pathlib
import re
import subprocess
import sys

# A list of names: #define LIST(X) X(one) X(two)
LIST_MACRO = re.compile(r'^#\s*define\s+\w+\(X\)', re.M)
INCLUDE = re.compile(r'^\s*#\s*include\b.*$', re.M)

# What is left of the macros after the preprocessor.
DEVICE_ATTR = re.compile(r'\bDEVICE_ATTR_(\w+)\((\w+)\)')
QUEUE_ATTR = re.compile(r'\bvhost_blk_attr_(\w+) = \{ \.attr = \{'
                        r'[^}]*\.mode = \((\d+)\)')
ARRAY = re.compile(r'struct attribute \*\w+\[\] = \{(.*?)\};', re.S)
MEMBER = re.compile(r'&(dev_attr|vhost_blk_attr)_(\w+)\.attr')
PARAM = re.compile(r'\bmodule_param(?:(_named|_cb)\((\w+),.*?|\((\w+),[^,]*),'
                   r'\s*(\d+)\s*\);', re.S)
TUNABLE = re.compile(r'\bABI_TUNABLE\((\w+), (\w+), (\w+),')

PARAMETERS = '/sys/module/vhost_blk/parameters'
FIELDS = ('Date', 'KernelVersion', 'Contact', 'Description')
NO_SUCH = 'is documented, but not in the module'

complaints = []


def complain(text):
    complaints.append(text)


class Sources:
    """The module's files as the preprocessor leaves them."""

    def __init__(self, directory):
        self.directory = directory
        headers = [path.read_text() for path in
                   sorted(directory.glob('*.h'))]
        # Lists, and the constants that they are made of.
        self.lists = '\n'.join(text for text in headers
                               if LIST_MACRO.search(text))
        self.constants = dict(re.findall(
            r'^#\s*define\s+(\w+)\s+(\d+)U?$', '\n'.join(headers), re.M))

    def expand(self, text):
        text = INCLUDE.sub('', self.lists + '\n' + text)
        done = subprocess.run(
            ['gcc', '-E', '-P', '-w', '-x', 'c', '-'], input=text,
            stdout=subprocess.PIPE, check=True, text=True)
        return re.sub(r'\s+', ' ', done.stdout)

    def file(self, name):
        return self.expand((self.directory / name).read_text())

    def raw(self, name):
        return (self.directory / name).read_text()

    def number(self, word):
        return int(self.constants.get(word, word).rstrip('U'))


def only(pattern, text, what):
    """The one match of a pattern; without it this script is out of date."""
    found = re.findall(pattern, text)
    if len(found) != 1:
        sys.exit(f'check-abi: {what} found {len(found)} times, not once')
    return found[0]


def attributes(sources):
    """Paths in sysfs and whether they can be written; None: a directory."""
    raw = sources.raw('sysfs.c') + sources.raw('sysfs_vq.c')
    text = sources.file('sysfs.c') + sources.file('sysfs_vq.c')
    name = only(r'\.name = "([\w-]+)",\s*\.dev_groups', raw, 'the class')
    queues = only(r'kobject_create_and_add\("(\w+)"', raw, 'queues')
    group = only(r'attribute_group \w+ = \{\s*\.name = "(\w+)"', raw,
                 'the group of the statistics')
    device = f'/sys/class/{name}/{name}N'
    queue = f'{device}/{queues}/M'
    stats = f'{queue}/{group}'
    paths = {device: None, f'{device}/{queues}': None, queue: None,
             stats: None}

    modes = {('dev_attr', attr): 'W' in mode
             for mode, attr in DEVICE_ATTR.findall(text)}
    for attr, mode in QUEUE_ATTR.findall(text):
        modes['vhost_blk_attr', attr] = bool(int(mode, 8) & 0o222)

    # An attribute exists where an array names it. The one that is in the
    # group with a name is the one of the statistics.
    where = only(r'\.name = "\w+",\s*\.attrs = (\w+)', raw, 'their array')
    shown = set()
    for array in ARRAY.finditer(text):
        members = MEMBER.findall(array[1])
        for kind, attr in members:
            if kind == 'dev_attr':
                path = device
            else:
                path = stats if f'*{where}[]' in array[0] else queue
            if (kind, attr) not in modes:
                sys.exit(f'check-abi: {attr} is defined in no known way')
            paths[f'{path}/{attr}'] = modes[kind, attr]
            shown.add((kind, attr))
    for kind, attr in sorted(set(modes) - shown):
        complain(f'{attr} is an attribute of no group')
    return paths


def parameters(sources):
    """As attributes(), for the parameters of the module."""
    paths = {}
    for path in sorted(sources.directory.glob('*.c')):
        if 'module_param' not in path.read_text():
            continue
        for _, named, plain, mode in PARAM.findall(sources.file(path.name)):
            paths[f'{PARAMETERS}/{named or plain}'] = \
                bool(int(mode, 8) & 0o222)
    return paths


def tunables(sources):
    """Name, default and largest value of each."""
    text = sources.expand('VHOST_BLK_TUNABLES(ABI_TUNABLE)\n')
    return [(name, sources.number(value), sources.number(largest))
            for name, value, largest in TUNABLE.findall(text)]


def documented(path):
    """The entries of one file: path in sysfs and description."""
    entries = {}
    names = []
    fields = {}
    field = ''

    def finish():
        for name in names:
            if name in entries:
                complain(f'{path.name}: {name} has two entries')
            entries[name] = ' '.join(fields.get('Description', '').split())
            for wanted in FIELDS:
                if not fields.get(wanted, '').strip():
                    complain(f'{path.name}: {name} without {wanted}')

    for line in path.read_text().splitlines():
        match = re.match(r'(\w+):\s*(.*)', line)
        if match and match[1] == 'What':
            if fields:
                finish()
                names, fields = [], {}
            names.append(match[2])
        elif match:
            field = match[1]
            fields[field] = match[2] + '\n'
            if field not in FIELDS:
                complain(f'{path.name}: field {field} is not known')
        elif names:
            fields[field] = fields.get(field, '') + line + '\n'
    finish()
    return entries


def compare(path, there):
    """What is there against what the file says."""
    entries = documented(path)
    for name in sorted(set(there) - set(entries)):
        complain(f'{path.name}: no entry for {name}')
    for name in sorted(set(entries) - set(there)):
        complain(f'{path.name}: {name} {NO_SUCH}')
    for name in sorted(set(entries) & set(there)):
        if there[name] is None:
            continue
        wanted = '(RW)' if there[name] else '(RO)'
        if not entries[name].startswith(wanted):
            complain(f'{path.name}: {name} does not begin with {wanted}')
    return entries


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.')
    sources = Sources(top / 'drivers/vhost/blk')
    documents = top / 'Documentation/ABI/testing'

    queues = compare(documents / 'sysfs-class-vhost-blk', attributes(sources))
    module = compare(documents / 'sysfs-module-vhost_blk',
                     parameters(sources))
    for name, value, largest in tunables(sources):
        text = module.get(f'{PARAMETERS}/{name}', '')
        for wanted in (f'Default {value};', f'0 to {largest}.'):
            if text and wanted not in text:
                complain(f'sysfs-module-vhost_blk: {name}: not "{wanted}"')
        for path, text in queues.items():
            if path.endswith(f'/{name}') and f'0 to {largest}.' not in text:
                complain(f'sysfs-class-vhost-blk: {name}: not '
                         f'"0 to {largest}."')

    print('\n'.join(complaints), end='\n' if complaints else '')
    sys.exit(bool(complaints))


main()
