#!/usr/bin/env bash
# Rebase equals rebuild on real bases; each forbidden rebase is refused
. "$(dirname "$0")/rig.sh"
root_only "runc and the owners of a base's files"
packages e2fsprogs runc umoci skopeo docker-registry curl jq
command -v npm >/dev/null || packages npm
program

# --- bases of real files ------------------------------------------------------------------------

# layout NAME PLATFORM ROOT...: an image of these roots, one layer each, as oci:bases:NAME.
layout() {
  local name=$1 platform=$2 tars=() root
  shift 2
  for root in "$@"; do
    tar --sort=name --mtime=@0 --numeric-owner -C "$root" -cf "$root.tar" .
    tars+=("$root.tar")
  done
  "$TOOLS/layout-of-tar.py" "$WORK/bases:$name" "$platform" "${tars[@]}"
}

# debian SUITE ARCH PACKAGE...: downloads and unpacks packages, merges /usr, adds the accounts.
# Sets ROOTFS.
debian() {
  local suite=$1 arch=$2 apt=$WORK/apt-$1-$2 mirror deb options
  shift 2
  ROOTFS=$WORK/root-$suite-$arch-$1
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 '/debian/$' ||
    echo http://deb.debian.org/debian)
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources"
  options=(-qq -o "Dir::Etc::sourcelist=$apt/sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o Dir::State::status=/dev/null
    -o APT::Sandbox::User=root -o "APT::Architecture=$arch" -o "APT::Architectures=$arch")
  [ -e "$apt/updated" ] || { apt-get "${options[@]}" update; touch "$apt/updated"; }
  rm -f "$apt/debs"/*
  (cd "$apt/debs" && apt-get "${options[@]}" download "$@")
  mkdir -p "$ROOTFS/usr"/{bin,sbin,lib,lib64} "$ROOTFS"/{etc,app,tmp}
  for deb in bin sbin lib lib64; do ln -s "usr/$deb" "$ROOTFS/$deb"; done
  for deb in "$apt/debs"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$ROOTFS" --keep-directory-symlink -x
  done
  printf 'root:x:0:0::/:\napp:x:1001:1001::/:\n' >"$ROOTFS/etc/passwd"
}

# node_root VERSION PLATFORM-OF-NPM: sets ROOTFS to a root with this Node alone.
node_root() {
  local file=$ACCEPT_CACHE/node-linux-$2-$1.tgz
  [ -s "$file" ] || (cd "$ACCEPT_CACHE" && npm pack --silent "node-linux-$2@$1" >/dev/null)
  ROOTFS=$WORK/root-node-$1-$2
  mkdir -p "$ROOTFS"/{app,etc,usr/local/bin}
  tar -C "$ROOTFS/usr/local" -xzf "$file" --strip-components=1 package/bin/node
  printf 'app:x:1001:1001::/:\n' >"$ROOTFS/etc/passwd"
}

alpine=$ACCEPT_CACHE/alpine-root
[ -e "$alpine/etc/alpine-release" ] || "$TOOLS/alpine-root.sh" "$alpine"
mkdir -p "$WORK/alpine-update/etc"
echo updated >"$WORK/alpine-update/etc/alpine-release"
cp -a "$alpine" "$WORK/alpine"
layout alpine linux/amd64 "$WORK/alpine"
layout alpine-update linux/amd64 "$WORK/alpine" "$WORK/alpine-update"

debian trixie amd64 libc6 base-files
trixie=$ROOTFS
mkdir -p "$WORK/trixie-update/etc"
echo updated >"$WORK/trixie-update/etc/debian_version"
layout trixie linux/amd64 "$trixie"
layout trixie-update linux/amd64 "$trixie" "$WORK/trixie-update"
debian trixie arm64 libc6 base-files
layout trixie-arm64 linux/arm64 "$ROOTFS"
layout trixie-arm64-update linux/arm64 "$ROOTFS" "$WORK/trixie-update"
debian bookworm amd64 libc6 base-files
layout bookworm linux/amd64 "$ROOTFS"
debian trixie amd64 python3.13-minimal libpython3.13-minimal libc6 zlib1g libexpat1
python313=$ROOTFS
layout python3.13 linux/amd64 "$python313"
layout python3.13-update linux/amd64 "$python313" "$WORK/trixie-update"
debian bookworm amd64 python3.11-minimal libpython3.11-minimal libc6 zlib1g libexpat1
layout python3.11 linux/amd64 "$ROOTFS"
node_root 24.21.0 x64
node24=$ROOTFS
layout node24 linux/amd64 "$node24"
node_root 22.23.3 x64
layout node22 linux/amd64 "$ROOTFS"

# The program's own cc, when this version assembles bases.
if "$KARISIMBI" base build cc -o "oci:$WORK/own:cc" >/dev/null 2>"$WORK/own.log" && [ -d "$WORK/own" ]; then
  cc=oci:$WORK/own:cc
  say "cc: assembled by karisimbi"
else
  cc=oci:$WORK/bases:trixie
  say "cc: Debian's libc6 unpacked with dpkg-deb"
fi

# --- facts against the programs themselves -------------------------------------------------------

# knows NAME BASE TEXT: what the build says of a base has this text.
probe_program "$WORK/probe"
mkdir "$WORK/files"
cp "$WORK/probe" "$WORK/files/probe"
files() { echo "$WORK/files" --recipe files --entrypoint /app/probe; }
knows() {
  # shellcheck disable=SC2046
  build "$WORK/knows-$1" $(files) --base "oci:$WORK/bases:$1" -o "oci:$WORK/files-out:$1" >/dev/null
  holds "facts of $1" "^resolved base .*, $2," "$WORK/knows-$1.log"
  say "facts of $1: $2"
}
in_root() { chroot "$@" 2>&1 || true; }
version=$(in_root "$python313" /usr/bin/python3.13 -c 'import platform; print(platform.python_version())')
knows python3.13 "glibc $(in_root "$python313" /usr/bin/python3.13 -c 'import os; print(os.confstr("CS_GNU_LIBC_VERSION").split()[1])'), Python $version"
knows alpine "$(in_root "$alpine" /lib/ld-musl-x86_64.so.1 | sed -n 's/^Version /musl /p')"
knows node24 "no C library, Node $("$node24/usr/local/bin/node" -p process.versions.node)"

# --- rebase equals rebuild -----------------------------------------------------------------------

equal() { # equal NAME OLD NEW SOURCE-AND-OPTIONS...
  local name=$1 old=$2 new=$3 built digest
  shift 3
  build "$WORK/$name.old" "$@" --base "$old" -o "oci:$WORK/equal:$name-old" >/dev/null
  run "$KARISIMBI" rebase --lock "$WORK/rebase.lock" "oci:$WORK/equal:$name-old" --base "$new" -o "oci:$WORK/equal:$name" \
    >"$WORK/$name.out" 2>"$WORK/$name.log" || failed "rebase $name: $(tail -c 800 "$WORK/$name.log")"
  same "lines of $name" "oci:$WORK/equal:$name" "$(cat "$WORK/$name.out")"
  # With a cache of its own: nothing of the first build helps.
  built=$(build "$WORK/$name.new" "$@" --base "$new" -o "oci:$WORK/equal:$name-new" --cache-dir "$WORK/cache-$name")
  digest=$("$KARISIMBI" inspect "oci:$WORK/equal:$name" --format json | jq -r .digest)
  same "digest of $name" "$built" "$digest"
  different "digest of $name before and after" "$(cat "$WORK/$name.old")" "$digest"
  "$KARISIMBI" verify "oci:$WORK/equal:$name" >/dev/null 2>"$WORK/verify.log" ||
    failed "verify $name: $(tail -3 "$WORK/verify.log")"
  say "$name: rebase = rebuild = ${digest:0:19}…"
}
hello=$ROOT/testdata/go/hello
bases=oci:$WORK/bases
equal static-to-cc embedded:static "$cc" "$hello"
equal cc-update "$bases:trixie" "$bases:trixie-update" "$hello"
equal static-to-alpine embedded:static "$bases:alpine" "$hello"
equal alpine-update "$bases:alpine" "$bases:alpine-update" "$hello" --compression zstd
equal python-update "$bases:python3.13" "$bases:python3.13-update" "$hello" --set container.env.PATH=/app --set deployment.version=1.2.3
equal arm64-update "$bases:trixie-arm64" "$bases:trixie-arm64-update" "$hello" --platform linux/arm64
# shellcheck disable=SC2046
equal files-update "$bases:trixie" "$bases:trixie-update" $(files)
run_restricted static-to-alpine "$WORK/equal:static-to-alpine" ""
run_restricted static-to-cc "$WORK/equal:static-to-cc" ""

# --- through a registry, on a fresh machine --------------------------------------------------------

registry plain
for tag in alpine alpine-update; do
  skopeo --insecure-policy copy -q --dest-tls-verify=false "$bases:$tag" "docker://$REGISTRY/base/alpine:$tag"
done
direct=$REGISTRY
logging_proxy "$WORK/requests"
build "$WORK/pushed" "$hello" --base "$REGISTRY/base/alpine:alpine" -t "$REGISTRY/p/hello:v1" --push >/dev/null
built=$(build "$WORK/rebuilt" "$hello" --base "$REGISTRY/base/alpine:alpine-update" -t "$REGISTRY/p/hello:rebuilt" --push)
ours=$("$KARISIMBI" inspect "$REGISTRY/p/hello:v1" --format json | jq -r '.images[0].layers[-1].digest')
: >"$WORK/requests"
line=$(run "$KARISIMBI" rebase --lock "$WORK/rebase.lock" "$REGISTRY/p/hello:v1" --base "$REGISTRY/base/alpine:alpine-update" \
  -t rebased --push --cache-dir "$WORK/fresh" 2>"$WORK/rebase.log") || failed "rebase: $(tail -c 800 "$WORK/rebase.log")"
same "rebase through a registry" "$REGISTRY/p/hello@$built" "$line"
lacks "requests of the rebase" "^GET .*$ours" "$WORK/requests"
same "bytes of layers that were sent" 0 \
  "$(awk '$1 ~ /PUT|PATCH/ && $5 ~ /blobs\/uploads/ && $3 > 100000 { bytes += $3 } END { print bytes + 0 }' "$WORK/requests")"
say "registry $direct: $(grep -c . "$WORK/requests") requests, no byte of our layers in either direction"

# --- what is refused -------------------------------------------------------------------------------

forbidden() { # forbidden NAME CODE IMAGE BASE
  local exit_code=0
  "$KARISIMBI" rebase --lock "$WORK/rebase.lock" "$3" --base "$4" -o "oci:$WORK/never" >"$WORK/refused.out" 2>"$WORK/refused.log" || exit_code=$?
  same "exit code of $1 ($(tail -c 600 "$WORK/refused.log"))" 1 "$exit_code"
  holds "$1" "^error\[$2\]" "$WORK/refused.log"
  [ ! -s "$WORK/refused.out" ] && [ ! -e "$WORK/never" ] || failed "$1: something was written"
  say "$1: refused with $2: $(grep -m 1 "^error\[$2\]" "$WORK/refused.log" | cut -c1-140)"
}
on() { # on BASE: an image of the small program on it
  # shellcheck disable=SC2046
  [ -e "$WORK/on-$1" ] || build "$WORK/on-$1" $(files) --base "$bases:$1" -o "oci:$WORK/on:$1" >/dev/null
  echo "oci:$WORK/on:$1"
}
forbidden "glibc to musl" REBASE-LIBC "$(on trixie)" "$bases:alpine"
forbidden "musl to glibc" REBASE-LIBC "$(on alpine)" "$bases:trixie"
forbidden "Python 3.13 to 3.11" REBASE-PYTHON "$(on python3.13)" "$bases:python3.11"
forbidden "no Python" REBASE-PYTHON "$(on python3.13)" "$bases:trixie"
forbidden "Node 24 to 22" REBASE-NODE "$(on node24)" "$bases:node22"
same "the ABI of Node 24" "$("$node24/usr/local/bin/node" -p process.versions.modules)" \
  "$(sed -n 's/.*built on Node [0-9.]* (ABI \([0-9]*\)).*/\1/p' "$WORK/refused.log")"
forbidden "another processor" BASE-PLATFORM "$(on trixie)" "$bases:trixie-arm64"
"$TOOLS/layout-of-tar.py" "$WORK/bases:lies" linux/arm64 "$trixie.tar"
build "$WORK/arm.digest" "$hello" --platform linux/arm64 --base "$bases:trixie-arm64" -o "oci:$WORK/arm:v1" >/dev/null
forbidden "a base that lies about its processor" BASE-ARCH "oci:$WORK/arm:v1" "$bases:lies"
forbidden "a base as image" REBASE-FOREIGN "$bases:trixie" "$bases:trixie-update"
# A program of trixie on bookworm.
debian trixie amd64 coreutils
cp "$ROOTFS/usr/bin/sort" "$WORK/files/probe"
cp -a "$trixie" "$WORK/sorting"
for package in libcrypto.so.3 libselinux.so.1; do touch "$WORK/sorting/usr/lib/x86_64-linux-gnu/$package"; done
layout sorting linux/amd64 "$WORK/sorting"
forbidden "an older glibc" BASE-GLIBC "$(on sorting)" "$bases:bookworm"
mkdir -p "$WORK/linked/opt/app"
layout linked linux/amd64 "$WORK/linked"
cp "$WORK/probe" "$WORK/files/probe"
ln -s opt/app "$WORK/linked/app"
layout linked linux/amd64 "$WORK/linked"
build "$WORK/unlinked.digest" "$hello" --base embedded:static -o "oci:$WORK/unlinked:v1" >/dev/null
forbidden "a link in place of a folder" BASE-SYMLINK "oci:$WORK/unlinked:v1" "$bases:linked"
passed
