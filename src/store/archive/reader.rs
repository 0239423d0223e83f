//! Parses an archive into parts of a store. The reader checks each line; the last line shows whether the archive is
//! complete.

use std::io::{BufRead, Read as _};

use super::baseline::standing;
use super::digest::Digest;
use super::line::{ArchiveLine, End, FORMAT, Header};
use super::replay::Replay;
use super::{Auxiliary, Part};
use crate::store::StoreError;
use crate::store::row::ChangeRow;
use domain::cost::{Accrual, Ledger};
use domain::plugin::PluginKey;
use domain::{Lease, Revision, Snapshot, State, StoreId};

/// The maximum length of a line, in bytes; far more than a plugin and its configuration may have.
const MAX_LINE: u64 = 64 << 20;

/// Reads an archive. After an error, the caller must discard all parts.
pub struct ArchiveReader<R> {
    input: R,
    digest: Digest,
    lines: u64,
    /// See [`ArchiveLine::place`], of the newest line.
    place: u8,
    must_be_backup: bool,
    stage: Stage,
}

/// The progress of the reader.
enum Stage {
    /// Before the first line.
    Begun,
    /// Reading data beside the journal, of an archive up to a revision. Has the next line, the last key of its kind,
    /// and the stage that follows.
    Auxiliary { head: Revision, ahead: ArchiveLine, key: Option<Box<str>>, then: Box<Replay> },
    /// Reading changes. Has the first one, if it was read already.
    Changes(Box<Replay>, Option<ArchiveLine>),
    /// Returning the baseline; the whole archive was read.
    Standing(std::vec::IntoIter<ChangeRow>),
    /// The whole archive was read, or an error occurred.
    Done,
}

impl<R: BufRead> ArchiveReader<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> ArchiveReader<R> {
        ArchiveReader {
            input,
            digest: Digest::default(),
            lines: 0,
            place: 0,
            must_be_backup: false,
            stage: Stage::Begun,
        }
    }

    /// Reads from `input`, and accepts only a backup.
    pub fn of_backup(input: R) -> ArchiveReader<R> {
        ArchiveReader { must_be_backup: true, ..ArchiveReader::new(input) }
    }

    fn next_part(&mut self) -> Result<Option<Part>, StoreError> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Begun => self.read_head().map(Some),
            Stage::Auxiliary { head, ahead, key, then } => self.read_beside(head, ahead, key, then),
            Stage::Changes(mut replay, ahead) => {
                let line = ahead.map_or_else(|| self.read_line(), Ok)?;
                let ArchiveLine::Change(line) = line else {
                    self.check_end(line)?;
                    replay.finish()?;
                    return Ok(None);
                };
                let row = line.row()?;
                replay.take(&row)?;
                self.stage = Stage::Changes(replay, None);
                Ok(Some(Part::Change(row)))
            }
            Stage::Standing(mut rows) => {
                let row = rows.next();
                self.stage = Stage::Standing(rows);
                Ok(row.map(Part::Change))
            }
            Stage::Done => Ok(None),
        }
    }

    /// Reads all lines before the changes.
    fn read_head(&mut self) -> Result<Part, StoreError> {
        let ArchiveLine::Archive(header) = self.read_line()? else {
            return Err(StoreError::refused("it is not an archive of plugin-registry"));
        };
        check_header(&header)?;
        if self.must_be_backup && !header.with_secrets {
            return Err(StoreError::refused("it is an export and not a backup; use `import`"));
        }
        let (mut plugins, mut categories) = (Vec::new(), Vec::new());
        let (mut accruals, mut budgets, mut leases) = (Vec::new(), Vec::new(), Vec::new());
        let ahead = loop {
            match self.read_line()? {
                ArchiveLine::Plugin(line) => plugins.push(line.record()?),
                ArchiveLine::Category(line) => categories.push(line.category()?),
                ArchiveLine::Accrual(row) => accruals.push(row.try_into()?),
                ArchiveLine::Budget(line) => budgets.push(line.account()?),
                ArchiveLine::Lease(line) => leases.push(line.lease()?),
                other => break other,
            }
        };
        let in_order = plugins.is_sorted_by(|one, other| one.unique_id < other.unique_id)
            && in_order(&categories)
            && in_order::<PluginKey, Accrual>(&accruals)
            && in_order(&budgets)
            && leases.is_sorted_by(|one: &Lease, other| one.id < other.id);
        if !in_order {
            return Err(StoreError::refused("something occurs twice, or is in the wrong place"));
        }
        if (plugins.len(), categories.len()) != (header.plugins, header.categories) {
            return Err(StoreError::refused("the number of plugins or categories differs from the first line"));
        }
        let state = State::restore(Revision(header.revision), header.at, plugins, categories)
            .with_ledger(Ledger::restore(accruals, budgets))
            .with_leases(leases);
        check_revisions(&state)?;
        let compact_revision = Revision(header.compact_revision);
        if header.with_history {
            let replay = Box::new(Replay::new(state.clone(), compact_revision));
            self.stage = if header.with_secrets {
                Stage::Auxiliary { head: state.revision(), ahead, key: None, then: replay }
            } else {
                Stage::Changes(replay, Some(ahead))
            };
        } else {
            self.check_end(ahead)?;
            self.stage = Stage::Standing(standing(&state)?.into_iter());
        }
        Ok(Part::Head { snapshot: Snapshot { store: StoreId::kept(&header.store), state }, compact_revision })
    }

    /// Reads a line of data beside the journal, or else the first change.
    fn read_beside(
        &mut self,
        head: Revision,
        line: ArchiveLine,
        before: Option<Box<str>>,
        then: Box<Replay>,
    ) -> Result<Option<Part>, StoreError> {
        let place = line.place();
        let (beside, key) = match line {
            ArchiveLine::Token(line) => {
                let token = line.token()?;
                (Auxiliary::Token(token.clone()), token.id.into())
            }
            ArchiveLine::Webhook(line) => {
                let webhook = line.webhook(head)?;
                (Auxiliary::Webhook(webhook.clone()), webhook.id.into())
            }
            ArchiveLine::Answer(line) => {
                let answer = line.answer()?;
                (Auxiliary::Answer(answer.clone()), answer.key)
            }
            other => {
                self.stage = Stage::Changes(then, Some(other));
                return self.next_part();
            }
        };
        if before.is_some_and(|before| before >= key) {
            return Err(StoreError::refused("something occurs twice, or is in the wrong place"));
        }
        let ahead = self.read_line()?;
        let key = (ahead.place() == place).then_some(key);
        self.stage = Stage::Auxiliary { head, ahead, key, then };
        Ok(Some(Part::Auxiliary(beside)))
    }

    fn read_line(&mut self) -> Result<ArchiveLine, StoreError> {
        let mut text = Vec::new();
        let read = (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut text);
        read.map_err(|error| StoreError::unusable("the archive cannot be read", error))?;
        if text.last() != Some(&b'\n') {
            return Err(StoreError::refused("it ends before its last line"));
        }
        let line = ArchiveLine::decode(&text)?;
        let before = std::mem::replace(&mut self.place, line.place());
        if before > self.place {
            return Err(StoreError::refused("a line is in the wrong place"));
        }
        if !matches!(line, ArchiveLine::End(_)) {
            self.digest.add(&text);
            self.lines += 1;
        }
        Ok(line)
    }

    /// Checks the last line. Nothing may follow it.
    fn check_end(&mut self, line: ArchiveLine) -> Result<(), StoreError> {
        let ArchiveLine::End(end) = line else { return Err(StoreError::refused("a line is in the wrong place")) };
        let sha256 = std::mem::take(&mut self.digest).finish();
        if end != (End { lines: self.lines, sha256 }) {
            return Err(StoreError::refused("it was altered: its digest differs from the last line"));
        }
        let rest = self.input.fill_buf().map_err(|error| StoreError::unusable("the archive cannot be read", error))?;
        if !rest.is_empty() {
            return Err(StoreError::refused("there is data after its last line"));
        }
        Ok(())
    }
}

impl<R: BufRead> Iterator for ArchiveReader<R> {
    type Item = Result<Part, StoreError>;

    fn next(&mut self) -> Option<Result<Part, StoreError>> {
        let part = self.next_part().map_err(|error| named(error, self.lines));
        part.transpose()
    }
}

/// Whether the keys are unique and in order.
fn in_order<K: Ord, T>(entries: &[(K, T)]) -> bool {
    entries.is_sorted_by(|(one, _), (other, _)| one < other)
}

fn check_header(header: &Header) -> Result<(), StoreError> {
    if !(1..=FORMAT).contains(&header.format) {
        return Err(StoreError::refused(format!(
            "it is of format {}, and this version reads up to format {FORMAT}; use the version that wrote it",
            header.format
        )));
    }
    let is_right = i64::try_from(header.revision).is_ok()
        && (header.compact_revision <= header.revision)
        && (header.with_history || header.compact_revision == header.revision)
        && (header.with_configs || !header.with_history)
        && (header.with_history || !header.with_secrets)
        && header.at.subsec_nanosecond() % 1_000 == 0;
    if is_right { Ok(()) } else { Err(StoreError::refused("its first line contradicts itself")) }
}

/// Refuses a plugin or lease newer than the head. Revisions order what happened; a clock that was wrong may have written
/// any times.
fn check_revisions(state: &State) -> Result<(), StoreError> {
    let wrong = state.plugins().values().find(|record| record.revision > state.revision());
    if let Some(record) = wrong {
        let id = &record.unique_id;
        return Err(StoreError::refused(format!("the revision of the plugin {id} is impossible")));
    }
    let wrong = state.leases().values().find(|lease| lease.revision > state.revision());
    wrong.map_or(Ok(()), |lease| {
        Err(StoreError::refused(format!("the revision of the lease {} is impossible", lease.id)))
    })
}

/// An error with its place.
fn named(error: StoreError, line: u64) -> StoreError {
    match error {
        StoreError::Unusable { what, source } => {
            StoreError::Unusable { what: format!("the archive, after {line} lines: {what}"), source }
        }
        other => other,
    }
}
