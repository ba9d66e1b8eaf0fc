# What every test has, and what starts it: `bash lib.sh TEST`.
#
# Variables:
#   $dir   a fresh directory on TEST, for this test alone; removed after it
#   $mnt   where SCRATCH is mounted, once the test has made and mounted it
#   $tmp   a directory outside of both
#   $SEED, $SCALE, $FSTYP, $TEST_DIR, $TEST_DEV, $SCRATCH_DEV
#
# What a test prints (both streams) is compared with its golden output. Paths of $dir and so on are
# replaced there by TEST/NNN, SCRATCH, TMP. A status that is not 0 is a failure, too.
set -u
umask 022
seq=${1##*/}
# Users that need not exist, and belong to no group of root's.
alice=60101 bob=60102 staff=60201

# Primitives: io FILE -c COMMAND..., or ops COMMAND... without a file.
io() { "$SHIM" io "$@"; }
ops() { local arguments=(); local one; for one in "$@"; do arguments+=(-c "$one"); done; "$SHIM" io "${arguments[@]}"; }

# Ends the test: it can't be run here, and why.
notrun() { echo "$*" >"$SHIM_WORLD/state/notrun"; exit 0; }
# Ends the test: something is not as it should be. For what golden output can't say.
fail() { echo "FAILED: $*"; exit 1; }
# Notes something for the results, which is not compared.
note() { echo "$*" >>"$tmp/full"; }

# Runs a command as another user, without capabilities: as $alice COMMAND...
as() { local user=$1; shift; setpriv --reuid "$user" --regid "$user" --clear-groups -- "$@"; }
# The same with a second group: as_member USER GROUP COMMAND...
as_member() { local user=$1 group=$2; shift 2; setpriv --reuid "$user" --regid "$user" --groups "$group" -- "$@"; }

# The scratch volume.
scratch_mkfs() { "$SHIM" volume mkfs scratch "$@" || fail "mkfs"; }
scratch_mount() { "$SHIM" volume mount scratch ${1:+-o "$1"} || fail "mount"; }
scratch_unmount() { "$SHIM" volume unmount scratch || fail "unmount"; }
scratch_check() { "$SHIM" volume check scratch || fail "check"; }
# Unmounts and mounts, so that everything comes from the device.
scratch_cycle() { scratch_unmount; scratch_mount "$@"; }
# A crash: the server is killed, the volume mounted again.
scratch_kill() { "$SHIM" volume kill scratch || fail "kill"; }
scratch_crash() { scratch_kill; scratch_check; scratch_mount "$@"; }
scratch() { scratch_mkfs "${1:-$((512 << 20))}"; scratch_mount "${2:-}"; }
# The server may log errors with this text.
expect_error() { echo "$*" >>"$SHIM_WORLD/state/expected-errors"; }
# This test leaves a volume that does not check clean, on purpose.
uncheck() { : >"$SHIM_WORLD/state/unchecked-$1"; }

# The same for TEST.
test_cycle() {
  "$SHIM" volume unmount test || fail "unmount"
  "$SHIM" volume mount test ${1:+-o "$1"} || fail "mount"
}

# An actor is a process with files of its own, that does what it is told while others do other
# things: actor NAME [FILE [FLAGS]]; tell NAME COMMAND...; leave NAME.
declare -A actor_in actor_out actor_pid
actor() {
  local name=$1 in out; shift
  mkfifo "$tmp/$name.in" "$tmp/$name.out"
  "${actor_as[@]}" "$SHIM" io -i <"$tmp/$name.in" >"$tmp/$name.out" 2>&1 &
  actor_pid[$name]=$!
  exec {in}>"$tmp/$name.in" {out}<"$tmp/$name.out"
  actor_in[$name]=$in actor_out[$name]=$out
  [ $# = 0 ] || tell "$name" "open -f ${2:-rw} '$1'"
}
actor_as=()
# Says something without waiting for the answer, which `hear` prints.
whisper() { local name=$1; shift; echo "$*" >&"${actor_in[$name]}"; }
hear() {
  local line
  while IFS= read -r -t 60 -u "${actor_out[$1]}" line; do
    [ "$line" != -- ] || return 0
    echo "$1: $line"
  done
  fail "$1 does not answer"
}
tell() { whisper "$@"; hear "$1"; }
leave() {
  local in=${actor_in[$1]} out=${actor_out[$1]}
  whisper "$1" quit
  exec {in}>&- {out}<&-
  wait "${actor_pid[$1]}" 2>/dev/null
  rm -f "$tmp/$1.in" "$tmp/$1.out"
}

# Ends an actor as a crash of a program would. (Bash would tell of it if it were not waited for.)
kill_actor() { kill -9 "${actor_pid[$1]}"; wait "${actor_pid[$1]}" 2>/dev/null; }

# What a test needs: the words of its `needs` line.
need() {
  case $1 in
    root) [ "$(id -u)" = 0 ] || notrun "needs root" ;;
    user) [ "$(id -u)" = 0 ] || notrun "needs root, to become another user"
          as $alice true 2>/dev/null || notrun "setpriv can't become another user" ;;
    program:*) command -v "${1#*:}" >/dev/null || notrun "needs the program ${1#*:}" ;;
    fuse) [[ $FSTYP = fuse.* ]] || notrun "is about FUSE servers, and $FSTYP has none" ;;
    feature:*) probe "${1#*:}" ;;
    *) fail "nobody knows what $1 is" ;;
  esac
}
# Features are tried out, not looked up: what is there today may not have been yesterday.
probe() {
  local it=$dir/probe answer
  case $1 in
    acl) : >"$it"; answer=$(ops "setacl $it user::rw- group::r-- other::r--") ;;
    tmpfile) answer=$(io -f rwT "$dir" </dev/null) ;;
    reflink) answer=$(ops "open -f rwct $it" "pwrite 0 64k" "open -f rwct $it.2" "reflink 0") ;;
    whiteout) : >"$it"; answer=$(ops "rename -w $it $it.2"); rm -f "$it" ;;
    collapse) answer=$(io -f rwc "$it" -c "pwrite 0 64k" -c "falloc -c 0 16k") ;;
    insert) answer=$(io -f rwc "$it" -c "pwrite 0 64k" -c "falloc -i 0 16k") ;;
    unshare) answer=$(io -f rwc "$it" -c "pwrite 0 64k" -c "falloc -u 0 16k") ;;
    shutdown) scratch; answer=$(io -f r "$mnt" -c shutdown); scratch_unmount ;;
    *) fail "there is no probe for $1" ;;
  esac
  rm -f "$it" "$it.2"
  [ -z "${answer:-}" ] || notrun "needs $1: $answer"
}

for one in $NEEDS; do need "$one"; done
. "$1"
exit 0
