//! Thousands of disks as a power loss can leave them, put together from one recording, opened, and held against
//! what the clients had been told by then.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use crate::dice::Dice;
use crate::disk::Disk;
use crate::image::{Documents, open_image};
use crate::power_loss::{MEMORY, STORE};
use crate::recording::{Event, Record};
use crate::survival::Survival;
use crate::violation::Violation;
use crate::witnesses::Witnesses;

/// What a run amounted to.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) records: usize,
    pub(crate) wal_resets: u64,
    pub(crate) revisions: u64,
    /// Writes that were refused because the disk failed.
    pub(crate) refused: u64,
    pub(crate) states: usize,
    /// States in which something unsynced was at stake.
    pub(crate) at_stake: usize,
    /// The most operations that were at stake at once.
    pub(crate) most_at_stake: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Figures { records, wal_resets, revisions, refused, states, at_stake, most_at_stake } = self;
        write!(out, "{records} records, {wal_resets} resets of the WAL, {revisions} revisions, {refused} refused; ")?;
        write!(out, "{states} states, {at_stake} with unsynced operations, at most {most_at_stake}")
    }
}

pub(crate) struct Examination<'a> {
    records: &'a [Record<'a>],
    witnesses: &'a Witnesses,
    /// The store's identity, which no crash may change.
    store: &'a str,
    /// One worker found a violation: the others need not go on.
    stop: AtomicBool,
}

impl<'a> Examination<'a> {
    pub(crate) fn new(records: &'a [Record<'a>], witnesses: &'a Witnesses, store: &'a str) -> Examination<'a> {
        Examination { records, witnesses, store, stop: AtomicBool::new(false) }
    }

    /// Puts together and opens `states` disks, on as many threads as there are processors.
    ///
    /// # Errors
    /// The first promise that one of the disks does not keep.
    pub(crate) fn run(&self, dice: &Dice, states: u64) -> Result<Figures, Violation> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let cuts = self.cuts(&mut dice.for_task(2000), states);
        std::thread::scope(|scope| {
            let examine = |worker: usize| {
                let cuts = cuts.iter().copied().skip(worker).step_by(workers);
                let result = self.examine(cuts, dice.for_task(3000 + worker as u64));
                self.stop.fetch_or(result.is_err(), Ordering::Relaxed);
                result
            };
            let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || examine(worker))).collect();
            let mut all = Figures { records: self.records.len(), ..Figures::default() };
            for worker in workers {
                let one = worker.join().map_err(|_| Violation::Harness("a worker panicked".into()))??;
                all.wal_resets = one.wal_resets;
                all.states += one.states;
                all.at_stake += one.at_stake;
                all.most_at_stake = all.most_at_stake.max(one.most_at_stake);
            }
            Ok(all)
        })
    }

    /// Where the power goes: half of the moments anywhere, most others as soon as a client has seen something new,
    /// and one in eight as soon as the first client has after a restart.
    fn cuts(&self, dice: &mut Dice, states: u64) -> Vec<usize> {
        let is_note = |at: &usize| matches!(self.records[*at].event, Event::Seen { .. });
        let is_end = |at: &usize| matches!(self.records[*at].event, Event::Names { .. });
        let all: Vec<usize> = (0..self.records.len()).collect();
        let notes: Vec<usize> = all.iter().copied().filter(is_note).collect();
        let first_after = |end: usize| notes.get(notes.partition_point(|note| *note < end)).copied();
        let firsts: Vec<usize> = all.iter().copied().filter(is_end).filter_map(first_after).collect();
        let mut one = |_| {
            let behind = match dice.below(8) {
                0 => dice.pick(&firsts),
                1..4 => dice.pick(&notes),
                _ => dice.pick(&all),
            };
            behind.map_or(0, |record| record + 1)
        };
        let mut cuts: Vec<usize> = (0..states).map(&mut one).collect();
        cuts.sort_unstable();
        cuts
    }

    /// Replays the log once, and examines one disk at each of `cuts`.
    fn examine(&self, cuts: impl Iterator<Item = usize>, mut dice: Dice) -> Result<Figures, Violation> {
        let scratch = TempDir::new_in(MEMORY)?;
        let (mut disk, mut documents, mut seen) = (Disk::default(), Documents::default(), Vec::new());
        let mut figures = Figures::default();
        let mut at = 0;
        for cut in cuts.take_while(|_| !self.stop.load(Ordering::Relaxed)) {
            self.replay(&mut disk, &mut seen, at..cut)?;
            at = cut;
            let unsynced = disk.unsynced();
            let survival = Survival::draw(&mut dice, &unsynced);
            let result = self.examine_state(scratch.path(), &disk.after_power_loss(&survival), &seen, &mut documents);
            if let Err(violation) = result {
                eprintln!("at record {cut}, with {survival:?} of {} operations: {violation}", unsynced.len());
                return Err(violation);
            }
            figures.states += 1;
            figures.at_stake += usize::from(!unsynced.is_empty());
            figures.most_at_stake = figures.most_at_stake.max(unsynced.len());
        }
        self.replay(&mut disk, &mut seen, at..self.records.len())?;
        figures.wal_resets = disk.wal_resets();
        Ok(figures)
    }

    fn replay<'r>(
        &'r self,
        disk: &mut Disk<'r>,
        seen: &mut Vec<u64>,
        records: std::ops::Range<usize>,
    ) -> Result<(), Violation> {
        for now in records {
            let record = &self.records[now];
            if let Event::Seen { revision } = record.event {
                seen.push(revision);
            }
            disk.replay(now as u64, record)?;
        }
        Ok(())
    }

    fn examine_state(
        &self,
        scratch: &Path,
        files: &[(&str, Vec<u8>)],
        seen: &[u64],
        documents: &mut Documents,
    ) -> Result<(), Violation> {
        for entry in std::fs::read_dir(scratch)? {
            std::fs::remove_file(entry?.path())?;
        }
        for (name, content) in files {
            std::fs::write(scratch.join(name), content)?;
        }
        let image = open_image(&scratch.join(STORE)).map_err(Violation::Corrupt)?;
        if !image.store.is_empty() && image.store != self.store {
            return Err(Violation::Corrupt(format!("the store {} calls itself {}", self.store, image.store)));
        }
        documents.check_all(&image)?;
        seen.iter().try_for_each(|revision| self.witnesses.check_revision(*revision, &image, documents))
    }
}
