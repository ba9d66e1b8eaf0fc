//! userfaultfd, as much of it as live mappings need: missing, present but not shown, and
//! write-protected pages of shared memory.
//!
//! The crates for it know neither `CONTINUE` nor its write-protecting mode, and build against the
//! headers of the machine they are built on; so the calls are spelled out here.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Setter, Updater, ioctl, opcode};
use rustix::mm::UserfaultfdFlags;

use super::LiveError;
use crate::PAGE_SIZE;
use crate::address_space::Access;

const GROUP: u8 = 0xaa;
const API: u64 = 0xaa;
/// Only faults of the program itself: all that those without privileges may ask for.
const USER_MODE_ONLY: u32 = 1;

const FEATURE_WRITE_PROTECT: u64 = 1;
const FEATURE_SIGBUS: u64 = 1 << 7;
const FEATURE_MINOR_SHARED: u64 = 1 << 10;
const FEATURE_EXACT_ADDRESS: u64 = 1 << 11;
const FEATURE_WRITE_PROTECT_SHARED: u64 = 1 << 12;
/// What tells that the kernel is new enough for `CONTINUE` with write protection, which has no
/// feature of its own: it came in 6.4, this in 6.6.
const FEATURE_POISON: u64 = 1 << 14;
const NEEDED: u64 = FEATURE_WRITE_PROTECT
    | FEATURE_MINOR_SHARED
    | FEATURE_EXACT_ADDRESS
    | FEATURE_WRITE_PROTECT_SHARED
    | FEATURE_POISON;

const REGISTER_ALL_MODES: u64 = 1 | 2 | 4;
const WRITE_PROTECT: u64 = 1;
const WRITE_PROTECT_DONT_WAKE: u64 = 2;
const CONTINUE_DONT_WAKE: u64 = 1;
const CONTINUE_WRITE_PROTECT: u64 = 2;

const EVENT_PAGE_FAULT: u8 = 0x12;
const FAULT_WRITE: u64 = 1;
const FAULT_WRITE_PROTECT: u64 = 2;

#[repr(C)]
#[derive(Default)]
struct ApiCall {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
#[derive(Default)]
struct RegisterCall {
    range: RangeCall,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct RangeCall {
    start: u64,
    length: u64,
}

#[repr(C)]
struct WriteProtectCall {
    range: RangeCall,
    mode: u64,
}

#[repr(C)]
struct ContinueCall {
    range: RangeCall,
    mode: u64,
    /// Bytes done, or an error.
    mapped: i64,
}

/// What a message of the kernel says; 32 bytes.
#[repr(C)]
#[derive(Default)]
struct Message {
    event: u8,
    reserved: [u8; 7],
    flags: u64,
    address: u64,
    thread: u64,
}

/// A fault that somebody sleeps in.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReportedFault {
    pub(super) address: usize,
    pub(super) access: Access,
}

/// An open userfaultfd.
pub(super) struct Userfault {
    file: OwnedFd,
}

impl Userfault {
    /// Opens one: whose faults raise SIGBUS, or are reported, those of the kernel included.
    pub(super) fn open(raises_signal: bool) -> Result<Self, LiveError> {
        let file = if raises_signal { open_for_user(USER_MODE_ONLY) } else { open_for_kernel() }
            .map_err(|error| LiveError::NoUserfault {
                reason: format!("it cannot be opened ({error})"),
            })?;
        let signal = if raises_signal { FEATURE_SIGBUS } else { 0 };
        let mut call = ApiCall { api: API, features: NEEDED | signal, ioctls: 0 };
        // SAFETY: the structure is the one of this call, and is written within its size.
        let agreed = unsafe {
            ioctl(
                &file,
                Updater::<{ opcode::read_write::<ApiCall>(GROUP, 0x3f) }, _>::new(&mut call),
            )
        };
        match agreed {
            Ok(()) => Ok(Self { file }),
            Err(_) => Err(LiveError::NoUserfault { reason: "the kernel is older than 6.6".into() }),
        }
    }

    /// To wait for faults.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// From now on faults of these addresses are reported.
    pub(super) fn register(&self, addresses: Range<usize>) -> Result<(), LiveError> {
        let mut call =
            RegisterCall { range: call_range(&addresses), mode: REGISTER_ALL_MODES, ioctls: 0 };
        // SAFETY: as in `open`. What is registered only makes accesses wait.
        unsafe {
            ioctl(
                &self.file,
                Updater::<{ opcode::read_write::<RegisterCall>(GROUP, 0) }, _>::new(&mut call),
            )
        }
        .map_err(LiveError::of("ioctl UFFDIO_REGISTER"))
    }

    /// A fault, if one is reported.
    pub(super) fn next_fault(&self) -> Option<ReportedFault> {
        let mut buffer = [0_u8; size_of::<Message>()];
        let length = rustix::io::read(&self.file, &mut buffer).ok()?;
        let word = |at: usize| buffer.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
        if length != buffer.len() || buffer[0] != EVENT_PAGE_FAULT {
            return None;
        }
        let (flags, address) = (word(8)?, word(16)?);
        let writes = flags & (FAULT_WRITE | FAULT_WRITE_PROTECT) != 0;
        let access = if writes { Access::Write } else { Access::Read };
        Some(ReportedFault { address: usize::try_from(address).ok()?, access })
    }

    /// Shows pages that are in the memory below, where they are not shown yet.
    pub(super) fn show(&self, addresses: Range<usize>, access: Access) {
        let protect = if access == Access::Read { CONTINUE_WRITE_PROTECT } else { 0 };
        let mut next = addresses.start;
        while next < addresses.end {
            let mut call = ContinueCall {
                range: call_range(&(next..addresses.end)),
                mode: protect | CONTINUE_DONT_WAKE,
                mapped: 0,
            };
            // SAFETY: as in `open`. What becomes visible are the pages below, at addresses that the
            // program was given for them.
            let shown = unsafe {
                ioctl(
                    &self.file,
                    Updater::<{ opcode::read_write::<ContinueCall>(GROUP, 7) }, _>::new(&mut call),
                )
            };
            next += usize::try_from(call.mapped).unwrap_or(0);
            match shown {
                Ok(()) => return,
                Err(Errno::AGAIN) => {}
                // This page is shown already, or is gone again: who needs it will fault anew.
                Err(_) => next += PAGE_SIZE,
            }
        }
    }

    /// Lets pages that are shown be written.
    pub(super) fn unprotect(&self, addresses: Range<usize>) -> Result<(), LiveError> {
        self.write_protect(addresses, WRITE_PROTECT_DONT_WAKE)
    }

    /// Makes the next write to each page a fault.
    pub(super) fn protect(&self, addresses: Range<usize>) -> Result<(), LiveError> {
        self.write_protect(addresses, WRITE_PROTECT)
    }

    fn write_protect(&self, addresses: Range<usize>, mode: u64) -> Result<(), LiveError> {
        loop {
            let mut call = WriteProtectCall { range: call_range(&addresses), mode };
            // SAFETY: as in `open`. Protection only makes accesses wait.
            let done = unsafe {
                ioctl(
                    &self.file,
                    Updater::<{ opcode::read_write::<WriteProtectCall>(GROUP, 6) }, _>::new(
                        &mut call,
                    ),
                )
            };
            match done {
                Err(Errno::AGAIN) => {}
                outcome => return outcome.map_err(LiveError::of("ioctl UFFDIO_WRITEPROTECT")),
            }
        }
    }

    /// Lets those who sleep in a fault try again.
    pub(super) fn wake(&self, addresses: Range<usize>) {
        let call = call_range(&addresses);
        // SAFETY: the structure is the one of this call, which only wakes.
        let _ = unsafe {
            ioctl(&self.file, Setter::<{ opcode::read::<RangeCall>(GROUP, 2) }, _>::new(call))
        };
    }
}

fn call_range(addresses: &Range<usize>) -> RangeCall {
    RangeCall { start: addresses.start as u64, length: addresses.len() as u64 }
}

fn open_for_user(more_flags: u32) -> Result<OwnedFd, Errno> {
    let flags = UserfaultfdFlags::CLOEXEC
        | UserfaultfdFlags::NONBLOCK
        | UserfaultfdFlags::from_bits_retain(more_flags);
    // SAFETY: what can be done with the descriptor is confined to the calls of this module.
    unsafe { rustix::mm::userfaultfd(flags) }
}

/// One that gets faults of the kernel too: for the privileged, or by the device.
fn open_for_kernel() -> Result<OwnedFd, Errno> {
    open_for_user(0).or_else(|_| {
        let device =
            rustix::fs::open("/dev/userfaultfd", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        new_from_device(&device)
    })
}

fn new_from_device(device: &OwnedFd) -> Result<OwnedFd, Errno> {
    use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};
    use std::ffi::c_void;
    use std::os::fd::FromRawFd;

    /// `USERFAULTFD_IOC_NEW`: takes flags as its argument and returns a descriptor.
    struct New;

    // SAFETY: the call takes no pointer, and returns a new descriptor that nobody else owns.
    unsafe impl Ioctl for New {
        type Output = OwnedFd;

        const IS_MUTATING: bool = false;

        fn opcode(&self) -> Opcode {
            opcode::none(GROUP, 0)
        }

        fn as_ptr(&mut self) -> *mut c_void {
            let flags = OFlags::CLOEXEC | OFlags::NONBLOCK;
            std::ptr::without_provenance_mut(flags.bits() as usize)
        }

        unsafe fn output_from_ptr(
            output: IoctlOutput,
            _pointer: *mut c_void,
        ) -> Result<OwnedFd, Errno> {
            // SAFETY: the descriptor was just made for us.
            Ok(unsafe { OwnedFd::from_raw_fd(output) })
        }
    }

    // SAFETY: as above.
    unsafe { ioctl(device, New) }
}
