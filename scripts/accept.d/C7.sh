#!/usr/bin/env bash
# Python starts several times faster with the compiled standard library than without
. "$(dirname "$0")/rig.sh"
root_only "umoci and runc"
packages umoci runc
program
mkdir "$WORK/lock"
cd "$WORK/lock"

cat >"$WORK/start.py" <<'PY'
import asyncio, email, http.client, http.server, json, logging, sqlite3, ssl, urllib.request
PY

# bundle NAME ARGUMENT…: a bundle of the base that starts Python as a server of the network would.
bundle() {
  local name=$1
  shift
  "$KARISIMBI" base build python3.13 "$@" --cache-dir "$WORK/cache" -o "oci:$WORK/out:$name" \
    >"$WORK/$name.out" 2>"$WORK/$name.log" || failed "base build: $(tail -5 "$WORK/$name.log")"
  umoci unpack --image "$WORK/out:$name" "$WORK/$name" >"$WORK/$name.unpack" 2>&1 ||
    failed "umoci unpack: $(tail -3 "$WORK/$name.unpack")"
  cp "$WORK/start.py" "$WORK/$name/rootfs/start.py"
  "$TOOLS/box.py" "$WORK/$name" --user 1001:1001 --read-only --no-capabilities \
    --args python3 /start.py
}
bundle with
bundle without --no-pyc

# milliseconds NAME: the least CPU time of five starts.
milliseconds() {
  local name=$1 run least=999999 spent
  TIMEFORMAT='%U %S'
  for run in 1 2 3 4 5; do
    spent=$({ time runc --root "$WORK/runc" run --bundle "$WORK/$name" "accept-$$-$name-$run" >&2; } 2>&1 |
      tail -1 | awk '{ printf "%d", ($1 + $2) * 1000 }')
    [ "$spent" -ge "$least" ] || least=$spent
  done
  echo "$least"
}
# What runc itself takes is part of both, and known from an empty program.
echo >"$WORK/with/rootfs/empty.py"
with=$(milliseconds with)
without=$(milliseconds without)
"$TOOLS/box.py" "$WORK/with" --args python3 /empty.py
empty=$(milliseconds with)
imports=$((with - empty > 0 ? with - empty : 1))
say "CPU of start and imports: $with ms with .pyc, $without ms without; an empty program takes $empty ms"
say "imports alone: $(ratio $((without - empty)) "$imports") times"
[ $((without - empty)) -ge $((2 * imports)) ] ||
  failed "imports without .pyc are not even twice as slow"
passed
