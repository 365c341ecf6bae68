# SPDX-License-Identifier: GPL-2.0-only
"""The numbers that vhost-blk is to reach, and what was seen of them.

Each is a ratio of two ways, repeat by repeat in one boot; its median counts.
"Best" is the way with the best median of those named.
"""

import collections
import json
import os
import statistics

import results as measured

Target = collections.namedtuple("Target", "number what limit at_least")
Seen = collections.namedtuple("Seen", "target values ways")

VHOST = ("vhost-kick", "vhost-adaptive", "vhost-polling", "vhost-polldev")
QEMU = tuple(f"{which}-{aio}{poll}" for which in ("qemu", "newer")
             for aio in ("native", "uring") for poll in ("", "-poll"))
BARE = ("bare-libaio", "bare-uring", "bare-polled")
VHOST_POLLED = ("vhost-guestpoll", "vhost-bothpoll")
QEMU_POLLED = tuple(f"{which}-{aio}-{poll}" for which in ("qemu", "newer")
                    for aio in ("native", "uring")
                    for poll in ("guestpoll", "bothpoll"))


def reached(seen):
    """None if it was not measured."""
    if not seen.values:
        return None
    median = statistics.median(seen.values)
    return median >= seen.target.limit if seen.target.at_least \
        else median <= seen.target.limit


class Race:
    """Compares ways of the groups of one set of results."""

    def __init__(self, results, device):
        self.groups = {key: ways for key, ways in results.groups().items()
                       if key.device == device}

    def ways(self, stage, rw, bs, depth):
        for key, ways in self.groups.items():
            if (key.stage, key.rw, str(key.bs), key.depth) == \
                    (stage, rw, bs, depth) and key.jobs == 1:
                return ways
        return {}

    def best(self, target, work, ours, theirs, value="iops"):
        """The best of ours over the best of theirs."""
        ways = self.ways(*work)
        lowest = value != "iops"
        mine = measured.best_of(ways, ours, value, lowest)
        other = measured.best_of(ways, theirs, value, lowest)
        if mine is None or other is None:
            return Seen(target, [], "")
        return Seen(target, measured.ratios(ways[mine], ways[other], value),
                    f"{mine} / {other}")


def at_least(number, what, limit):
    return Target(number, what, limit, True)


def at_most(number, what, limit):
    return Target(number, what, limit, False)


def in_guest(race):
    """1, 2: IOPS of small reads."""
    deep = ("race", "randread", "4k", 32)
    single = ("race", "randread", "4k", 1)
    yield race.best(at_least(1, "depth 32, best of QEMU", 4),
                    deep, VHOST, QEMU)
    yield race.best(at_least(1, "depth 32, vhost-scsi", 4),
                    deep, VHOST, ("vhost-scsi",))
    yield race.best(at_least(1, "depth 32, vhost-user-blk", 4),
                    deep, VHOST, ("vhost-user",))
    yield race.best(at_least(2, "depth 1, best of QEMU", 1.5),
                    single, VHOST, QEMU)
    for depth, limit in ((1, 4), (32, 1.2)):
        yield race.best(
            at_least(2, f"guest polls, depth {depth}, best of QEMU", limit),
            ("poll", "randread", "4k", depth), VHOST_POLLED, QEMU_POLLED)
    yield race.best(
        at_most(2, "depth 1, latency of polling to kick-and-interrupt", 0.34),
        ("poll", "randread", "4k", 1), ("vhost-bothpoll",),
        ("vhost-kick-uring",), "latency_mean_us")


def chardev(race):
    """3: the module without a guest."""
    deep = ("chardev", "randread", "4k", 32)
    single = ("chardev", "randread", "4k", 1)
    for what, work in (("32", deep), ("1", single)):
        yield race.best(
            at_least(3, f"no guest, depth {what}, both poll, io_uring's twin",
                     0.95), work, ("ring-poll",), ("twin-poll",))
    yield race.best(
        at_least(3, "no guest, depth 32, sleeping, fio io_uring", 3),
        deep, ("ring-call",), ("bare-uring",))
    yield race.best(
        at_least(3, "no guest, depth 1, polling, fio io_uring", 1),
        single, ("ring-poll",), ("bare-uring",))


def large(race):
    """4: sequential reads and writes."""
    for bs in ("128k", "1m"):
        for rw in ("read", "write"):
            work = ("large", rw, bs, 8)
            yield race.best(at_least(4, f"{rw} {bs}, bare device", 0.95),
                            work, VHOST, BARE)
            yield race.best(at_least(4, f"{rw} {bs}, best of QEMU", 1.2),
                            work, VHOST, QEMU)


def cost(race):
    """5: time of the host per request, against the cheapest of QEMU."""
    for way in ("vhost-kick", "vhost-adaptive"):
        yield race.best(
            at_most(5, f"host CPU, depth 32, {way}, cheapest of QEMU", 1 / 3),
            ("race", "randread", "4k", 32), (way,), QEMU, "cpu_us")


def shares(race):
    """7: guests on one disk; a share is what one guest would have of the total
    that a single one gets, where it leaves nothing over."""
    ways = race.ways("guests", "randread", "4k", 32)
    for count in (2, 4):
        cell, alone = ways.get(f"vhost-{count}-guests"), ways.get("vhost-1-guests")
        total, least = [], []
        if cell and alone:
            total = measured.ratios(cell, alone, "window_iops")
            least = list(cell.values("least_share").values())
        yield Seen(at_least(7, f"{count} guests, total to one alone", 0.9),
                   total, "")
        yield Seen(at_least(7, f"{count} guests, the least of equal shares",
                            0.8), least, "")


def instructions():
    """6: counted, not measured: what scripts/bench/profile has found last."""
    path = os.path.join(os.path.dirname(os.path.realpath(__file__)),
                        "profile", "reference.json")
    try:
        with open(path, encoding="utf-8") as file:
            cases = json.load(file)["cases"]
    except OSError:
        return
    total = {name: case["total"] for name, case in cases.items()}
    for depth, limit in ((32, 4000), (1, 9000)):
        name = f"ring-{depth}x1"
        if name in total:
            yield Seen(at_most(6, f"instructions, depth {depth}", limit),
                       [total[name]], "profile/reference.json")
    if "ring-32x1" in total and "ring-32x16" in total:
        yield Seen(at_most(6, "instructions, 16 queues to one", 1.1),
                   [total["ring-32x16"] / total["ring-32x1"]],
                   "profile/reference.json")


def all_targets(results):
    """What was seen of each, in the order of their numbers."""
    devices = list(dict.fromkeys(key.device for key in results.cells))
    if not devices:
        return []
    race = Race(results, devices[0])
    found = [seen for part in (in_guest, chardev, large, cost, shares)
             for seen in part(race)]
    found += list(instructions())
    return sorted(found, key=lambda seen: seen.target.number)
