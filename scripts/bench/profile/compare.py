#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares two profiles (profile.json of run.sh, or reference.json).

By default fails when a total or a stage has changed by more than 3 per cent
and more than 10 instructions, be it for the better: then the reference is to be made
anew. Between different kernels, QEMUs or compilers, which is said, a total may
differ by 10 per cent and stages are not compared. Where both profiles know
functions, those that changed most are named.
"""

import argparse
import json
import sys

# What the number of instructions depends on, besides the sources.
SYSTEM = {"kernel_version": "kernel", "qemu": "QEMU", "compiler": "compiler"}
PERCENT = 3
PERCENT_ELSEWHERE = 10
INSTRUCTIONS = 10
FUNCTIONS = 15


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_reference(profile, path):
    """Totals and stages only, in whole instructions: for a repository."""
    cases = {}
    for name, case in profile["cases"].items():
        stages = {stage: round(value)
                  for stage, value in case["stages"].items() if round(value)}
        cases[name] = {"total": round(case["total"]), "stages": stages}
    system = {key: profile["system"][key] for key in SYSTEM}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"license": "SPDX-License-Identifier: GPL-2.0-only",
                   "system": system, "cases": cases}, file, indent=1)
        file.write("\n")


def other_system(old, new):
    """What is another one, in words"""
    return [f"the reference is for {name} {old['system'][key]}, "
            f"this is {new['system'][key]}"
            for key, name in SYSTEM.items()
            if old["system"][key] != new["system"][key]]


def changed(old, new, percent):
    return abs(new - old) > max(INSTRUCTIONS, percent * abs(old) / 100)


def compare_case(name, old, new, elsewhere):
    """Prints what has changed; returns how much is out of bounds."""
    bad = 0
    pairs = [("total", old["total"], new["total"])]
    bound = PERCENT_ELSEWHERE if elsewhere else PERCENT
    stages = [] if elsewhere else dict.fromkeys([*old["stages"],
                                                 *new["stages"]])
    for stage in stages:
        pairs.append((stage, old["stages"].get(stage, 0),
                      new["stages"].get(stage, 0)))
    for what, before, after in pairs:
        out = changed(before, after, bound)
        bad += out
        if out or what == "total":
            percent = f"{(after - before) * 100 / before:+.1f} %" \
                if before else "new"
            print(f"{name:12} {what:14} {before:8,.0f} {after:8,.0f}  "
                  f"{percent}{'  OUT OF BOUNDS' if out else ''}")
    return bad


def print_functions(name, old, new):
    delta = {function: new.get(function, 0) - old.get(function, 0)
             for function in old | new}
    for function in sorted(delta, key=lambda f: -abs(delta[f]))[:FUNCTIONS]:
        if abs(delta[function]) >= 1:
            print(f"{name:12}   {function:40} {delta[function]:+8.1f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="the reference")
    parser.add_argument("new")
    parser.add_argument("--update", action="store_true",
                        help="make the reference of the new profile")
    args = parser.parse_args()

    new = load(args.new)
    if args.update:
        write_reference(new, args.old)
        return 0
    old = load(args.old)
    other = other_system(old, new)
    if other:
        print("\n".join(other))
        print(f"so {PERCENT_ELSEWHERE} per cent of the totals are allowed,"
              " and nothing is said of stages")

    print(f"{'':27} {'before':>8} {'now':>8}")
    bad = 0
    for name, case in old["cases"].items():
        if name not in new["cases"]:
            print(f"{name:12} was not measured")
            bad += 1
            continue
        bad += compare_case(name, case, new["cases"][name], bool(other))
        if "functions" in case:
            print_functions(name, case["functions"],
                            new["cases"][name]["functions"])
    print(f"{bad} missing or out of bounds" if bad else "as before")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
