#!/usr/bin/env python3
"""Verifies an export of the audit log, by nothing but Python's standard library.

    verify_audit.py --public-key FILE EXPORT [CHECKPOINTS ...]

EXPORT is what `sendpromptly audit export` printed. CHECKPOINTS are checkpoint files that you have kept: they
find a tail that was cut off, or a chain that was rewritten, after they were written. FILE holds the audit
key's public half, 64 hex digits; keep a copy of your own. Further lines may hold those of earlier keys whose signatures
count. The formats are told in `docs/data.md`.

Exit codes: 0 the chain is whole; 1 it is not, and the first bad entry is named; 2 wrong usage.
"""

import argparse
import datetime
import hashlib
import json
import re
import sys

ENTRY = {"type", "organization_id", "seq", "audit_id", "at", "actor", "action", "target", "commitment", "prev",
         "hash", "salt", "details"}
CHECKPOINT = {"type", "organization_id", "kind", "seq", "head", "at", "signature"}
KINDS = ["periodic", "prune", "restore"]  # in this order where two were made in the same millisecond
NO_HASH = bytes(32)


class Fault(Exception):
    """The first thing that is wrong."""


# --- Ed25519 (RFC 8032, section 5.1): verification only, so nothing here is secret or need be constant in time.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # of minus one


def point(data):
    """The point that 32 bytes stand for, in extended coordinates; None where they stand for none."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * ROOT % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar, p):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, p)
        p, scalar = add(p, p), scalar >> 1
    return total


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def has_signed(public, message, signature):
    key, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(challenge, key))
    return ((left[0] * right[2] - right[0] * left[2]) % P == 0
            and (left[1] * right[2] - right[1] * left[2]) % P == 0)


# --- Lines

def no_duplicates(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice")
    return fields


def hexadecimal(text, length):
    if not isinstance(text, str) or not re.fullmatch(f"[0-9a-f]{{{length * 2}}}", text):
        raise ValueError(f"{text!r} is not {length * 2} lower-case hex digits")
    return bytes.fromhex(text)


def organization(text):
    if not isinstance(text, str) or not text.startswith("org_"):
        raise ValueError(f"{text!r} is no organization's id")
    return hexadecimal(text[4:], 16)


def milliseconds(text):
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text, re.ASCII):
        raise ValueError(f"{text!r} is no time")
    time = datetime.datetime.strptime(text[:-1], "%Y-%m-%dT%H:%M:%S.%f")
    return (time - datetime.datetime(1970, 1, 1)) // datetime.timedelta(milliseconds=1)


def place(number):
    if type(number) is not int or not 0 <= number < 2**64:
        raise ValueError(f"{number!r} is no place in a chain")
    return number


def prefixed(text):
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no text")
    data = text.encode()
    return len(data).to_bytes(4, "big") + data


def parsed(line):
    fields = json.loads(line, object_pairs_hook=no_duplicates)
    expected = {"entry": ENTRY, "checkpoint": CHECKPOINT}.get(fields.get("type") if type(fields) is dict else None)
    if expected is None:
        raise ValueError("it is neither an entry nor a checkpoint")
    if set(fields) != expected:
        raise ValueError(f"these fields are missing or too many: {sorted(set(fields) ^ expected)}")
    return fields


def entry_of(fields):
    """Reads an entry's fields into bytes, and adds the hash and the commitment that they really have."""
    entry = {"seq": place(fields["seq"]), "at": milliseconds(fields["at"]),
             "organization": organization(fields["organization_id"]),
             **{name: hexadecimal(fields[name], 32) for name in ("commitment", "prev", "hash")}}
    texts = b"".join(prefixed(fields[name]) for name in ("actor", "action", "target"))
    entry["computed"] = hashlib.sha256(
        b"sendpromptly.audit.v1\0" + entry["organization"] + entry["seq"].to_bytes(8, "big") + entry["prev"]
        + entry["at"].to_bytes(8, "big", signed=True) + texts + entry["commitment"]).digest()
    if (fields["salt"] is None) != (fields["details"] is None):
        raise ValueError("salt and details are erased together")
    entry["committed"] = None if fields["salt"] is None else hashlib.sha256(
        b"sendpromptly.audit.details.v1\0" + hexadecimal(fields["salt"], 32) + fields["details"].encode()).digest()
    return entry


def checkpoint_of(fields, known):
    checkpoint = {"seq": place(fields["seq"]), "at": milliseconds(fields["at"]), "kind": fields["kind"],
                  "organization": organization(fields["organization_id"]),
                  "head": hexadecimal(fields["head"], 32)}
    if checkpoint["kind"] not in KINDS:
        raise ValueError(f"{checkpoint['kind']!r} is no kind of checkpoint")
    message = (b"sendpromptly.audit.checkpoint.v1\0" + checkpoint["organization"] + prefixed(checkpoint["kind"])
               + checkpoint["seq"].to_bytes(8, "big") + checkpoint["head"]
               + checkpoint["at"].to_bytes(8, "big", signed=True))
    signature = hexadecimal(fields["signature"], 64)
    if not any(has_signed(public, message, signature) for public in known):
        raise ValueError("the checkpoint was not signed by a known key, or was changed")
    return checkpoint


def read(paths, known):
    entries, checkpoints = [], []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    fields = parsed(line)
                    if fields["type"] == "entry":
                        entries.append(entry_of(fields))
                    else:
                        checkpoints.append(checkpoint_of(fields, known))
                except (ValueError, AttributeError) as error:
                    raise Fault(f"{path}, line {number}: {error}") from None
    return entries, checkpoints


# --- The walk

def held(checkpoints):
    """What the checkpoints saw, where the chain may begin, and the restores that they declare."""
    seen, starts, restores = set(), {(0, NO_HASH)}, []
    unique = {tuple(checkpoint.items()): checkpoint for checkpoint in checkpoints}.values()
    for checkpoint in sorted(unique, key=lambda it: (it["at"], KINDS.index(it["kind"]), it["seq"])):
        mark = (checkpoint["seq"], checkpoint["head"])
        if checkpoint["kind"] == "prune":
            starts.add(mark)
        if checkpoint["kind"] == "restore":
            last = max((seq for seq, _ in seen), default=0)
            restores.append((checkpoint["seq"], last))
            # Of several restores one may have left another's branch; what lies before all of them still holds.
            common = min(seq for seq, _ in restores)
            seen = {(seq, head) for seq, head in seen if seq <= common}
        seen.add(mark)
    return seen, starts, restores


def must_have_been_seen(seq, hash, seen):
    if any(place == seq and head != hash for place, head in seen):
        raise Fault(f"entry {seq} is not the one that a signed checkpoint saw: the chain was rewritten")


def beginning(entry, starts):
    claimed = (entry["seq"] - 1, entry["prev"])
    if claimed in starts:
        return claimed
    return max((start for start in starts if start[0] <= max(claimed[0], 0)), key=lambda start: start[0])


def walk(entries, seen, starts):
    """Goes over the entries; gives the place of the last one and how many were redacted."""
    before, at, redacted = beginning(entries[0], starts), None, 0
    must_have_been_seen(*before, seen)
    for entry in entries:
        seq = entry["seq"]
        if entry["organization"] != entries[0]["organization"]:
            raise Fault(f"entry {seq} belongs to another organization")
        if seq != before[0] + 1:
            raise Fault(f"entry {before[0] + 1} is missing: entry {seq} comes in its place")
        if entry["computed"] != entry["hash"]:
            raise Fault(f"entry {seq} was changed")
        if entry["prev"] != before[1]:
            raise Fault(f"entry {seq} does not follow the entry before it: one of them was replaced")
        if at is not None and entry["at"] < at:
            raise Fault(f"entry {seq} is older than the entry before it")
        if entry["committed"] not in (None, entry["commitment"]):
            raise Fault(f"the details of entry {seq} were changed")
        must_have_been_seen(seq, entry["hash"], seen)
        redacted += entry["committed"] is None
        before, at = (seq, entry["hash"]), entry["at"]
    return before[0], redacted


def verify(paths, known):
    entries, checkpoints = read(paths, known)
    if not entries:
        raise Fault("there is no entry to verify")
    owner = entries[0]["organization"]
    seen, starts, restores = held([it for it in checkpoints if it["organization"] == owner])
    end, redacted = walk(entries, seen, starts)
    last = max((seq for seq, _ in seen), default=0)
    if last > end:
        raise Fault(f"the chain ends at entry {end}, but a signed checkpoint saw entry {last}: its tail was cut off")
    if last < end:
        raise Fault(f"no signed checkpoint saw the entries after {last}: an export ends with one that did")
    for back_to, lost in restores:
        loss = f"; entries up to {lost} are a declared loss" if lost > back_to else ""
        print(f"a restore went back to entry {back_to}{loss}")
    print(f"{len(entries)} entries up to entry {end}, {redacted} of them redacted: the chain is whole")


def main():
    arguments = argparse.ArgumentParser(description="Verifies an export of the audit log.")
    arguments.add_argument("--public-key", required=True, metavar="FILE")
    arguments.add_argument("export", metavar="EXPORT")
    arguments.add_argument("checkpoints", nargs="*", metavar="CHECKPOINTS")
    options = arguments.parse_args()
    try:
        with open(options.public_key, encoding="ascii") as file:
            known = [hexadecimal(line.strip(), 32) for line in file.read().strip().split("\n")]
        verify([options.export, *options.checkpoints], known)
    except (Fault, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
