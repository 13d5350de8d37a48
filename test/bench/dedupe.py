#!/usr/bin/env python3
"""Measures mailtwin dedupe beside the reference script: 300,000 messages of 2 KB, 100,000 of them duplicates (exact, with other
transport headers, with CRLF), and near-duplicates among the rest that must stay.

dedupe.py --mailtwin PROGRAM [--dir /dev/shm] [--n 300000] [--delete]"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

LINES = [b"%064x some words of a message that is about nothing in particular\n" % (n * 7919) for n in range(64)]


def body(n):
    rnd = random.Random(n)
    return b"This is message %d.\n" % n + b"".join(rnd.choice(LINES) for _ in range(12))


def header(n, hop):
    return (b"Return-Path: <a%d@example.org>\nDelivered-To: me%d@example.org\nReceived: from mx%d.example.org by mail.example.org;\n"
            b"\tMon, 2 Mar 2026 10:00:%02d +0000\nX-TUID: %012d\n" % (hop, hop, hop, hop % 60, hop))


def message(n, hop=1, extra=b"", message_id=None):
    return (header(n, hop) + b"From: Sender %d <s%d@example.org>\nTo: me@example.org\nSubject: message %d\nMessage-ID: <%d@example.org>\n"
            b"Date: Mon, 2 Mar 2026 10:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n"
            % (n, n, n, n if message_id is None else message_id) + body(n) + extra)


def fill(root, total, doubles):
    """Writes total messages, doubles of which are duplicates, and returns how many there are of each kind."""
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(root, sub))
    kinds, at = {}, 0

    def put(text, kind):
        nonlocal at
        name = "%d.M%dP%d.host,S=%d:2,%s" % (1700000000 + at, at % 1000000, at % 65536, len(text), "S" if at % 3 else "")
        path = os.path.join(root, "cur", name)
        with open(path, "wb") as f:
            f.write(text)
        os.utime(path, (1700000000 + at, 1700000000 + at))
        kinds[kind] = kinds.get(kind, 0) + 1
        at += 1

    unique = total - doubles
    near = max(unique // 100, 4)
    for n in range(unique - near):
        put(message(n), "unique")
    for k in range(near):
        n = k % (unique - near)
        if k % 4 == 0:
            put(message(n, extra=b"--\nthe list's footer\n"), "same Message-ID, other body")
        elif k % 4 == 1:
            put(message(n, message_id=10 ** 9 + k), "same body, other Message-ID")
        elif k % 4 == 2:
            put(b"", "empty")
        else:
            put(message(n, extra=b"a later draft %d\n" % k), "draft of one message")
    for k in range(doubles):
        n = (k * 3) % (unique - near)
        if k % 3 == 0:
            put(message(n), "exact duplicate")
        elif k % 3 == 1:
            put(message(n, hop=2 + k % 50), "duplicate with other transport headers")
        else:
            put(message(n).replace(b"\n", b"\r\n"), "duplicate with CRLF")
    return kinds


# The peak memory of a process counts from what its parent had when it began; so a small one begins it.
MEASURE = ("import os,subprocess,sys,time; b=time.monotonic(); p=subprocess.Popen(sys.argv[1:]); _,s,u=os.wait4(p.pid,0); "
           "print(os.waitstatus_to_exitcode(s), time.monotonic()-b, u.ru_maxrss/1024, file=sys.stderr)")


def run(command, env=None):
    """Returns the last line of the output, seconds and megabytes."""
    with tempfile.TemporaryFile() as out:
        p = subprocess.run([sys.executable, "-S", "-E", "-c", MEASURE, *command], stdout=out, stderr=subprocess.PIPE, env=env)
        code, took, memory = p.stderr.decode().splitlines()[-1].split()
        if code not in ("0", "3"):
            sys.exit("%s: %s" % (" ".join(command), p.stderr.decode()))
        out.seek(0, os.SEEK_END)
        out.seek(max(0, out.tell() - 4096))
        lines = out.read().decode().splitlines()
    return lines[-1] if lines else "", float(took), float(memory)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--mailtwin", required=True)
    p.add_argument("--dir", default=None, help="where the messages go; /dev/shm is memory")
    p.add_argument("--n", type=int, default=300000)
    p.add_argument("--delete", action="store_true", help="also remove the duplicates, and compare what stays")
    a = p.parse_args()
    doubles = a.n // 3
    home = tempfile.mkdtemp(prefix="mailtwin-dedupe-", dir=a.dir)
    failed = False
    try:
        root = os.path.join(home, "Mail")
        kinds = fill(root, a.n, doubles)
        print("%d messages: %s" % (a.n, ", ".join("%d %s" % (n, k) for k, n in kinds.items())))
        time.sleep(2.1)
        reference = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dedupe_reference.py")
        run([sys.executable, reference, root])  # so that both find the files in memory
        out, script, memory = run([sys.executable, reference, root])
        print("reference     %6.2f s  %5.0f MB  %s duplicates (it takes empty messages for such)" % (script, memory, out))
        env = {**os.environ, "HOME": home, "XDG_CACHE_HOME": home + "/cache", "XDG_STATE_HOME": home + "/state"}
        times = []
        for what in ("first", "second", "third"):
            out, took, memory = run([a.mailtwin, "dedupe", "--quiet", root], env)
            times.append((took, memory))
            print("mailtwin %-6s %5.2f s  %5.0f MB" % (what, took, memory))
        out, took, memory = run([a.mailtwin, "dedupe", "--json", root], env)
        last = json.loads(out)
        stays = kinds.get("unique", 0)
        print("mailtwin --json %4.2f s  %5.0f MB  %d duplicates" % (took, memory, last["copies"]))
        checks = [("all found, none wrongly", last["copies"] == doubles), ("below 64 MB", max(m for _, m in times) < 64),
                  ("at least twice as fast as the script: %.1f times" % (script / times[0][0]), script >= 2 * times[0][0]),
                  ("second run at least 10 times faster: %.1f times" % (times[0][0] / times[1][0]), times[0][0] >= 10 * times[1][0])]
        if a.delete:
            out, took, memory = run([a.mailtwin, "dedupe", "--delete", "--json", root], env)
            last = json.loads(out)
            left = len(os.listdir(root + "/cur"))
            print("mailtwin --delete %3.2f s  %5.0f MB  %d removed, %d stay" % (took, memory, last["removed"], left))
            checks.append(("what stays", last["removed"] == doubles and left == a.n - doubles and stays > 0))
            checks.append(("below 64 MB with --delete", memory < 64))
        for what, ok in checks:
            print("%s: %s" % ("ok" if ok else "FAILED", what))
            failed = failed or not ok
    finally:
        shutil.rmtree(home)
    sys.exit(failed)


main()
