#!/usr/bin/env python3
"""layout-of-tar.py LAYOUT[:TAG] OS/ARCHITECTURE TAR... : writes an image of these layers, lowest first.

For tests only: a base made of real files by a program that is not ours. The config has PATH alone;
the tag is v1 unless it is given.
"""

import gzip
import hashlib
import json
import os
import sys


def main():
    layout, _, tag = sys.argv[1].partition(":")
    system, architecture = sys.argv[2].split("/")
    os.makedirs(os.path.join(layout, "blobs", "sha256"), exist_ok=True)

    def put(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(layout, "blobs", "sha256", digest), "wb") as blob:
            blob.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    def document(value, media_type):
        return put(json.dumps(value, sort_keys=True).encode(), media_type)

    layers, diff_ids = [], []
    for path in sys.argv[3:]:
        with open(path, "rb") as file:
            tar = file.read()
        diff_ids.append("sha256:" + hashlib.sha256(tar).hexdigest())
        layers.append(put(gzip.compress(tar, 1, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"))
    config = {
        "os": system,
        "architecture": architecture,
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": document(config, "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    }
    entry = document(manifest, manifest["mediaType"])
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag or "v1"}
    index_path = os.path.join(layout, "index.json")
    entries = []
    if os.path.exists(index_path):
        with open(index_path, encoding="utf-8") as file:
            entries = json.load(file)["manifests"]
    name = "org.opencontainers.image.ref.name"
    entries = [old for old in entries if old["annotations"][name] != (tag or "v1")] + [entry]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
    with open(index_path, "w", encoding="utf-8") as file:
        json.dump(index, file)
    with open(os.path.join(layout, "oci-layout"), "w", encoding="utf-8") as file:
        file.write('{"imageLayoutVersion": "1.0.0"}')


if __name__ == "__main__":
    main()
