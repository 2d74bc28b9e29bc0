#!/usr/bin/env bash
# A hostile build script is stopped and reported, as uid 1001 and in a restricted pod's box
. "$(dirname "$0")/rig.sh"
root_only "runc and uid 1001"
packages runc python3 util-linux gcc
program

mkdir -p "$WORK/box/work" "$WORK/box/home/.ssh" "$WORK/box/source"
cp "$KARISIMBI" "$WORK/box/karisimbi"
cp "$TOOLS/hostile.py" "$WORK/box/source/hostile.py"
cp -r "$ROOT/testdata/go/hello" "$WORK/box/hello"
# Ten thousand Pythons would need the machine's memory before they are too many.
cat >"$WORK/forks.c" <<'C'
#include <unistd.h>
int main(void) {
  for (int i = 0; i < 10000; i++)
    if (fork() == 0) { sleep(600); return 0; }
  return 0;
}
C
gcc -Os -static -o "$WORK/box/source/forks" "$WORK/forks.c"
echo "the private key" >"$WORK/box/home/.ssh/id"
chown -R 1001:1001 "$WORK/box"
B=$WORK/box

# The order that karisimbi gives for a step, by a parent with a token in its environment, as in CI.
cat >"$B/order" <<'SH'
#!/bin/sh
# order KARISIMBI FOLDER LIMITS… -- ATTACK
karisimbi=$1 folder=$2; shift 2
limits=
while [ "$1" != -- ]; do limits="$limits $1"; shift; done
cd "$folder/work" || exit 9
# shellcheck disable=SC2086
env -i OUTSIDE="$folder" "$karisimbi" __launch --parent $$ --level full --read "$folder/source" \
  --write "$folder/work" $limits -- /usr/bin/python3 "$folder/source/hostile.py" "$2"
SH
chmod 755 "$B/order"

as_1001() { (cd "$B" && SECRET=token setpriv --reuid 1001 --regid 1001 --clear-groups -- "$@"); }
in_box() { (cd "$B" && "$TOOLS/restricted-box.sh" -w "$B" -e SECRET=token -- "$@"); }

for where in as_1001 in_box; do
  say "--- $where"
  "$where" "$B/order" "$B/karisimbi" "$B" -- all >"$WORK/attack" 2>"$WORK/attack.err" ||
    failed "$where: $(tail -5 "$WORK/attack.err")"
  sed 's/^/  /' "$WORK/attack"
  lacks "$where" 'SUCCEEDED' "$WORK/attack"
  same "attacks that were refused" 22 "$(grep -c 'refused' "$WORK/attack")"
  # The same without a box: the attacks are real.
  if [ "$where" = as_1001 ]; then
    (cd "$B/work" && OUTSIDE=$B as_1001 /usr/bin/python3 "$B/source/hostile.py" all) >"$WORK/free" 2>&1 || true
    say "  without the box $(grep -c SUCCEEDED "$WORK/free") of them succeed"
    at_most "refusals without a box" "$(grep -c refused "$WORK/free")" 12
    rm -f "$B/outside"
  fi

  stopped() { # NAME REGEX LIMITS… -- ATTACK
    local name=$1 why=$2 code=0
    shift 2
    "$where" "$B/order" "$B/karisimbi" "$B" "$@" >"$WORK/attack" 2>"$WORK/attack.err" || code=$?
    holds "$where $name" "$why" "$WORK/attack.err"
    say "  $name: exit $code, $(grep -m 1 'karisimbi sandbox' "$WORK/attack.err")"
  }
  stopped "fork bomb" 'stopped: it has [0-9]+ processes; 4096 are allowed' -- fork
  stopped "full disk" 'stopped: it wrote more than 268 MB' --disk 268435456 -- fill
  [ "$(du -sm "$B/work" | cut -f1)" -le 1500 ] || failed "the disk was filled: $(du -sm "$B/work")"
  rm -rf "$B/work"/fill*
  stopped "daemon" 'killed what the program left running: .*python3' -- daemon
  stopped "endless" 'stopped: it did not end within 1 s' --milliseconds 1000 -- endless
  sleep 0.3
  ! pgrep -f hostile.py >/dev/null || failed "$where: a process lives: $(pgrep -af hostile.py)"
done

# A real build: the same bytes at every level and in the box.
say "--- levels"
"$B/karisimbi" version >/dev/null
for level in require auto off; do
  digest=$(build "$WORK/digest-$level" "$B/hello" --sandbox "$level" --cache-dir "$WORK/cache-$level" \
    -o "oci:$WORK/out-$level:x")
  say "  --sandbox $level: $digest"
  [ "$level" = require ] || same "digest with --sandbox $level" "$first" "$digest"
  first=$digest
done
holds "the level" 'sandbox full$' "$WORK/digest-require.log"
holds "the level" 'sandbox none$' "$WORK/digest-off.log"
holds "the warning" 'warning\[SBX-OFF\]' "$WORK/digest-off.log"
variables=()
while read -r variable; do variables+=(-e "$variable"); done < <(network_environment)
(cd "$B" && "$TOOLS/restricted-box.sh" --host-network -w "$B" "${variables[@]}" -- "$B/karisimbi" build "$B/hello" --sandbox require --cache-dir "$B/cache" -o "oci:$B/out:x" \
  --digest-file "$B/digest") >"$WORK/out" 2>"$WORK/log" || failed "$(tail -5 "$WORK/log")"
same "digest in the box" "$first" "$(tr -d '\n' <"$B/digest")"
grep 'sandbox full' "$WORK/log"
passed
