//! Writes parts of a store as lines.

use std::io::Write;

use jiff::Timestamp;

use super::auxiliary::{AnswerLine, TokenLine, WebhookLine};
use super::digest::Digest;
use super::line::{ArchiveLine, ChangeLine, End, FORMAT, Header, PluginLine, lines_beside};
use super::{Auxiliary, Part};
use crate::store::StoreError;
use domain::{Revision, Snapshot};

/// The content of an archive beyond the plugins and categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Neither configurations nor changes.
    Plugins,
    /// Configurations.
    Configs,
    /// Configurations and changes. The changes contain earlier configurations too.
    History,
    /// Everything that a restart would load: also the data beside the journal, with its secrets.
    Backup,
}

impl Content {
    fn has_history(self) -> bool {
        matches!(self, Content::History | Content::Backup)
    }
}

/// Writes an archive.
pub struct ArchiveWriter<W> {
    output: W,
    content: Content,
    exported_at: Timestamp,
    digest: Digest,
    lines: u64,
}

impl<W: Write> ArchiveWriter<W> {
    /// Writes to `output`, at the time `exported_at`.
    pub fn new(output: W, content: Content, exported_at: Timestamp) -> ArchiveWriter<W> {
        ArchiveWriter { output, content, exported_at, digest: Digest::default(), lines: 0 }
    }

    /// Writes the next part.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&mut self, part: &Part) -> Result<(), StoreError> {
        match part {
            Part::Head { snapshot, compact_revision } => self.write_head(snapshot, *compact_revision),
            Part::Auxiliary(beside) if self.content == Content::Backup => self.write_line(&match beside {
                Auxiliary::Token(token) => ArchiveLine::Token(TokenLine::new(token)?),
                Auxiliary::Webhook(webhook) => ArchiveLine::Webhook(WebhookLine::new(webhook)?),
                Auxiliary::Answer(answer) => ArchiveLine::Answer(AnswerLine::new(answer)?),
            }),
            Part::Auxiliary(_) => Ok(()),
            Part::Change(_) if !self.content.has_history() => Ok(()),
            Part::Change(row) => self.write_line(&ArchiveLine::Change(ChangeLine::new(row)?)),
        }
    }

    fn write_head(&mut self, snapshot: &Snapshot, compact_revision: Revision) -> Result<(), StoreError> {
        let state = &snapshot.state;
        let with_history = self.content.has_history();
        self.write_line(&ArchiveLine::Archive(Header {
            format: FORMAT,
            exported_at: self.exported_at,
            store: snapshot.store.as_str().to_owned(),
            revision: state.revision().0,
            at: state.at(),
            compact_revision: if with_history { compact_revision.0 } else { state.revision().0 },
            plugins: state.plugins().size(),
            categories: state.named_categories().size(),
            with_configs: self.content != Content::Plugins,
            with_history,
            with_secrets: self.content == Content::Backup,
        }))?;
        for record in state.plugins().values() {
            let line = match self.content {
                Content::Plugins => PluginLine::bare(record)?,
                Content::Configs | Content::History | Content::Backup => PluginLine::with_config(record)?,
            };
            self.write_line(&ArchiveLine::Plugin(line))?;
        }
        for line in lines_beside(state) {
            self.write_line(&line?)?;
        }
        Ok(())
    }

    fn write_line(&mut self, line: &ArchiveLine) -> Result<(), StoreError> {
        let text = line.encode()?;
        self.digest.add(&text);
        self.lines += 1;
        self.write_text(&text)
    }

    fn write_text(&mut self, text: &[u8]) -> Result<(), StoreError> {
        self.output.write_all(text).map_err(cannot_write)
    }

    /// Writes the last line, and returns the output.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<W, StoreError> {
        let end = End { lines: self.lines, sha256: std::mem::take(&mut self.digest).finish() };
        self.write_text(&ArchiveLine::End(end).encode()?)?;
        self.output.flush().map_err(cannot_write)?;
        Ok(self.output)
    }
}

fn cannot_write(error: std::io::Error) -> StoreError {
    StoreError::unusable("the archive cannot be written", error)
}
