//! Live mappings: memory of a program whose pages are those of a cache.
//!
//! A [`MappedMemory`] is a range of addresses over the places of [arenas](crate::Arena). The cache
//! sees the same physical pages through the arenas' own mappings, so what one side writes the other
//! reads. What the range *shows* of a page is the cache's decision: nothing, the page to be read, or
//! the page to be written. A program that wants more than it is shown faults, and the cache's
//! [`FaultHandler`] is asked.
//!
//! # Mechanisms
//!
//! | | how a fault is seen | where it is handled | system calls on the range |
//! |---|---|---|---|
//! | [`Userfault`](FaultMechanism::Userfault) | userfaultfd | a thread of ours | work |
//! | [`UserfaultSignal`](FaultMechanism::UserfaultSignal) | userfaultfd's SIGBUS | the thread itself | EFAULT where the page is not shown |
//! | [`Protect`](FaultMechanism::Protect) | mprotect and SIGSEGV | the thread itself | EFAULT where the page is not shown |
//!
//! What no mechanism can make up (beyond the end of the file, or a page that cannot be had) is
//! covered by a mapping of an empty file: the kernel itself raises SIGBUS there, and system calls
//! get EFAULT, as with any mapped file.
//!
//! # Invariants
//!
//! * Code of ours never touches a range: it uses the arenas' mappings. So no thread of ours faults,
//!   and none holds a lock while it does. Whoever gets a buffer from outside can ask
//!   [`is_mapped`].
//! * A handler is called without any lock of this module, and may wait for whatever does not wait
//!   for the program.
//! * With the last count of a placed frame its memory goes, and with it what ranges show of it under
//!   userfaultfd. Under mprotect the cache must [hide](LiveRange::hide) it, or the kernel would make
//!   up a page. It does so in either case.
//! * A child of fork(2) does not have the ranges: its stores would go unnoticed.
//!
//! # Lock order
//!
//! `gone` (of one range), then the directory of ranges. Callers hold the lock under which they
//! decide what is shown.

mod directory;
mod error;
mod memory;
mod place;
mod protect;
mod range;
mod signal;
mod threads;
mod userfault;

pub use directory::is_mapped;
pub use error::LiveError;
pub use memory::MappedMemory;
pub use range::{FaultHandler, LiveRange, Section, Unresolvable};

/// How faults of a live mapping are noticed; see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FaultMechanism {
    /// The first that works here of those below, in their order.
    #[default]
    Automatic,
    /// userfaultfd, handled by threads: the faulting thread sleeps. System calls that are given
    /// memory of the range work. Needs a privilege for faults of the kernel.
    Userfault,
    /// userfaultfd, handled by the faulting thread in a signal handler. Needs no privilege, and no
    /// other thread to be woken; but system calls fail with EFAULT on pages that are not shown.
    UserfaultSignal,
    /// Page protection, handled by the faulting thread in a signal handler. Works everywhere.
    Protect,
}

impl FaultMechanism {
    /// Those that are one, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Userfault, Self::UserfaultSignal, Self::Protect];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Userfault => "userfault",
            Self::UserfaultSignal => "userfault-signal",
            Self::Protect => "protect",
        }
    }

    /// Whether it works here.
    pub fn is_available(self) -> bool {
        match self {
            Self::Automatic | Self::Protect => true,
            Self::Userfault => userfault::Userfault::open(false).is_ok(),
            Self::UserfaultSignal => userfault::Userfault::open(true).is_ok(),
        }
    }

    /// The one to use.
    fn choose(self) -> Self {
        match self {
            Self::Automatic => {
                Self::ALL.into_iter().find(|one| one.is_available()).unwrap_or(Self::Protect)
            }
            chosen => chosen,
        }
    }
}
