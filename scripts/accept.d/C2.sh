#!/usr/bin/env bash
# Assembled bases run: Python, Node and Go as uid 1001, read-only, without capabilities; arm64 too
. "$(dirname "$0")/rig.sh"
root_only "umoci, runc and the owners of Alpine's files"
packages umoci runc openssl jq e2fsprogs qemu-user-static
program
probes=$ROOT/scripts/accept.d/base-probes
out=$WORK/out
mkdir "$WORK/lock"
cd "$WORK/lock"

# base NAME PLATFORM TAG: assembles a base as $out:TAG.
base() {
  run "$KARISIMBI" base build "$1" --platform "$2" --cache-dir "$WORK/cache" -o "oci:$out:$3" \
    >"$WORK/$3.out" 2>"$WORK/$3.log" || failed "base build $1: $(tail -5 "$WORK/$3.log")"
  say "$3: $(skopeo_size "$3") bytes"
}
skopeo_size() {
  local manifest
  manifest=$(jq -r --arg tag "$1" '.manifests[] |
    select(.annotations["org.opencontainers.image.ref.name"] == $tag) | .digest' "$out/index.json")
  jq '[.layers[].size] | add' "$out/blobs/${manifest/://}"
}

# inside TAG ARGUMENT…: runs a program in the image as a restricted pod would; probes are in /probe.
inside() {
  local tag=$1 bundle=$WORK/bundle-$1
  shift
  rm -rf "$bundle"
  umoci unpack --image "$out:$tag" "$bundle" >"$bundle.log" 2>&1 ||
    failed "umoci unpack $tag: $(tail -3 "$bundle.log")"
  mkdir "$bundle/rootfs/probe"
  cp "$probes"/* "$WORK/tls"/server.{crt,key} "$bundle/rootfs/probe/"
  chmod -R a+rX "$bundle/rootfs/probe"
  "$TOOLS/box.py" "$bundle" --user 1001:1001 --read-only --no-capabilities \
    --seccomp "$TOOLS/moby-linux-seccomp.json" --args "$@"
  runc --root "$WORK/runc" run --bundle "$bundle" "accept-$$-$tag" 2>"$bundle.err" ||
    failed "$tag: $* ended with $?: $(tail -5 "$bundle.err")"
}

certificate_authority "$WORK/tls" localhost
base python3.13 linux/amd64 python
base node24 linux/amd64 node
base static linux/amd64 static
base cc linux/amd64 cc

# --- Python ---------------------------------------------------------------------------------------

read -r imported missing <<<"$(inside python python3 /probe/modules.py)"
say "python3.13: $imported modules imported, not: $missing"
[ "$imported" -ge 600 ] || failed "only $imported modules can be imported"
# Windows, Apple and curses, and what Debian has in packages of their own.
for name in $missing; do
  case $name in
    _distutils_system_mod | _ios_support | dbm.gnu | _pyrepl._minimal_curses | _pyrepl.windows_console) ;;
    asyncio.windows_* | encodings.mbcs | encodings.oem | multiprocessing.popen_spawn_win32) ;;
    *) failed "module $name can't be imported: $(grep "^$name:" "$WORK/bundle-python.err")" ;;
  esac
done
same "authorities with an empty environment" 148 "$(inside python python3 /probe/authorities.py)"

mkdir "$WORK/app"
echo 'print("application")' >"$WORK/app/main.py"
server=("$WORK/app" --recipe files --base python3.13 --entrypoint python3 --entrypoint /app/main.py
  --cache-dir "$WORK/cache")
build "$WORK/plain.digest" "${server[@]}" -o "oci:$out:plain" >/dev/null
build "$WORK/corporate.digest" "${server[@]}" -o "oci:$out:corporate" \
  --set "ca_certs=[$WORK/tls/ca.crt]" >/dev/null
# A CA of one's own is unknown until it is added.
say "without ca_certs: $(inside plain python3 /probe/https.py | tee "$WORK/plain.said")"
holds "HTTPS without ca_certs" '^SSLCertVerificationError' "$WORK/plain.said"
same "HTTPS with ca_certs" answered "$(inside corporate python3 /probe/https.py)"
same "authorities with one more" 149 "$(inside corporate python3 /probe/authorities.py)"

# --- Node -----------------------------------------------------------------------------------------

said=$(inside node node /probe/node.js)
say "node24: $said"
[[ $said =~ ^v24\.[0-9]+\.[0-9]+\ x64\ production\ 3\ [0-9a-f]{8}$ ]] || failed "node says: $said"

# --- Go -------------------------------------------------------------------------------------------

alpine=$ACCEPT_CACHE/alpine-root
[ -e "$alpine/etc/alpine-release" ] || "$TOOLS/alpine-root.sh" "$alpine"
tar --sort=name --mtime=@0 --numeric-owner -C "$alpine" -cf "$WORK/alpine.tar" .
"$TOOLS/layout-of-tar.py" "$WORK/alpine:v1" linux/amd64 "$WORK/alpine.tar"
for tag in static cc alpine; do
  name=$tag
  [ "$tag" != alpine ] || name=oci:$WORK/alpine:v1
  build "$WORK/go-$tag.digest" "$ROOT/testdata/go/hello" --base "$name" --cache-dir "$WORK/cache" \
    -o "oci:$WORK/go:$tag" >/dev/null
  run_restricted "go-$tag" "$WORK/go:$tag" ''
  say "testdata/go/hello answers on $(shorten "$name")"
done

# --- arm64 ----------------------------------------------------------------------------------------

base python3.13 linux/arm64 python-arm64
base node24 linux/arm64 node-arm64
for tag in python-arm64 node-arm64; do
  umoci unpack --image "$out:$tag" "$WORK/$tag" >"$WORK/$tag.unpack" 2>&1 ||
    failed "umoci unpack $tag: $(tail -3 "$WORK/$tag.unpack")"
done
root=$WORK/python-arm64/rootfs
said=$(qemu-aarch64-static -L "$root" "$root/usr/bin/python3.13" -c \
  'import asyncio, ctypes, platform, sqlite3, ssl; print(platform.machine(), asyncio.__cached__)')
say "python3.13 for arm64: $said"
[[ $said == "aarch64 "*/asyncio/__pycache__/__init__.cpython-313.pyc ]] || failed "Python says: $said"
root=$WORK/node-arm64/rootfs
said=$(qemu-aarch64-static -L "$root" "$root/usr/local/bin/node" -p 'process.version + " " + process.arch')
say "node24 for arm64: $said"
[[ $said =~ ^v24\..*\ arm64$ ]] || failed "node says: $said"
passed
