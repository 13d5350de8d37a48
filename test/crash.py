#!/usr/bin/env python3
"""Runs the crash loops, random histories and power cuts in their long form, and counts what they did.

Usage: crash.py [MINUTES]. With MINUTES, again and again with other seeds until the time is up.
"""
import json
import os
import re
import subprocess
import sys
import time

RUN = "Crash|Histor|Kill|Cut|Power|Busy|Epoch|LostState|LateUpload|Reconnect"
PACKAGES = ["./internal/engine/...", "./internal/state/...", "./internal/store/...", "./test/e2e/..."]
COUNTS = {  # what the tests print, and what it counts
    "crash points": r"(\d+) crash points, every (\d+)|(\d+) crash points",
    "places where the connection is cut": r"(\d+) commands, (\d+) ways to cut, every (\d+)",
    "power cuts": r"(\d+) power cuts",
    "random histories": r"OK, passed (\d+) tests",
    "kills at random": r"(\d+) of \d+ runs were killed",
}


def number(what, match):
    groups = [int(g) for g in match.groups() if g]
    if what == "crash points" and len(groups) == 2:
        return groups[0] // groups[1]
    if what.startswith("places"):
        return groups[0] * groups[1] // groups[2]
    return groups[0]


def once(total, seeds):
    env = dict(os.environ, MAILTWIN_CRASH="long", MAILTWIN_E2E="1", MAILTWIN_HISTORIES=os.environ.get("MAILTWIN_HISTORIES", "400"))
    go = os.environ.get("GO", "go")
    p = subprocess.Popen([go, "test", "-json", "-count=1", "-timeout=60m", "-run", RUN, *PACKAGES], env=env, stdout=subprocess.PIPE, text=True)
    output = {}
    for line in p.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            print(line, end="")
            continue
        key = (event.get("Package"), event.get("Test", ""))
        text = event.get("Output", "")
        output.setdefault(key, []).append(text)
        for what, pattern in COUNTS.items():
            if m := re.search(pattern, text):
                total[what] = total.get(what, 0) + number(what, m)
        if m := re.search(r"seed (\d+)", text):
            seeds.append(m[1])
        if event["Action"] in ("pass", "fail") and event.get("Test"):
            total[event["Action"]] = total.get(event["Action"], 0) + 1
        if event["Action"] == "fail":
            print("--- FAIL", *key)
            print("".join(output[key])[-20000:])
        elif event["Action"] in ("pass", "skip"):
            output.pop(key, None)
    return p.wait()


def main():
    end = time.time() + 60 * float(sys.argv[1] if len(sys.argv) > 1 else 0)
    while True:
        total, seeds, begun = {}, [], time.time()
        code = once(total, seeds)
        for what in COUNTS:
            print(f"{total.get(what, 0):8} {what}")
        print(f"{total.get('pass', 0)} passed, {total.get('fail', 0)} failed, {time.time() - begun:.0f} s, seeds {' '.join(sorted(set(seeds)))}", flush=True)
        if code or time.time() >= end:
            return code


if __name__ == "__main__":
    sys.exit(main())
