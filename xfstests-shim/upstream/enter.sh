#!/usr/bin/env bash
# Runs upstream's xfstests on braidfs, in a mount and a process namespace of its own, so that nothing
# is left behind: users and helpers exist in overlays only.
#
# enter.sh WORK CHECKOUT TYPE ARGUMENT...   (as root, by `unshare --mount --pid --fork --mount-proc`)
set -uo pipefail
work=$1 checkout=$2 type=$3
shift 3

mount --make-rprivate /
mkdir -p "$work/overlay"
mount -t tmpfs none "$work/overlay"
for directory in etc usr/sbin; do
	name=${directory//\//_}
	mkdir -p "$work/overlay/$name.upper" "$work/overlay/$name.work"
	mount -t overlay overlay "/$directory" \
		-o "lowerdir=/$directory,upperdir=$work/overlay/$name.upper,workdir=$work/overlay/$name.work"
done

# The names that mkfs(8), mount(8), umount(8) and fsck(8) look for.
for verb in mkfs mount umount fsck; do
	for kind in braidfs fuse.braidfs fuseblk.braidfs; do
		ln -sf "$work/bin/$verb.fuse.braidfs" "/usr/sbin/$verb.$kind"
		[ "$kind" = fuseblk.braidfs ] && ln -sf "$work/bin/$verb.$kind" "/usr/sbin/$verb.$kind"
	done
done
ln -sf "$work/bin/mount.braidfs" /usr/sbin/mount.braidfs
ln -sf "$(readlink -f "$work/bin/fsck.braidfs")" /usr/sbin/fsck.braidfs
# The suite makes volumes again and again, on devices and image files; mkfs makes over neither a volume
# nor a file with data in it, unless it is told so.
for kind in fuse.braidfs fuseblk.braidfs; do
	rm -f "/usr/sbin/mkfs.$kind"
	cat >"/usr/sbin/mkfs.$kind" <<END
#!/bin/bash
device=\${!#}
if [ -f "\$device" ] || [ "\$(head -c 7 "\$device" 2>/dev/null | tr -d '\\0')" = BRAIDFS ]; then
	set -- --force "\$@"
fi
exec "$work/bin/mkfs.fuse.braidfs" "\$@"
END
	chmod +x "/usr/sbin/mkfs.$kind"
done

for user in fsgqa fsgqa2 123456-fsgqa; do
	getent passwd "$user" >/dev/null || useradd -m -d "$work/overlay/$user" -s /bin/bash "$user"
done
for group in sys bin; do groupadd -f "$group"; done

test_device=$(losetup --find --show "$work/test.img") || exit 2
scratch_device=$(losetup --find --show "$work/scratch.img") || exit 2
leave() {
	umount /mnt/test /mnt/scratch 2>/dev/null
	losetup --detach "$test_device"
	losetup --detach "$scratch_device"
}
trap leave EXIT

mkdir -p "$work/overlay/mnt" "$work/results"
mount --bind "$work/overlay/mnt" /mnt
mkdir -p /mnt/test /mnt/scratch
mkfs -t "$type" "$test_device" >/dev/null || exit 2
# There is no device mapper here, or nothing below it that a power failure could be played on: the
# shutdown ioctl ends all writes instead.
mount --bind "$work/dmflakey" "$checkout/common/dmflakey"

cat >"$work/local.config" <<END
export TEST_DEV=$test_device
export TEST_DIR=/mnt/test
export SCRATCH_DEV=$scratch_device
export SCRATCH_MNT=/mnt/scratch
export FSTYP=$type
export FSCK_OPTIONS=-n
export RESULT_BASE=$work/results
END
export HOST_OPTIONS=$work/local.config
ulimit -n 4096
cd "$checkout" || exit 2
./check "$@"
