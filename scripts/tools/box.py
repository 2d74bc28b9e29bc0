#!/usr/bin/env python3
"""Turns a bundle that umoci unpacked into a restricted container for runc or crun.

A restricted Kubernetes pod runs as uid 1001 with a read-only root, without capabilities, with
no_new_privs and the container engine's default seccomp profile. Each of these is an option here,
so that a test says what it relies on.
"""

import argparse
import json
import pathlib

CAPABILITY_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=pathlib.Path, help="the folder with config.json and rootfs")
    parser.add_argument("--user", metavar="UID:GID", help="run as this user")
    parser.add_argument("--read-only", action="store_true", help="mount the root read-only")
    parser.add_argument("--no-capabilities", action="store_true",
                        help="drop every capability and set no_new_privs")
    parser.add_argument("--seccomp", metavar="FILE", type=pathlib.Path,
                        help="an OCI linux.seccomp document")
    parser.add_argument("--env", metavar="NAME=VALUE", action="append", default=[])
    parser.add_argument("--tmpfs", metavar="DIR", action="append", default=[])
    parser.add_argument("--args", metavar="ARG", nargs="+",
                        help="run this instead of the image's entrypoint (last option)")
    return parser.parse_args()


def main():
    options = arguments()
    path = options.bundle / "config.json"
    config = json.loads(path.read_text())
    process = config["process"]
    process["terminal"] = False
    if options.user:
        uid, gid = options.user.split(":")
        process["user"] = {"uid": int(uid), "gid": int(gid)}
    if options.read_only:
        config["root"]["readonly"] = True
    if options.no_capabilities:
        process["noNewPrivileges"] = True
        process["capabilities"] = {name: [] for name in CAPABILITY_SETS}
    if options.seccomp:
        config["linux"]["seccomp"] = json.loads(options.seccomp.read_text())
    process["env"] = process.get("env", []) + options.env
    for target in options.tmpfs:
        config["mounts"].append({
            "destination": target, "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "nodev", "mode=1777"],
        })
    if options.args:
        process["args"] = options.args
    path.write_text(json.dumps(config, indent=1))


if __name__ == "__main__":
    main()
