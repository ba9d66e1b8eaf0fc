# What the scripts here share: a volume of their own, mounted and always cleaned up.
# Each script is run as: SCRIPT, with BRAIDFS and FSCK naming the programs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$top/target}
BRAIDFS=${BRAIDFS:-$target/release/braidfs}
FSCK=${FSCK:-$target/release/fsck-braidfs}
work=$(mktemp -d "${TMPDIR:-/tmp}/braidfs-real.XXXXXX")
image=$work/disk.img
mnt=$work/mnt
server=
mkdir "$mnt"

fail() { echo "FAILED: $*" >&2; exit 1; }

cleanup() {
  local status=$?
  mountpoint -q "$mnt" && { umount "$mnt" 2>/dev/null || umount -l "$mnt"; }
  [ -z "$server" ] || { kill -9 "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  [ "$status" = 0 ] || { echo "--- server log"; tail -n 40 "$work/server.log" 2>/dev/null; }
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT

# Mounts the image (made if it is not there) in the foreground of a job and waits until it serves.
start() {
  "$BRAIDFS" mount "$image" "$mnt" --create "${SIZE:-2G}" "$@" >>"$work/server.log" 2>&1 &
  server=$!
  for _ in $(seq 200); do
    mountpoint -q "$mnt" && return
    kill -0 "$server" 2>/dev/null || fail "the server did not start"
    sleep 0.05
  done
  fail "no mount after 10 s"
}

# Unmounts in order and waits for the server's own exit status.
stop() {
  umount "$mnt"
  wait "$server" || fail "the server ended with status $?"
  server=
}

# Kills the server as a crash would, ends the programs that were at work on the mount, and only then takes the
# dead mount away: they would go on in the directory below it.
crash() { # ids of the programs
  kill -9 "$server"
  wait "$server" 2>/dev/null || true
  server=
  local pid
  for pid in "$@"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  umount -l "$mnt"
}

# The volume must be clean, data checksums included.
check() {
  local status=0
  "$FSCK" -f -n --data "$image" >"$work/fsck.log" 2>&1 || status=$?
  [ "$status" = 0 ] || { cat "$work/fsck.log"; fail "fsck says $status"; }
}
