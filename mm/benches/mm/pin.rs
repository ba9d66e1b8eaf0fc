//! Staying on one processor, so that caches stay warm.

/// Keeps the calling thread on the processor it is on; without the right to, it may move.
pub fn pin_to_one_processor() {
    // SAFETY: a set of processors is plain bits, for which all zeros are valid; both calls get one of
    // its size, which outlives them.
    unsafe {
        let mut processors: libc::cpu_set_t = std::mem::zeroed();
        let now = usize::try_from(libc::sched_getcpu()).unwrap_or(0);
        libc::CPU_SET(now, &mut processors);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const processors);
    }
}
