#!/usr/bin/env bash
# assembly-cpu.sh PROGRAM DIR: the CPU time of assembling python3.13 without .pyc, against that of
# dpkg-deb -x of the same packages, tar and gzip -6. DIR is a new folder. Prints two times in
# milliseconds and their ratio: the least of three runs each, in turn. Needs dpkg-deb, jq, a mirror.
set -euo pipefail
program=$1
mkdir "$2"
cd "$2"
TIMEFORMAT='%U %S'

assemble() {
  "$program" base build python3.13 --no-pyc --platform linux/amd64 --cache-dir cache "$@" -o oci:out:v1
}
unpack() {
  local package=0 file
  while read -r file; do
    package=$((package + 1))
    dpkg-deb -x "cache/blobs/sha256/$file" root
  done <packages
  tar -C root -cf - . | gzip -6 >root.tar.gz
}
milliseconds() {
  { time "$@" >log 2>&1; } 2>&1 | tail -1 | awk '{ printf "%d", ($1 + $2) * 1000 }'
}
least() { sort -n "$1" | head -1; }

# The first run resolves, locks and fetches: that is not what is measured.
"$program" base lock python3.13 --platform linux/amd64 --cache-dir cache >log 2>&1 || { cat log >&2; exit 1; }
assemble >log 2>&1 || { cat log >&2; exit 1; }
jq -r '.bases["python3.13"].platforms["linux/amd64"].packages[].sha256' bases.lock |
  cut -d: -f2 >packages
for _ in 1 2 3; do
  # Without its record a layer is assembled and encoded again; the packages stay.
  rm -rf cache/records/* out root root.tar.gz
  milliseconds assemble --offline >>ours
  echo >>ours
  milliseconds unpack >>theirs
  echo >>theirs
done
sed -i '/^$/d' ours theirs
awk -v ours="$(least ours)" -v theirs="$(least theirs)" \
  'BEGIN { printf "%d %d %.2f\n", ours, theirs, ours / theirs }'
