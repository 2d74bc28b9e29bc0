#!/usr/bin/env bash
# Never stale, hardly ever rebuilt: same-size edits are seen; a second build runs, writes, sends nothing
. "$(dirname "$0")/rig.sh"
packages docker-registry curl jq git
program
registry plain
logging_proxy "$WORK/requests"

cp -r "$ROOT/testdata/go/hello" "$WORK/source"
cat >"$WORK/source/stamp.go" <<'GO'
package main

import "os"

func init() {
	if os.Getenv("KARISIMBI_STAMP") == "AAAA" {
		os.Exit(3)
	}
}
GO
touch -d @1600000000 "$WORK/source/stamp.go"

# A Go root whose go logs each start, also when it is found through `go env GOROOT`.
real=$(go env GOROOT)
mkdir -p "$WORK/goroot/bin"
for entry in "$real"/*; do
  [ "$(basename "$entry")" = bin ] || ln -s "$entry" "$WORK/goroot/"
done
cat >"$WORK/goroot/bin/go" <<SH
#!/bin/sh
echo "go \$*" >>"$WORK/go.log"
GOROOT="$WORK/goroot" exec "$real/bin/go" "\$@"
SH
chmod +x "$WORK/goroot/bin/go"
ln -s "$real/bin/gofmt" "$WORK/goroot/bin/gofmt"
export PATH=$WORK/goroot/bin:$PATH
same "GOROOT" "$WORK/goroot" "$(go env GOROOT)"

push() {
  build "$WORK/$1.digest" "$WORK/source" --cache-dir "$WORK/cache" -t "$REGISTRY/accept/a5:v1" --push
}
# What is in the store. A file that is written again is another inode, because the store renames;
# times of records say when they were used last.
blobs() {
  {
    find "$WORK/cache/blobs" -type f -printf '%i %s %T@ %p\n'
    find "$WORK/cache/records" -type f -printf '%i %s %p\n'
  } | sort
}

: >"$WORK/go.log"
first=$(push first)
[ -s "$WORK/go.log" ] || failed "the first build did not start the logging go"
[ "$(grep -c ^PUT "$WORK/requests")" -ge 3 ] || failed "the first push sent fewer than 3 PUTs"
say "first build: $(wc -l <"$WORK/go.log") starts of go, $(grep -c . "$WORK/requests") requests"

blobs >"$WORK/blobs.before"
: >"$WORK/go.log"
: >"$WORK/requests"
second=$(push second)
blobs >"$WORK/blobs.after"
same "digest of the second build" "$first" "$second"
same "starts of go in the second build" "" "$(cat "$WORK/go.log")"
cmp -s "$WORK/blobs.before" "$WORK/blobs.after" ||
  failed "the second build wrote: $(diff "$WORK/blobs.before" "$WORK/blobs.after" | head -5)"
lacks "requests of the second build" '^(POST|PUT|PATCH)' "$WORK/requests"
same "request body bytes" 0 "$(awk '{ bytes += $3 } END { print bytes + 0 }' "$WORK/requests")"
same "bytes of blobs received" 0 "$(awk '$5 ~ /\/blobs\// { bytes += $4 } END { print bytes + 0 }' "$WORK/requests")"
say "second build: no go, no blob written, requests: $(cut -d' ' -f1,2,5 "$WORK/requests" | paste -sd';')"
"$KARISIMBI" build "$WORK/source" --cache-dir "$WORK/cache" -t "$REGISTRY/accept/a5:v1" --push \
  --expect-cached >/dev/null 2>"$WORK/expect.log" || failed "--expect-cached: $(tail -3 "$WORK/expect.log")"

sed -i s/AAAA/BBBB/ "$WORK/source/stamp.go"
touch -d @1600000000 "$WORK/source/stamp.go"
edited=$(push edited)
different "digest after a same-size, same-mtime edit" "$first" "$edited"
sed -i s/BBBB/AAAA/ "$WORK/source/stamp.go"
touch -d @1600000000 "$WORK/source/stamp.go"
same "digest after the edit was taken back" "$first" "$(push restored)"

# Wall time, interleaved, against go build of the unchanged tree (its own up-to-date test).
go_build() {
  (cd "$WORK/source" && "$@" "$real/bin/go" build -trimpath -buildvcs=false -ldflags '-s -w' -o "$WORK/plain" .)
}
go_build env
for _ in 1 2 3 4 5 6 7; do
  go_build "$TOOLS/measure.py" "$WORK/go.rows"
  "$TOOLS/measure.py" "$WORK/our.rows" "$KARISIMBI" build "$WORK/source" --cache-dir "$WORK/cache" \
    -t "$REGISTRY/accept/a5:v1" --push >/dev/null 2>&1
done
ours=$("$TOOLS/measure.py" --median wall_ms "$WORK/our.rows")
theirs=$("$TOOLS/measure.py" --median wall_ms "$WORK/go.rows")
say "unchanged tree, median of 7: karisimbi build --push $ours ms, go build $theirs ms, ratio $(ratio "$ours" "$theirs")"
passed
