#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Counts what a host spends on a disk while fio runs on it, here or in a guest.

Reads commands from its input, one a line, and writes the samples to the file
that is its argument, one JSON object a line.

  begin device=NAME seconds=N [pid=N[,N...]] [lead=N]
      Waits for I/O on the device and opens a window a little later (lead), for
      somewhat less than the seconds that fio runs. pid: QEMU of the guests.
  record fio=FILE[,FILE...] KEY=VALUE...
      fio has ended, FILE is its JSON, one for each guest. Writes a sample,
      answers with the IOPS.
  note program=FILE timed=FILE KEY=VALUE...
      The same for what a program of scripts/bench/chardev has written. It has
      counted for itself, there is no window. timed: of a run with --latency.

A window has, as differences from its begin to its end: the CPU time of every
thread of the host, in ns, by class; requests and bytes of the devices; what KVM
counted for the guests; what vhost-blk counted for them; kicks, if
scripts/vm/kvm-events.sh counts them.
"""

import glob
import json
import os
import re
import select
import sys
import time

VCPU = re.compile(r"CPU \d+/KVM$")
KVM_COUNTERS = ("exits", "halt_exits", "irq_injections", "signal_exits")
VHOST_COUNTERS = ("read_requests", "kicks", "kicks_avoided",
                  "interrupts_sent", "interrupts_suppressed")
TRACE = "/sys/kernel/tracing/instances/kvm-kicks/per_cpu"
# How many requests must have been seen before fio counts as running, and how
# far the window stays away from its begin and end, in s.
STARTED = 8
MARGIN = 0.3


def read(path):
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(file, 65536).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(file)


class Threads:
    """How long each thread of the host was on a CPU.

    Runs on the host that it measures, so it does as little as it can: files
    stay open, and kernel threads, of which there are most, have no others
    beside them.
    """

    def __init__(self):
        self.files = {}  # tid -> open schedstat
        self.single = set()  # kernel threads
        self.known = set()  # pids

    def meet(self, pid):
        """A process that we have not seen before."""
        self.known.add(pid)
        # The fields after the name are state and parent.
        parent = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if len(parent) > 1 and parent[1] == "2":
            self.single.add(pid)

    def of(self, pid):
        if pid in self.single:
            return (pid,)
        try:
            return os.listdir(f"/proc/{pid}/task")
        except OSError:
            return ()

    def ran(self, pid, tid):
        """ns, or None if the thread is no more"""
        for _ in range(2):
            try:
                if tid not in self.files:
                    self.files[tid] = os.open(
                        f"/proc/{pid}/task/{tid}/schedstat", os.O_RDONLY)
                return int(os.pread(self.files[tid], 64, 0).split()[0])
            except OSError:
                # Somebody else may have the number by now.
                self.known.discard(pid)
                self.single.discard(pid)
                if tid not in self.files:
                    break
                os.close(self.files.pop(tid))
        return None

    def all(self):
        """tid -> (pid, ns on a CPU)"""
        found = {}
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            if pid not in self.known:
                self.meet(pid)
            for tid in self.of(pid):
                ran = self.ran(pid, tid)
                if ran is not None:
                    found[int(tid)] = (int(pid), ran)
        return found


def disk(name):
    """Requests and bytes that the block device has completed."""
    field = [int(x) for x in read(f"/sys/class/block/{name}/stat").split()]
    return {"requests": field[0] + field[4],
            "bytes": (field[2] + field[6]) * 512}


def kvm(pids):
    total = dict.fromkeys(KVM_COUNTERS, 0)
    for pid in pids:
        for vm in glob.glob(f"/sys/kernel/debug/kvm/{pid}-*"):
            for name in KVM_COUNTERS:
                total[name] += int(read(f"{vm}/{name}") or 0)
    return total


def vhost(pids):
    """What the module counted, by owner."""
    total = {pid: dict.fromkeys(VHOST_COUNTERS, 0) for pid in pids}
    for device in glob.glob("/sys/class/vhost-blk/vhost-blk*"):
        owner = int(read(f"{device}/owner") or 0)
        if owner not in pids:
            continue
        for stats in glob.glob(f"{device}/queues/*/stats"):
            for name in VHOST_COUNTERS:
                total[owner][name] += int(read(f"{stats}/{name}") or 0)
    return total


def traced_kicks():
    """Kicks of all guests; None where nothing is traced."""
    if not os.path.isdir(TRACE):
        return None
    total = 0
    for path in glob.glob(f"{TRACE}/cpu*/stats"):
        for line in read(path).splitlines():
            name, _, value = line.partition(":")
            if name in ("entries", "overrun"):
                total += int(value)
    return total


def difference(after, before):
    return {key: after[key] - before[key] for key in after}


def class_of(pid, tid, name, orchestrator):
    if VCPU.match(name):
        return "vcpu"
    if pid in orchestrator:
        return "bench"
    if name == "fio" or read(f"/proc/{pid}/comm").strip() == "fio":
        return "driver"
    return "backend"


def cpu(after, before):
    """ns by class, and the threads that took most"""
    orchestrator = {os.getpid(), os.getppid()}
    by_class = dict.fromkeys(("backend", "vcpu", "driver", "bench"), 0)
    by_thread = []
    for tid, (pid, ran) in after.items():
        spent = ran - before.get(tid, (pid, 0))[1]
        if spent <= 0:
            continue
        name = read(f"/proc/{pid}/task/{tid}/comm").strip()
        kind = class_of(pid, tid, name, orchestrator)
        by_class[kind] += spent
        by_thread.append((spent, kind, name))
    by_thread.sort(reverse=True)
    return by_class, [[kind, name, spent]
                      for spent, kind, name in by_thread[:8]]


class Window:
    """What the host has counted between two moments."""

    def __init__(self, threads, device, pids):
        self.threads = threads
        self.device = device
        self.pids = pids
        self.begin = self.snapshot()
        self.end = None
        self.cpu = None

    def snapshot(self):
        return {"time": time.monotonic(), "threads": self.threads.all(),
                "disk": disk(self.device),
                "kvm": kvm(self.pids), "vhost": vhost(self.pids),
                "kicks": traced_kicks()}

    def close(self):
        self.end = self.snapshot()
        # At once: a thread that has ended has no name.
        self.cpu = cpu(self.end["threads"], self.begin["threads"])

    def result(self):
        begin, end = self.begin, self.end
        kicks = None
        if begin["kicks"] is not None:
            kicks = end["kicks"] - begin["kicks"]
        return {"seconds": end["time"] - begin["time"],
                "disk": difference(end["disk"], begin["disk"]),
                "cpu_ns": self.cpu[0], "threads": self.cpu[1],
                "kvm": difference(end["kvm"], begin["kvm"]),
                "vhost": [difference(end["vhost"][pid], begin["vhost"][pid])
                          for pid in self.pids],
                "kicks": kicks}


def told_to_stop(seconds):
    """Waits; True if a command came meanwhile."""
    return bool(select.select([0], [], [], max(seconds, 0))[0])


def watch(threads, device, seconds, pid="", lead=MARGIN):
    """The window of one run of fio, or None if there was no time for it."""
    pids = [int(x) for x in pid.split(",") if x]
    idle = disk(device)["requests"]
    while disk(device)["requests"] < idle + STARTED:
        if told_to_stop(0.02):
            return None
    end = time.monotonic() + float(seconds) - MARGIN
    if told_to_stop(float(lead)):
        return None
    window = Window(threads, device, pids)
    if told_to_stop(end - time.monotonic()):
        return None
    window.close()
    return window


def fio_side(path):
    """The part of fio's JSON that has reads and writes as one. It may follow
    other lines."""
    text = read(path)
    return json.loads(text[text.index("{"):])["jobs"][0]["mixed"]


def fio_summary(paths):
    sides = [fio_side(path) for path in paths]
    requests = sum(side["total_ios"] for side in sides)
    latency = {"mean": sum(side["lat_ns"]["mean"] * side["total_ios"]
                           for side in sides) / max(requests, 1)}
    for name, rank in (("p50", "50.000000"), ("p99", "99.000000")):
        latency[name] = max(side["lat_ns"].get("percentile", {}).get(rank, 0)
                            for side in sides)
    return {"iops": sum(side["iops"] for side in sides),
            "bytes_per_second": sum(side["bw_bytes"] for side in sides),
            "requests": requests, "latency_ns": latency}


def number_or_text(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def record(out, window, fio, **labels):
    sample = {key: number_or_text(value) for key, value in labels.items()}
    sample.update(fio_summary(fio.split(",")))
    sample["window"] = window.result() if window else None
    print(json.dumps(sample), file=out, flush=True)
    return f"{sample['iops']:.0f}"


def note(out, program, timed, **labels):
    sample = {key: number_or_text(value) for key, value in labels.items()}
    sample["program"] = json.loads(read(program))
    latency = json.loads(read(timed))["latency"]
    sample["latency_ns"] = {name: latency[f"{name}_ns"]
                            for name in ("mean", "p50", "p99")}
    for name in ("iops", "requests"):
        sample[name] = sample["program"][name]
    print(json.dumps(sample), file=out, flush=True)
    return f"{sample['iops']:.0f}"


def main():
    window = None
    threads = Threads()
    # Without a buffer, which select() would not see.
    with open(0, "rb", buffering=0) as commands, \
            open(sys.argv[1], "a", encoding="ascii") as out:
        for line in commands:
            command, *words = line.decode("ascii").split()
            arguments = dict(word.split("=", 1) for word in words)
            if command == "begin":
                window = watch(threads, **arguments)
            elif command == "record":
                print(record(out, window, **arguments), flush=True)
                window = None
            elif command == "note":
                print(note(out, **arguments), flush=True)
            else:
                sys.exit(f"meter: unknown command {command}")


main()
