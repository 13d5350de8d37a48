#!/usr/bin/env python3
"""Reads the output of `go test -json`: prints failures with their output, what was skipped and why, and the counts.

Usage: summary.py [--count] FILE. With --count only the closing line.
"""
import json
import sys

only_count = sys.argv[1] == "--count"
output, result, other = {}, {}, []
for line in open(sys.argv[-1], errors="replace"):
    try:
        event = json.loads(line)
    except ValueError:
        other.append(line.rstrip())
        continue
    key = (event.get("Package", ""), event.get("Test", ""))
    if event["Action"] == "output":
        output.setdefault(key, []).append(event["Output"])
    elif event["Action"] == "build-output":
        other.append(event["Output"].rstrip())
    elif event["Action"] in ("pass", "fail", "skip"):
        result[key] = event["Action"]
tests = {k: v for k, v in result.items() if k[1]}
count = lambda what: sum(v == what for v in tests.values())
if not only_count:
    for line in other:
        print(line)
    for key, outcome in sorted(result.items()):
        if outcome == "fail":
            print(f"--- FAIL {key[0]} {key[1]}")
            print("".join(output.get(key, []))[-20000:])
    for key, outcome in sorted(tests.items()):
        if outcome == "skip":
            print(f"skipped {key[0]} {key[1]}: " + " ".join(o.strip() for o in output.get(key, []) if "---" not in o and "===" not in o))
failed = count("fail") + sum(1 for k, v in result.items() if v == "fail" and not k[1] and not any(t[0] == k[0] and tests[t] == "fail" for t in tests))
print(f"{count('pass')} passed, {failed} failed, {count('skip')} skipped")
