#!/usr/bin/env bash
# The released static program runs in an empty root and pushes over TLS; its size and start-up time
. "$(dirname "$0")/rig.sh"
root_only "chroot"
packages docker-registry openssl curl skopeo binutils
if [ -z "${KARISIMBI:-}" ]; then
  run "$ROOT/scripts/release" "$WORK/dist"
  KARISIMBI=$WORK/dist/karisimbi-x86_64-unknown-linux-musl
  (cd "$WORK/dist" && sha256sum --check --quiet SHA256SUMS) || failed "SHA256SUMS does not hold"
fi
program

readelf -lW "$KARISIMBI" >"$WORK/segments"
lacks "a static program" 'INTERP' "$WORK/segments"
readelf -dW "$KARISIMBI" >"$WORK/dynamic"
lacks "a static program" 'NEEDED' "$WORK/dynamic"

# A name that is not loopback's, so that the program speaks TLS; /etc/hosts is its only resolver.
certificate_authority "$WORK/ca" registry.test
registry tls "$WORK/ca/server.crt" "$WORK/ca/server.key"
port=${REGISTRY##*:}

mkdir -p "$WORK/root/etc" "$WORK/root/source"
cp "$KARISIMBI" "$WORK/root/karisimbi"
cp "$WORK/ca/ca.crt" "$WORK/root/ca.crt"
printf '127.0.0.1 registry.test\n' >"$WORK/root/etc/hosts"
probe_program "$WORK/root/source/probe"
printf 'hello\n' >"$WORK/root/source/greeting"
say "the empty root holds: $(cd "$WORK/root" && find . -type f | sort | paste -sd' ')"
inside() { env -i "$(type -P chroot)" "$WORK/root" /karisimbi "$@"; }
run inside version

arguments=(build /source --recipe files --base scratch --entrypoint "$FILES_ROOT/probe" --cache-dir /cache
  -t "registry.test:$port/accept/empty:v1" --push --digest-file /digest)
code=0
inside "${arguments[@]}" >"$WORK/untrusted.out" 2>"$WORK/untrusted.log" || code=$?
same "exit code for an unknown authority ($(tail -2 "$WORK/untrusted.log"))" 15 "$code"
say "\$ ${arguments[*]} --ca-file /ca.crt"
inside "${arguments[@]}" --ca-file /ca.crt >"$WORK/out" 2>"$WORK/log" || failed "$(tail -5 "$WORK/log")"
digest=$(tr -d '\n' <"$WORK/root/digest")
same "standard output" "registry.test:$port/accept/empty@$digest" "$(<"$WORK/out")"

mkdir "$WORK/certificates"
cp "$WORK/ca/ca.crt" "$WORK/certificates/"
run skopeo copy --quiet --src-cert-dir "$WORK/certificates" "docker://$REGISTRY/accept/empty:v1" "oci:$WORK/pulled:v1"
same "digest that the registry serves" "$digest" "$("$TOOLS/layout-check.py" "$WORK/pulled" v1)"

for _ in $(seq 21); do "$TOOLS/measure.py" "$WORK/start.rows" "$KARISIMBI" version >/dev/null; done
start=$(jq -s 'map(.wall_ms) | sort | .[length / 2 | floor]' "$WORK/start.rows")
say "size: $(stat -c %s "$KARISIMBI") bytes; start-up, median of 21: $start ms"
at_most "microseconds to start" "$(awk -v ms="$start" 'BEGIN { printf "%d", ms * 1000 }')" 10000
passed
