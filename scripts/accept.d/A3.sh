#!/usr/bin/env bash
# One digest over threads, umask, paths, owners, times, order, locale, caches and users
. "$(dirname "$0")/rig.sh"
root_only "setpriv"
packages git util-linux

run cargo test --locked --quiet --manifest-path "$ROOT/Cargo.toml" --test it determinism 2>&1 |
  tee "$WORK/test.log" | grep '^test result:' || failed "$(tail -20 "$WORK/test.log")"
lacks "the determinism test" '^test result: ok\. 0 passed' "$WORK/test.log"

program
cp -r "$ROOT/testdata/go/hello" "$WORK/as-root"
cp -r "$ROOT/testdata/go/hello" "$WORK/as-user"
mkdir "$WORK/user"
chown -R 1001:1001 "$WORK/as-user" "$WORK/user"
mapfile -t environment < <(network_environment)

root=$(build "$WORK/root.digest" "$WORK/as-root" --cache-dir "$WORK/cache-root" -o "oci:$WORK/root:v1")
say "root      $root"
as_user() {
  (cd "$WORK/user" && umask 077 && env -i PATH="$PATH" HOME="$WORK/user" LANG=tr_TR.UTF-8 \
    TZ=Pacific/Kiritimati "${environment[@]}" setpriv --reuid 1001 --regid 1001 --clear-groups \
    --no-new-privs --bounding-set=-all --inh-caps=-all "$@")
}
as_user "$KARISIMBI" build "$WORK/as-user" --cache-dir "$WORK/user/cache" -o "oci:$WORK/user/out:v1" \
  --digest-file "$WORK/user/digest" >/dev/null 2>"$WORK/user.log" ||
  failed "uid 1001: $(tail -5 "$WORK/user.log")"
say "uid 1001  $(<"$WORK/user/digest")"
same "digest as uid 1001" "$root" "$(tr -d '\n' <"$WORK/user/digest")"
same "bytes of the layouts" \
  "$(cd "$WORK/root" && find blobs -type f | sort)" "$(cd "$WORK/user/out" && find blobs -type f | sort)"
passed
