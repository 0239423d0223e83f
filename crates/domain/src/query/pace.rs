//! The pace of a long scan: the scan reports its work in small parts, and its caller may stop it between two parts.
//!
//! The queries here know no clock and no threads. A caller that shares a processor with others, or whose client may
//! leave, passes a [`Pace`]; every other caller passes [`Unpaced`].

use std::convert::Infallible;
use std::sync::Arc;

use crate::record::Record;

/// What a record costs beside its bytes, in the unit of [`Pace::step`].
const RECORD: usize = 128;

/// Decides between the parts of a scan whether it goes on.
pub trait Pace {
    /// Why a scan stops.
    type Stop;

    /// Reports work since the last call, in bytes that the scan has read.
    ///
    /// # Errors
    ///
    /// If the scan must stop.
    fn step(&self, bytes: usize) -> Result<(), Self::Stop>;

    /// Reports that the scan has read a record.
    ///
    /// # Errors
    ///
    /// As [`Pace::step`].
    fn record(&self, record: &Record) -> Result<(), Self::Stop> {
        self.step(RECORD + record.json.len())
    }
}

/// A pace that never stops a scan.
#[derive(Debug, Clone, Copy)]
pub struct Unpaced;

impl Pace for Unpaced {
    type Stop = Infallible;

    fn step(&self, _bytes: usize) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The result of a scan that nothing stops.
pub(crate) fn whole<T>(scanned: Result<T, Infallible>) -> T {
    let Ok(found) = scanned;
    found
}

/// Reports each record to `pace` before it is visited.
pub(crate) fn paced<'a, P: Pace>(
    records: impl Iterator<Item = &'a Arc<Record>>,
    pace: &P,
) -> impl Iterator<Item = Result<&'a Arc<Record>, P::Stop>> {
    records.map(|record| pace.record(record).map(|()| record))
}
