//! Amounts by group. The total is the sum of the lines.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::series::CostSeries;
use super::version::{Rented, Window, rented};
use crate::host;
use crate::money::{MicroUsd, Rate, Spend};
use crate::plugin::{Labels, PluginKey};
use crate::record::Record;

/// The property by which amounts are grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// `unique_id`
    Plugin,
    /// The category.
    Category,
    /// The provider of the remote resource.
    Provider,
    /// Its GPU type.
    GpuType,
    /// The class of its status.
    StatusClass,
    /// The host.
    Host,
    /// The value of this label.
    Label(String),
    /// The resource with its properties, as JSON: see [`ChargedResource`]. Not on the wire.
    Resource,
}

impl GroupBy {
    /// The names on the wire; a label's key follows the last one.
    pub const NAMES: [&str; 7] = ["plugin", "category", "provider", "gpu_type", "status_class", "host", "label."];

    /// Parses a name.
    pub fn from_name(name: &str) -> Option<GroupBy> {
        match name {
            "plugin" => Some(GroupBy::Plugin),
            "category" => Some(GroupBy::Category),
            "provider" => Some(GroupBy::Provider),
            "gpu_type" => Some(GroupBy::GpuType),
            "status_class" => Some(GroupBy::StatusClass),
            "host" => Some(GroupBy::Host),
            _ => name.strip_prefix("label.").filter(|key| !key.is_empty()).map(|key| GroupBy::Label(key.to_owned())),
        }
    }

    /// The group of a plugin's resource as it was; `None` if it has no such property.
    fn of(&self, record: &Record, rented: &Rented<'_>) -> Option<String> {
        let (plugin, remote) = (&record.plugin, rented.remote);
        match self {
            GroupBy::Plugin => Some(record.unique_id.to_string()),
            GroupBy::Category => Some(plugin.category.to_string()),
            GroupBy::Provider => Some(remote.provider.as_str().to_owned()),
            GroupBy::GpuType => remote.gpu_type.clone(),
            GroupBy::StatusClass => Some(remote.status_class().as_str().to_owned()),
            GroupBy::Host => host::normal_of(plugin.host.as_deref()).map(Into::into),
            GroupBy::Label(key) => plugin.labels.get(key).map(str::to_owned),
            GroupBy::Resource => Some(ChargedResource::of(record, rented).to_text()),
        }
    }

    /// The group of a plugin of which only the identity is known.
    fn of_key(&self, key: &PluginKey) -> Option<String> {
        match self {
            GroupBy::Plugin => Some(key.unique_id().to_string()),
            GroupBy::Category => Some(key.category.to_string()),
            _ => None,
        }
    }

    /// Returns true if and only if a plugin's group never changes, because it depends on the identity only.
    pub fn is_fixed(&self) -> bool {
        matches!(self, GroupBy::Plugin | GroupBy::Category)
    }
}

/// A rented resource with the properties that a bill names, as they were when the cost arose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargedResource {
    /// The unique_id of its plugin.
    pub plugin: String,
    /// The title of its plugin.
    pub title: String,
    /// The category of its plugin.
    pub category: String,
    /// The provider.
    pub provider: String,
    /// The region.
    pub region: Option<String>,
    /// Its id.
    pub id: String,
    /// Its type.
    pub resource_type: Option<String>,
    /// Its GPU type.
    pub gpu_type: Option<String>,
    /// The labels of its plugin.
    pub labels: Labels,
}

impl ChargedResource {
    fn of(record: &Record, rented: &Rented<'_>) -> ChargedResource {
        let (plugin, remote) = (&record.plugin, rented.remote);
        ChargedResource {
            plugin: record.unique_id.to_string(),
            title: plugin.title.clone(),
            category: plugin.category.to_string(),
            provider: remote.provider.as_str().to_owned(),
            region: remote.region.clone(),
            id: rented.slot().id.to_string(),
            resource_type: remote.resource_type.clone(),
            gpu_type: remote.gpu_type.clone(),
            labels: plugin.labels.clone(),
        }
    }

    fn to_text(&self) -> String {
        // Serialising texts to memory cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses the key of a group.
    pub fn from_text(text: &str) -> Option<ChargedResource> {
        serde_json::from_str(text).ok()
    }
}

/// The amounts of one group.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StatementLine {
    /// The number of remote resources that a provider may charge for now.
    pub billable: usize,
    /// The number of those without a price: their cost is unknown.
    pub unpriced: usize,
    /// The cost of an hour at current prices. A resource that may bill counts with its whole price.
    pub burn: MicroUsd,
    /// The cost of the given hours, of resources with the status `running` only.
    pub estimate: MicroUsd,
    /// The amount spent.
    pub accrued: Spend,
}

impl StatementLine {
    fn add(&mut self, other: StatementLine) {
        self.billable += other.billable;
        self.unpriced += other.unpriced;
        self.burn += other.burn;
        self.estimate += other.estimate;
        self.accrued += other.accrued;
    }
}

/// Amounts by group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statement {
    /// The lines by group; `None` for plugins without the property. One such line if amounts are not grouped.
    pub lines: BTreeMap<Option<String>, StatementLine>,
    /// Whether the caller requested groups.
    pub is_grouped: bool,
    /// The spent amounts in steps of time; empty unless the caller requested steps.
    pub series: CostSeries,
}

impl Statement {
    /// The sum of all groups.
    pub fn total(&self) -> StatementLine {
        self.lines.values().fold(StatementLine::default(), |mut total, line| {
            total.add(*line);
            total
        })
    }

    /// The groups, in order; none if amounts are not grouped.
    pub fn groups(&self) -> impl Iterator<Item = (&Option<String>, &StatementLine)> {
        self.lines.iter().filter(|_| self.is_grouped)
    }

    /// Adds the current cost of an existing plugin, and its cost within `window` since its newest change.
    pub(crate) fn add_standing(
        &mut self,
        record: &Record,
        group_by: Option<&GroupBy>,
        hours: i128,
        window: Option<Window>,
    ) {
        for rented in rented(record) {
            let rate = rented.rate_now();
            let running = if rented.remote.is_running() { rate } else { Rate::default() };
            let accrued = window.map(|window| rented.spend(record, None, window.to, window));
            let line = StatementLine {
                billable: 1,
                unpriced: usize::from(rented.is_unpriced()),
                burn: rate.hourly(),
                estimate: running.in_hours(hours),
                accrued: accrued.unwrap_or_default(),
            };
            let group = group_by.and_then(|group_by| group_by.of(record, &rented));
            if let Some(window) = window {
                self.series.add(group.clone(), &rented, record, None, window.to);
            }
            self.line(group).add(line);
        }
    }

    /// Adds the cost of an ended version within a window: it was current until `end`, and `after` is the next.
    pub(crate) fn add_ended(
        &mut self,
        record: &Record,
        after: Option<&Record>,
        end: Timestamp,
        group_by: Option<&GroupBy>,
        window: Window,
    ) {
        for rented in rented(record) {
            let spent = rented.spend(record, after, end, window);
            if !spent.is_nothing() {
                let group = group_by.and_then(|group_by| group_by.of(record, &rented));
                self.series.add(group.clone(), &rented, record, after, end);
                self.line(group).accrued += spent;
            }
        }
    }

    /// Adds the cost of a plugin of which only the identity is known.
    pub(crate) fn add_forgotten(&mut self, key: &PluginKey, group_by: Option<&GroupBy>, spent: Spend) {
        if !spent.is_nothing() {
            self.line(group_by.and_then(|group_by| group_by.of_key(key))).accrued += spent;
        }
    }

    fn line(&mut self, group: Option<String>) -> &mut StatementLine {
        self.lines.entry(group).or_default()
    }
}
