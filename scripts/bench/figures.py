# SPDX-License-Identifier: GPL-2.0-only
"""Draws what was measured, with gnuplot, as SVG and PNG.

Figures 1 and 4 to 8 have the axes of those of "High Performance and Scalable
Virtual Machine Storage I/O Stack for Multicore Systems" (ICPADS 2017), which is
where the design comes from; the others show the race.
"""

import collections
import os
import shutil
import struct
import subprocess
import zlib

import targets

Series = collections.namedtuple("Series", "label points")
Panel = collections.namedtuple("Panel", "title ylabel series")
Figure = collections.namedtuple("Figure", "name caption panels kind")

IOPS = ("IOPS", "iops")
LATENCY = ("mean latency, us", "latency_mean_us")

BARE = ("bare device", "bare-libaio")
BASELINE = ("QEMU, one iothread", "qemu-native-q1")
VHOST = ("vhost-blk", "vhost-adaptive")

OURS = targets.VHOST + targets.VHOST_POLLED + ("vhost-kick-uring",)

# The larger part of a scale would be empty.
LOG_FROM = 12

HEAD = """set term {term}
set output "{path}"
set multiplot layout {rows},{columns}
set grid ytics lc rgb "#dddddd"
set key top left reverse Left samplen 2 spacing 1.1
set border 3
set tics nomirror out
"""
TERMS = {"svg": 'svg size {width},{height} font "sans,11" background "white"',
         "png": 'pngcairo size {width},{height} font "sans,11"'}
COLOURS = ("#000000", "#0060ad", "#dd181f", "#22863a", "#b35900", "#6f42c1",
           "#008b8b", "#999999", "#8b008b", "#808000", "#4682b4", "#a52a2a",
           "#2f4f4f")


def point(x, cell, value):
    low, high = cell.spread(value)
    return (x, cell.median(value), low, high)


def by_jobs(results, device, rw, way, value):
    """How a value of a way changes with the number of jobs."""
    label, name = way
    cells = results.select(stage="jobs", device=device, rw=rw, way=name)
    points = sorted(point(key.jobs, cell, value)
                    for key, cell in cells.items()
                    if cell.median(value) is not None)
    return Series(label, points)


def jobs_panel(results, device, rw, ways, axis, title=""):
    ylabel, value = axis
    series = [by_jobs(results, device, rw, way, value) for way in ways]
    return Panel(title, ylabel, [one for one in series if one.points])


def paper_figures(results):
    """1, 4, 5, 6: on the first device that is measured."""
    devices = list(dict.fromkeys(key.device for key in results.cells))
    if not devices:
        return
    device = devices[0]
    queues = [(f"QEMU, {n} queue{'s' * (n > 1)}, one iothread",
               f"qemu-native-q{n}") for n in (1, 2, 3, 4)]
    threads = [(f"QEMU, {n} iothread{'s' * (n > 1)}", f"newer-threads-{n}")
               for n in (1, 2, 3, 4)]
    notify = [(f"{text}{place}", f"vhost-{mode}{ending}")
              for mode, text in (("kick", "kick and interrupt"),
                                 ("adaptive", "adaptive"),
                                 ("polling", "polling"))
              for ending, place in (("", ", core for each thread"),
                                    ("-onecore", ", one core for all"))]
    work = f"4k random read, depth 32, {device}"
    yield Figure("figure-1", f"{work}: a guest and the bare device", [
        jobs_panel(results, device, "randread", (BARE, BASELINE), axis, title)
        for axis, title in ((IOPS, "(a)"), (LATENCY, "(b)"))], "jobs")
    yield Figure("figure-4", f"{work}: queues", [
        jobs_panel(results, device, "randread", [BARE] + queues, IOPS)],
        "jobs")
    yield Figure("figure-5", f"{work}: threads for all queues of a disk", [
        jobs_panel(results, device, "randread",
                   [BARE] + threads + [("vhost-blk, a thread per queue",
                                        "vhost-adaptive")], IOPS)], "jobs")
    yield Figure("figure-6", f"{work}: notification and cores", [
        jobs_panel(results, device, "randread", notify, IOPS)], "jobs")
    for number, name in enumerate(devices[:2], 7):
        yield Figure(f"figure-{number}", f"4k, depth 32, {name}", [
            jobs_panel(results, name, rw, (BARE, BASELINE, VHOST), axis,
                       f"({letter}) {text}")
            for letter, rw, text, axis in (
                ("a", "randread", "random read", IOPS),
                ("b", "randread", "random read", LATENCY),
                ("c", "randwrite", "random write", IOPS),
                ("d", "randwrite", "random write", LATENCY))], "jobs")


def bars(ways, value, skip=()):
    """One bar for each way."""
    return [Series(name, [point(0, cell, value)])
            for name, cell in ways.items()
            if cell.median(value) is not None and not name.startswith(skip)]


def race_figures(results):
    """All ways side by side, for every work."""
    for key, ways in results.groups().items():
        if key.stage not in ("race", "poll"):
            continue
        name = f"{key.stage}-{key.device}-{key.rw}-{key.depth}"
        yield Figure(name, f"{key.rw} {key.bs}, depth {key.depth}, "
                     f"{key.device}", [
                         Panel("in the guest", "IOPS",
                               bars(ways, "iops", ("bare-",))),
                         Panel("host, per request", "CPU time, us",
                               bars(ways, "cpu_us"))], "bars")


def data(series):
    lines = [" ".join(f"{value:.6g}" for value in values)
             for values in series.points]
    return "\n".join(lines) + "\ne\n"


def needs_log(panel):
    values = [values[1] for series in panel.series
              for values in series.points]
    return values and min(values) > 0 and max(values) / min(values) > LOG_FROM


def quoted(text):
    return '"' + text.replace('"', "'") + '"'


def jobs_plot(panel):
    plots = []
    for i, series in enumerate(panel.series):
        plots.append(f"'-' using 1:2:3:4 with yerrorlines lw 1.5 pt {i + 4} "
                     f"ps 0.7 lc rgb {quoted(COLOURS[i % len(COLOURS)])} "
                     f"title {quoted(series.label)}")
    log = needs_log(panel)
    scale = "set logscale y\nset yrange [*:*]\n" if log else \
        "unset logscale y\nset yrange [0:*]\n"
    note = " (logarithmic)" if log else ""
    last = max(values[0] for series in panel.series
               for values in series.points)
    return (f"set title {quoted(panel.title)}\n"
            f"set xlabel 'number of jobs'\nset xtics 1\n"
            f"set xrange [0.8:{last + 0.2}]\n"
            f"set offsets 0, 0, graph {0.06 * len(panel.series):.2f}, 0\n"
            f"set ylabel {quoted(panel.ylabel + note)}\n{scale}"
            f"plot {', '.join(plots)}\n"
            + "".join(data(series) for series in panel.series))


def bars_plot(panel):
    rows, tics = [], []
    for i, series in enumerate(panel.series):
        _, median, low, high = series.points[0]
        colour = int(COLOURS[1 if series.label in OURS else 7][1:], 16)
        rows.append(f"{i} {median:.6g} {low:.6g} {high:.6g} {colour}")
        tics.append(f"{quoted(series.label)} {i}")
    return (f"set title {quoted(panel.title)}\nunset xlabel\nunset key\n"
            f"set xtics rotate by -50 ({', '.join(tics)})\n"
            f"set xrange [-0.6:{len(rows) - 0.4}]\n"
            f"unset logscale y\nset yrange [0:*]\n"
            f"set ylabel {quoted(panel.ylabel)}\nset boxwidth 0.6\n"
            "set style fill solid 0.8 noborder\n"
            "plot '-' using 1:2:5 with boxes lc rgb variable, "
            "'-' using 1:2:3:4 with yerrorbars pt 0 lc rgb '#000000'\n"
            + "\n".join(rows) + "\ne\n" + "\n".join(rows) + "\ne\n")


def license_svg(path):
    with open(path, encoding="utf-8") as file:
        first, rest = file.read().split("\n", 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{first}\n<!-- SPDX-License-Identifier: GPL-2.0-only -->"
                   f"\n{rest}")


def license_png(path):
    """A comment of its own, behind the header."""
    with open(path, "rb") as file:
        png = file.read()
    text = b"tEXt" + b"License\0SPDX-License-Identifier: GPL-2.0-only"
    chunk = struct.pack(">I", len(text) - 4) + text + \
        struct.pack(">I", zlib.crc32(text))
    header = 8 + 25  # signature, IHDR
    with open(path, "wb") as file:
        file.write(png[:header] + chunk + png[header:])


LICENSE = {"svg": license_svg, "png": license_png}


def draw(figure, directory):
    """Returns the name, or None if there is nothing to show."""
    panels = [panel for panel in figure.panels if panel.series]
    if not panels:
        return None
    columns = 2 if len(panels) > 1 else 1
    rows = (len(panels) + 1) // 2 if len(panels) > 1 else 1
    plot = jobs_plot if figure.kind == "jobs" else bars_plot
    for kind, term in TERMS.items():
        path = os.path.join(directory, f"{figure.name}.{kind}")
        size = {"width": 520 * columns, "height": 400 * rows}
        script = HEAD.format(term=term.format(**size), path=path, rows=rows,
                             columns=columns)
        script += "".join(plot(panel) for panel in panels)
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
        LICENSE[kind](path)
    return figure.name


def draw_all(results, directory):
    """The figures that could be drawn: none without gnuplot."""
    if not shutil.which("gnuplot"):
        return []
    figures = list(paper_figures(results)) + list(race_figures(results))
    return [figure for figure in figures if draw(figure, directory)]
