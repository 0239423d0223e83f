//! The lines of an archive. `decode(encode(line))` is `line`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::auxiliary::{AnswerLine, TokenLine, WebhookLine};
use crate::store::StoreError;
use crate::store::archive::text::{raw, whole_micros};
use crate::store::ledger_row::{AccrualRow, account_of};
use crate::store::row::{
    ChangeRow, config_of, document_text, holdings_of, lease_of, lease_text, plugin_of, revision_from_sql,
    revision_to_sql, time_from_sql,
};
use domain::cost::Account;
use domain::plugin::Name;
use domain::record::Record;
use domain::{Category, Lease, Revision, State};

/// The format that this version writes. It reads earlier formats too: format 1 has no data beside the journal, and format
/// 2 has no claims of holdings.
pub const FORMAT: u32 = 3;

/// A line: an object with one field, which names the kind of line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveLine {
    /// The first line.
    Archive(Header),
    /// A plugin as of the head, in the order of the ids.
    Plugin(PluginLine),
    /// A category with a display name as of the head, in the order of the names.
    Category(CategoryLine),
    /// The cost of a plugin up to its newest change, in the order of the names.
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
    /// A stored response, in the order of the keys.
    Answer(AnswerLine),
    /// A change, in the order of the revisions.
    Change(ChangeLine),
    /// The last line.
    End(End),
}

/// The content of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`], or an earlier one.
    pub format: u32,
    /// When it was exported.
    pub exported_at: Timestamp,
    /// The identity of the store. A store that imports the archive gets another.
    pub store: String,
    /// The newest revision.
    pub revision: u64,
    /// The time of the newest revision.
    pub at: Timestamp,
    /// The compact revision: the archive has every later change.
    #[serde(rename = "horizon")]
    pub compact_revision: u64,
    /// The number of plugins.
    pub plugins: usize,
    /// The number of categories.
    pub categories: usize,
    /// Whether the archive has saved configurations.
    pub with_configs: bool,
    /// Whether the archive has the changes.
    pub with_history: bool,
    /// Whether the archive has the data beside the journal: then it is a backup.
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
    /// Absent if there is none, because null is a valid configuration.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    config: Option<Box<RawValue>>,
    /// The observations of its resources, as the store has them.
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

/// A budget with its spending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetLine {
    id: String,
    /// The account as the store has it.
    account: String,
}

/// A lease.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseLine {
    id: String,
    revision: u64,
    /// The document as the store has it.
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
    /// The observations and findings of the plugin's resources after the change, as the store has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The check that the archive is complete and unaltered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The number of lines before this one.
    pub lines: u64,
    /// SHA-256 (FIPS 180-4) of the bytes of those lines, including line ends, in hexadecimal.
    pub sha256: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl ArchiveLine {
    /// The rank of a kind of line: ranks never decrease.
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

    /// The text of the line, with its line end.
    ///
    /// # Errors
    ///
    /// Never for a line that this program made.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let mut text = serde_json::to_vec(self)
            .map_err(|error| StoreError::unusable("a line of the archive cannot be written", error))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Parses a line.
    ///
    /// # Errors
    ///
    /// If the text is not a line of an archive.
    pub fn decode(text: &[u8]) -> Result<ArchiveLine, StoreError> {
        serde_json::from_slice(text)
            .map_err(|error| StoreError::unusable("this line does not belong to an archive of plugin-registry", error))
    }
}

impl PluginLine {
    /// The line of a plugin, without its configuration.
    ///
    /// # Errors
    ///
    /// Never for a plugin that this program made.
    pub fn bare(record: &Record) -> Result<PluginLine, StoreError> {
        Ok(PluginLine {
            revision: record.revision.0,
            created_at: record.created_at,
            updated_at: record.updated_at,
            document: raw(document_text(&record.plugin)?)?,
            config: None,
            observed: record.holdings.to_text().map(raw).transpose()?,
        })
    }

    /// The line of a plugin, with its configuration.
    ///
    /// # Errors
    ///
    /// Never for a plugin that this program made.
    pub fn with_config(record: &Record) -> Result<PluginLine, StoreError> {
        let config = record.config.as_ref().map(|config| raw(config.as_str().to_owned())).transpose()?;
        Ok(PluginLine { config, ..PluginLine::bare(record)? })
    }

    /// The plugin.
    ///
    /// # Errors
    ///
    /// If the line is damaged.
    pub fn record(&self) -> Result<Record, StoreError> {
        Ok(Record::holding(
            plugin_of(self.document.get())?.into(),
            self.config.as_deref().map(|config| config_of(config.get())).transpose()?,
            revision(self.revision)?,
            (whole_micros(self.created_at)?, whole_micros(self.updated_at)?),
            holdings_of(self.observed.as_deref().map(RawValue::get))?,
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
    /// If the line is damaged.
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
    /// If the line is damaged.
    pub fn account(&self) -> Result<(Box<str>, Account), StoreError> {
        account_of(&self.id, &self.account)
    }
}

impl LeaseLine {
    /// The line of a lease.
    ///
    /// # Errors
    ///
    /// Never for a lease that this program made.
    pub fn new(lease: &Lease) -> Result<LeaseLine, StoreError> {
        let (id, revision) = (lease.id.as_str().to_owned(), lease.revision.0);
        Ok(LeaseLine { id, revision, document: raw(lease_text(lease)?)? })
    }

    /// The lease.
    ///
    /// # Errors
    ///
    /// If the line is damaged.
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
    /// If the stored change is damaged.
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
            reason: row.reason.clone(),
        })
    }

    /// The change.
    ///
    /// # Errors
    ///
    /// If the line is damaged.
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
            reason: self.reason,
        })
    }
}

/// The lines of the state beside the plugins, in their order.
///
/// # Errors
///
/// Never for a state that this program made.
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
