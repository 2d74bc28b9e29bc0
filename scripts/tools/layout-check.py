#!/usr/bin/env python3
"""Recomputes every digest of an OCI layout: an opinion that shares no code with karisimbi.

    layout-check.py LAYOUT [TAG]

Walks index.json, indexes, manifests, configs and layers; checks size and SHA-256 of each blob, the
diff id of each layer, and that nothing half-written lies in the layout. Prints the digest of the
tagged (or only) manifest if all is well; else lists all mismatches and exits 1.
"""

import gzip
import hashlib
import json
import pathlib
import sys
import zlib

BLOCK = 1 << 20
TAG = "org.opencontainers.image.ref.name"
INDEXES = ("application/vnd.oci.image.index.v1+json",
           "application/vnd.docker.distribution.manifest.list.v2+json")


class Layout:
    def __init__(self, root):
        self.root = root
        self.problems = []
        self.seen = set()

    def blob(self, descriptor):
        """The path of a blob whose size and digest are right, else none."""
        algorithm, _, hexadecimal = descriptor["digest"].partition(":")
        path = self.root / "blobs" / algorithm / hexadecimal
        if not path.is_file():
            self.problems.append(f"{descriptor['digest']} is missing")
            return None
        if descriptor["digest"] in self.seen:
            return path
        self.seen.add(descriptor["digest"])
        size = path.stat().st_size
        if size != descriptor["size"]:
            self.problems.append(f"{descriptor['digest']} has {size} bytes, not {descriptor['size']}")
        with path.open("rb") as stream:
            if sha256(stream) != hexadecimal:
                self.problems.append(f"{descriptor['digest']} holds other bytes")
        return path

    def manifest(self, descriptor):
        path = self.blob(descriptor)
        if path is None:
            return
        document = json.loads(path.read_bytes())
        if descriptor["mediaType"] in INDEXES:
            for child in document["manifests"]:
                self.manifest(child)
            return
        config_path = self.blob(document["config"])
        diff_ids = []
        if config_path:
            diff_ids = json.loads(config_path.read_bytes())["rootfs"]["diff_ids"]
            if len(diff_ids) != len(document["layers"]):
                self.problems.append(f"{descriptor['digest']}: {len(diff_ids)} diff ids for "
                                     f"{len(document['layers'])} layers")
        for layer, diff_id in zip(document["layers"], diff_ids):
            self.layer(layer, diff_id)

    def layer(self, layer, diff_id):
        path = self.blob(layer)
        if path is None or not layer["mediaType"].endswith("gzip"):
            return
        try:
            with gzip.open(path) as stream:
                unpacked = "sha256:" + sha256(stream)
        except (OSError, EOFError, zlib.error) as error:
            unpacked = str(error)
        if unpacked != diff_id:
            self.problems.append(f"{layer['digest']} unpacks to {unpacked}, not {diff_id}")


def sha256(stream):
    digest = hashlib.sha256()
    while data := stream.read(BLOCK):
        digest.update(data)
    return digest.hexdigest()


def main():
    layout = Layout(pathlib.Path(sys.argv[1]))
    marker = json.loads((layout.root / "oci-layout").read_bytes())
    if marker != {"imageLayoutVersion": "1.0.0"}:
        layout.problems.append(f"oci-layout says {marker}")
    heads = json.loads((layout.root / "index.json").read_bytes())["manifests"]
    for head in heads:
        layout.manifest(head)
    for path in (layout.root / "blobs").rglob("*"):
        if path.is_file() and len(path.name) != 64:
            layout.problems.append(f"{path} is not named by a digest")
    for problem in layout.problems:
        print(f"layout-check: {problem}", file=sys.stderr)
    wanted = [head["digest"] for head in heads
              if len(sys.argv) < 3 or head.get("annotations", {}).get(TAG) == sys.argv[2]]
    if len(wanted) != 1:
        print(f"layout-check: {len(wanted)} manifests fit", file=sys.stderr)
    if layout.problems or len(wanted) != 1:
        return 1
    print(wanted[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
