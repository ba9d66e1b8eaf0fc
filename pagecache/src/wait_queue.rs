//! Waiting for a change without losing the wake-up.
//!
//! A waiter takes a [`Ticket`] *before* it looks at the condition and then waits for the queue to
//! move past the ticket. A wake-up between the look and the wait is seen, whatever lock protects
//! the condition.

use std::time::Instant;

use crate::sync::{Condvar, Mutex};

/// A position in a [`WaitQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// A queue of threads that wait for a change of something else.
#[derive(Debug, Default)]
pub(crate) struct WaitQueue {
    changes: Mutex<u64>,
    changed: Condvar,
}

impl WaitQueue {
    /// The present position: to be taken before the condition is looked at.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(*self.changes.lock())
    }

    /// Wakes all waiters. To be called after the condition changed.
    pub(crate) fn wake_all(&self) {
        *self.changes.lock() += 1;
        self.changed.notify_all();
    }

    /// Waits for a wake-up after `ticket`.
    pub(crate) fn wait(&self, ticket: Ticket) {
        let mut changes = self.changes.lock();
        while *changes == ticket.0 {
            self.changed.wait(&mut changes);
        }
    }

    /// Waits for a wake-up after `ticket`, until `deadline` at most. Says whether there was one.
    pub(crate) fn wait_until(&self, ticket: Ticket, deadline: Instant) -> bool {
        let mut changes = self.changes.lock();
        while *changes == ticket.0 {
            if self.changed.wait_until(&mut changes, deadline).timed_out() {
                return *changes != ticket.0;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wake_up_between_ticket_and_wait_is_not_lost() {
        let queue = WaitQueue::default();
        let ticket = queue.ticket();
        queue.wake_all();
        queue.wait(ticket);
        assert!(queue.wait_until(ticket, Instant::now()));
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let queue = WaitQueue::default();
        let deadline = Instant::now() + Duration::from_millis(5);
        assert!(!queue.wait_until(queue.ticket(), deadline));
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn all_waiters_wake() {
        let queue = WaitQueue::default();
        let ticket = queue.ticket();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| queue.wait(ticket));
            }
            queue.wake_all();
        });
    }
}
