//! The process that serves a mount.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; it is killed when this is dropped.
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts it and waits until it says that the volume is mounted.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("a log file");
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the server can be started");
        let said = lines(child.stdout.take().expect("it was piped"));
        let server = Self { child };
        loop {
            let line = said.recv_timeout(PATIENCE).expect("the server says that it is mounted");
            if line.contains("is mounted on") {
                return server;
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn send(&self, signal: Signal) {
        kill_process(self.process(), signal).expect("the server is there");
    }

    /// Waits for its end, which must be in order.
    pub fn wait_for_success(mut self) {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => break status,
                None if started.elapsed() > PATIENCE => panic!("the server does not end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert!(ExitStatus::success(&status), "the server ended with {status}");
    }

    fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream, which is read to its end whether anybody waits for them or not.
fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    receive
}
