//! The query parameters of `GET /resources`. The reader and the OpenAPI description use the same table.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cursor::Cursor;
use super::list_params::{all, digest, fields_of, filter, limit_of, named, names, parameter, pid_of, sort_of};
use super::parameter::{Parameter, Values};
use super::params::Params;
use crate::http::problem::Problem;
use domain::StoreId;
use domain::host::HostNames;
use domain::plugin::Provider;
use domain::plugin::identity::UniqueId;
use domain::query::resource_sort::{ResourceSort, ResourceSortField, RowPosition};
use domain::query::sort::SortKey;
use domain::query::{Filter, Resource, ResourceQuery};
use domain::record::{ClaimState, FindingKind, ResourceKind};

/// The parameters of `GET /resources`.
pub const RESOURCE_LIST: &[Parameter] = &[
    parameter("kind", Values::Name(ResourceKind::NAMES), "The kind of resource."),
    parameter("host", Values::Text, "The host of the resource; a remote resource has no host."),
    parameter("pid", Values::Pids, "The process with this id."),
    parameter("container_id", Values::Text, "The container with this id."),
    parameter("instance_id", Values::Text, "The remote resource with this instance id."),
    parameter(
        "endpoint",
        Values::Text,
        "The remote resource with this endpoint URL, or with this SSH host or host:port.",
    ),
    parameter("finding", Values::Names(FindingKind::NAMES), "A finding about the resource."),
    parameter("acknowledged", Values::Flag, "Whether a client has acknowledged the finding."),
    parameter("verified", Values::Flag, "Whether a probe or an agent has seen the resource alive."),
    parameter("plugin", Values::Text, "The unique_id of the plugin that holds the resource."),
    parameter("category", Values::Texts, "The category of that plugin."),
    parameter("label.", Values::Texts, "The value of a label of that plugin: `label.team=speech`."),
    parameter("provider", Values::Names(Provider::NAMES), "The provider of the remote resource."),
    parameter("lease_id", Values::Text, "The lease under which the resource was claimed."),
    parameter("claim", Values::Name(ClaimState::NAMES), "Whether the plugin's document still names the resource."),
    parameter("billable", Values::Flag, "Whether a provider may charge for the resource."),
    parameter(
        "sort",
        Values::Sort(ResourceSortField::NAMES, "plugin"),
        "The field to sort by; a leading `-` sorts in descending order: `-usd_per_hour` has the dearest first.",
    ),
    parameter(
        "limit",
        Values::Limit,
        "The maximum number of rows to return; the default for NDJSON and CSV is the greatest limit.",
    ),
    parameter("cursor", Values::Text, "`next_cursor` of the previous page."),
    parameter("fields", Values::Fields(Resource::FIELDS), "Return only these fields of each row."),
];

/// How many parameters at the end of [`RESOURCE_LIST`] are not filters: `sort`, `limit`, `cursor` and `fields`.
const FORM: usize = 4;

/// The filters of resources.
pub const RESOURCE_FILTERS: &[Parameter] = RESOURCE_LIST.split_at(RESOURCE_LIST.len() - FORM).0;

/// The parameters of a list of resources.
#[derive(Debug)]
pub struct ResourceList {
    /// The filters, the order and the limit.
    pub query: ResourceQuery,
    /// The fields to return of each row; `None` for all.
    pub fields: Option<Vec<&'static str>>,
    /// A digest of the filters and the order, which ties a cursor to this list.
    pub list: String,
}

/// The position of a row, as a cursor has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct RowCursor {
    /// The value of the sort field.
    #[serde(rename = "k")]
    key: SortKey,
    /// The plugin's unique_id.
    #[serde(rename = "i")]
    unique_id: String,
    /// The index of the row within the plugin.
    #[serde(rename = "r")]
    row: usize,
    /// Up to when spent amounts count: the same for all pages of a list that is sorted by them. Other lists have none,
    /// because equal pages of one revision have equal cursors.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

impl RowCursor {
    /// The cursor of a position in a list.
    pub fn of(position: &RowPosition, list: &ResourceQuery) -> RowCursor {
        let RowPosition { key, unique_id, row } = position;
        let at = (list.sort.field == ResourceSortField::SpentUsd).then_some(list.at);
        RowCursor { key: key.clone(), unique_id: unique_id.to_string(), row: *row, at }
    }
}

impl ResourceList {
    /// Reads the query of a list of resources in a store, at a time. `limit` is the default.
    ///
    /// # Errors
    ///
    /// See [`super::list_params::PluginList::read`].
    pub fn read(params: Params, store: &StoreId, now: Timestamp, limit: usize) -> Result<ResourceList, Problem> {
        let params = params.only(&names(RESOURCE_LIST))?;
        let (list, fields) = (digest(&params), fields_of(&params, Resource::FIELDS)?);
        let mut query = conditions(&params)?;
        query.limit = params.single("limit")?.map(limit_of).transpose()?.unwrap_or(limit);
        query.at = now;
        if let Some(sort) = params.single("sort")? {
            let (field, descending) = sort_of(sort, ResourceSortField::NAMES, ResourceSortField::from_name)?;
            query.sort = ResourceSort { field, descending };
        }
        if let Some(cursor) = params.single("cursor")? {
            let RowCursor { key, unique_id, row, at } = Cursor::read(cursor, store, &list)?;
            query.after = Some(RowPosition { key, unique_id: UniqueId::from_client(&unique_id), row });
            query.at = at.unwrap_or(now);
        }
        Ok(ResourceList { query, fields, list })
    }
}

/// The conditions of a query for resources. Other parameters are not looked at.
///
/// # Errors
///
/// 400 for an invalid value.
pub fn conditions(params: &Params) -> Result<ResourceQuery, Problem> {
    let text = |name| params.single(name).map(|value| value.map(str::to_owned));
    let values = |wanted: &str| params.iter().find(|(name, _)| *name == wanted);
    let mut filters: Vec<Filter> = Vec::new();
    // The category has an index, so it comes first.
    let is_filter = |name: &str| name == "category" || name.starts_with("label.");
    let sent = params.iter().filter(|(name, _)| is_filter(name));
    let (first, others): (Vec<_>, Vec<_>) = sent.partition(|(name, _)| *name == "category");
    for (name, values) in first.into_iter().chain(others) {
        filters.extend(filter(name, values)?);
    }
    Ok(ResourceQuery {
        kind: one(params, "kind", ResourceKind::NAMES, ResourceKind::from_name)?,
        host: params.single("host")?.map(|host| HostNames::of([host])),
        pid: params.single("pid")?.map(pid_of).transpose()?,
        container_id: text("container_id")?,
        instance_id: text("instance_id")?,
        endpoint: text("endpoint")?,
        finding: values("finding")
            .map(|(name, values)| all(name, values, FindingKind::NAMES, FindingKind::from_name))
            .transpose()?,
        verified: params.flag("verified")?,
        plugin: text("plugin")?.map(|plugin| UniqueId::from_client(&plugin)),
        lease_id: text("lease_id")?,
        claim: one(params, "claim", ClaimState::NAMES, ClaimState::from_name)?,
        billable: params.flag("billable")?,
        acknowledged: params.flag("acknowledged")?,
        provider: values("provider")
            .map(|(name, values)| all(name, values, Provider::NAMES, Provider::from_name))
            .transpose()?,
        filters,
        ..ResourceQuery::default()
    })
}

fn one<T>(params: &Params, name: &str, known: &[&str], of: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    params.single(name)?.map(|value| named(name, value, known, of)).transpose()
}
