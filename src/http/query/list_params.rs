//! The query parameters of lists. The reader and the OpenAPI description use the same tables.

use std::collections::BTreeSet;
use std::hash::Hasher as _;

use fnv::FnvHasher;
use jiff::Timestamp;

use super::cursor::{Cursor, ListCursor};
use super::params::{Params, bad};
use crate::http::problem::Problem;
use crate::http::query::parameter::{MAX_PART_CHARS, MAX_PARTS, Parameter, Values};
use domain::change::ChangeKind;
use domain::plugin::read::unknown_name;
use domain::plugin::{ExecutionMode, Pid, Provider, StatusClass};
use domain::query::sort::{Position, SortField};
use domain::query::{Filter, ListQuery, Sort, filter_text};
use domain::record::{FindingKind, PluginDocument, ResourceKind};
use domain::{LeaseState, StoreId};

/// The length of a page if the client sends no `limit`.
pub const DEFAULT_LIMIT: usize = 1_000;

/// The greatest `limit`.
pub const MAX_LIMIT: usize = 10_000;

/// The parameters of `GET /plugins`.
pub const PLUGIN_LIST: &[Parameter] = &[
    parameter(
        "active",
        Values::Flag,
        "Whether the plugin holds a process, a container, or a remote resource with the status `running`.",
    ),
    parameter("billable", Values::Flag, "Whether a provider may bill something that the plugin holds or left behind."),
    parameter("category", Values::Texts, "The category."),
    parameter("name", Values::Texts, "The name within the category."),
    parameter("execution_mode", Values::Names(ExecutionMode::NAMES), "Where the plugin does its work."),
    parameter(
        "execution",
        Values::Names(&["local", "cloud"]),
        "Whether the plugin works on the application's host (`local`) or elsewhere (`cloud`).",
    ),
    parameter("configured", Values::Flag, "Whether the plugin is configured."),
    parameter("provider", Values::Names(Provider::NAMES), "The provider of the plugin's remote resource."),
    parameter("status", Values::Texts, "The status of the plugin's remote resource."),
    parameter(
        "status_class",
        Values::Names(StatusClass::NAMES),
        "The class of the status of the plugin's remote resource, whatever the provider's word.",
    ),
    parameter("gpu_type", Values::Texts, "The GPU type of the plugin's remote resource."),
    parameter("host", Values::Texts, "The host of the plugin's processes and container."),
    parameter("lease_id", Values::Texts, "The lease that the plugin carries."),
    parameter("label.", Values::Texts, "The value of a label: `label.team=speech`."),
    parameter("pid", Values::Pids, "A process that the plugin holds."),
    parameter("container_id", Values::Texts, "The container that the plugin holds."),
    parameter("q", Values::Parts, "A part of the plugin's id, title or description; case does not matter."),
    parameter("updated_since", Values::Time, "Plugins that changed at or after this time."),
    parameter(
        "finding",
        Values::Names(FindingKind::NAMES),
        "A finding about a resource that the plugin holds, which no client has acknowledged.",
    ),
    parameter("verified", Values::Flag, "Whether a probe or an agent has seen a resource of the plugin alive."),
    parameter(
        "sort",
        Values::Sort(SortField::NAMES, "unique_id"),
        "The scalar field to sort by; a leading `-` sorts in descending order.",
    ),
    parameter("limit", Values::Limit, "The maximum number of items to return."),
    parameter("cursor", Values::Text, "`next_cursor` of the previous page."),
    parameter("fields", Values::Fields(PluginDocument::FIELDS), "Return only these fields of each item."),
];

/// The parameters of `GET /leases`.
pub const LEASE_LIST: &[Parameter] = &[
    parameter("state", Values::Name(LeaseState::NAMES), "The state of the lease."),
    parameter("host", Values::Text, "The host of the lease's holder."),
    parameter("limit", Values::Limit, "The maximum number of leases to return."),
    parameter("cursor", Values::Text, "`next_cursor` of the previous page."),
];

/// The parameters of `GET /hosts`.
pub const HOST_LIST: &[Parameter] = &[
    parameter("looked_at", Values::Flag, "Whether an agent or the registry itself looks at the host."),
    parameter("limit", Values::Limit, "The maximum number of hosts to return."),
    parameter("cursor", Values::Text, "`next_cursor` of the previous page."),
];

/// The parameters of reads that wait for a change or read the past: see [`super::read_options`].
pub const READ_OPTIONS: &[Parameter] = &[
    parameter(
        "since",
        Values::Revision,
        "Answer once the result has changed since this revision, or with 304 after `wait`.",
    ),
    parameter(
        "wait",
        Values::Duration,
        "How long to wait: at most 5m. The default for `since` is 30s, plus a random delay of up to a sixteenth; for \
         `min_revision`, 5s.",
    ),
    parameter("min_revision", Values::Revision, "Answer from this revision or a later one, or with 504 after `wait`."),
    parameter(
        "as_of",
        Values::Moment,
        "Answer from the state at this revision or time; excludes `since` and `min_revision`.",
    ),
];

/// The same without `since`: spent amounts change at every moment, so a read would never wait.
pub const READ_OPTIONS_WITHOUT_SINCE: &[Parameter] = READ_OPTIONS.split_at(1).1;

/// The parameters of `GET /events` beside the filters of [`PLUGIN_LIST`].
pub const EVENT_LIST: &[Parameter] = &[
    parameter(
        "after",
        Values::Revision,
        "Changes after this revision; by default all changes in the journal, or only new changes in a live stream.",
    ),
    parameter(
        "lastEventId",
        Values::EventId,
        "The header field `Last-Event-ID` as a parameter, for clients that cannot send the field. The field overrides \
         the parameter, and both override `after`.",
    ),
    parameter("until", Values::Revision, "Changes up to and including this revision."),
    parameter("from", Values::Time, "Changes made at or after this time."),
    parameter("to", Values::Time, "Changes made before this time."),
    parameter("kind", Values::Names(ChangeKind::NAMES), "The kind of change."),
    parameter("plugin", Values::Text, "Changes of the plugin with this unique_id."),
    parameter(
        "order",
        Values::Name(&["asc", "desc"]),
        "The oldest change first (`asc`, the default) or the newest (`desc`).",
    ),
    parameter("limit", Values::Limit, "The maximum number of items to return; a live stream refuses this parameter."),
    parameter("cursor", Values::Text, "`next_cursor` of the previous page."),
];

/// The parameters of `GET /events/counts`.
pub const EVENT_COUNTS: &[Parameter] = &[
    parameter("step", Values::Step, "The length of a step, from 5m to 1d; by default 1h."),
    parameter("from", Values::Time, "The start of the first step; by default, 24 steps before `to`."),
    parameter("to", Values::Time, "The end of the last step; by default, now."),
    parameter("kind", Values::Names(ChangeKind::NAMES), "The kind of change."),
    parameter("plugin", Values::Text, "Changes of the plugin with this unique_id."),
];

/// The parameters of `GET /resources/spans`.
pub const SPANS: &[Parameter] = &[
    parameter("from", Values::Time, "The start of the time; by default, 24 hours before `to`."),
    parameter("to", Values::Time, "The end of the time; by default, now."),
    parameter("plugin", Values::Text, "The resources of the plugin with this unique_id."),
    parameter("kind", Values::Name(ResourceKind::NAMES), "The kind of resource."),
    parameter("host", Values::Text, "The host of the resource; a remote resource has no host."),
    parameter("limit", Values::Limit, "The maximum number of resources to return."),
];

/// The parameters of `GET /costs` beside the filters of [`PLUGIN_LIST`].
pub const COST_LIST: &[Parameter] = &[
    parameter(
        "group_by",
        Values::Group,
        "Group by plugin, category, provider, gpu_type, status_class, host, or label.<key>, with the values of the plugin when the \
         cost arose.",
    ),
    parameter("hours", Values::Hours, "Also estimate this many hours of all resources with the status `running`."),
    parameter("from", Values::Time, "Costs that arose at or after this time; by default, since the beginning."),
    parameter("to", Values::Time, "Costs that arose before this time; by default, up to now."),
    parameter(
        "step",
        Values::Step,
        "Also return a series with the costs of each step of this length, from 5m to 1d; at most 500 steps. `from` is then by \
         default 24 steps before `to`.",
    ),
    parameter(
        "format",
        Values::Name(&["focus"]),
        "As CSV: charges in the columns of FOCUS 1.2 (FinOps), a row for each resource and step; `step` is then by default 1d.",
    ),
];

/// The parameters of `GET /plugins/{id}/history`.
pub const VERSION_LIST: &[Parameter] = &[
    parameter(
        "order",
        Values::Name(&["asc", "desc"]),
        "The newest change first (`desc`, the default) or the oldest (`asc`).",
    ),
    parameter("limit", Values::Limit, "The maximum number of items to return."),
    parameter("cursor", Values::Text, "`next_cursor` of the previous page."),
];

/// How many parameters at the end of [`PLUGIN_LIST`] are not filters: `sort`, `limit`, `cursor` and `fields`.
const FORM: usize = 4;

/// The filters of plugins.
pub const PLUGIN_FILTERS: &[Parameter] = PLUGIN_LIST.split_at(PLUGIN_LIST.len() - FORM).0;

/// The parameters of `DELETE /plugins/{id}`.
pub const REMOVAL: &[Parameter] =
    &[parameter("force", Values::Flag, "Remove the plugin even if it holds resources that may still run or bill.")];

/// The parameters of `POST /resources/release`.
pub const RELEASE: &[Parameter] =
    &[parameter("dry_run", Values::Flag, "Only report what would be released; change nothing.")];

/// The parameters of requests about one held resource.
pub const HELD_ON: &[Parameter] =
    &[parameter("host", Values::Text, "The host of the resource, if its plugin left it behind on a former host.")];

pub(super) const fn parameter(name: &'static str, values: Values, help: &'static str) -> Parameter {
    Parameter { name, values, help }
}

/// The names of parameters.
pub fn names(parameters: &[Parameter]) -> Vec<&'static str> {
    parameters.iter().map(|parameter| parameter.name).collect()
}

/// The parameters of a list of plugins.
#[derive(Debug)]
pub struct PluginList {
    /// The filters, the order and the limit.
    pub query: ListQuery,
    /// The fields to return of each plugin; `None` for all.
    pub fields: Option<Vec<&'static str>>,
    /// A digest of the filters and the order, which ties a cursor to this list.
    pub list: String,
}

impl PluginList {
    /// Reads the query of a list of plugins in a store.
    ///
    /// # Errors
    ///
    /// 400 for an unknown parameter or value, 410 for a cursor of another store.
    pub fn read(params: Params, store: &StoreId) -> Result<PluginList, Problem> {
        let params = params.only(&names(PLUGIN_LIST))?;
        let list = digest(&params);
        let mut query = ListQuery::default();
        for (name, values) in params.iter() {
            query.filters.extend(filter(name, values)?);
        }
        if let Some(sort) = params.single("sort")? {
            let (field, descending) = sort_of(sort, SortField::NAMES, SortField::from_name)?;
            query.sort = Sort { field, descending };
        }
        query.limit = params.single("limit")?.map(limit_of).transpose()?;
        if let Some(cursor) = params.single("cursor")? {
            let ListCursor { key, unique_id } = Cursor::read(cursor, store, &list)?;
            query.after =
                Some(Position { key, unique_id: domain::plugin::identity::UniqueId::from_client(&unique_id) });
        }
        let fields = fields_of(&params, PluginDocument::FIELDS)?;
        Ok(PluginList { query, fields, list })
    }
}

/// A digest of filters and order, which is short enough for a cursor.
pub(crate) fn digest(params: &Params) -> String {
    let mut parts: Vec<_> = params
        .iter()
        .filter(|(name, _)| !["limit", "cursor", "fields"].contains(name))
        .map(|(name, values)| (name, values.iter().collect::<BTreeSet<_>>()))
        .collect();
    parts.sort();
    // FNV is the same in every version and process. The digest guards against mistakes, not attacks: a forged cursor
    // only starts a readable list elsewhere.
    let mut hasher = FnvHasher::default();
    hasher.write(format!("{parts:?}").as_bytes());
    format!("{:016x}", hasher.finish())
}

/// The condition of a filter; `None` for an empty filter or a parameter that is not a filter.
pub(crate) fn filter(name: &str, values: &[String]) -> Result<Option<Filter>, Problem> {
    let is_long = |value: &String| value.chars().nth(MAX_PART_CHARS).is_some();
    if name == "q" && (values.len() > MAX_PARTS || values.iter().any(is_long)) {
        return Err(bad(format!(
            "`q` takes at most {MAX_PARTS} texts of at most {MAX_PART_CHARS} characters each; send several requests"
        )));
    }
    Filter::read(name, values).map_err(bad)
}

pub(crate) fn all<T>(
    name: &str,
    values: &[String],
    known: &[&str],
    of: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Problem> {
    values.iter().map(|value| named(name, value, known, &of)).collect()
}

pub(crate) fn named<T>(name: &str, value: &str, known: &[&str], of: impl Fn(&str) -> Option<T>) -> Result<T, Problem> {
    filter_text::named(name, value, known, of).map_err(bad)
}

pub(super) fn pid_of(value: &str) -> Result<Pid, Problem> {
    filter_text::pid_of(value).map_err(bad)
}

pub(crate) fn time_of(name: &str, values: &[String]) -> Result<Timestamp, Problem> {
    filter_text::time_of(name, values).map_err(bad)
}

pub(crate) fn limit_of(value: &str) -> Result<usize, Problem> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let limit = value.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| bad(format!("`limit` must be an integer from 1 to {MAX_LIMIT}")))
}

/// A field to sort by, and whether the order is descending.
pub(super) fn sort_of<F>(value: &str, known: &[&str], of: impl Fn(&str) -> Option<F>) -> Result<(F, bool), Problem> {
    let (name, descending) = value.strip_prefix('-').map_or((value, false), |name| (name, true));
    Ok((named("sort", name, known, of)?, descending))
}

/// The fields that a client wants of each item.
pub(super) fn fields_of(params: &Params, known: &[&'static str]) -> Result<Option<Vec<&'static str>>, Problem> {
    let Some((_, names)) = params.iter().find(|(name, _)| *name == "fields") else { return Ok(None) };
    let field = |name: &String| {
        let field = known.iter().find(|field| *field == name);
        field.copied().ok_or_else(|| bad(unknown_name("field", name, known)))
    };
    names.iter().map(field).collect::<Result<_, _>>().map(Some)
}
