//! Digests of the content of a store: equal for equal registries in any kind of store.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::line::{ArchiveLine, ChangeLine, PluginLine, lines_beside};
use crate::store::StoreError;
use crate::store::row::ChangeRow;
use domain::{Revision, State};

/// Computes a digest of bytes.
#[derive(Debug, Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a change.
    ///
    /// # Errors
    ///
    /// If it is damaged.
    pub fn add_change(&mut self, row: &ChangeRow) -> Result<(), StoreError> {
        self.add(&ArchiveLine::Change(ChangeLine::new(row)?).encode()?);
        Ok(())
    }

    /// Adds a position in the history, and its time.
    fn add_position(&mut self, revision: Revision, at: Timestamp) {
        self.add(&revision.0.to_be_bytes());
        self.add(&at.as_microsecond().to_be_bytes());
    }

    /// The digest, in hexadecimal.
    pub fn finish(self) -> String {
        self.0.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// The digest of the current state, including configurations, revisions and times.
///
/// # Errors
///
/// Never for a state that this program made.
pub fn of_state(state: &State) -> Result<String, StoreError> {
    let mut digest = Digest::default();
    digest.add_position(state.revision(), state.at());
    for record in state.plugins().values() {
        digest.add(&ArchiveLine::Plugin(PluginLine::with_config(record)?).encode()?);
    }
    for line in lines_beside(state) {
        digest.add(&line?.encode()?);
    }
    Ok(digest.finish())
}
