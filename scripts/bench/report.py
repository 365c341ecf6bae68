#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes results.json and results.md of what the bench has measured.

usage: report.py DIR
"""

import json
import os
import statistics
import sys

import results as measured
import targets

COLUMNS = (
    ("IOPS", "iops", "{:.0f}"),
    ("MB/s", "mb_per_second", "{:.1f}"),
    ("mean us", "latency_mean_us", "{:.0f}"),
    ("p50 us", "latency_p50_us", "{:.0f}"),
    ("p99 us", "latency_p99_us", "{:.0f}"),
    ("host CPU us", "cpu_us", "{:.1f}"),
    ("vCPU us", "vcpu_us", "{:.1f}"),
    ("exits", "exits", "{:.2f}"),
    ("kicks", "kicks", "{:.2f}"),
    ("interrupts", "interrupts", "{:.2f}"),
)
# Those whose spread is shown as well.
SPREAD = ("iops", "mb_per_second")

ABOUT = """Medians of {repeats} runs of {seconds} s, in brackets the smallest and
the largest. Latencies are fio's, in microseconds. Per request: *host CPU* is the
time of all threads of the host but the guest's vCPUs and the bench itself, on the
bare device that of fio; *vCPU* is the time of the vCPU threads, guest and host;
exits and kicks are of the guest, *interrupts* those of the disk in the guest.
"""


def markdown_table(rows):
    """The first row is the head; columns are as wide as they must be."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width)
                  for cell, width in zip(row[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            rule = ["-" * widths[0]]
            rule += ["-" * (width - 1) + ":" for width in widths[1:]]
            lines.append("| " + " | ".join(rule) + " |")
    return "\n".join(lines)


def cell_text(cell, name, pattern):
    median = cell.median(name)
    if median is None:
        return "-"
    text = pattern.format(median)
    if name in SPREAD:
        low, high = cell.spread(name)
        text += f" ({pattern.format(low)}-{pattern.format(high)})"
    return text


def columns_of(group):
    """Small requests are counted, large ones weighed."""
    small = measured.bytes_of(group.bs) < 65536
    return [column for column in COLUMNS
            if column[1] != ("mb_per_second" if small else "iops")]


def title_of(group):
    text = f"{group.device}, {group.rw} {group.bs}, depth {group.depth}"
    if group.jobs > 1:
        text += f", {group.jobs} jobs"
    if group.queues > 1:
        text += f", {group.queues} queues"
    return f"{text} ({group.stage})"


def group_table(group, ways):
    columns = columns_of(group)
    rows = [["way"] + [title for title, _, _ in columns]]
    for way, cell in ways.items():
        rows.append([way] + [cell_text(cell, name, pattern)
                             for _, name, pattern in columns])
    return f"## {title_of(group)}\n\n{markdown_table(rows)}\n"


def environment_lines(results):
    lines = [f"* {key}: {value}" for key, value in
             results.environment.items() if value]
    lines += [f"* not measured: {text}" for text in results.skipped]
    return "\n".join(lines)


def targets_table(results):
    """What is to be reached, what was seen."""
    rows = [["number", "ratio", "wanted", "seen", "reached", "ways"]]
    for seen in targets.all_targets(results):
        target = seen.target
        wanted = f"{'>=' if target.at_least else '<='} {target.limit:.2f}"
        text = "-"
        if seen.values:
            text = f"{statistics.median(seen.values):.2f} " \
                f"({min(seen.values):.2f}-{max(seen.values):.2f})"
        verdict = {None: "not measured", True: "yes", False: "no"}
        rows.append([str(target.number), target.what, wanted, text,
                     verdict[targets.reached(seen)], seen.ways])
    return markdown_table(rows)


def write_markdown(results, path):
    parts = ["# vhost-blk and others\n", environment_lines(results) + "\n",
             "## Numbers to reach\n\nMedians of the ratios of the repeats,"
             " in brackets the spread.\n\n" + targets_table(results) + "\n",
             ABOUT.format(**results.environment)]
    for group, ways in results.groups().items():
        if group.stage != "tune":
            parts.append(group_table(group, ways))
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts))


def write_json(results, path):
    cells = [dict(key._asdict(), **cell.summary())
             for key, cell in results.cells.items()]
    document = {"environment": results.environment,
                "not_measured": results.skipped, "results": cells}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.rpartition("\n\n")[2].strip())
    directory = sys.argv[1]
    results = measured.Results(directory)
    write_json(results, os.path.join(directory, "results.json"))
    write_markdown(results, os.path.join(directory, "results.md"))
    print(targets_table(results))


main()
