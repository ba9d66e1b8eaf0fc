//! The suites.

use super::Foreign;

const PJDFSTEST: &str = r#"
cat >pjdfstest.toml <<END
[features]
posix_fallocate = {}
rename_ctime = {}
stat_st_birthtime = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.01
allow_remount = false
expected_failures = []
[dummy_auth]
entries = [ ["nobody", "nogroup"], ["daemon", "daemon"] ]
END
umask 022
chmod 755 "$MNT"
"$BIN/pjdfstest" -c pjdfstest.toml -p "$MNT" -s "$WORK"
"#;

const FSX: &str = r#"
cat >fsx.toml <<END
flen = 1048576
[opsize]
max = 65536
[weights]
close_open = 1
read = 10
write = 10
mapread = 10
mapwrite = 10
invalidate = 1
truncate = 5
fsync = 1
fdatasync = 1
posix_fallocate = 3
punch_hole = 3
sendfile = 3
posix_fadvise = 1
copy_file_range = 3
END
"$BIN/fsx" -q -f fsx.toml -N "$COUNT" -S "$SEED" -P "$WORK" "$MNT/file"
"#;

const STRESS_NG: &str = r#"
stress-ng --class filesystem --sequential 1 --timeout "$COUNT" --temp-path "$MNT" --verify --metrics-brief
"#;

const FIO: &str = r#"
for engine in psync libaio mmap; do
  direct=0; [ "$engine" = libaio ] && direct=1
  fio --name="$engine" --directory="$MNT" --ioengine="$engine" --direct="$direct" --rw=randwrite \
    --bs=4k-64k --size="${COUNT}m" --randseed="$SEED" --verify=crc32c --verify_fatal=1 \
    --do_verify=1 --fsync=200 --iodepth=8 --minimal
done
"#;

const SQLITE: &str = r#"
database=$MNT/stress.db
for mode in delete truncate wal; do
  sqlite3 "$database" "PRAGMA journal_mode=$mode; CREATE TABLE IF NOT EXISTS t (n INTEGER, v BLOB);"
  for round in $(seq "$COUNT"); do
    sqlite3 "$database" "PRAGMA synchronous=full; BEGIN; WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL
      SELECT n + 1 FROM c WHERE n < 100) INSERT INTO t SELECT n, randomblob(500) FROM c;
      DELETE FROM t WHERE rowid % 7 = $round % 7; COMMIT;"
  done
  [ "$(sqlite3 "$database" 'PRAGMA integrity_check;')" = ok ]
done
"#;

const GIT: &str = r#"
git init -q "$MNT/repository"
cd "$MNT/repository"
git config user.name stress; git config user.email stress@localhost; git config gc.auto 0
for round in $(seq "$COUNT"); do
  mkdir -p "d$((round % 10))"
  for file in 1 2 3 4 5; do echo "$round $file $SEED" >>"d$((round % 10))/f$file"; done
  git add -A; git commit -q -m "$round"
  if ((round % 20 == 0)); then git gc -q; git fsck --strict --no-progress; fi
done
git clone -q . "$MNT/clone"
[ "$(git -C "$MNT/clone" rev-list --count HEAD)" = "$COUNT" ]
git fsck --strict --no-progress
"#;

/// A suite that only needs an installed program.
const fn installed(
    name: &'static str,
    program: &'static str,
    purpose: &'static str,
    count: u64,
    limit: (u64, u64),
    script: &'static str,
) -> Foreign {
    Foreign { name, purpose, program, package: None, needs_root: false, count, limit, script }
}

/// All of them, in the order in which they run.
pub const ALL: &[Foreign] = &[
    Foreign {
        name: "pjdfstest",
        purpose: "what POSIX says of each system call; the count is not used",
        program: "pjdfstest",
        package: Some("pjdfstest@0.2.2"),
        needs_root: true,
        count: 1,
        limit: (0, 900),
        script: PJDFSTEST,
    },
    Foreign {
        name: "fsx",
        purpose: "random operations on one file, compared with a model; counts operations",
        program: "fsx",
        package: Some("fsx@0.3.2"),
        needs_root: false,
        count: 20_000,
        limit: (1, 300),
        script: FSX,
    },
    Foreign {
        needs_root: true,
        ..installed(
            "stress-ng",
            "stress-ng",
            "the filesystem class, one stressor after the other; counts seconds for each",
            1,
            (120, 300),
            STRESS_NG,
        )
    },
    installed("fio", "fio", "random writes, verified; counts MiB", 32, (5, 300), FIO),
    installed(
        "dbench",
        "dbench",
        "the load of a file server; counts seconds",
        10,
        (2, 120),
        r#"dbench -D "$MNT" -t "$COUNT" 4"#,
    ),
    installed(
        "fs_mark",
        "fs_mark",
        "many small files, each with fsync; counts files",
        500,
        (1, 120),
        r#"fs_mark -d "$MNT" -n "$COUNT" -s 4096 -t 2"#,
    ),
    installed(
        "bonnie++",
        "bonnie++",
        "large and small files; counts MiB",
        64,
        (5, 300),
        r#"bonnie++ -d "$MNT" -s "$COUNT" -r "$((COUNT / 2))" -n 1 -u "$(id -un)" -q"#,
    ),
    installed(
        "sqlite",
        "sqlite3",
        "transactions in three modes; counts them",
        20,
        (5, 120),
        SQLITE,
    ),
    installed("git", "git", "commits, gc and fsck; counts commits", 40, (5, 120), GIT),
];
