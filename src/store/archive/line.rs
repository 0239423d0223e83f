//! What a line of an archive says. `decode(encode(line))` is `line`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::auxiliary::{AnswerLine, TokenLine, WebhookLine};
use crate::store::StoreError;
use crate::store::archive::text::{raw, whole_micros};
use crate::store::ledger_row::{AccrualRow, account_of};
use crate::store::row::{
    ChangeRow, config_of, document_text, lease_of, lease_text, observed_of, plugin_of, revision_from_sql,
    revision_to_sql, time_from_sql,
};
use domain::cost::Account;
use domain::plugin::Name;
use domain::record::Record;
use domain::{Category, Lease, Revision, State};

/// The form of the archives that this version writes. It reads those before it, too: format 1 has nothing of what is kept
/// beside the journal.
pub const FORMAT: u32 = 2;

/// A line: an object with one field, which says what the line is about.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveLine {
    /// The first one.
    Archive(Header),
    /// A plugin as of the head, in the order of the ids.
    Plugin(PluginLine),
    /// A category with a display name as of the head, in the order of the names.
    Category(CategoryLine),
    /// What a plugin has cost up to its newest change, in the order of the names.
    #[serde(rename = "meter")]
    Accrual(AccrualRow),
    /// A budget, in the order of the ids.
    Budget(BudgetLine),
    /// A lease, in the order of the ids.
    Lease(LeaseLine),
    /// A token, in the order of the ids.
    Token(TokenLine),
    /// A webhook, in the order of the ids.
    Webhook(WebhookLine),
    /// An answer that is kept, in the order of the keys.
    Answer(AnswerLine),
    /// A change that is kept, in the order of the revisions.
    Change(ChangeLine),
    /// The last one.
    End(End),
}

/// What the archive is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`], or an earlier one.
    pub format: u32,
    /// When it was exported.
    pub exported_at: Timestamp,
    /// The identity of the store; one that it is imported into has another.
    pub store: String,
    /// The newest revision.
    pub revision: u64,
    /// When that was made.
    pub at: Timestamp,
    /// After which revision every change is kept.
    #[serde(rename = "horizon")]
    pub compact_revision: u64,
    /// How many plugins follow.
    pub plugins: usize,
    /// How many categories follow.
    pub categories: usize,
    /// Whether saved configurations are in it.
    pub with_configs: bool,
    /// Whether the changes are in it.
    pub with_history: bool,
    /// Whether what is kept beside the journal is in it: then it is a backup.
    #[serde(default)]
    pub with_secrets: bool,
}

/// A plugin.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginLine {
    revision: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    document: Box<RawValue>,
    /// Absent when there is none: null is a configuration like any other.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    config: Option<Box<RawValue>>,
    /// What was seen of what it holds, as it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed: Option<Box<RawValue>>,
}

/// A category.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryLine {
    name: String,
    display_name: String,
    revision: u64,
}

/// A budget, with what was counted for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetLine {
    id: String,
    /// As it is kept.
    account: String,
}

/// A lease.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseLine {
    id: String,
    revision: u64,
    /// As it is kept.
    document: Box<RawValue>,
}

/// A change: see [`ChangeRow`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeLine {
    revision: u64,
    at: Timestamp,
    kind: String,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// What is known of the plugin's resources after it, as it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
}

/// That nothing is missing, and nothing was altered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many lines came before this.
    pub lines: u64,
    /// SHA-256 (FIPS 180-4) of their bytes, ends of lines included, in hexadecimal.
    pub sha256: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl ArchiveLine {
    /// What comes before what: no line comes after one of a later place.
    pub fn place(&self) -> u8 {
        match self {
            ArchiveLine::Archive(_) => 0,
            ArchiveLine::Plugin(_) => 1,
            ArchiveLine::Category(_) => 2,
            ArchiveLine::Accrual(_) => 3,
            ArchiveLine::Budget(_) => 4,
            ArchiveLine::Lease(_) => 5,
            ArchiveLine::Token(_) => 6,
            ArchiveLine::Webhook(_) => 7,
            ArchiveLine::Answer(_) => 8,
            ArchiveLine::Change(_) => 9,
            ArchiveLine::End(_) => 10,
        }
    }

    /// The line as text, with its end.
    ///
    /// # Errors
    ///
    /// Never for what was made by this program.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let mut text = serde_json::to_vec(self)
            .map_err(|error| StoreError::unusable("a line of the archive cannot be written", error))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads a line.
    ///
    /// # Errors
    ///
    /// When it is none of an archive.
    pub fn decode(text: &[u8]) -> Result<ArchiveLine, StoreError> {
        serde_json::from_slice(text).map_err(|error| StoreError::unusable("it is no line of an archive", error))
    }
}

impl PluginLine {
    /// The line of a plugin, without its configuration.
    ///
    /// # Errors
    ///
    /// Never for what was made by this program.
    pub fn bare(record: &Record) -> Result<PluginLine, StoreError> {
        Ok(PluginLine {
            revision: record.revision.0,
            created_at: record.created_at,
            updated_at: record.updated_at,
            document: raw(document_text(&record.plugin)?)?,
            config: None,
            observed: record.observed.to_text().map(raw).transpose()?,
        })
    }

    /// The line of a plugin, with its configuration.
    ///
    /// # Errors
    ///
    /// Never for what was made by this program.
    pub fn with_config(record: &Record) -> Result<PluginLine, StoreError> {
        let config = record.config.as_ref().map(|config| raw(config.as_str().to_owned())).transpose()?;
        Ok(PluginLine { config, ..PluginLine::bare(record)? })
    }

    /// The plugin.
    ///
    /// # Errors
    ///
    /// When the line is damaged.
    pub fn record(&self) -> Result<Record, StoreError> {
        Ok(Record::observed(
            plugin_of(self.document.get())?.into(),
            self.config.as_deref().map(|config| config_of(config.get())).transpose()?,
            revision(self.revision)?,
            (whole_micros(self.created_at)?, whole_micros(self.updated_at)?),
            observed_of(self.observed.as_deref().map(RawValue::get))?,
        ))
    }
}

impl CategoryLine {
    /// The line of a category.
    pub fn new(name: &Name, category: &Category) -> CategoryLine {
        CategoryLine {
            name: name.as_str().to_owned(),
            display_name: category.display_name.clone().into(),
            revision: category.revision.0,
        }
    }

    /// The category.
    ///
    /// # Errors
    ///
    /// When the line is damaged.
    pub fn category(self) -> Result<(Name, Category), StoreError> {
        let name = Name::new(&self.name).map_err(|wrong| StoreError::refused(format!("a category's name {wrong}")))?;
        Ok((name, Category { display_name: self.display_name.into(), revision: revision(self.revision)? }))
    }
}

impl BudgetLine {
    /// The line of a budget.
    pub fn new(id: &str, account: &Account) -> BudgetLine {
        BudgetLine { id: id.to_owned(), account: account.to_text() }
    }

    /// The budget.
    ///
    /// # Errors
    ///
    /// When the line is damaged.
    pub fn account(&self) -> Result<(Box<str>, Account), StoreError> {
        account_of(&self.id, &self.account)
    }
}

impl LeaseLine {
    /// The line of a lease.
    ///
    /// # Errors
    ///
    /// Never for what was made by this program.
    pub fn new(lease: &Lease) -> Result<LeaseLine, StoreError> {
        let (id, revision) = (lease.id.as_str().to_owned(), lease.revision.0);
        Ok(LeaseLine { id, revision, document: raw(lease_text(lease)?)? })
    }

    /// The lease.
    ///
    /// # Errors
    ///
    /// When the line is damaged.
    pub fn lease(&self) -> Result<Lease, StoreError> {
        let lease = lease_of(&self.id, self.document.get(), revision_to_sql(revision(self.revision)?))?;
        whole_micros(lease.granted_at).and(whole_micros(lease.since))?;
        Ok(lease)
    }
}

impl ChangeLine {
    /// The line of a change.
    ///
    /// # Errors
    ///
    /// When what the store has kept is damaged.
    pub fn new(row: &ChangeRow) -> Result<ChangeLine, StoreError> {
        Ok(ChangeLine {
            revision: revision_from_sql(row.revision)?.0,
            at: time_from_sql(row.at)?,
            kind: row.kind.clone(),
            subject: row.subject.clone(),
            request_id: row.request_id.clone(),
            document: row.document.clone().map(raw).transpose()?,
            detail: row.detail.clone(),
            created_at: row.created_at.map(time_from_sql).transpose()?,
            observed: row.observed.clone().map(raw).transpose()?,
            principal: row.principal.clone(),
        })
    }

    /// The change.
    ///
    /// # Errors
    ///
    /// When the line is damaged.
    pub fn row(self) -> Result<ChangeRow, StoreError> {
        let micros = |time: Timestamp| whole_micros(time).map(Timestamp::as_microsecond);
        Ok(ChangeRow {
            revision: revision_to_sql(revision(self.revision)?),
            at: micros(self.at)?,
            kind: self.kind,
            subject: self.subject,
            request_id: self.request_id,
            document: self.document.map(|document| document.get().to_owned()),
            detail: self.detail,
            created_at: self.created_at.map(micros).transpose()?,
            observed: self.observed.map(|observed| observed.get().to_owned()),
            principal: self.principal,
        })
    }
}

/// The lines of all that stands beside the plugins, in their order.
///
/// # Errors
///
/// Never for a state that was made by this program.
pub fn lines_beside(state: &State) -> impl Iterator<Item = Result<ArchiveLine, StoreError>> {
    let named = state.named_categories().iter();
    let categories = named.map(|(name, category)| ArchiveLine::Category(CategoryLine::new(name, category)));
    let accruals = state.ledger().accruals().iter().map(|accrual| ArchiveLine::Accrual(AccrualRow::from(accrual)));
    let budgets = state.ledger().budgets().iter();
    let budgets = budgets.map(|(id, account)| ArchiveLine::Budget(BudgetLine::new(id, account)));
    let leases = state.leases().values().map(|lease| LeaseLine::new(lease).map(ArchiveLine::Lease));
    categories.chain(accruals).chain(budgets).map(Ok).chain(leases)
}

fn revision(revision: u64) -> Result<Revision, StoreError> {
    match i64::try_from(revision) {
        Ok(1..) => Ok(Revision(revision)),
        _ => Err(StoreError::refused(format!("no change has the revision {revision}"))),
    }
}
