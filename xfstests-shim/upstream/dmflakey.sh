# In the place of upstream's library for the device mapper's "flakey" target, with the functions that
# tests call: a device that drops writes is played by a filesystem that is shut down without
# making anything durable, which ends all writes as well.

FLAKEY_ALLOW_WRITES=0
FLAKEY_DROP_WRITES=1
FLAKEY_ERROR_WRITES=2

_require_dm_target()
{
	[ "$1" = flakey ] || _notrun "This test requires dm $1 support"
	_require_scratch_shutdown
}

_require_flakey_with_error_writes()
{
	_notrun "a shutdown cannot play single writes that fail"
}

_init_flakey()
{
	NON_FLAKEY_DEV=$SCRATCH_DEV
}

_cleanup_flakey()
{
	_unmount "$SCRATCH_MNT" >/dev/null 2>&1
}

_load_flakey_table()
{
	[ "$1" = "$FLAKEY_ALLOW_WRITES" ] || _scratch_shutdown
}

_flakey_drop_and_remount()
{
	_load_flakey_table "$FLAKEY_DROP_WRITES"
	_scratch_unmount
	[ "${1:-}" = yes ] && _check_scratch_fs
	_scratch_mount
}
