# What every acceptance check starts from: the program, a temporary folder, registries, verdicts.
# Sourced by accept.d/A*.sh, never run.
set -Eeuo pipefail
umask 022

ID=$(basename "$0" .sh)
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=$ROOT/scripts/tools
ACCEPT_CACHE=${KARISIMBI_ACCEPT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/karisimbi-accept}
# Lower case: buildah makes repository names of paths. Open to read: restricted users work here too.
WORK=${TMPDIR:-/tmp}/karisimbi-accept-${ID,,}-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
mkdir -m 755 "$WORK"
mkdir -p "$ACCEPT_CACHE"
# Where the files recipe puts a tree unless it is told otherwise.
FILES_ROOT=/app

# Verdicts also come out of $(…).
exec 3>&1

servers=()
mounts=()
clean_up() {
  local pid mount
  for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
  for mount in "${mounts[@]}"; do umount "$mount" 2>/dev/null || true; done
  # Go's module cache is read-only.
  chmod -R u+w "$WORK" 2>/dev/null || true
  rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 1' TERM
trap 'failed "line $LINENO: $BASH_COMMAND"' ERR

# --- verdicts ---------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

# Shows a command, then runs it.
run() {
  printf '$ %s\n' "$(shorten "${*@Q}")" >&2
  "$@"
}

# Paths of this run are noise in a quoted figure.
shorten() { local text=${1//\'/}; text=${text//"$WORK"/WORK}; printf '%s' "${text//"$ROOT"/.}"; }

failed() {
  trap - ERR
  say "$ID failed: $*" >&3
  # Also out of a subshell such as $(…).
  [ "$BASH_SUBSHELL" = 0 ] || kill -TERM $$
  exit 1
}
passed() { say "$ID passed"; exit 0; }

same() { [ "$2" = "$3" ] || failed "$1: expected $2, got $3"; }
different() { [ "$2" != "$3" ] || failed "$1: both are $2"; }
holds() { grep -Eq -- "$2" "$3" || failed "$1: no /$2/ in: $(tail -c 1500 "$3")"; }
lacks() { ! grep -Eq -- "$2" "$3" || failed "$1: found /$2/: $(grep -E -m 3 -- "$2" "$3")"; }

# at_most WHAT VALUE LIMIT: integers
at_most() { [ "$2" -le "$3" ] || failed "$1: $2 is more than $3"; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# --- what is judged -----------------------------------------------------------------------------

# Sets KARISIMBI to a program that restricted users can run too.
program() {
  if [ -z "${KARISIMBI:-}" ]; then
    (cd "$ROOT" && cargo build --release --locked --quiet)
    KARISIMBI=${CARGO_TARGET_DIR:-$ROOT/target}/release/karisimbi
  fi
  install -m 755 "$KARISIMBI" "$WORK/karisimbi"
  KARISIMBI=$WORK/karisimbi
  # No check may find what an earlier one, or the user, left behind.
  export XDG_CACHE_HOME=$WORK/xdg-cache
  unset KARISIMBI_REPO SOURCE_DATE_EPOCH
}

# build DIGEST_FILE ARGUMENTS…: a build that must succeed; prints its digest.
# Standard error is kept in DIGEST_FILE.log, standard output in DIGEST_FILE.out.
build() {
  local file=$1
  shift
  printf '$ karisimbi build %s\n' "$(shorten "${*@Q}")" >&2
  "$KARISIMBI" build "$@" --digest-file "$file" >"$file.out" 2>"$file.log" ||
    failed "karisimbi build $* ended with $?: $(tail -c 2000 "$file.log")"
  grep -Eqx 'sha256:[0-9a-f]{64}' "$file" || failed "--digest-file holds: $(head -c 200 "$file")"
  same "lines on standard output" 1 "$(wc -l <"$file.out")"
  tr -d '\n' <"$file"
}

# refused NAME CODE-REGEX ARGUMENTS…: a build that must fail with exit code 1 and this error code.
refused() {
  local name=$1 code=$2 exit_code=0
  shift 2
  timeout 120 "$KARISIMBI" build "$@" >"$WORK/refused.out" 2>"$WORK/refused.log" || exit_code=$?
  same "exit code of $name ($(tail -c 600 "$WORK/refused.log"))" 1 "$exit_code"
  # Warnings have codes too; the refusal is the error's.
  grep '^error\[' "$WORK/refused.log" >"$WORK/refused.errors" || failed "$name: no error in $(tail -c 600 "$WORK/refused.log")"
  holds "$name" "$code" "$WORK/refused.errors"
  [ ! -s "$WORK/refused.out" ] || failed "$name: standard output holds $(head -c 200 "$WORK/refused.out")"
  say "$name: refused with $(grep -Eo -m 1 -- "$code" "$WORK/refused.errors" | head -1)"
}

# --- tools and servers ----------------------------------------------------------------------------

packages() { "$TOOLS/install-packages" "$@"; }

root_only() { [ "$(id -u)" = 0 ] || failed "needs root for $*"; }

# Variables that clients need in a network with proxies or a certificate authority of its own.
network_environment() {
  local name
  for name in SSL_CERT_FILE SSL_CERT_DIR HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy \
    no_proxy GOPROXY GONOSUMDB GOSUMDB GOPRIVATE; do
    [ -z "${!name:-}" ] || printf '%s=%s\n' "$name" "${!name}"
  done
}

# Sets CRANE, built once into the cache by the Go toolchain.
install_crane() {
  CRANE=$ACCEPT_CACHE/bin/crane
  [ ! -x "$CRANE" ] || return 0
  local environment
  mapfile -t environment < <(network_environment)
  # A closed environment: the user's Go settings don't change which program is built.
  (cd "$WORK" && env -i PATH="$PATH" HOME="$ACCEPT_CACHE/go-home" GOPATH="$ACCEPT_CACHE/go" \
    GOCACHE="$ACCEPT_CACHE/go-build" GOBIN="$ACCEPT_CACHE/bin" CGO_ENABLED=0 "${environment[@]}" \
    go install -trimpath -ldflags '-s -w' github.com/google/go-containerregistry/cmd/crane@v0.22.1)
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# registry NAME [CERTIFICATE KEY]: starts docker-registry; sets REGISTRY=127.0.0.1:PORT.
registry() {
  local dir=$WORK/registry-$1 port scheme=http tls=
  port=$(free_port)
  mkdir -p "$dir"
  if [ $# = 3 ]; then
    scheme=https
    tls=", tls: {certificate: $2, key: $3}"
  fi
  cat >"$dir/config.yml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $dir/data}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: "127.0.0.1:$port"$tls}
YAML
  docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 &
  servers+=($!)
  for _ in $(seq 100); do
    if curl -fsk --noproxy '*' "$scheme://127.0.0.1:$port/v2/" >/dev/null 2>&1; then
      REGISTRY=127.0.0.1:$port
      return 0
    fi
    sleep 0.1
  done
  failed "docker-registry did not start: $(tail -5 "$dir/log")"
}

# logging_proxy LOG: a proxy in front of REGISTRY that logs requests; sets REGISTRY to its address.
logging_proxy() {
  "$TOOLS/logging-proxy.py" "$WORK/proxy.port" "$1" "${REGISTRY##*:}" &
  servers+=($!)
  for _ in $(seq 100); do
    [ ! -s "$WORK/proxy.port" ] || { REGISTRY=127.0.0.1:$(<"$WORK/proxy.port"); return 0; }
    sleep 0.1
  done
  failed "the logging proxy did not start"
}

# certificate_authority DIR NAME…: DIR/ca.crt and a server certificate DIR/server.{crt,key}.
certificate_authority() {
  local dir=$1 names
  shift
  names=$(printf ',DNS:%s' "$@")
  mkdir -p "$dir"
  {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/ca.key" -out "$dir/ca.crt" -days 2 \
      -subj "/CN=acceptance CA" -addext keyUsage=critical,keyCertSign,cRLSign &&
      openssl req -newkey rsa:2048 -nodes -keyout "$dir/server.key" -out "$dir/server.csr" \
        -subj "/CN=$1" &&
      printf 'subjectAltName=IP:127.0.0.1%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n' \
        "$names" >"$dir/extensions" &&
      openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" \
        -CAcreateserial -days 2 -extfile "$dir/extensions" -out "$dir/server.crt"
  } >"$dir/log" 2>&1 || failed "openssl: $(tail -3 "$dir/log")"
}

# run_restricted NAME LAYOUT:TAG EXPECTED-TOOLS: unpacks with umoci, runs under runc as uid 1001 with
# a read-only root and without capabilities, and speaks MCP with it. EXPECTED-TOOLS may be empty.
run_restricted() {
  local name=$1 image=$2 bundle=$WORK/bundle-$1 tools=()
  [ -z "$3" ] || tools=(--tools "$3")
  umoci unpack --image "$image" "$bundle" >"$bundle.log" 2>&1 ||
    failed "umoci unpack $image: $(tail -3 "$bundle.log")"
  "$TOOLS/box.py" "$bundle" --user 1001:1001 --read-only --no-capabilities \
    --seccomp "$TOOLS/moby-linux-seccomp.json"
  "$TOOLS/mcp-handshake.py" "${tools[@]}" -- \
    runc --root "$WORK/runc" run --bundle "$bundle" "accept-$$-$name" ||
    failed "$name does not answer"
  rm -rf "$bundle"
}

# npm_tree: sets NPM_TREE, a folder of more than 15 000 files of real npm packages.
npm_tree() {
  local wanted=$ROOT/scripts/accept.d/npm-tree
  NPM_TREE=$ACCEPT_CACHE/npm-tree
  if ! cmp -s "$wanted/package-lock.json" "$NPM_TREE/package-lock.json" ||
    [ ! -d "$NPM_TREE/node_modules" ]; then
    rm -rf "$NPM_TREE" "$NPM_TREE.new"
    mkdir "$NPM_TREE.new"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$NPM_TREE.new/"
    (cd "$NPM_TREE.new" && npm ci --ignore-scripts --no-audit --no-fund >&2)
    mv "$NPM_TREE.new" "$NPM_TREE"
  fi
  [ "$(find "$NPM_TREE" -type f | wc -l)" -ge 15000 ] || failed "the npm tree has too few files"
}

# probe_program FILE: a tiny static program, so that a tree of files has something to start.
probe_program() {
  local source=$WORK/probe-source
  mkdir -p "$source"
  printf 'package main\n\nfunc main() { println("probe") }\n' >"$source/main.go"
  (cd "$source" && env GO111MODULE=off GOFLAGS= CGO_ENABLED=0 GOCACHE="$ACCEPT_CACHE/go-build" \
    go build -trimpath -ldflags '-s -w' -o "$1" main.go)
}
