//! The threads that handle the faults of a range, where faulting threads sleep.
//!
//! More than one, since handling a fault may wait for a disk; few, since each costs a stack. They
//! block all signals: a handler of the program's that touches mapped memory must not run on the very
//! thread that would have to handle the fault.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::{LiveError, LiveRange};

/// Threads for each range.
const THREADS: usize = 3;

/// Running threads.
pub(super) struct Handlers {
    stop: Arc<OwnedFd>,
    threads: Vec<JoinHandle<()>>,
}

impl Handlers {
    /// Starts the threads of a range.
    pub(super) fn start(range: &Arc<LiveRange>) -> Result<Self, LiveError> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(LiveError::of("eventfd"))?;
        let mut handlers = Self { stop: Arc::new(stop), threads: Vec::with_capacity(THREADS) };
        for _ in 0..THREADS {
            let (range, stop) = (Arc::clone(range), Arc::clone(&handlers.stop));
            let thread =
                std::thread::Builder::new().name("braidfs-fault".into()).spawn(move || {
                    block_signals();
                    serve(&range, &stop);
                });
            match thread {
                Ok(thread) => handlers.threads.push(thread),
                Err(source) => {
                    handlers.stop();
                    return Err(LiveError::System { operation: "pthread_create", source });
                }
            }
        }
        Ok(handlers)
    }

    /// Ends them and waits for them, unless the caller is one of them.
    pub(super) fn stop(self) {
        let raised = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        debug_assert!(raised.is_ok(), "eventfd: {raised:?}");
        for thread in self.threads {
            if thread.thread().id() != std::thread::current().id() {
                // A panic of the thread was reported when it happened.
                let _ = thread.join();
            }
        }
    }
}

/// Handles faults until it is told to stop.
fn serve(range: &LiveRange, stop: &OwnedFd) {
    let Some(userfault) = range.userfault() else { return };
    loop {
        let faults = userfault.as_fd();
        let mut events = [
            PollFd::new(&faults, PollFlags::IN),
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
        ];
        match poll(&mut events, None) {
            Ok(_) if !events[1].revents().is_empty() => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        // One at a time: the next is for another thread if this one takes long.
        if let Some(fault) = userfault.next_fault() {
            range.handle(fault.address, fault.access);
            range.wake(fault.address);
        }
    }
}

fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` makes the set whole before it is read, and the old mask is not asked for.
    let error = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut())
    };
    debug_assert_eq!(error, 0, "{}", io::Error::from_raw_os_error(error));
}
