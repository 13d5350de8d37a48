#!/usr/bin/env python3
"""The reference for mailtwin dedupe: a straightforward script, single-threaded, that reads every message of a Maildir and keeps a
hash for each Message-ID. Prints the number of duplicates. dedupe_reference.py MAILDIR"""
import hashlib
import os
import sys

IGNORED = {b"received", b"x-received", b"received-spf", b"return-path", b"delivered-to", b"delivery-date", b"envelope-to",
           b"x-original-to", b"authentication-results", b"x-spam-status", b"status", b"x-status", b"lines", b"content-length",
           b"x-uid", b"x-uidl", b"x-tuid", b"x-offlineimap"}


def identity(path):
    with open(path, "rb") as f:
        text = f.read().replace(b"\r\n", b"\n")
    head, _, body = text.partition(b"\n\n")
    kept, message_id, skipping = [], b"", False
    for line in head.split(b"\n"):
        if line[:1] not in (b" ", b"\t"):
            name = line.partition(b":")[0].lower()
            skipping = name in IGNORED
            if name == b"message-id":
                message_id = line.partition(b":")[2].strip()
        if not skipping:
            kept.append(line)
    return message_id, hashlib.md5(b"\n".join(kept) + b"\n\n" + body).digest()


def main():
    seen, doubles = {}, 0
    for sub in ("new", "cur"):
        for entry in os.scandir(os.path.join(sys.argv[1], sub)):
            message_id, digest = identity(entry.path)
            known = seen.setdefault(message_id, set())
            doubles += digest in known
            known.add(digest)
    print(doubles)


main()
