//! The threads that answer requests. One request, one thread: a hand-off costs more than most
//! operations.

use std::io;
use std::sync::Arc;
use std::thread;

use rustix::io::Errno;
use tracing::debug;

use super::device::Device;
use super::operation::{Dialect, Operation};
use super::reply::Reply;
use super::request::{HEADER_BYTES, Request};

/// What a WRITE has before its data.
const WRITE_BYTES: usize = 40;
/// The least that the kernel wants to have room for.
const LEAST_BUFFER_BYTES: usize = 8192;

/// Answers requests with `answer` on `threads` threads until the mount ends.
///
/// # Errors
/// When requests cannot be read, or threads not be started.
pub fn serve(
    device: &Arc<Device>,
    threads: usize,
    max_write: u32,
    dialect: Dialect,
    answer: &(impl Fn(Request<'_>, Reply) + Sync),
) -> io::Result<()> {
    let buffer_bytes = (max_write as usize + HEADER_BYTES + WRITE_BYTES).max(LEAST_BUFFER_BYTES);
    let work = || answer_requests(device, buffer_bytes, dialect, answer);
    thread::scope(|scope| {
        let started: io::Result<Vec<_>> = (0..threads.max(1))
            .map(|index| {
                thread::Builder::new().name(format!("fuse-{index}")).spawn_scoped(scope, work)
            })
            .collect();
        let outcomes = started?.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        });
        // All are waited for, whatever became of the first.
        outcomes.collect::<Vec<_>>().into_iter().collect()
    })
}

fn answer_requests(
    device: &Arc<Device>,
    buffer_bytes: usize,
    dialect: Dialect,
    answer: &impl Fn(Request<'_>, Reply),
) -> io::Result<()> {
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let length = match device.receive(&mut buffer) {
            Ok(length) => length,
            // The last unmount, maybe while a request was being read.
            Err(Errno::NODEV | Errno::CONNABORTED) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        let Ok(request) = Request::read(&buffer[..length], dialect) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a request makes no sense"));
        };
        match &request.operation {
            Err(malformed) => {
                debug!(?malformed, opcode = request.header.opcode, "a request is malformed");
                Reply::new(device, request.header.unique).error(Errno::IO);
            }
            Ok(Operation::Forget { .. } | Operation::ForgetMany(_)) => {
                answer(request, Reply::none(device));
            }
            Ok(_) => {
                let reply = Reply::new(device, request.header.unique);
                answer(request, reply);
            }
        }
    }
}
