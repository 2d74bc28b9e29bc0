#!/usr/bin/env bash
# A tree of real npm packages: 4x faster than tar | gzip -6 with both hashes; memory at any size
. "$(dirname "$0")/rig.sh"
packages tar gzip coreutils openssl jq
program
npm_tree
cp -r "$NPM_TREE" "$WORK/tree"
probe_program "$WORK/tree/probe"
files=$(find "$WORK/tree" -type f | wc -l)
say "$files files, $(du -s --apparent-size --block-size=1M "$WORK/tree" | cut -f1) MiB"

ours() {
  rm -rf "$WORK/cache" "$WORK/out"
  "$TOOLS/measure.py" "$WORK/ours.rows" "$KARISIMBI" build "$WORK/tree" --recipe files --base scratch \
    --entrypoint "$FILES_ROOT/probe" --no-cache --cache-dir "$WORK/cache" -o "oci:$WORK/out:v1" \
    >/dev/null 2>"$WORK/ours.log" || failed "$(tail -3 "$WORK/ours.log")"
}
# The like-for-like by hand: a sorted, normalised tar, its diff id, gzip -6, its digest.
cat >"$WORK/by-hand" <<'SH'
set -euo pipefail
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@315532801 --format=posix \
  --pax-option=delete=atime,delete=ctime -C "$1" -cf - . |
  tee >(sha256sum >"$2.diff-id") | gzip -6 -n | tee "$2.gz" | sha256sum >"$2.digest"
SH
by_hand() {
  "$TOOLS/measure.py" "$WORK/by-hand.rows" bash "$WORK/by-hand" "$WORK/tree" "$WORK/by-hand.out"
}
# The page cache is warmed for both, then the two take turns.
find "$WORK/tree" -type f -exec cat {} + >/dev/null
for _ in 1 2 3 4 5; do ours; by_hand; done

"$TOOLS/layout-check.py" "$WORK/out" v1 >/dev/null
layer=$(find "$WORK/out/blobs" -type f -size +1M)
same "layers over 1 MiB" 1 "$(wc -l <<<"$layer")"
same "files in the layer" "$files" "$(gzip -dc "$layer" | tar -tvf - | grep -c '^-')"

our_wall=$("$TOOLS/measure.py" --median wall_ms "$WORK/ours.rows")
their_wall=$("$TOOLS/measure.py" --median wall_ms "$WORK/by-hand.rows")
our_size=$(stat -c %s "$layer")
their_size=$(stat -c %s "$WORK/by-hand.out.gz")
rss=$(jq -s 'map(.rss_kb) | max' "$WORK/ours.rows")
say "wall, median of 5: karisimbi $our_wall ms, tar | gzip -6 with both hashes $their_wall ms, ratio $(ratio "$their_wall" "$our_wall")"
say "size: karisimbi $our_size bytes, gzip -6 $their_size bytes, ratio $(ratio "$our_size" "$their_size")"
say "peak memory: $rss kB"
at_most "4x our wall time" $((our_wall * 4)) "$their_wall"
at_most "size beyond 105 % of gzip -6" $((our_size * 100)) $((their_size * 105))
at_most "kB of memory" "$rss" 65536

mkdir "$WORK/big"
cp "$WORK/tree/probe" "$WORK/big/probe"
openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 1073741824 >"$WORK/big/data" || true
head -c 1073741824 /dev/zero | tr '\0' 'x' >>"$WORK/big/data"
same "bytes of the large file" 2147483648 "$(stat -c %s "$WORK/big/data")"
"$TOOLS/measure.py" "$WORK/big.rows" "$KARISIMBI" build "$WORK/big" --recipe files --base scratch \
  --entrypoint "$FILES_ROOT/probe" --cache-dir "$WORK/cache" -o "oci:$WORK/big-out:v1" \
  >/dev/null 2>"$WORK/big.log" || failed "$(tail -3 "$WORK/big.log")"
"$TOOLS/layout-check.py" "$WORK/big-out" v1 >/dev/null
rss=$(jq -s 'map(.rss_kb) | max' "$WORK/big.rows")
say "a file of 2 GiB: peak memory $rss kB, $("$TOOLS/measure.py" --median wall_ms "$WORK/big.rows") ms"
at_most "kB of memory with a file of 2 GiB" "$rss" 65536
passed
