#!/usr/bin/env bash
# Assembled bases have the same digests everywhere, and cost half the CPU time of unpacking by hand
. "$(dirname "$0")/rig.sh"
root_only "umask, another user and the restricted box"
packages umoci runc jq
program
names=(static cc python3.13 node24)
platforms=linux/amd64,linux/arm64
variables=()
while read -r variable; do variables+=(-e "$variable"); done < <(network_environment)

# digests LAYOUT: NAME PLATFORM DIGEST of every manifest below a folder of layouts.
digests() {
  local name index
  for name in "${names[@]}"; do
    index=$(jq -r '.manifests[0].digest' "$1/$name/index.json")
    jq -r --arg name "$name" '.manifests[] | "\($name) \(.platform.architecture) \(.digest)"' \
      "$1/$name/blobs/${index/://}"
  done
}
# assembled FOLDER WRAPPER…: all bases by the lock, with an empty cache below the folder.
assembled() {
  local folder=$1 name outputs=()
  shift
  for name in "${names[@]}"; do
    outputs+=("cd $folder && $KARISIMBI base build $name --platform $platforms --lock $folder/bases.lock \
      --cache-dir $folder/cache -o oci:$folder/out/$name:v1 >>$folder/log 2>&1")
  done
  mkdir -p "$folder/out"
  cp "$WORK/first/bases.lock" "$folder/"
  [ "$(stat -c %u "$folder")" = 0 ] || chown -R "$(stat -c %u:%g "$folder")" "$folder"
  for name in "${outputs[@]}"; do
    "$@" bash -c "$name" || failed "in $(shorten "$folder"): $(tail -5 "$folder/log")"
  done
  same "the lock after $(shorten "$folder")" "$(sha256sum <"$WORK/first/bases.lock")" \
    "$(sha256sum <"$folder/bases.lock")"
  digests "$folder/out" >"$folder/digests"
  same "digests in $(shorten "$folder")" "$(<"$WORK/first/digests")" "$(<"$folder/digests")"
  say "the same digests: $(shorten "$folder")"
}

# --- from nothing: sizes and seconds --------------------------------------------------------------

mkdir "$WORK/first"
cd "$WORK/first"
TIMEFORMAT='%R s wall, %U s CPU'
for name in "${names[@]}"; do
  { time "$TOOLS/measure.py" memory "$KARISIMBI" base lock "$name" --cache-dir cache >>log 2>&1; } \
    2>spent || failed "base lock $name: $(tail -5 log)"
  say "$name locked: $(tail -1 spent)"
  { time "$TOOLS/measure.py" memory "$KARISIMBI" base build "$name" --platform $platforms --cache-dir cache \
    -o "oci:out/$name:v1" >>log 2>&1; } 2>spent || failed "base build $name: $(tail -5 log)"
  say "$name fetched and assembled for both: $(tail -1 spent)"
  "$TOOLS/layout-check.py" "out/$name" v1 >/dev/null || failed "the layout of $name"
done
most=$(jq .rss_kb memory | sort -n | tail -1)
say "memory of the largest of these: $((most / 1024)) MB"
at_most "KiB of memory while locking and assembling" "$most" $((64 * 1024))
digests out >digests
same "digests of four bases for two platforms" 8 "$(sort -u digests | wc -l)"
while read -r name architecture digest; do
  size=$(jq '[.layers[].size] | add' "out/$name/blobs/${digest/://}")
  say "$name $architecture: $size bytes, $digest"
done <digests
grep -c '"diff_id"' bases.lock >layers
same "layers with a diff id in the lock" 10 "$(<layers)"

# --- the same bytes ---------------------------------------------------------------------------------

# A lock that is whole is not written again; packages come from the mirror each time.
mkdir "$WORK/wiped" && assembled "$WORK/wiped" env
mkdir -p "$WORK/a longer path/and one more" && ln -s "$WORK/a longer path/and one more" "$WORK/elsewhere"
assembled "$WORK/elsewhere" env LC_ALL=C TZ=Asia/Tokyo KARISIMBI_THREADS=1
mkdir "$WORK/masked" && assembled "$WORK/masked" bash -c 'umask 077; "$@"' bash
mkdir "$WORK/box" && chown 1001:1001 "$WORK/box"
boxed() {
  (cd "$WORK/box" && "$TOOLS/restricted-box.sh" --host-network -w "$WORK" "${variables[@]}" -- "$@")
}
assembled "$WORK/box" boxed

# --- verified, and cheap ------------------------------------------------------------------------------

cd "$WORK/first"
"$KARISIMBI" base verify --offline --cache-dir cache >verified 2>>log || failed "base verify: $(tail -5 log)"
say "verified again from the packages: $(wc -l <verified) bases"
sed 's/"diff_id": "sha256:..../"diff_id": "sha256:0000/' bases.lock >drifted.lock
code=0
"$KARISIMBI" base verify static --offline --lock drifted.lock --cache-dir cache >drift 2>&1 || code=$?
same "exit code of a lock with another diff id" 1 "$code"
holds "a lock with another diff id" 'error\[BASE-DRIFT\]' drift

read -r ours theirs quotient <<<"$("$TOOLS/assembly-cpu.sh" "$KARISIMBI" "$WORK/cpu")"
say "python3.13 without .pyc: $ours ms of CPU; dpkg-deb -x, tar and gzip -6: $theirs ms; ratio $quotient"
at_most "hundredths of the CPU time by hand" "${quotient/./}" 50
passed
