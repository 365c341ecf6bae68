# SPDX-License-Identifier: GPL-2.0-only
"""What was measured: samples, put together by what they measure.

A sample is a line that meter.py wrote. All samples that differ in nothing but
the repeat are a cell; a value of a cell has its median and its spread.
"""

import collections
import json
import os
import statistics

Key = collections.namedtuple(
    "Key", "stage device rw bs depth jobs queues way")

SUFFIX = {"k": 1024, "m": 1024 ** 2}


def bytes_of(text):
    text = str(text).lower()
    return int(text.rstrip("km")) * SUFFIX.get(text[-1], 1)


def per_request(sample):
    """What one request cost, from the window of a sample; None if unknown."""
    window = sample["window"]
    cost = dict.fromkeys(("cpu_us", "vcpu_us", "exits", "kicks",
                          "interrupts"))
    if sample["guest_interrupts"] >= 0 and sample["requests"]:
        cost["interrupts"] = sample["guest_interrupts"] / sample["requests"]
    if not window:
        return cost
    requests = window["disk"]["bytes"] / bytes_of(sample["bs"])
    if not requests:
        return cost
    spent = window["cpu_ns"]
    in_guest = sample["guest_interrupts"] >= 0 or sample["stage"] == "guests"
    # On the bare device fio itself is what serves the requests.
    host = spent["backend"] + (0 if in_guest else spent["driver"])
    cost["cpu_us"] = host / requests / 1000
    if in_guest:
        cost["vcpu_us"] = spent["vcpu"] / requests / 1000
        cost["exits"] = window["kvm"]["exits"] / requests
        if window["kicks"] is not None:
            cost["kicks"] = window["kicks"] / requests
    return cost


def per_request_of_program(sample):
    """The same for ring_bench and uring_bench; their queue's interrupts are
    wake-ups of the driver."""
    program = sample["program"]
    requests = program["requests"]
    spent = program["cpu_ns_driver"] + program["cpu_ns_worker"]
    return {"cpu_us": spent / requests / 1000,
            "driver_us": program["cpu_ns_driver"] / requests / 1000,
            "kicks": program["kicks"] / requests,
            "interrupts": program["interrupts"] / requests}


def of_guests(sample):
    """What several guests got in the window: together, and the one that got
    least, of an equal share. The window is open while all of them are busy."""
    window = sample["window"] or {}
    reads = [counted["read_requests"] for counted in window.get("vhost", [])]
    if not sum(reads):
        return {}
    return {"window_iops": sum(reads) / window["seconds"],
            "least_share": min(reads) * len(reads) / sum(reads)}


def values_of(sample):
    values = {"iops": sample["iops"]}
    for name, latency in sample["latency_ns"].items():
        values[f"latency_{name}_us"] = None if latency is None \
            else latency / 1000
    if "program" in sample:
        values.update(per_request_of_program(sample))
        return values
    values["mb_per_second"] = sample["bytes_per_second"] / 1e6
    values.update(per_request(sample))
    if sample["stage"] == "guests":
        values.update(of_guests(sample))
    return values


def repeat_of(sample):
    """What is compared with each other: one repeat of one run."""
    return (sample.get("run", 0), sample["repeat"])


class Cell:
    """All repeats of one measurement."""

    def __init__(self):
        self.by_repeat = {}

    def add(self, sample):
        self.by_repeat[repeat_of(sample)] = values_of(sample)

    def values(self, name):
        """repeat -> value, of those that have one"""
        return {repeat: values[name]
                for repeat, values in sorted(self.by_repeat.items())
                if values.get(name) is not None}

    def median(self, name):
        values = self.values(name).values()
        return statistics.median(values) if values else None

    def spread(self, name):
        values = self.values(name).values()
        return (min(values), max(values)) if values else None

    def summary(self):
        names = dict.fromkeys(name for values in self.by_repeat.values()
                              for name in values)
        result = {}
        for name in names:
            values = list(self.values(name).values())
            if values:
                result[name] = {"median": statistics.median(values),
                                "min": min(values), "max": max(values),
                                "values": values}
        return result


class Results:
    """All cells of a directory."""

    def __init__(self, directory):
        self.environment = {}
        self.skipped = []
        self.lost = []
        self.cells = {}
        self.samples = []
        self.runs = set()
        self.read_environment(os.path.join(directory, "environment"))
        with open(os.path.join(directory, "samples.jsonl"),
                  encoding="ascii") as file:
            for line in file:
                self.add(json.loads(line))

    def read_environment(self, path):
        """Boots that say different things are named with what each says."""
        said = {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, _, value = line.rstrip("\n").partition("=")
                if key == "skipped":
                    if value not in self.skipped:
                        self.skipped.append(value)
                elif key == "lost":
                    self.lost.append(value)
                elif value not in said.setdefault(key, []):
                    said[key].append(value)
        self.environment = {key: ", ".join(values)
                            for key, values in said.items()}

    def add(self, sample):
        key = Key(*(sample[name] for name in Key._fields))
        self.cells.setdefault(key, Cell()).add(sample)
        self.samples.append(sample)
        self.runs.add(sample.get("run", 0))

    def select(self, **wanted):
        """Key -> cell, of those whose fields are as wanted."""
        return {key: cell for key, cell in self.cells.items()
                if all(getattr(key, name) == value
                       for name, value in wanted.items())}

    def groups(self):
        """Key without a way -> way -> cell, in the order of measurement."""
        found = {}
        for key, cell in self.cells.items():
            found.setdefault(key._replace(way=None), {})[key.way] = cell
        return found


def best_of(ways, names, value="iops", lowest=False):
    """The way among names with the best median; None if there is none."""
    have = [name for name in names
            if name in ways and ways[name].median(value) is not None]
    pick = min if lowest else max
    return pick(have, key=lambda name: ways[name].median(value)) \
        if have else None


def ratios(over, under, value="iops"):
    """value of a cell over that of another, repeat by repeat"""
    a, b = over.values(value), under.values(value)
    return [a[repeat] / b[repeat] for repeat in a
            if repeat in b and b[repeat]]
