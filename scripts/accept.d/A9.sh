#!/usr/bin/env bash
# Every documented error code has its test; hostile repositories are refused or harmless
. "$(dirname "$0")/rig.sh"
root_only "device files"
packages git coreutils
program

# --- codes ---------------------------------------------------------------------------------------
codes="
  LAYER-CHANGED LAYER-SPECIAL LAYER-SETID LAYER-PATH LAYER-WHITEOUT LAYER-DUPLICATE LAYER-TOO-LARGE
  LAYER-READ LAYER-FORMAT STORE-FULL CACHE-CORRUPT CACHE-MISMATCH BASE-CONFIG BASE-MEDIA
  BASE-PLATFORM GO-NONE GO-OLD GO-TC-DL GO-MAIN GO-NOTMAIN GO-SUM GO-OFF GO-PROXY GO-PRIVATE GO-VENDOR
  GO-CGO-REQ GO-CGO-STUB GO-VCS GO-CACHE GO-EMBED GO-RACE GO-REPLACE GO-OOM
"
# It is about the previous image as cache, which is not built yet.
later="CACHE-REMOTE"

# What the program says, and what tests expect. Unit tests begin at #[cfg(test)] in a file, or are
# in a file of their own.
sources() { find "$ROOT/src" -name '*.rs' "$@"; }
split='FNR == 1 { test = 0 } /^#\[cfg\(test\)\]/ { test = 1 }'
sources ! -name '*_tests.rs' ! -name tests.rs -exec awk "$split !test" {} + >"$WORK/said"
{
  sources ! -name '*_tests.rs' ! -name tests.rs -exec awk "$split test" {} +
  sources '(' -name '*_tests.rs' -o -name tests.rs ')' -exec cat {} +
  find "$ROOT/tests/it" -name '*.rs' -exec cat {} +
} >"$WORK/expected"
unsaid=() untested=()
for code in $codes; do
  grep -q "\"$code\"" "$WORK/said" || unsaid+=("$code")
  grep -Eq "$code([^A-Z-]|\$)" "$WORK/expected" || untested+=("$code")
done
[ ${#unsaid[@]} = 0 ] || failed "no error has the codes ${unsaid[*]}"
[ ${#untested[@]} = 0 ] || failed "no test expects the codes ${untested[*]}"
say "$(wc -w <<<"$codes") codes, each expected by a test; not yet: $later"
ended=0
run cargo test --locked --manifest-path "$ROOT/Cargo.toml" >"$WORK/test.log" 2>&1 || ended=$?
grep '^test result:' "$WORK/test.log"
[ "$ended" = 0 ] || failed "$(grep -E '^test .* FAILED$|panicked at' "$WORK/test.log" | head -20)"

# --- hostile repositories ------------------------------------------------------------------------
# temporary_folders: what a build may leave in /tmp must be gone when it ends.
temporary_folders() { find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'karisimbi-[0-9a-f]*' ! -name 'karisimbi-accept-*' | sort; }
before=$(temporary_folders)
cache=$WORK/cache

tree() { # NAME: a fresh tree that would build
  mkdir -p "$WORK/$1"
  cp "$WORK/probe" "$WORK/$1/probe"
}
files() { # NAME ARGUMENTS…
  printf '%s\n' "$WORK/$1" --recipe files --base scratch --entrypoint "$FILES_ROOT/probe" \
    --cache-dir "$cache" -o "oci:$WORK/out-$1:v1"
}
refused_tree() { # NAME CODE
  local arguments
  mapfile -t arguments < <(files "$1")
  refused "$1" "$2" "${arguments[@]}"
  [ ! -e "$WORK/out-$1/index.json" ] || failed "$1: an image was written"
  [ -z "$(find "$cache/tmp" -type f 2>/dev/null)" ] || failed "$1: left $(find "$cache/tmp" -type f)"
}
# harmless NAME ARGUMENTS…: either built or refused with an error of the user's, never a crash.
harmless() {
  local name=$1 code=0
  shift
  timeout 300 "$KARISIMBI" build "$@" >"$WORK/harmless.out" 2>"$WORK/harmless.log" || code=$?
  case $code in
    0) say "$name: built" ;;
    1 | 2)
      holds "the refusal of $name" '[A-Z]+-[A-Z]+' "$WORK/harmless.log"
      say "$name: refused: $(grep -m 1 -E '[A-Z]+-[A-Z]+' "$WORK/harmless.log")"
      ;;
    *) failed "$name: exit code $code: $(tail -c 600 "$WORK/harmless.log")" ;;
  esac
  [ $code != 0 ] || "$TOOLS/layout-check.py" "$WORK/out-$name" >/dev/null
}
layers_of() { find "$WORK/out-$1/blobs" -type f -exec sh -c 'gzip -dc "$1" 2>/dev/null | tar -xOf - 2>/dev/null' sh {} \;; }

probe_program "$WORK/probe"
head -c 32 /dev/urandom | sha256sum | cut -c1-40 >"$WORK/secret"

tree links
ln -s "$WORK/secret" "$WORK/links/absolute"
ln -s ../secret "$WORK/links/upwards"
ln -s ../../../../../../../../etc "$WORK/links/etc"
mapfile -t arguments < <(files links)
harmless links "${arguments[@]}"
[ ! -e "$WORK/out-links" ] || ! layers_of links | grep -q -f "$WORK/secret" ||
  failed "a link out of the tree carried the file behind it into the image"

tree whiteout
: >"$WORK/whiteout/.wh.etc"
refused_tree whiteout LAYER-WHITEOUT
# The source walk meets special files before the layer does: either may refuse them.
tree setid
chmod 4755 "$WORK/setid/probe"
refused_tree setid LAYER-SETID
tree fifo
mkfifo "$WORK/fifo/pipe"
refused_tree fifo '(LAYER|SRC)-SPECIAL'
tree device
mknod "$WORK/device/null" c 1 3
refused_tree device '(LAYER|SRC)-SPECIAL'
tree sparse
truncate -s 9G "$WORK/sparse/huge"
refused_tree sparse '(LAYER-TOO-LARGE|SRC-LIMIT)'
tree latin1
: >"$WORK/latin1/$(printf 'caf\351')"
refused_tree latin1 '(LAYER-PATH|SRC-[A-Z]+)'

tree newlines
: >"$WORK/newlines/$(printf 'a\nb\tc')"
: >"$WORK/newlines/-rf"
mapfile -t arguments < <(files newlines)
harmless newlines "${arguments[@]}"

# Deeper than PATH_MAX allows to name in one go.
tree nesting
python3 - "$WORK/nesting" <<'PY'
import os, sys
os.chdir(sys.argv[1])
for _ in range(5000):
    os.mkdir("d")
    os.chdir("d")
open("file", "w").close()
PY
mapfile -t arguments < <(files nesting)
harmless nesting "${arguments[@]}"

# A repository whose configuration wants to run programs, and a hook, local and cloned.
mkdir "$WORK/git"
cp -r "$ROOT/testdata/go/hello/." "$WORK/git/"
git -C "$WORK/git" init --quiet --initial-branch=main
git -C "$WORK/git" add .
git -C "$WORK/git" -c user.name=acceptance -c user.email=acceptance@localhost commit --quiet -m 'hello'
marker=$WORK/ran
printf '#!/bin/sh\necho "$0" >>"%s"\n' "$marker" >"$WORK/evil"
chmod +x "$WORK/evil"
for hook in post-checkout post-merge pre-commit reference-transaction; do
  cp "$WORK/evil" "$WORK/git/.git/hooks/$hook"
done
cat >>"$WORK/git/.git/config" <<CONFIG
[core]
	fsmonitor = $WORK/evil
	sshCommand = $WORK/evil
	hooksPath = $WORK/git/.git/hooks
	pager = $WORK/evil
[uploadpack]
	packObjectsHook = $WORK/evil
[diff]
	external = $WORK/evil
[credential]
	helper = $WORK/evil
[filter "evil"]
	clean = $WORK/evil
	smudge = $WORK/evil
	process = $WORK/evil
CONFIG
printf '*.go filter=evil\n' >"$WORK/git/.git/info/attributes"
rm -f "$marker"
cp -r "$WORK/git" "$WORK/upstream"
# Of another user: git itself refuses to read it, unless it is told that it may.
chown -R 1001:1001 "$WORK/git"
harmless git "$WORK/git" --cache-dir "$cache" -o "oci:$WORK/out-git:v1"
[ ! -e "$marker" ] || failed "a local repository ran $(<"$marker")"
harmless git-url "file://$WORK/upstream" --cache-dir "$cache" -o "oci:$WORK/out-git-url:v1"
[ ! -e "$marker" ] || failed "a cloned repository ran $(<"$marker")"

same "folders left in /tmp" "$before" "$(temporary_folders)"
# rm -r fails on the deep tree on some systems: it is taken down by hand.
find "$WORK/nesting" -depth -delete
passed
