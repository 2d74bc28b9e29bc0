#!/usr/bin/env bash
# A clean clone: the README's first command builds a Go MCP server, the second passes the tests
. "$(dirname "$0")/rig.sh"
root_only "umoci and runc"

git clone --quiet "$ROOT" "$WORK/clone"
cd "$WORK/clone"

# The README marks the two commands that a newcomer runs first; both are run as written there.
mapfile -t commands < <(sed -n '/<!-- first-commands -->/,/^```$/{/^[a-z]/p}' README.md)
same "first commands in README.md" 2 "${#commands[@]}"
same "the second command" scripts/test "${commands[1]}"

# A home of its own: what is in the user's caches must not be needed. Rust's folders stay.
mapfile -t environment < <(network_environment)
fresh() {
  env -i PATH="$PATH" HOME="$WORK/home" CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" \
    RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" "${environment[@]}" "$@"
}
mkdir "$WORK/home"

say "\$ ${commands[0]}"
fresh bash -c "${commands[0]}" >"$WORK/first.out" 2>"$WORK/first.log" ||
  failed "${commands[0]}: $(tail -5 "$WORK/first.log")"
tail -12 "$WORK/first.log"
cat "$WORK/first.out"
image=$(<"$WORK/first.out")
[[ $image == oci:karisimbi-out/*:* ]] || failed "standard output is not an image: $image"

packages umoci runc
digest=$("$TOOLS/layout-check.py" "$(cut -d: -f2 <<<"$image")" "${image##*:}")
holds "the image's digest on standard error" "$digest" "$WORK/first.log"
run_restricted first "${image#oci:}" ''

say "\$ ${commands[1]}"
start=$SECONDS
fresh bash -c "${commands[1]}" >"$WORK/second.log" 2>&1 ||
  failed "${commands[1]}: $(tail -30 "$WORK/second.log")"
grep '^test result:' "$WORK/second.log" || failed "scripts/test ran no tests"
lacks "test results" '^test result: (FAILED|.*[1-9][0-9]* (failed|ignored))' "$WORK/second.log"
grep . "$WORK/second.log" | tail -1 >"$WORK/second.last"
holds "the last line of scripts/test" '^test result: ok' "$WORK/second.last"
say "scripts/test took $((SECONDS - start)) s"
at_most "seconds of scripts/test" $((SECONDS - start)) 2400
passed
