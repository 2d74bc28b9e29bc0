#!/usr/bin/env bash
# --explain names exactly the field that changed; build . twice in a folder is fully cached
. "$(dirname "$0")/rig.sh"
packages jq git
program

cp -r "$ROOT/testdata/go/hello" "$WORK/source"
# Another real Go release, from the module proxy that go itself uses.
other_root=$(cd "$WORK" && env GOENV=off GOPATH="$ACCEPT_CACHE/go" GOTOOLCHAIN=go1.27.3 go env GOROOT)
different "the other Go" "$(go version)" "$("$other_root/bin/go" version)"

baseline=("$WORK/source" --cache-dir "$WORK/cache" -o "oci:$WORK/out:v1")
explain() { # NAME ARGUMENTS…: builds with --explain; sets FIELDS, the names that it says changed
  local name=$1
  shift
  build "$WORK/explain-$name" "${baseline[@]}" "$@" --explain --record "$WORK/$name.json" >/dev/null 2>&1
  # A change is {subject, field, before, now, text} in `explanation`; before and now may be null.
  FIELDS=$(jq -r '[.explanation[]? | .field] | unique | join(" ")' "$WORK/$name.json")
}
# names NAME FIELD ARGUMENTS…: from the baseline to the change, exactly this field; and it is printed.
names() {
  local name=$1 field=$2
  shift 2
  explain "$name" "$@"
  [[ $FIELDS =~ ^($field)$ ]] || failed "$name changed: --explain names '$FIELDS', expected '$field'; $(grep '^explained' "$WORK/explain-$name.log" | head -5)"
  holds "$name is explained" "^explained.*($field)" "$WORK/explain-$name.log"
  say "$name changed: $(grep -m 1 '^explained' "$WORK/explain-$name.log" | tr -s ' ')"
  undo
  explain back
}
undo() { :; }

build "$WORK/first" "${baseline[@]}" >/dev/null
explain nothing
same "fields when nothing changed" "" "$FIELDS"

printf '\n// changed\n' >>"$WORK/source/main.go"
undo() { cp "$ROOT/testdata/go/hello/main.go" "$WORK/source/main.go"; }
names source 'source|tree'
undo() { :; }
names flag 'flags|ldflags' --set recipe.go.ldflags='-X main.unused=1'
names base 'base' --base scratch
names option 'container\.env\.GREETING' --set container.env.GREETING=hello
previous=$PATH
PATH=$other_root/bin:$PATH
undo() { PATH=$previous; }
names go 'go|toolchain|go version'

# The output lies in the folder that is built: it is no input.
cp -r "$ROOT/testdata/go/hello" "$WORK/folder"
cd "$WORK/folder"
first=$("$KARISIMBI" build . --cache-dir "$WORK/cache-folder" 2>"$WORK/one.log") || failed "$(tail -3 "$WORK/one.log")"
second=$("$KARISIMBI" build . --cache-dir "$WORK/cache-folder" --expect-cached 2>"$WORK/two.log") ||
  failed "the second build of a folder: $(tail -3 "$WORK/two.log")"
same "standard output of both" "$first" "$second"
[[ $first == oci:karisimbi-out/* ]] || failed "standard output: $first"
lacks "the second build" '^(built|ran) ' "$WORK/two.log"
printf '\n// changed\n' >>main.go
code=0
"$KARISIMBI" build . --cache-dir "$WORK/cache-folder" --expect-cached >/dev/null 2>"$WORK/three.log" || code=$?
same "exit code of --expect-cached after a change" 1 "$code"
say "build . twice: $second, fully cached"
passed
