//! Texts and times in the lines of an archive.

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::store::StoreError;

pub(super) fn raw(text: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|error| StoreError::unusable("the store has a value that is not JSON", error))
}

/// A time with the precision of stores.
pub(super) fn whole_micros(time: Timestamp) -> Result<Timestamp, StoreError> {
    if time.subsec_nanosecond() % 1_000 == 0 {
        return Ok(time);
    }
    Err(StoreError::refused(format!("the time {time} is finer than a microsecond")))
}
