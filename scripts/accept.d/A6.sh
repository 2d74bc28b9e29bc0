#!/usr/bin/env bash
# kill -9 at 20 random moments, two builds at once, and a full disk leave nothing half-written
. "$(dirname "$0")/rig.sh"
root_only "a small tmpfs"
packages jq
program

cp -r "$ROOT/testdata/go/hello" "$WORK/source"
mkdir -p "$WORK/tree"
probe_program "$WORK/tree/probe"
# Enough to encode that a kill also falls into that: 3000 small files and 48 MB without patterns.
for folder in $(seq 30); do
  mkdir "$WORK/tree/d$folder"
  for file in $(seq 100); do seq "$folder" $((folder + file)) >"$WORK/tree/d$folder/f$file"; done
done
openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 48000000 >"$WORK/tree/large" || true

arguments() { # KIND: what is built
  case $1 in
    go) printf '%s\n' "$WORK/source" ;;
    files) printf '%s\n' "$WORK/tree" --recipe files --base scratch --entrypoint "$FILES_ROOT/probe" ;;
  esac
}
# Only what is addressed by content may lie among the blobs, and it has that content.
blobs_are_whole() {
  local blob
  while read -r blob; do
    same "blob $blob" "$(basename "$blob")" "$(sha256sum <"$blob" | cut -d' ' -f1)"
  done < <(find "$1/blobs" -type f)
}

for kind in go files; do
  mapfile -t what < <(arguments $kind)
  cache=$WORK/cache-$kind
  reference=$(build "$WORK/$kind.digest" "${what[@]}" --cache-dir "$cache" -o "oci:$WORK/reference-$kind:v1")
  "$KARISIMBI" cache clear --layers --cache-dir "$cache" >/dev/null 2>&1
  start=$(date +%s%N)
  same "$kind: rebuilt" "$reference" "$(build "$WORK/$kind.digest" "${what[@]}" --cache-dir "$cache" -o "oci:$WORK/again-$kind:v1")"
  span=$((($(date +%s%N) - start) / 1000000))
  caught=0
  for round in $(seq 20); do
    "$KARISIMBI" cache clear --layers --cache-dir "$cache" >/dev/null 2>&1
    rm -rf "$WORK/out"
    # Milliseconds, spread evenly over the build with a random offset in each twentieth.
    moment=$((span * (round - 1) / 20 + RANDOM % (span / 20 + 1)))
    setsid "$KARISIMBI" build "${what[@]}" --cache-dir "$cache" -o "oci:$WORK/out:v1" >/dev/null 2>&1 &
    victim=$!
    sleep "$(awk -v ms=$moment 'BEGIN { print ms / 1000 }')"
    # The whole group: compilers die with it.
    kill -9 -- "-$victim" 2>/dev/null && caught=$((caught + 1))
    wait "$victim" 2>/dev/null || true
    [ ! -e "$WORK/out/index.json" ] || "$TOOLS/layout-check.py" "$WORK/out" >/dev/null ||
      failed "$kind: killed after $moment ms, the layout is broken"
    blobs_are_whole "$cache"
    after=$(build "$WORK/after" "${what[@]}" --cache-dir "$cache" -o "oci:$WORK/out:v1" 2>/dev/null)
    same "$kind: digest after kill -9 at $moment ms" "$reference" "$after"
    same "$kind: layout after kill -9 at $moment ms" "$reference" "$("$TOOLS/layout-check.py" "$WORK/out" v1)"
    "$KARISIMBI" cache verify --cache-dir "$cache" >"$WORK/verify.log" 2>&1 ||
      failed "$kind: cache verify after kill -9 at $moment ms: $(tail -3 "$WORK/verify.log")"
  done
  [ "$caught" -ge 15 ] || failed "$kind: only $caught of 20 builds were still running when killed"
  say "$kind: $caught of 20 builds killed within $span ms; each next build gave $reference"
done

for kind in go files; do
  mapfile -t what < <(arguments $kind)
  pids=()
  for side in left right; do
    "$KARISIMBI" build "${what[@]}" --cache-dir "$WORK/shared-$kind" -o "oci:$WORK/$side-$kind:v1" \
      --digest-file "$WORK/$side" >/dev/null 2>"$WORK/$side.log" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || failed "$kind: two builds at once: $(tail -3 "$WORK/left.log" "$WORK/right.log")"
  done
  same "$kind: digests of two builds at once" "$(<"$WORK/left")" "$(<"$WORK/right")"
  same "$kind: and of one" "$(<"$WORK/$kind.digest")" "$(<"$WORK/left")"
  "$KARISIMBI" cache verify --cache-dir "$WORK/shared-$kind" >/dev/null 2>"$WORK/verify.log" ||
    failed "$kind: cache verify after two builds at once: $(tail -3 "$WORK/verify.log")"
  say "$kind: two builds at once gave one digest"
done

mkdir "$WORK/small"
mount -t tmpfs -o size=8m,mode=755 tmpfs "$WORK/small"
mounts+=("$WORK/small")
mapfile -t what < <(arguments files)
refused "a full cache disk" STORE-FULL "${what[@]}" --cache-dir "$WORK/small/cache" -o "oci:$WORK/full:v1"
blobs_are_whole "$WORK/small/cache"
[ ! -e "$WORK/full/index.json" ] || failed "a failed build wrote an image"
at_most "kB left on the full disk" "$(du -sk "$WORK/small" | cut -f1)" 1024
rm -rf "$WORK/small/cache"
refused "a full output disk" '[A-Z]+-[A-Z-]+' "${what[@]}" --cache-dir "$WORK/cache-files" -o "oci:$WORK/small/out:v1"
[ ! -e "$WORK/small/out/index.json" ] || failed "a failed build wrote an image to the full disk"
holds "the message names the folder" "$WORK/small" "$WORK/refused.log"
passed
