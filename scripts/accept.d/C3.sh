#!/usr/bin/env bash
# Debian mirrors that lie: every fault of the trust chain has its code, and nothing of it is kept
. "$(dirname "$0")/rig.sh"
packages gnupg python3 curl xz-utils ca-certificates
program

# --- a mirror of the static set with a signature of our own ---------------------------------------

run "$KARISIMBI" base lock deb:trixie/static --lock "$WORK/real.lock" --cache-dir "$WORK/real" \
  >"$WORK/out" 2>"$WORK/log" || failed "the real mirror: $(tail -c 2000 "$WORK/log")"
holds "signers of the real mirror" '"[0-9A-F]{40}"' "$WORK/real.lock"
say "real mirror: $(grep -c '"filename"' "$WORK/real.lock") packages of two platforms locked"

SUITE=trixie
GOOD=$WORK/good
"$TOOLS/debian-mirror.py" copy "$WORK/real.lock" "$GOOD/debian"

export GNUPGHOME=$WORK/gpg
mkdir -m 700 "$GNUPGHOME"
gpg_quiet() { gpg --batch --yes --quiet --no-tty --passphrase '' --pinentry-mode loopback "$@" 2>"$WORK/gpg.log" || failed "gpg $*: $(<"$WORK/gpg.log")"; }
# key NAME LIFETIME [FAKED-TIME]
key() { gpg_quiet ${3:+--faked-system-time "$3"} --quick-generate-key "$1" ed25519 sign "$2"; }
key archive never
key stranger never
key old 1y 20200101T000000!
gpg_quiet --export archive >"$WORK/keys.gpg"
gpg_quiet --export old >"$WORK/old.gpg"

# sign MIRROR KEY…: InRelease out of Release
sign() {
  local top=$1/debian/dists/$SUITE users=() name
  shift
  for name in "$@"; do users+=(-u "$name"); done
  gpg_quiet "${users[@]}" --clearsign -o "$top/InRelease" "$top/Release"
}
publish() {
  local mirror=$1 days=$2
  shift 2
  "$TOOLS/debian-mirror.py" release "$mirror/debian" "$SUITE" "$days" "$@"
  sign "$mirror" archive
}
publish "$GOOD" -1
# Ends gpg's agent before its folder goes.
agent_ends() { gpgconf --kill all 2>/dev/null || true; clean_up; }
trap agent_ends EXIT

mkdir "$WORK/served"
port=$(free_port)
python3 -m http.server --bind 127.0.0.1 --directory "$WORK/served" "$port" >"$WORK/server.log" 2>&1 &
servers+=($!)
for _ in $(seq 50); do curl -so /dev/null "http://127.0.0.1:$port/" && break; sleep 0.1; done

# serve NAME: a copy of the good mirror as MIRROR, reached at URL
serve() {
  MIRROR=$WORK/served/$1
  URL=http://127.0.0.1:$port/$1/debian
  cp -r "$GOOD" "$MIRROR"
  TOP=$MIRROR/debian/dists/$SUITE
}

base() {
  local command=$1
  shift
  "$KARISIMBI" base "$command" "$@" --mirror "$URL" --keyring "${KEYRING:-$WORK/keys.gpg}"
}

# kept CACHE: packages and indices that a cache holds
kept() { find "$1/blobs" "$1/tmp" -type f 2>/dev/null | wc -l; }

# refused_with NAME CODE COMMAND ARGUMENTS…: fails with the code, and keeps nothing
refused_with() {
  local name=$1 code=$2 cache=$WORK/cache-$1 exit_code=0
  shift 2
  base "$@" --cache-dir "$cache" >"$WORK/refused.out" 2>"$WORK/refused.log" || exit_code=$?
  same "exit code of $name ($(tail -c 600 "$WORK/refused.log"))" 1 "$exit_code"
  holds "$name" "^error\[$code\]" "$WORK/refused.log"
  [ "$code" = BASE-404 ] || same "files kept after $name" 0 "$(kept "$cache")"
  say "$name: $(grep -m 1 '^error\[' "$WORK/refused.log" | cut -c 1-200)"
}

# --- a sound mirror ---------------------------------------------------------------------------------

serve sound
base lock deb:$SUITE/static --lock "$WORK/sound.lock" --cache-dir "$WORK/cache-sound" >"$WORK/out" 2>"$WORK/log" ||
  failed "a sound mirror: $(tail -c 2000 "$WORK/log")"
sign "$MIRROR" stranger archive
base lock deb:$SUITE/static --lock "$WORK/extra.lock" --cache-dir "$WORK/cache-extra" >"$WORK/out" 2>"$WORK/log" ||
  failed "an extra signer: $(tail -c 2000 "$WORK/log")"
same "signers" "$(gpg --batch --list-keys --with-colons archive 2>/dev/null | awk -F: '/^fpr/ { print $10; exit }')" \
  "$(grep -Eo '"[0-9A-F]{40}"' "$WORK/extra.lock" | tr -d '"')"
say "an unknown signer beside a known one does no harm"

# --- faults of indices ------------------------------------------------------------------------------

lock_refused() { refused_with "$1" "$2" lock "deb:$SUITE/static" --lock "$WORK/$1.lock"; [ ! -e "$WORK/$1.lock" ] || failed "$1: a lock was written"; }

serve tampered
sed -i 's/^Origin: Test/Origin: Tesu/' "$TOP/InRelease"
lock_refused tampered BASE-SIG

serve stranger
sign "$MIRROR" stranger
lock_refused stranger BASE-SIG

serve old-key
gpg_quiet --faked-system-time 20200601T000000! -u old --clearsign -o "$TOP/InRelease" "$TOP/Release"
KEYRING=$WORK/old.gpg lock_refused old-key BASE-SIG
holds "why the key does not count" 'the key has expired' "$WORK/refused.log"

serve packages
printf 'Package: evil\n' >"$TOP/main/binary-amd64/Packages"
xz -kf "$TOP/main/binary-amd64/Packages"
lock_refused packages BASE-HASH

serve expired
publish "$MIRROR" -9 -2
lock_refused expired BASE-EXPIRED

serve other-suite
sed 's/^Suite:.*/Suite: bookworm/; s/^Codename:.*/Codename: bookworm/' "$TOP/Release" >"$TOP/Release.new"
mv "$TOP/Release.new" "$TOP/Release"
sign "$MIRROR" archive
lock_refused other-suite BASE-SUITE

serve rolled-back
publish "$MIRROR" -2
cp "$WORK/sound.lock" "$WORK/rolled-back.lock"
refused_with rolled-back BASE-ROLLBACK update --lock "$WORK/rolled-back.lock"
run cmp "$WORK/sound.lock" "$WORK/rolled-back.lock"

# --- faults of packages -----------------------------------------------------------------------------

# Only the lock and a clean cache: every package is fetched.
file_refused() { cp "$WORK/sound.lock" "$WORK/$1.lock"; refused_with "$1" "$2" build "deb:$SUITE/static" --lock "$WORK/$1.lock" -o "oci:$WORK/$1.oci:v1"; [ ! -e "$WORK/$1.oci" ] || failed "$1: an image was written"; }

# The locked mirror serves the same as this one: no way around the fault.
unlocked() { rm -rf "$WORK/served/sound"; }
unlocked

tzdata() { find "$MIRROR/debian/pool" -name 'tzdata_*.deb'; }

serve swapped
truncate -s "$(stat -c %s "$(tzdata)")" "$WORK/zeros"
find "$MIRROR/debian/pool" -name '*.deb' -exec cp "$WORK/zeros" {} \;
file_refused swapped BASE-HASH

serve vanished
rm "$(tzdata)"
sed -i '/^Package: tzdata$/,/^$/ s/^Version: .*/Version: 2099a-1/' "$TOP"/main/*/Packages
publish "$MIRROR" -0.5
file_refused vanished BASE-404
holds "the newer version" '2099a-1' "$WORK/refused.log"

serve gone
rm "$(tzdata)"
sed -i '/^Package: tzdata$/,/^$/ d' "$TOP"/main/*/Packages
publish "$MIRROR" -0.5
file_refused gone BASE-404
holds "that there is none" 'no such package any more' "$WORK/refused.log"
passed
