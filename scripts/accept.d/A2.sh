#!/usr/bin/env bash
# Real MCP servers in Go, built and run as uid 1001, read-only root, no capabilities
. "$(dirname "$0")/rig.sh"
root_only "umoci and runc"
packages umoci runc git
program

# NAME WHAT TOOLS
judge() {
  local name=$1 what=$2 tools=$3 digest
  digest=$(build "$WORK/$name.digest" "$what" --cache-dir "$WORK/cache" -o "oci:$WORK/out:$name")
  same "$name: digest in the layout" "$digest" "$("$TOOLS/layout-check.py" "$WORK/out" "$name")"
  run_restricted "$name" "$WORK/out:$name" "$tools"
}

wrappers=$ROOT/testdata/go/wrappers
judge mcp-grafana "$wrappers/mcp-grafana" 81
judge go-sdk-memory "$wrappers/go-sdk-memory" 9
judge go-sdk-everything-server "$wrappers/go-sdk-everything-server" 28
judge mcp-go-everything "$wrappers/mcp-go-everything" 6

# One from a Git URL, out of a bare repository, at a branch and below a folder.
mkdir -p "$WORK/upstream/servers"
cp -r "$wrappers/go-sdk-hello" "$WORK/upstream/servers/hello"
git -C "$WORK/upstream" init --quiet --initial-branch=main
git -C "$WORK/upstream" add .
git -C "$WORK/upstream" -c user.name=acceptance -c user.email=acceptance@localhost \
  commit --quiet -m 'servers: hello'
git clone --quiet --bare "$WORK/upstream" "$WORK/upstream.git"
judge go-sdk-hello "file://$WORK/upstream.git@main#servers/hello" 1
revision=$(skopeo inspect --raw "oci:$WORK/out:go-sdk-hello" |
  jq -r '.annotations["org.opencontainers.image.revision"]')
same "revision annotation" "$(git -C "$WORK/upstream" rev-parse HEAD)" "$revision"

number=0
while read -r repository; do
  [ -n "$repository" ] || continue
  number=$((number + 1))
  judge "repository-$number" "$repository" ''
done <<<"${KARISIMBI_ACCEPT_REPOS:-}"
say "5 wrapper modules and $number repositories answered initialize and tools/list"
passed
