//! Handling a fault on the thread that has it, in a handler of SIGSEGV or SIGBUS.
//!
//! Such a handler runs at a defined place: at a load or store of the program to mapped memory, which
//! no code of ours does. So no lock of ours is held by the thread, and the handler may do what any
//! code may, as far as the program does not hold locks of the allocator or the like while it touches
//! mapped memory. All signals are blocked meanwhile, as if the kernel itself were at work.
//!
//! It runs on the stack of the program, since alternative ones are too small for it. So with it in
//! place an overflow of the stack ends in a plain SIGSEGV, without the message that Rust's own
//! handler gives.
//!
//! Signals that are not ours go to whoever was there before.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use super::{FaultMechanism, LiveError, directory};
use crate::address_space::Access;

/// What was installed before for SIGSEGV and SIGBUS; an error's number if ours could not be.
static BEFORE: OnceLock<Result<[libc::sigaction; 2], i32>> = OnceLock::new();

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Installs the handlers, once for the life of the process.
pub(super) fn install() -> Result<(), LiveError> {
    let installed = BEFORE.get_or_init(|| {
        // What was there is noted before ours can run.
        Ok([current(SIGNALS[0])?, current(SIGNALS[1])?])
    });
    static OURS: OnceLock<Result<(), i32>> = OnceLock::new();
    let ours = installed.as_ref().map_err(|error| *error).and_then(|_| {
        *OURS.get_or_init(|| SIGNALS.into_iter().try_for_each(|signal| set(signal, &our_action())))
    });
    ours.map_err(|error| LiveError::System {
        operation: "sigaction",
        source: io::Error::from_raw_os_error(error),
    })
}

fn our_action() -> libc::sigaction {
    // SAFETY: all zeros is a valid value of this structure of integers and nothing else.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the set is part of the structure above.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    action
}

fn current(signal: libc::c_int) -> Result<libc::sigaction, i32> {
    let mut action = MaybeUninit::zeroed();
    // SAFETY: only the present action is asked for, and written to a structure of its kind.
    let error = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: the call filled it in; where it did not, zeros are a valid value.
    if error == 0 { Ok(unsafe { action.assume_init() }) } else { Err(last_error()) }
}

fn set(signal: libc::c_int, action: &libc::sigaction) -> Result<(), i32> {
    // SAFETY: the handler is ours, or one that was installed before, with its flags.
    let error = unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
    if error == 0 { Ok(()) } else { Err(last_error()) }
}

fn last_error() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
}

extern "C" fn on_signal(
    signal: libc::c_int,
    information: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the place of the thread's error number is valid for as long as the thread runs.
    let error_number = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel hands over the information of this signal; for those two it has an address.
    let address = unsafe { (*information).si_addr() }.addr();
    let range = directory::find(address).filter(|range| {
        let expected = match range.mechanism() {
            FaultMechanism::Protect => libc::SIGSEGV,
            FaultMechanism::UserfaultSignal => libc::SIGBUS,
            FaultMechanism::Userfault | FaultMechanism::Automatic => return false,
        };
        signal == expected
    });
    let handled = range.is_some_and(|range| {
        let access = access_of(context).unwrap_or_else(|| range.guess(address));
        range.handle(address, access)
    });
    if !handled {
        pass_on(signal, information, context);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = error_number };
}

/// What the access was, if the processor tells.
#[cfg(target_arch = "x86_64")]
fn access_of(context: *mut libc::c_void) -> Option<Access> {
    /// The bit of the error code that says that the access was a write.
    const WRITES: i64 = 2;
    // SAFETY: the kernel hands over the context that the signal interrupted, of this type.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let code = context.uc_mcontext.gregs[libc::REG_ERR as usize];
    Some(if code & WRITES == 0 { Access::Read } else { Access::Write })
}

#[cfg(not(target_arch = "x86_64"))]
fn access_of(_context: *mut libc::c_void) -> Option<Access> {
    None
}

/// Gives a signal to whoever was there before; if that was nobody, the access is tried again and
/// ends the process.
fn pass_on(signal: libc::c_int, information: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let at = usize::from(signal == libc::SIGBUS);
    let Some(Ok(before)) = BEFORE.get() else { return };
    let action = before[at];
    if action.sa_sigaction == libc::SIG_DFL || action.sa_sigaction == libc::SIG_IGN {
        let default = libc::sigaction { sa_sigaction: libc::SIG_DFL, ..action };
        let _ = set(signal, &default);
        return;
    }
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: an action with this flag holds a handler of this type.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(action.sa_sigaction) };
        handler(signal, information, context);
    } else {
        // SAFETY: an action without it, and neither default nor ignored, holds one of this type.
        let handler = unsafe {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(action.sa_sigaction)
        };
        handler(signal);
    }
}
