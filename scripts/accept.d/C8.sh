#!/usr/bin/env bash
# Images run without an engine: ours, of a registry, of docker-archive; every way, and where none is possible
. "$(dirname "$0")/rig.sh"
root_only "namespaces, runc and crun"
packages docker-registry curl jq skopeo umoci runc crun qemu-user-static git util-linux
program

chmod 755 "$WORK"
for way in runc crun none; do mkdir "$WORK/path-$way"; done
ln -s "$(command -v runc)" "$WORK/path-runc/runc"
ln -s "$(command -v crun)" "$WORK/path-crun/crun"

# way WAY: sets as=(command prefix) for karisimbi by that way, with a cache of its own.
way() {
  local cache=$WORK/cache-$1
  mkdir -p "$cache"
  case $1 in
    user)
      chown 1001:1001 "$cache"
      as=(setpriv --reuid=1001 --regid=1001 --clear-groups -- env "PATH=$PATH" HOME=/nonexistent)
      name="user namespace"
      ;;
    namespaces) as=(env "PATH=$WORK/path-none"); name=namespaces ;;
    *) as=(env "PATH=$WORK/path-$1"); name=$1 ;;
  esac
  as+=("$KARISIMBI" --cache-dir "$cache")
}
ways="runc crun namespaces user"

# runs NAME CODE ARGUMENTS…: must end with this exit code; output in $WORK/out and $WORK/err.
runs() {
  local what=$1 expected=$2 code=0
  shift 2
  timeout 120 "${as[@]}" run "$@" >"$WORK/out" 2>"$WORK/err" || code=$?
  same "exit code of $what ($(tail -c 600 "$WORK/err"))" "$expected" "$code"
}

# nothing_stays CACHE: no process, mount, temporary file or control group of a run.
nothing_stays() {
  [ -z "$(ls -A "$1/tmp")" ] || failed "$1/tmp holds $(ls -A "$1/tmp")"
  lacks "mounts" "$WORK" /proc/self/mountinfo
  same "processes of the init" 0 "$({ grep -lasz "$WORK/.*/run[.]json" /proc/[0-9]*/cmdline 2>/dev/null || true; } | wc -l)"
  same "control groups" 0 "$(find /sys/fs/cgroup -maxdepth 2 -name 'karisimbi*' | wc -l)"
}

# --- images: ours for both processors, in a layout, a registry and docker-archives -----------------
mkdir -p "$WORK/source"
cp "$ROOT/testdata/run/probe.go" "$WORK/source/main.go"
printf 'module example.org/probe\n\ngo 1.22\n' >"$WORK/source/go.mod"
build "$WORK/digest" "$WORK/source" --platform linux/amd64,linux/arm64 --cache-dir "$WORK/cache" \
  -o "oci:$WORK/image:v1" >/dev/null
build "$WORK/digest1" "$WORK/source" --cache-dir "$WORK/cache" -o "oci:$WORK/one:v1" \
  -o "docker-archive:$WORK/ours.tar:h.example/probe:v1" >/dev/null
registry plain
skopeo copy -q --all --dest-tls-verify=false "oci:$WORK/image:v1" "docker://$REGISTRY/accept/probe:v1"
skopeo copy -q "oci:$WORK/one:v1" "docker-archive:$WORK/theirs.tar:h.example/probe:v1"
chmod -R a+rX "$WORK/image" "$WORK/one" "$WORK"/*.tar

questions=(who write=/x write=/app/x write=/tmp/x status unshare dial=192.0.2.1:80 exit=7)
cat >"$WORK/expected" <<'TEXT'
uid 1001 gid 1001 in /app
write /x read-only file system
write /app/x read-only file system
write /tmp/x ok
status CapEff: 0000000000000000
status CapBnd: 0000000000000000
status NoNewPrivs: 1
status Seccomp: 2
unshare operation not permitted
dial failed
TEXT
for way in $ways; do
  way "$way"
  for image in "oci:$WORK/image:v1" "$REGISTRY/accept/probe:v1" "docker://$REGISTRY/accept/probe:v1" \
    "docker-archive:$WORK/ours.tar" "docker-archive:$WORK/theirs.tar:h.example/probe:v1"; do
    started=$(date +%s%N)
    runs "$way $image" 7 "$image" -- "${questions[@]}"
    took=$((($(date +%s%N) - started) / 1000000))
    holds "the way of $image" "^ran +$name: files read-only, own process table" "$WORK/err"
    cmp -s "$WORK/out" "$WORK/expected" || failed "$way $image: $(diff "$WORK/expected" "$WORK/out")"
    say "$way: $(shorten "${image/$REGISTRY/REGISTRY}") runs, $took ms"
  done
  nothing_stays "$WORK/cache-$way"
done

# The same by an engine's own tools: what runc says of umoci's unpacking.
umoci unpack --image "$WORK/one:v1" "$WORK/bundle" >/dev/null 2>&1
way runc
root=$(find "$WORK/cache-runc/roots" -mindepth 2 -maxdepth 2 -name root | head -1)
ours=$(cd "$root" && find . -type f ! -path './etc/host*' ! -path ./etc/resolv.conf -exec sha256sum {} + | sort -k2)
theirs=$(cd "$WORK/bundle/rootfs" && find . -type f ! -path './etc/host*' ! -path ./etc/resolv.conf -exec sha256sum {} + | sort -k2)
same "files, against umoci's" "$theirs" "$ours"
say "unpacked as umoci does: $(wc -l <<<"$ours") files"

# --- streams, codes, signals ------------------------------------------------------------------------
for way in $ways; do
  way "$way"
  for code in 0 3 125; do runs "$way, exit $code" "$code" "oci:$WORK/one:v1" -- "exit=$code"; done
  runs "$way, SIGKILL" 137 "oci:$WORK/one:v1" -- kill
  runs "$way, no program" 127 --entrypoint /nowhere "oci:$WORK/one:v1"
  runs "$way, no x bit" 126 --entrypoint /etc/passwd "oci:$WORK/one:v1"
  runs "$way, no image" 125 "oci:$WORK/nowhere"
  text=$(printf 'a\nb' | "${as[@]}" -q run "oci:$WORK/one:v1" -- input)
  same "$way, standard input" 'input "a\nb"' "$text"
  for signal in TERM INT HUP; do
    : >"$WORK/out"
    # A shell's background jobs ignore SIGINT; this one does not.
    python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])' \
      "${as[@]}" -q run "oci:$WORK/one:v1" -- signal >"$WORK/out" &
    pid=$!
    for _ in $(seq 100); do ! grep -q ready "$WORK/out" || break; sleep 0.1; done
    kill -s $signal $pid
    code=0
    wait $pid || code=$?
    same "$way, SIG$signal" 42 "$code"
  done
  nothing_stays "$WORK/cache-$way"
done
say "streams, exit codes 0 3 125 126 127 137 and signals are passed by all four ways"

# --- ports -------------------------------------------------------------------------------------------
for way in $ways; do
  way "$way"
  port=$(free_port)
  "${as[@]}" -q run -p "$port:8080" "oci:$WORK/one:v1" -- serve=127.0.0.1:8080 sleep >"$WORK/out" &
  pid=$!
  for _ in $(seq 100); do ! grep -q ready "$WORK/out" || break; sleep 0.1; done
  answer=$(timeout 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; cat <&3")
  kill $pid
  wait $pid || true
  same "$way, answer through -p" "from inside" "$answer"
done
say "-p reaches the program, which has no other network, by all four ways"

# --- the other processor -----------------------------------------------------------------------------
for way in $ways; do
  way "$way"
  # runc and crun are found by their own folder; qemu must be there, too.
  folder=$WORK/path-$way
  [ -d "$folder" ] || folder=$WORK/path-none
  ln -sf "$(command -v qemu-aarch64-static)" "$folder/qemu-aarch64-static"
  runs "$way, arm64" 7 --platform linux/arm64 "oci:$WORK/image:v1" -- who write=/x exit=7
  holds "$way, arm64" '^uid 1001 gid 1001 in /app$' "$WORK/out"
  holds "$way, arm64" '^write /x read-only file system$' "$WORK/out"
  holds "$way, arm64" 'linux/arm64 through ' "$WORK/err"
  rm "$folder/qemu-aarch64-static"
done
say "arm64 runs under qemu-user by all four ways"

# --- smoke asks an MCP server by the same ways ---------------------------------------------------------
build "$WORK/digest2" "$ROOT/testdata/go/hello" --cache-dir "$WORK/cache" -o "oci:$WORK/hello:v1" \
  -o "docker-archive:$WORK/hello.tar:h.example/hello:v1" >/dev/null
skopeo copy -q --dest-tls-verify=false "oci:$WORK/hello:v1" "docker://$REGISTRY/accept/hello:v1"
chmod -R a+rX "$WORK/hello" "$WORK/hello.tar"
for way in $ways; do
  way "$way"
  for image in "oci:$WORK/hello:v1" "$REGISTRY/accept/hello:v1" "docker-archive:$WORK/hello.tar"; do
    timeout 120 "${as[@]}" smoke "$image" >"$WORK/out" 2>"$WORK/err" </dev/null ||
      failed "$way, smoke of $image: $(tail -c 600 "$WORK/err")"
    holds "$way, smoke of $image" '^answered: .*, 2 tools in ' "$WORK/out"
    holds "$way, smoke of $image" "^ran +$name: files read-only" "$WORK/err"
  done
  nothing_stays "$WORK/cache-$way"
done
say "smoke: $(cat "$WORK/out"), from a layout, a registry and a docker-archive, by all four ways"

# --- the restricted box --------------------------------------------------------------------------------
mkdir "$WORK/box"
chown 1001:1001 "$WORK/box"
code=0
"$TOOLS/restricted-box.sh" -w "$WORK" -- "$KARISIMBI" run "oci:$WORK/one:v1" \
  --cache-dir "$WORK/box" -- exit=0 >"$WORK/out" 2>"$WORK/err" || code=$?
same "exit code in the restricted box" 125 "$code"
for words in 'error\[RUN-IMPOSSIBLE\]' 'unshare\(CLONE_NEWUSER\): Operation not permitted' \
  'a seccomp filter is in force' 'karisimbi smoke URL'; do
  holds "the restricted box" "$words" "$WORK/err"
done
say "restricted box: $(head -1 "$WORK/err")"
code=0
"$TOOLS/restricted-box.sh" -w "$WORK" -- "$KARISIMBI" smoke "oci:$WORK/hello:v1" \
  --cache-dir "$WORK/box" >"$WORK/out" 2>"$WORK/err" </dev/null || code=$?
holds "smoke in the restricted box" 'error\[RUN-IMPOSSIBLE\]' "$WORK/err"
say "smoke in the restricted box ends with $code: $(grep -m1 '^error' "$WORK/err" | cut -c 1-120)"

# --- hostile layers --------------------------------------------------------------------------------------
# tests/it/run/hostile_layers.rs has more than forty of them, for root and for a user.
run cargo test --locked --manifest-path "$ROOT/Cargo.toml" --test it run::hostile >"$WORK/test.log" 2>&1 ||
  failed "$(grep -E 'panicked at|^assertion|left|right' "$WORK/test.log" | head -10)"
cases=$(grep -cE "(Runs|Refused),( vec!|$)" "$ROOT/tests/it/run/hostile_layers.rs")
[ "$cases" -ge 20 ] || failed "only $cases hostile layers"
say "$cases hostile layers, unpacked as root and as a user: nothing outside the folder changed"
passed
