#!/usr/bin/env python3
"""A small Debian mirror of the packages in a bases.lock, for mirrors that are to be broken.

debian-mirror.py copy LOCK DIR           DIR/pool, and DIR/dists/SUITE/main/binary-*/Packages
debian-mirror.py release DIR SUITE DAYS [VALID-DAYS]
                                         DIR/dists/SUITE/Release of the files as they are; dates
                                         count in days from now
"""
import hashlib
import json
import lzma
import pathlib
import sys
import time
import urllib.request


def fetch(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def stanzas(text):
    for stanza in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in stanza.split("\n") if ": " in line and line[0] != " "
        )
        if fields:
            yield fields, stanza.strip() + "\n"


def copy(lock, folder):
    for base in json.loads(lock.read_text())["bases"].values():
        for platform, locked in base["platforms"].items():
            architecture = platform.split("/")[1]
            wanted = {(p["name"], p["version"]) for p in locked["packages"]}
            kept = []
            for source in base["sources"]:
                path = f"dists/{source['suite']}/main/binary-{architecture}/Packages.xz"
                index = lzma.decompress(fetch(f"{source['mirror']}/{path}")).decode()
                for fields, stanza in stanzas(index):
                    name = (fields["Package"], fields["Version"])
                    if name not in wanted:
                        continue
                    wanted.remove(name)
                    kept.append(stanza)
                    package = folder / fields["Filename"]
                    package.parent.mkdir(parents=True, exist_ok=True)
                    package.write_bytes(fetch(f"{source['mirror']}/{fields['Filename']}"))
            assert not wanted, f"not on the mirror: {wanted}"
            index = folder / f"dists/{base['suite']}/main/binary-{architecture}/Packages"
            index.parent.mkdir(parents=True, exist_ok=True)
            index.write_text("\n".join(kept))


def release(folder, suite, days, valid=None):
    def date(days):
        moment = time.gmtime(time.time() + float(days) * 86400)
        return time.strftime("%a, %d %b %Y %H:%M:%S UTC", moment)

    top = folder / "dists" / suite
    lines = [
        "Origin: Test",
        f"Suite: {suite}",
        f"Codename: {suite}",
        f"Date: {date(days)}",
        "Architectures: amd64 arm64",
        "Components: main",
    ]
    if valid is not None:
        lines.append(f"Valid-Until: {date(valid)}")
    lines.append("SHA256:")
    for index in sorted(top.glob("main/*/Packages")):
        packed = index.with_suffix(".xz")
        packed.write_bytes(lzma.compress(index.read_bytes()))
        for file in (index, packed):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            lines.append(f" {digest} {file.stat().st_size} {file.relative_to(top)}")
    (top / "Release").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["copy", lock, folder]:
            copy(pathlib.Path(lock), pathlib.Path(folder))
        case ["release", folder, suite, days, *valid]:
            release(pathlib.Path(folder), suite, days, *valid)
        case _:
            sys.exit(__doc__)
