#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes results.json and results.md of what the bench has measured.

usage: report.py DIR
"""

import json
import os
import statistics
import sys

import figures
import results as measured
import targets

LICENSE = "SPDX-License-Identifier: GPL-2.0-only"

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

ABOUT = """Medians of at least {repeats} runs of {seconds} s (several guests: two
more), in brackets the smallest and the largest. Latencies are in microseconds, fio's or
the program's; of several guests, percentiles are those of the slowest. Per request: *host
CPU* is the time of all threads of the host but the guest's vCPUs and the bench itself, on the
bare device that of fio; *vCPU* is the time of the vCPU threads, guest and host;
exits and kicks are of the guest, *interrupts* those of the disk in the guest.
"""


def markdown_table(rows, left=False):
    """The first row is the head; columns are as wide as they must be. Numbers
    are at the right, but for those in tables with much text (left)."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.ljust(width) if left else cell.rjust(width)
                  for cell, width in zip(row[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            rule = ["-" * widths[0]]
            rule += ["-" * (width - 1) + "-:"[not left]
                     for width in widths[1:]]
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
    lines.append(f"* boots: {len(results.runs)}")
    lines += [f"* not measured: {text}" for text in results.skipped]
    lines += [f"* guest lost and started again: {text}"
              for text in results.lost]
    return "\n".join(lines)


def short(number):
    return f"{number:.0f}" if number >= 100 else f"{number:.2f}"


def targets_table(all_seen):
    """What is to be reached, what was seen."""
    rows = [["", "ratio", "wanted", "seen", "reached", "ways"]]
    for seen in all_seen:
        target = seen.target
        wanted = f"{'>=' if target.at_least else '<='} {short(target.limit)}"
        text = "-"
        if seen.values:
            text = short(statistics.median(seen.values))
        if len(seen.values) > 1:
            text += f" ({short(min(seen.values))}-{short(max(seen.values))})"
        verdict = {None: "not measured", True: "yes", False: "no"}
        rows.append([str(target.number), target.what, wanted, text,
                     verdict[targets.reached(seen)], seen.ways])
    return markdown_table(rows, left=True)


def figure_lines(drawn):
    return "## Figures\n\n" + "\n".join(
        f"![{figure.caption}]({figure.name}.svg)\n\n{figure.name}: "
        f"{figure.caption}\n" for figure in drawn)


def write_markdown(results, drawn, path):
    parts = [f"<!-- {LICENSE} -->\n# vhost-blk and others\n", environment_lines(results) + "\n",
             "## Numbers to reach\n\nMedians of the ratios of the repeats,"
             " in brackets the spread.\n\n" + targets_table(targets.all_targets(results)) + "\n",
             ABOUT.format(**results.environment)]
    for group, ways in results.groups().items():
        parts.append(group_table(group, ways))
    if drawn:
        parts.append(figure_lines(drawn))
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts))


def rounded(value):
    """Six digits are more than any of this is worth."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def write_json(results, path):
    """A line for each result."""
    head = {"license": LICENSE, "environment": results.environment,
            "runs": len(results.runs), "not_measured": results.skipped,
            "guests_lost": results.lost}
    cells = [json.dumps(rounded(dict(key._asdict(), **cell.summary())))
             for key, cell in results.cells.items()]
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(head, indent=1)[:-2])
        file.write(',\n "results": [\n  ' + ",\n  ".join(cells) + "\n ]\n}\n")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.rpartition("\n\n")[2].strip())
    directory = sys.argv[1]
    results = measured.Results(directory)
    write_json(results, os.path.join(directory, "results.json"))
    drawn = figures.draw_all(results, directory)
    write_markdown(results, drawn, os.path.join(directory, "results.md"))
    measured_ones = [seen for seen in targets.all_targets(results)
                     if seen.values]
    if measured_ones:
        print(targets_table(measured_ones))


main()
