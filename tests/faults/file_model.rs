//! One file on a disk that keeps what was synced and owes nothing else: what is certain, and what is possible.
//!
//! The unit is the sector of 512 bytes, which a disk writes whole or not at all. What a sector holds after a
//! power loss is what it held after *some* of the writes to it, in their order: the kernel writes back its cached
//! page when it likes, as it is at that moment, and the sectors of one write need not go together. So the model
//! keeps for each sector every content it had since the last sync; to pick one of them for each sector is to
//! drop, tear and reorder the writes in every way there is. The same goes for the file's size.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::survival::Survival;

pub(crate) const SECTOR: usize = 512;

/// A place in the log, which serves as the time.
pub(crate) type Moment = u64;

#[derive(Default)]
pub(crate) struct FileModel {
    /// What a reader sees while the power is on.
    current: Vec<u8>,
    /// What is on the disk for sure.
    durable: Vec<u8>,
    /// What else sectors may hold, oldest first.
    sectors: BTreeMap<usize, Vec<Version>>,
    /// What else the size may be, oldest first.
    sizes: Vec<(Moment, usize)>,
    /// The operations to which no sync has applied yet, oldest first.
    unsynced: Vec<Change>,
}

/// What a sector held after the operation that began at `change`.
struct Version {
    change: Moment,
    bytes: [u8; SECTOR],
}

/// A write or a change of size.
struct Change {
    begun: Moment,
    ended: Option<Moment>,
    sectors: Range<usize>,
    /// A sync that covered it failed. The kernel may have dropped the pages and called them clean, so no later
    /// sync makes up for it; only writing them again does.
    given_up: bool,
}

impl Change {
    fn had_ended(&self, at: Moment) -> bool {
        self.ended.is_some_and(|ended| ended < at)
    }
}

impl FileModel {
    /// What a reader sees while the power is on.
    pub(crate) fn current(&self) -> &[u8] {
        &self.current
    }

    /// The operations that no sync has made durable.
    pub(crate) fn unsynced(&self) -> impl Iterator<Item = Moment> {
        self.unsynced.iter().map(|change| change.begun)
    }

    /// A write begins; from now on it may be on the disk.
    pub(crate) fn write(&mut self, begun: Moment, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        let grown = end > self.current.len();
        // Growing by a write past the end fills the hole with zeros, which are new in these sectors too.
        let from = offset.min(self.current.len());
        if grown {
            self.current.resize(end, 0);
            self.sizes.push((begun, end));
        }
        self.current[offset..end].copy_from_slice(data);
        self.touch(begun, from..end);
    }

    /// The file is cut or grows with zeros.
    pub(crate) fn resize(&mut self, begun: Moment, size: usize) {
        let touched = size.min(self.current.len())..size.max(self.current.len());
        self.current.resize(size, 0);
        self.sizes.push((begun, size));
        self.touch(begun, touched);
    }

    fn touch(&mut self, begun: Moment, bytes: Range<usize>) {
        let sectors = if bytes.is_empty() { 0..0 } else { bytes.start / SECTOR..bytes.end.div_ceil(SECTOR) };
        for sector in sectors.clone() {
            let bytes = sector_of(&self.current, sector);
            self.sectors.entry(sector).or_default().push(Version { change: begun, bytes });
        }
        self.unsynced.push(Change { begun, ended: None, sectors, given_up: false });
    }

    /// The operation that began at `begun` has returned.
    pub(crate) fn ended(&mut self, begun: Moment, ended: Moment) {
        if let Some(change) = self.unsynced.iter_mut().rev().find(|change| change.begun == begun) {
            change.ended = Some(ended);
        }
    }

    /// The operation that began at `begun`, the latest one, turns out not to have happened.
    pub(crate) fn undo(&mut self, begun: Moment) {
        self.unsynced.retain(|change| change.begun != begun);
        self.sizes.retain(|(change, _)| *change != begun);
        self.sectors.values_mut().for_each(|versions| versions.retain(|version| version.change != begun));
        self.sectors.retain(|_, versions| !versions.is_empty());
        self.current.clone_from(&self.durable);
        let size = self.sizes.last().map_or(self.durable.len(), |(_, size)| *size);
        self.current.resize(self.extent(), 0);
        for (sector, versions) in &self.sectors {
            if let Some(version) = versions.last() {
                put(&mut self.current, *sector, &version.bytes);
            }
        }
        self.current.resize(size, 0);
    }

    /// A sync returned that was called at `called`: it covers what had ended by then.
    pub(crate) fn synced(&mut self, called: Moment) {
        // A failed sync forgets pages, not the inode: its size goes to the disk with the next one.
        let ended = self.unsynced.iter().filter(|change| change.had_ended(called));
        let ended: BTreeSet<Moment> = ended.map(|change| change.begun).collect();
        if let Some(newest) = self.sizes.iter().rposition(|(change, _)| ended.contains(change)) {
            self.durable.resize(self.sizes[newest].1, 0);
            self.sizes.drain(..=newest);
        }
        let covered = self.unsynced.extract_if(.., |change| change.had_ended(called) && !change.given_up);
        for change in covered.collect::<Vec<Change>>() {
            for sector in change.sectors {
                self.sector_synced(sector, change.begun);
            }
        }
        let sectors = &self.sectors;
        let is_open =
            |change: &Change| change.sectors.clone().any(|sector| may_hold(sectors.get(&sector), change.begun));
        self.unsynced.retain(|change| !change.given_up || is_open(change));
    }

    /// The sector is on the disk as it was after `change`. An older change of it that had been given up is made
    /// good by this: what went to the disk is the sector with both.
    fn sector_synced(&mut self, sector: usize, change: Moment) {
        let Some(versions) = self.sectors.get_mut(&sector) else { return };
        let Some(newest) = versions.iter().rposition(|version| version.change <= change) else { return };
        put(&mut self.durable, sector, &versions[newest].bytes);
        versions.drain(..=newest);
        if versions.is_empty() {
            self.sectors.remove(&sector);
        }
    }

    /// A sync failed that was called at `called`.
    pub(crate) fn sync_failed(&mut self, called: Moment) {
        for change in &mut self.unsynced {
            change.given_up |= change.had_ended(called);
        }
    }

    /// One of the contents that the file can have after a power loss now.
    pub(crate) fn after_power_loss(&self, survival: &Survival) -> Vec<u8> {
        let mut content = self.durable.clone();
        let size = self.sizes.iter().rev().find(|(change, _)| survival.size_survives(*change));
        let size = size.map_or(self.durable.len(), |(_, size)| *size);
        content.resize(self.extent(), 0);
        for (sector, versions) in &self.sectors {
            let version = versions.iter().rev().find(|version| survival.sector_survives(version.change, *sector));
            if let Some(version) = version {
                put(&mut content, *sector, &version.bytes);
            }
        }
        content.resize(size, 0);
        content
    }

    /// The size that has room for every sector that may be on the disk.
    fn extent(&self) -> usize {
        let sectors = self.sectors.last_key_value().map_or(0, |(sector, _)| (sector + 1) * SECTOR);
        sectors.max(self.durable.len())
    }
}

fn may_hold(versions: Option<&Vec<Version>>, change: Moment) -> bool {
    versions.into_iter().flatten().any(|version| version.change == change)
}

fn sector_of(content: &[u8], sector: usize) -> [u8; SECTOR] {
    let start = (sector * SECTOR).min(content.len());
    let end = (start + SECTOR).min(content.len());
    let mut bytes = [0; SECTOR];
    bytes[..end - start].copy_from_slice(&content[start..end]);
    bytes
}

/// Puts a sector into `content` as far as that goes.
fn put(content: &mut [u8], sector: usize, bytes: &[u8; SECTOR]) {
    let start = (sector * SECTOR).min(content.len());
    let end = (start + SECTOR).min(content.len());
    content[start..end].copy_from_slice(&bytes[..end - start]);
}

/// What is proven with the model rests on these.
#[cfg(test)]
mod tests {
    use super::{FileModel, SECTOR};
    use crate::dice::Dice;
    use crate::survival::Survival;

    /// All contents that turn up in many draws.
    fn possible(file: &FileModel) -> Vec<Vec<u8>> {
        let unsynced: Vec<u64> = file.unsynced().collect();
        let mut dice = Dice::new(1);
        let mut found: Vec<Vec<u8>> =
            (0..2000).map(|_| file.after_power_loss(&Survival::draw(&mut dice, &unsynced))).collect();
        found.sort();
        found.dedup();
        found
    }

    fn written(file: &mut FileModel, at: u64, offset: usize, data: &[u8]) {
        file.write(at, offset, data);
        file.ended(at, at + 1);
    }

    #[test]
    fn what_was_synced_is_certain() {
        let mut file = FileModel::default();
        written(&mut file, 1, 0, b"synced");
        file.synced(3);
        assert_eq!(possible(&file), [b"synced"]);
    }

    #[test]
    fn a_sync_does_not_cover_what_had_not_ended_when_it_was_called() {
        let mut file = FileModel::default();
        file.write(1, 0, b"late");
        file.ended(1, 4);
        file.synced(3);
        assert!(possible(&file).contains(&Vec::new()), "{:?}", possible(&file));
    }

    #[test]
    fn an_unsynced_write_is_there_or_not_or_torn_between_sectors() {
        let mut file = FileModel::default();
        written(&mut file, 1, 0, &[b'o'; 2 * SECTOR]);
        file.synced(3);
        written(&mut file, 4, 0, &[b'n'; 2 * SECTOR]);
        let of = |first: u8, second: u8| [[first; SECTOR], [second; SECTOR]].concat();
        assert_eq!(possible(&file), [of(b'n', b'n'), of(b'n', b'o'), of(b'o', b'n'), of(b'o', b'o')]);
    }

    #[test]
    fn a_later_write_may_be_there_without_the_earlier_but_not_within_a_sector() {
        let mut file = FileModel::default();
        written(&mut file, 1, 0, &[b'.'; 2 * SECTOR]);
        file.synced(3);
        written(&mut file, 4, 0, b"a");
        written(&mut file, 6, 1, b"b");
        written(&mut file, 8, SECTOR, b"c");
        let starts = |content: &Vec<u8>| (content[0], content[1], content[SECTOR]);
        let found: Vec<_> = possible(&file).iter().map(starts).collect();
        assert!(found.contains(&(b'.', b'.', b'c')), "{found:?}");
        assert!(!found.iter().any(|(first, second, _)| (*first, *second) == (b'.', b'b')), "{found:?}");
    }

    #[test]
    fn a_failed_sync_is_made_good_only_by_writing_again() {
        let mut file = FileModel::default();
        written(&mut file, 1, 0, &[b'.'; 2 * SECTOR]);
        file.synced(3);
        written(&mut file, 4, 0, b"a");
        written(&mut file, 6, SECTOR, b"b");
        file.sync_failed(8);
        file.synced(9);
        assert!(possible(&file).iter().any(|content| content[0] == b'.'), "the next sync covered what was given up");
        written(&mut file, 10, 0, b"a");
        file.synced(12);
        assert!(possible(&file).iter().all(|content| content[0] == b'a'), "written again, and still not covered");
        assert!(possible(&file).iter().any(|content| content[SECTOR] == b'.'), "the other was not written again");
    }

    #[test]
    fn a_cut_is_there_or_not() {
        let mut file = FileModel::default();
        written(&mut file, 1, 0, b"long");
        file.synced(3);
        file.resize(4, 0);
        file.ended(4, 5);
        assert!(possible(&file).contains(&b"long".to_vec()));
        assert!(possible(&file).contains(&Vec::new()));
        file.synced(6);
        assert_eq!(possible(&file), [b""]);
    }
}
