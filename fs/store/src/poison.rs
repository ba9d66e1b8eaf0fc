//! The first failed write or flush, which nothing is written after.

use std::sync::OnceLock;

use crate::error::StoreError;

/// Holds the failure that poisoned the store, if one did.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    first: OnceLock<StoreError>,
}

impl Poison {
    /// Poisons the store. Returns `error`, for the caller that met it.
    pub(crate) fn set(&self, error: StoreError) -> StoreError {
        if self.first.set(error.clone()).is_ok() {
            tracing::error!(%error, "the volume takes no more changes");
        }
        error
    }

    /// The failure that poisoned the store.
    pub(crate) fn first(&self) -> Option<&StoreError> {
        self.first.get()
    }

    /// Refuses a change if the store is poisoned.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.first().map_or(Ok(()), |first| Err(StoreError::poisoned_by(first)))
    }
}
