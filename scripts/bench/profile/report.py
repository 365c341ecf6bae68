#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes the tables of the profile from what host.sh has left (see run.sh)."""

import argparse
import collections
import fnmatch
import json
import os

import attribute

# Functions of a case that the table shows.
TOP = 40

# In the file "stages": not a stage.
CALLER = "caller"
OTHER = "other"


class Stages:
    """The file "stages": a stage and patterns of its functions on a line."""

    def __init__(self, path):
        self.rules = []
        self.names = []
        self.known = {}
        with open(path, encoding="ascii") as file:
            for line in file:
                words = line.split("#")[0].split()
                if not words:
                    continue
                if words[0] not in self.names and words[0] != CALLER:
                    self.names.append(words[0])
                self.rules += [(pattern, words[0]) for pattern in words[1:]]

    def of(self, function):
        if function not in self.known:
            for pattern, stage in self.rules:
                if fnmatch.fnmatchcase(function, pattern):
                    self.known[function] = stage
                    break
            else:
                self.known[function] = OTHER
        return self.known[function]


class Functions:
    """Names the function that an instruction belongs to."""

    def __init__(self, raw, module, programs, stages):
        self.stages = stages
        self.kernel = attribute.kernel_symbols(f"{raw}/kallsyms")
        self.module = attribute.Module(module, f"{raw}/module")
        self.programs = {
            name: attribute.Program(f"{programs}/{name}_bench")
            for name in ("ring", "uring")
        }

    def user(self, addr, program):
        own = self.programs.get(program)
        name = own.at(addr) if own else None
        return f"user:{name or program}"

    def own(self, chain):
        """Of functions inlined into each other the innermost of the module."""
        for name in chain:
            if (name.startswith("vhost_blk") and
                    self.stages.of(name) != CALLER):
                return name
        return chain[-1]

    def count(self, instructions, program):
        """{function: instructions}"""
        chains = self.module.chains(
            [addr for addr, count in instructions.items() if count])
        result = collections.Counter()
        for addr, count in instructions.items():
            if addr < attribute.USER_END:
                name = self.user(addr, program)
            elif addr in chains:
                name = self.own(chains[addr])
            else:
                name = self.kernel.at(addr)
            result[name] += count
        return result


def read_system(path):
    with open(path, encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("=", 1) for line in file]
    return dict(pairs)


def read_raw(raw):
    """{case: {run: counts}}"""
    with open(f"{raw}/sections", encoding="ascii") as file:
        labels = [line.split() for line in file]
    result = collections.defaultdict(dict)
    sections = attribute.read_sections(f"{raw}/counts")
    for label, section in zip(labels, sections, strict=True):
        if len(label) == 2:
            result[label[0]][label[1]] = section
    return result


def clock(raw, case, requests):
    """What the programs measured themselves, in ns per request."""
    results = []
    for run in "1", "2":
        with open(f"{raw}/result.{case}.{run}", encoding="utf-8") as file:
            results.append(json.load(file))
    if "cpu_ns_driver" not in results[0]:
        return None
    less, more = results
    return {
        "ns": (more["seconds"] - less["seconds"]) * 1e9 / requests,
        "driver_ns": (more["cpu_ns_driver"] - less["cpu_ns_driver"]) / requests,
        "worker_ns": (more["cpu_ns_worker"] - less["cpu_ns_worker"]) / requests,
        "kicks": (more["kicks"] - less["kicks"]) / requests,
        "interrupts": (more["interrupts"] - less["interrupts"]) / requests,
    }


def profile_case(case, runs, functions, stages, requests):
    counts = functions.count(attribute.difference(runs["2"], runs["1"]),
                             case.split("-")[0])
    by_stage = collections.Counter({name: 0 for name in stages.names})
    by_function = {}
    for name, count in counts.most_common():
        by_stage[stages.of(name)] += count
        if abs(count) >= requests / 100:
            by_function[name] = round(count / requests, 2)
    return {
        "total": round(sum(counts.values()) / requests, 2),
        "stages": {name: round(count / requests, 2)
                   for name, count in by_stage.items()},
        "functions": by_function,
    }


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |",
             "| :-- |" + " --: |" * (len(header) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def stage_table(profile, stages):
    cases = profile["cases"]
    rows = []
    for stage in stages.names + [OTHER]:
        values = [case["stages"].get(stage, 0) for case in cases.values()]
        if any(value >= 0.5 for value in values):
            rows.append([stage] + [f"{round(value):,}" for value in values])
    rows.append(["**total**"] +
                [f"**{case['total']:,.0f}**" for case in cases.values()])
    return table(["instructions per request"] + list(cases), rows)


def clock_table(profile):
    rows = []
    for name, case in profile["cases"].items():
        times = case["clock"]
        if times:
            rows.append([name, f"{case['total']:,.1f}"] +
                        [f"{times[key]:,.1f}" for key in
                         ("ns", "driver_ns", "worker_ns")] +
                        [f"{times[key]:.3f}" for key in
                         ("kicks", "interrupts")])
    return table(["case", "instructions", "ns by the clock", "driver", "worker",
                  "kicks", "interrupts"], rows)


def function_table(case, stages):
    rows = []
    for name, count in list(case["functions"].items())[:TOP]:
        rows.append([name, stages.of(name), f"{count:,.1f}"])
    return table(["function", "stage", "instructions"], rows)


def markdown(profile, stages):
    system = profile["system"]
    parts = [
        "Instructions per 4 KiB random read, by stage. Case: "
        "program-DEPTHxQUEUES.\n",
        stage_table(profile, stages),
        "The same by the clock of the emulated machine, on which an "
        "instruction takes a\nnanosecond, and as the scheduler accounts it:\n",
        clock_table(profile),
    ]
    for name, case in profile["cases"].items():
        parts += [f"{name}: the {TOP} functions with the most\n",
                  function_table(case, stages)]
    parts.append(f"{system['kernel_version']}, QEMU {system['qemu']}, "
                 f"{system['compiler']}, difference of "
                 f"{system['requests']} requests\n")
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in "raw", "module", "programs", "stages", "out":
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()

    system = read_system(f"{args.raw}/system")
    requests = int(system["requests"])
    stages = Stages(args.stages)
    functions = Functions(args.raw, args.module, args.programs,
                          stages)
    profile = {"system": system, "cases": {}}
    for case, runs in read_raw(args.raw).items():
        result = profile_case(case, runs, functions, stages, requests)
        result["clock"] = clock(args.raw, case, requests)
        profile["cases"][case] = result

    with open(os.path.join(args.out, "profile.json"), "w",
              encoding="utf-8") as file:
        json.dump(profile, file, indent=1)
        file.write("\n")
    with open(os.path.join(args.out, "profile.md"), "w",
              encoding="utf-8") as file:
        file.write(markdown(profile, stages))


if __name__ == "__main__":
    main()
