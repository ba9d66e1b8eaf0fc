//! What fork(2) costs, for comparison: a process of its own, with nothing but so much touched
//! memory, that forks when it is told to.
//!
//! A process of its own because the memory of the benchmark itself must not count; told by a word a
//! line on its standard input, so that its forks can take turns with what is compared.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use memmap2::{Advice, MmapMut, MmapOptions};

const PAGE: usize = 4096;
/// The argument that makes the program such a process; the size in MiB follows.
const ARGUMENT: &str = "--fork-anchor";
/// What must stay free beside an anchor: others use this machine too.
const SPARE_MIB: usize = 3 * 1024;

/// A process of so much touched memory.
pub struct ForkAnchor {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pages: usize,
}

impl ForkAnchor {
    /// Starts a process that has touched `mebibytes` of anonymous memory in 4 KiB pages; `None` if
    /// the machine has no room for it.
    pub fn start(mebibytes: usize) -> Option<Self> {
        if available_mib() < mebibytes + SPARE_MIB {
            return None;
        }
        let mut process = Command::new(std::env::current_exe().expect("our own path"))
            .args([ARGUMENT, &mebibytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the anchor starts");
        let orders = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut anchor = Self { process, orders, answers, pages: (mebibytes << 20) / PAGE };
        // It answers once all is touched.
        anchor.ask("ready");
        Some(anchor)
    }

    /// Nanoseconds of one fork(2), seen from the parent. The child leaves at once.
    pub fn fork_ns(&mut self) -> f64 {
        self.ask("fork")
    }

    /// Nanoseconds a page that the parent takes to write one byte of every page in order while a
    /// forked child lives: a fault and a copy each.
    pub fn write_after_fork_ns_per_page(&mut self) -> f64 {
        self.ask("write") / self.pages as f64
    }

    /// Kibibytes of page tables that a forked child has (VmPTE).
    pub fn child_table_kib(&mut self) -> f64 {
        self.ask("tables")
    }

    fn ask(&mut self, order: &str) -> f64 {
        writeln!(self.orders, "{order}").expect("the anchor listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the anchor answers");
        line.trim().parse().expect("the anchor answers with a number")
    }
}

impl Drop for ForkAnchor {
    fn drop(&mut self) {
        // It has nothing to finish.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the program is to be such a process.
pub fn is_wanted() -> bool {
    std::env::args().nth(1).is_some_and(|argument| argument == ARGUMENT)
}

/// Is such a process, until its standard input ends.
pub fn serve() {
    let mebibytes: usize = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut memory = MmapOptions::new().len(mebibytes << 20).map_anon().expect("memory");
    memory.advise(Advice::NoHugePage).expect("4 KiB pages");
    touch(&mut memory, 1);
    for line in std::io::stdin().lines() {
        let answer = match line.expect("an order").as_str() {
            "fork" => fork_once(),
            "write" => with_child(|_| {
                let started = Instant::now();
                touch(&mut memory, 2);
                started.elapsed().as_nanos() as f64
            }),
            "tables" => with_child(vm_pte_kib),
            _ => 0.0,
        };
        println!("{answer}");
    }
}

/// Writes a byte of every page.
fn touch(memory: &mut MmapMut, value: u8) {
    memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = std::hint::black_box(value));
}

/// Nanoseconds of a fork whose child leaves at once.
fn fork_once() -> f64 {
    let started = Instant::now();
    let child = fork(|| {});
    let elapsed = started.elapsed().as_nanos() as f64;
    wait_for(child);
    elapsed
}

/// Runs `body` while a forked child lives, which it is told the number of.
fn with_child(body: impl FnOnce(libc::pid_t) -> f64) -> f64 {
    let (end, held) = std::io::pipe().expect("a pipe");
    let writer = std::os::fd::AsRawFd::as_raw_fd(&held);
    let child = fork(|| {
        // SAFETY: closes the child's copy of our end, which it does not use; then it sleeps in
        // `read` until the parent's end is gone too, be it by the death of the parent.
        unsafe {
            libc::close(writer);
            let mut byte = 0u8;
            libc::read(std::os::fd::AsRawFd::as_raw_fd(&end), (&raw mut byte).cast(), 1);
        }
    });
    let result = body(child);
    drop(held);
    wait_for(child);
    result
}

/// Forks; the child does `body`, which must make system calls only, and leaves.
fn fork(body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: this process has one thread, so the child finds all its memory in order; and it
    // leaves by `_exit`, which runs nothing of ours.
    match unsafe { libc::fork() } {
        0 => {
            body();
            // SAFETY: as above.
            unsafe { libc::_exit(0) }
        }
        child => {
            assert!(child > 0, "fork: {}", std::io::Error::last_os_error());
            child
        }
    }
}

fn wait_for(child: libc::pid_t) {
    // SAFETY: waits for a child of ours, and wants no status.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
}

/// The page tables of a process.
fn vm_pte_kib(process: libc::pid_t) -> f64 {
    number_in(&format!("/proc/{process}/status"), "VmPTE:") as f64
}

/// Memory the system says could be used without swapping.
pub fn available_mib() -> usize {
    number_in("/proc/meminfo", "MemAvailable:") / 1024
}

/// The number after a word in a file of /proc.
fn number_in(path: &str, word: &str) -> usize {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
