#!/usr/bin/env bash
# skopeo, umoci, buildah, docker-registry, crane and oci-client accept what is written and pushed
. "$(dirname "$0")/rig.sh"
root_only "umoci and buildah"
packages skopeo umoci buildah docker-registry jq curl
program
install_crane
registry plain

digest=$(build "$WORK/digest" "$ROOT/testdata/go/hello" --cache-dir "$WORK/cache" \
  -o "oci:$WORK/layout:v1" -o "oci-archive:$WORK/oci.tar" -o "docker-archive:$WORK/docker.tar" \
  -t "$REGISTRY/accept/hello:v1" --push)
say "built $digest"
raw_digest() { "$@" | sha256sum | sed 's/^\([0-9a-f]*\).*/sha256:\1/'; }

# The layout.
same "layout-check" "$digest" "$("$TOOLS/layout-check.py" "$WORK/layout" v1)"
same "skopeo, layout" "$digest" "$(raw_digest run skopeo inspect --raw "oci:$WORK/layout:v1")"
run skopeo inspect --config "oci:$WORK/layout:v1" | jq -e '.os == "linux" and .config.User == "1001:1001"' \
  >/dev/null || failed "skopeo reads another config"
run umoci unpack --image "$WORK/layout:v1" "$WORK/unpacked" >/dev/null
[ -d "$WORK/unpacked/rootfs" ] || failed "umoci unpacked nothing"
buildah_here() { buildah --root "$WORK/buildah" --runroot "$WORK/buildah-run" --storage-driver vfs "$@"; }
image=$(run buildah_here pull --quiet "oci:$WORK/layout:v1")
same "buildah, layout" "linux" "$(run buildah_here inspect --type image "$image" | jq -r .OCIv1.os)"

# The archives.
same "skopeo, oci-archive" "$digest" "$(raw_digest run skopeo inspect --raw "oci-archive:$WORK/oci.tar")"
run skopeo copy --quiet "docker-archive:$WORK/docker.tar" "dir:$WORK/docker"
run "$CRANE" validate --tarball "$WORK/docker.tar"

# The registry: pushed by us, and pushed by skopeo and pulled back.
pushed=docker://$REGISTRY/accept/hello:v1
same "skopeo, pushed image" "$digest" "$(raw_digest run skopeo inspect --tls-verify=false --raw "$pushed")"
same "crane digest" "$digest" "$(run "$CRANE" digest --insecure "$REGISTRY/accept/hello:v1")"
run "$CRANE" validate --insecure --remote "$REGISTRY/accept/hello:v1"
run skopeo copy --quiet --dest-tls-verify=false "oci:$WORK/layout:v1" "docker://$REGISTRY/accept/copy:v1"
run skopeo copy --quiet --src-tls-verify=false "docker://$REGISTRY/accept/copy:v1" "oci:$WORK/back:v1"
same "after layout, registry, layout" "$digest" "$("$TOOLS/layout-check.py" "$WORK/back" v1)"
run skopeo copy --quiet --src-tls-verify=false "$pushed" "oci:$WORK/pulled:v1"
same "pushed, pulled by skopeo" "$digest" "$("$TOOLS/layout-check.py" "$WORK/pulled" v1)"
image=$(run buildah_here pull --quiet --tls-verify=false "$pushed")
[ -n "$image" ] || failed "buildah pulled nothing"

# Two platforms in one index.
index=$(build "$WORK/index.digest" "$ROOT/testdata/go/hello" --cache-dir "$WORK/cache" \
  --platform linux/amd64,linux/arm64 -o "oci:$WORK/multi:v1" -t "$REGISTRY/accept/multi:v1" --push)
same "layout-check, index" "$index" "$("$TOOLS/layout-check.py" "$WORK/multi" v1)"
run "$CRANE" validate --insecure --remote "$REGISTRY/accept/multi:v1"
same "platforms" "linux/amd64 linux/arm64" "$(run "$CRANE" manifest --insecure "$REGISTRY/accept/multi:v1" |
  jq -r '[.manifests[].platform | "\(.os)/\(.architecture)"] | sort | join(" ")')"

# oci-client, in the tests that pull what was pushed.
run cargo test --locked --quiet --manifest-path "$ROOT/Cargo.toml" --test it oci_client 2>&1 |
  tee "$WORK/test.log" | grep '^test result:' || failed "$(tail -20 "$WORK/test.log")"
lacks "the oci_client tests" '^test result: ok\. 0 passed' "$WORK/test.log"
passed
