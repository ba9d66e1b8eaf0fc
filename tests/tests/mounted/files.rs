//! Opening, making and removing files.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, symlink};
use std::os::unix::net::UnixListener;

use braidfs_tests::mounted::on_mount;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::{bytes, errno};

#[test]
fn a_file_is_made_written_and_read() {
    on_mount(|mount| {
        let path = mount.path("file");
        assert_eq!(errno(File::open(&path)), libc::ENOENT);
        fs::write(&path, b"content").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        let seen = fs::metadata(&path).unwrap();
        assert!(seen.is_file() && seen.len() == 7 && seen.nlink() == 1);
    });
}

#[test]
fn exclusive_creation_refuses_what_is_there() {
    on_mount(|mount| {
        let path = mount.path("file");
        let create = || OpenOptions::new().write(true).create_new(true).open(&path);
        create().unwrap();
        assert_eq!(errno(create()), libc::EEXIST);
        fs::remove_file(&path).unwrap();
        // A link counts as there, wherever it leads.
        symlink("nowhere", &path).unwrap();
        assert_eq!(errno(create()), libc::EEXIST);
    });
}

#[test]
fn opening_can_cut_and_append() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, bytes(10_000, 1)).unwrap();
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        let append = || OpenOptions::new().append(true).open(&path).unwrap();
        let (mut one, mut other) = (append(), append());
        for number in 0..50u8 {
            one.write_all(&[number; 100]).unwrap();
            other.write_all(&[number + 100; 50]).unwrap();
        }
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len(), 50 * 150);
        assert!(content.chunks(150).enumerate().all(|(number, chunk)| {
            let number = number as u8;
            chunk[..100] == [number; 100] && chunk[100..] == [number + 100; 50]
        }));
    });
}

#[test]
fn kinds_are_not_mixed_up() {
    on_mount(|mount| {
        let (file, directory) = (mount.path("file"), mount.path("directory"));
        fs::write(&file, b"").unwrap();
        fs::create_dir(&directory).unwrap();
        symlink("file", mount.path("link")).unwrap();
        let open = |path, flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
        assert_eq!(errno(open(file.clone(), libc::O_DIRECTORY)), libc::ENOTDIR);
        assert_eq!(errno(open(mount.path("link"), libc::O_NOFOLLOW)), libc::ELOOP);
        assert_eq!(errno(OpenOptions::new().write(true).open(&directory)), libc::EISDIR);
        assert_eq!(errno(fs::read(mount.path("file/below"))), libc::ENOTDIR);
        assert_eq!(errno(fs::remove_file(&directory)), libc::EISDIR);
        assert_eq!(errno(fs::remove_dir(&file)), libc::ENOTDIR);
        assert_eq!(errno(fs::create_dir(&file)), libc::EEXIST);
    });
}

#[test]
fn a_handle_may_do_what_it_was_opened_for() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"content").unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(errno(reader.write_at(b"x", 0)), libc::EBADF);
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        assert_eq!(errno(writer.read_at(&mut [0], 0)), libc::EBADF);
    });
}

#[test]
fn a_deleted_file_lives_while_it_is_open() {
    on_mount(|mount| {
        let path = mount.path("file");
        let content = bytes(300_000, 1);
        fs::write(&path, &content).unwrap();
        let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
        fs::write(&path, b"another file of that name").unwrap();
        assert_eq!(file.metadata().unwrap().nlink(), 0);
        file.write_at(b"changed", 1000).unwrap();
        file.sync_all().unwrap();
        let mut found = Vec::new();
        file.read_to_end(&mut found).unwrap();
        assert!(found[..1000] == content[..1000] && found[1000..1007] == *b"changed");
        assert!(found[1007..] == content[1007..]);
    });
}

#[test]
fn the_space_of_a_deleted_file_comes_back() {
    on_mount(|mount| {
        let available = || rustix::fs::statvfs(mount.root()).unwrap().f_bavail;
        let before = available();
        let path = mount.path("file");
        let mut file = File::create(&path).unwrap();
        file.write_all(&bytes(20 << 20, 1)).unwrap();
        file.sync_all().unwrap();
        assert!(before - available() >= (20 << 20) / 4096);
        fs::remove_file(&path).unwrap();
        drop(file);
        // The kernel tells in its own time that nobody refers to the file any more.
        for _ in 0..100 {
            mount.sync();
            if before.abs_diff(available()) < 64 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{} blocks are missing", before - available());
    });
}

#[test]
fn special_files_are_made() {
    on_mount(|mount| {
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, mount.path("pipe"), FileType::Fifo, mode, 0).unwrap();
        assert!(fs::metadata(mount.path("pipe")).unwrap().file_type().is_fifo());
        let listener = UnixListener::bind(mount.path("socket")).unwrap();
        assert!(fs::metadata(mount.path("socket")).unwrap().file_type().is_socket());
        drop(listener);
        if rustix::process::geteuid().is_root() {
            let device = makedev(1, 3);
            mknodat(CWD, mount.path("null"), FileType::CharacterDevice, mode, device).unwrap();
            let seen = fs::metadata(mount.path("null")).unwrap();
            assert!(seen.file_type().is_char_device() && seen.rdev() == device);
        }
    });
}

#[test]
fn a_pipe_on_the_mount_carries_bytes() {
    on_mount(|mount| {
        let path = mount.path("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read(path).unwrap()
        });
        fs::write(&path, b"through the pipe").unwrap();
        assert_eq!(reader.join().unwrap(), b"through the pipe");
    });
}

#[test]
fn a_program_runs_from_the_mount() {
    on_mount(|mount| {
        let program = mount.path("program");
        fs::copy("/bin/true", &program).unwrap();
        // The copy has the mode of the original. Whoever forks while it is open for writing keeps it
        // busy for a moment, hence the second try.
        let run = || std::process::Command::new(&program).status();
        let status = run().or_else(|_| {
            std::thread::sleep(std::time::Duration::from_millis(200));
            run()
        });
        assert!(status.unwrap().success());
    });
}

#[test]
fn offsets_belong_to_handles() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"0123456789").unwrap();
        let mut one = File::open(&path).unwrap();
        let mut other = File::open(&path).unwrap();
        one.seek(SeekFrom::End(-3)).unwrap();
        let mut found = [0; 3];
        one.read_exact(&mut found).unwrap();
        assert_eq!(&found, b"789");
        other.read_exact(&mut found).unwrap();
        assert_eq!(&found, b"012");
        assert_eq!(errno(one.seek(SeekFrom::Current(-100))), libc::EINVAL);
    });
}
