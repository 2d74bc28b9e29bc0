#!/usr/bin/env bash
# restricted-box.sh [--host-network] [-w DIR]… [-e NAME=VALUE]… -- COMMAND…
# Runs a command on this machine's own root file system as a restricted Kubernetes pod would: uid
# 1001, no capabilities, no_new_privs, the default seccomp profile of container engines, read-only
# root, /tmp a tmpfs, and only the given folders writable. Proves that a tool works in such a pod.
# Needs root and runc. Folders that only root can enter stay closed (often /root): put the program
# and its input elsewhere.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
writable=() environment=() network=private
while [ $# -gt 0 ]; do
  case $1 in
    --host-network) network=host; shift ;;
    -w) writable+=("$(realpath "$2")"); shift 2 ;;
    -e) environment+=("$2"); shift 2 ;;
    --) shift; break ;;
    *) echo "restricted-box: unknown argument $1" >&2; exit 2 ;;
  esac
done
[ $# -gt 0 ] || { echo "restricted-box: no command" >&2; exit 2; }

bundle=$(mktemp -d)
# The root is bound inside a mount namespace of its own, which is gone when the command ends, so
# nothing of the machine lies below the bundle when it is removed.
trap 'rm -rf "$bundle/state" "$bundle/config.json"; rmdir "$bundle/rootfs" "$bundle"' EXIT
mkdir "$bundle/rootfs"

python3 - "$bundle/config.json" "$here/moby-linux-seccomp.json" "$network" "$PWD" \
  ${#writable[@]} "${writable[@]}" ${#environment[@]} "${environment[@]}" "$@" <<'PY'
import json, os, sys

out, seccomp, network, folder, *rest = sys.argv[1:]
take = lambda: [rest.pop(0) for _ in range(int(rest.pop(0)))]
writable, environment, command = take(), take(), rest

def tmpfs(target, *options):
    return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", *options]}

def bind(source, *options):
    return {"destination": source, "type": "bind", "source": source, "options": ["rbind", *options]}

namespaces = ["pid", "ipc", "uts", "mount"] + (["network"] if network == "private" else [])
sets = ("bounding", "effective", "inheritable", "permitted", "ambient")
json.dump({
    "ociVersion": "1.0.2",
    "hostname": "box",
    "root": {"path": "rootfs", "readonly": True},
    "process": {
        "terminal": False,
        "user": {"uid": 1001, "gid": 1001},
        "args": command,
        "cwd": folder,
        "noNewPrivileges": True,
        "capabilities": {name: [] for name in sets},
        "env": [f"PATH={os.environ['PATH']}", "HOME=/tmp", "LANG=C.UTF-8", *environment],
    },
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        tmpfs("/dev", "strictatime", "mode=755", "size=65536k"),
        tmpfs("/dev/shm", "noexec", "nodev", "mode=1777", "size=65536k"),
        bind("/sys", "ro"),
        tmpfs("/tmp", "nodev", "mode=1777"),
        *[bind(folder, "rw") for folder in writable],
    ],
    "linux": {
        "namespaces": [{"type": name} for name in namespaces],
        "seccomp": json.load(open(seccomp)),
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
    },
}, open(out, "w"))
PY

code=0
unshare --mount sh -c 'mount --rbind / "$1/rootfs" && exec runc --root "$1/state" run --bundle "$1" "box-$$"' \
  sh "$bundle" || code=$?
exit "$code"
