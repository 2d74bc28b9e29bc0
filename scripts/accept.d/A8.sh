#!/usr/bin/env bash
# In a restricted pod's box (uid 1001, no capabilities, seccomp, read-only root): build and push
. "$(dirname "$0")/rig.sh"
root_only "runc"
packages runc docker-registry curl git skopeo
program
registry plain

mkdir "$WORK/box"
# The box has a /tmp of its own: what it uses lies in its one folder.
cp "$KARISIMBI" "$WORK/box/karisimbi"
cp -r "$ROOT/testdata/go/hello" "$WORK/box/source"
chown -R 1001:1001 "$WORK/box"
variables=()
while read -r variable; do variables+=(-e "$variable"); done < <(network_environment)
box() {
  (cd "$WORK/box" && "$TOOLS/restricted-box.sh" --host-network -w "$WORK/box" "${variables[@]}" -- "$@")
}

# The box is one: what a restricted pod can't do fails here too.
box sh -c 'id -u; grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status' >"$WORK/box.log"
holds "uid" '^1001$' "$WORK/box.log"
holds "capabilities" '^CapEff:.0+$' "$WORK/box.log"
holds "no_new_privs" '^NoNewPrivs:.1$' "$WORK/box.log"
holds "seccomp" '^Seccomp:.2$' "$WORK/box.log"
! box unshare -Ur true 2>/dev/null || failed "the box allows user namespaces"
! box touch /etc/written 2>/dev/null || failed "the box can write to /etc"

box "$WORK/box/karisimbi" build "$WORK/box/source" --cache-dir "$WORK/box/cache" \
  -t "$REGISTRY/accept/restricted:v1" --push --digest-file "$WORK/box/digest" >"$WORK/out" 2>"$WORK/log" ||
  failed "$(tail -5 "$WORK/log")"
tail -3 "$WORK/log"
digest=$(tr -d '\n' <"$WORK/box/digest")
same "standard output" "$REGISTRY/accept/restricted@$digest" "$(<"$WORK/out")"
run skopeo copy --quiet --src-tls-verify=false "docker://$REGISTRY/accept/restricted:v1" "oci:$WORK/pulled:v1"
same "digest that the registry serves" "$digest" "$("$TOOLS/layout-check.py" "$WORK/pulled" v1)"

outside=$(build "$WORK/digest" "$ROOT/testdata/go/hello" --cache-dir "$WORK/cache" -o "oci:$WORK/outside:v1")
same "digest outside the box" "$outside" "$digest"
passed
