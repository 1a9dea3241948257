#!/usr/bin/env python3
"""Verifies an export of an organization, by nothing but Python's standard library.

    verify_export.py DIRECTORY

DIRECTORY is what `sendpromptly org export` wrote. Every file must be as the manifest says, and every line an object
of JSON. Compare the manifest's SHA-256, which is printed, with the one that the command printed. The audit log in it
proves itself: verify_audit.py --public-key FILE DIRECTORY/audit.jsonl. The formats are told in `docs/data.md`.

Exit codes: 0 the export is whole; 1 it is not; 2 wrong usage.
"""

import hashlib
import json
import pathlib
import sys

MANIFEST = "manifest.json"


class Fault(Exception):
    """The first thing that is wrong."""


def check_file(directory, listed):
    name = listed["name"]
    if pathlib.PurePath(name).name != name:
        raise Fault(f"{name}: not the name of a file")
    path = directory / name
    if path.is_symlink() or not path.is_file():
        raise Fault(f"{name}: is not there")
    hashed, lines, size = hashlib.sha256(), 0, 0
    with open(path, "rb") as file:
        for line in file:
            hashed.update(line)
            lines, size = lines + 1, size + len(line)
            if not line.endswith(b"\n"):
                raise Fault(f"{name}: ends within a line")
            try:
                is_object = type(json.loads(line)) is dict
            except ValueError:
                is_object = False
            if not is_object:
                raise Fault(f"{name}, line {lines}: no object of JSON")
    if (size, lines, hashed.hexdigest()) != (listed["bytes"], listed["lines"], listed["sha256"]):
        raise Fault(f"{name}: was changed")
    return lines


def verify(directory):
    text = (directory / MANIFEST).read_bytes()
    manifest = json.loads(text)
    if manifest["format"] != "sendpromptly.export.v1":
        raise Fault(f"{MANIFEST}: another format")
    names = [listed["name"] for listed in manifest["files"]]
    there = {path.name for path in directory.iterdir()}
    if len(set(names)) != len(names) or there != {*names, MANIFEST}:
        raise Fault(f"the manifest does not list these files once each: {sorted(there ^ {*names, MANIFEST})}")
    lines = sum(check_file(directory, listed) for listed in manifest["files"])
    print(f"{manifest['organization_id']} as of {manifest['exported_at']}: {len(names)} files, {lines} lines, whole")
    print(f"manifest SHA-256 {hashlib.sha256(text).hexdigest()}")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        verify(pathlib.Path(sys.argv[1]))
    except (Fault, OSError, ValueError, KeyError, TypeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
