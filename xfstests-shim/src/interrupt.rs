//! Ctrl-C and SIGTERM: noted, and looked at where the shim waits, so that it cleans up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::{Result, ShimError};

/// Whether somebody wants an end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to note signals.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub fn install() -> Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupt.0))
                .map_err(|error| ShimError::Wrong(format!("cannot wait for signals: {error}")))?;
        }
        Ok(interrupt)
    }

    /// Whether one has come.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
