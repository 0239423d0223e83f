//! The query of a list: one table of parameters, from which both the reading and the API's
//! description are made.

use std::collections::BTreeSet;
use std::hash::Hasher as _;

use fnv::FnvHasher;
use jiff::Timestamp;

use super::cursor::{Cursor, ListCursor};
use super::params::{Params, bad};
use crate::http::problem::Problem;
use crate::http::query::parameter::{Parameter, Values};
use domain::change::ChangeKind;
use domain::plugin::read::unknown_name;
use domain::plugin::{ExecutionMode, Pid, Provider};
use domain::query::resources::RowPosition;
use domain::query::sort::{Position, SortField};
use domain::query::{Filter, ListQuery, ResourceQuery, Sort, filter_text};
use domain::record::{FindingKind, PluginDocument, ResourceKind};
use domain::{LeaseState, StoreId};

/// How many items a list has when nothing is said.
pub const DEFAULT_LIMIT: usize = 1_000;

/// The most items that one page may have.
pub const MAX_LIMIT: usize = 10_000;

/// The parameters of `GET /plugins`.
pub const PLUGIN_LIST: &[Parameter] = &[
    parameter(
        "active",
        Values::Flag,
        "Whether it holds a process, a container, or a remote resource whose status is `running`.",
    ),
    parameter("billable", Values::Flag, "Whether a provider may be charging for its remote resource."),
    parameter("category", Values::Texts, "The category."),
    parameter("name", Values::Texts, "The name within the category."),
    parameter("execution_mode", Values::Names(ExecutionMode::NAMES), "Where it does its work."),
    parameter(
        "execution",
        Values::Names(&["local", "cloud"]),
        "Whether the work is done on the application's own host.",
    ),
    parameter("configured", Values::Flag, "Whether it is ready for use."),
    parameter("provider", Values::Names(Provider::NAMES), "Who rents out its remote resource."),
    parameter("status", Values::Texts, "The status of its remote resource."),
    parameter("gpu_type", Values::Texts, "The GPU type of its remote resource."),
    parameter("host", Values::Texts, "The host on which its processes and container live."),
    parameter("lease_id", Values::Texts, "The lease of the application process that holds it."),
    parameter("label.", Values::Texts, "The value of a label: `label.team=speech`."),
    parameter("pid", Values::Pids, "A process that it holds."),
    parameter("container_id", Values::Texts, "The container that it holds."),
    parameter("q", Values::Texts, "A part of its id, title or description, in upper or lower case."),
    parameter("updated_since", Values::Time, "Changed at or after this time."),
    parameter("finding", Values::Names(FindingKind::NAMES), "What is wrong with something that it holds."),
    parameter("verified", Values::Flag, "Whether something that it holds was seen to be alive."),
    parameter("sort", Values::Sort, "A scalar field to sort by, `-` before it for descending order."),
    parameter("limit", Values::Limit, "The most items to return."),
    parameter("cursor", Values::Text, "Where to begin: `next_cursor` of the page before."),
    parameter("fields", Values::Fields, "Only these fields of each item."),
];

/// The parameters of `GET /resources`.
pub const RESOURCE_LIST: &[Parameter] = &[
    parameter("kind", Values::Name(ResourceKind::NAMES), "What is held."),
    parameter("host", Values::Text, "The host that it is on; a remote resource is on none."),
    parameter("pid", Values::Pids, "The process of this id."),
    parameter("container_id", Values::Text, "The container of this id."),
    parameter("instance_id", Values::Text, "The remote resource of this instance id."),
    parameter(
        "endpoint",
        Values::Text,
        "The remote resource that serves at this URL, or is reached by SSH at this host or host:port.",
    ),
    parameter("finding", Values::Names(FindingKind::NAMES), "What is wrong with it."),
    parameter("verified", Values::Flag, "Whether it was seen to be alive."),
    parameter("limit", Values::Limit, "The most rows to return."),
    parameter("cursor", Values::Text, "Where to begin: `next_cursor` of the page before."),
];

/// The parameters of `GET /leases`.
pub const LEASE_LIST: &[Parameter] = &[
    parameter("state", Values::Name(LeaseState::NAMES), "What has become of it."),
    parameter("host", Values::Text, "The host that its holder runs on."),
    parameter("limit", Values::Limit, "The most leases to return."),
    parameter("cursor", Values::Text, "Where to begin: `next_cursor` of the page before."),
];

/// The parameters of reads that can wait, or look back: see [`super::read_options`].
pub const READ_OPTIONS: &[Parameter] = &[
    parameter(
        "since",
        Values::Revision,
        "Answer once the result differs from what it was at this revision, or 304 after `wait`.",
    ),
    parameter(
        "wait",
        Values::Duration,
        "How long to wait: at most 5m. By default 30s for `since`, and up to a sixteenth longer; 5s for `min_revision`.",
    ),
    parameter("min_revision", Values::Revision, "Answer from this revision or a later one, or 504 after `wait`."),
    parameter("as_of", Values::Moment, "Answer as at this revision or time; not together with the others."),
];

/// The same without `since`: what was spent changes with every moment, so that there is nothing to wait for.
pub const READ_OPTIONS_WITHOUT_SINCE: &[Parameter] = READ_OPTIONS.split_at(1).1;

/// The parameters of `GET /events` beside the filters of [`PLUGIN_LIST`].
pub const EVENT_LIST: &[Parameter] = &[
    parameter(
        "after",
        Values::Revision,
        "Changes after this revision; by default all that are kept, or, live, those to come.",
    ),
    parameter("until", Values::Revision, "Changes up to and with this revision."),
    parameter("from", Values::Time, "Changes made at or after this time."),
    parameter("to", Values::Time, "Changes made before this time."),
    parameter("kind", Values::Names(ChangeKind::NAMES), "The kind of change."),
    parameter("plugin", Values::Text, "Changes of the plugin with this unique_id."),
    parameter("order", Values::Name(&["asc", "desc"]), "The oldest first (`asc`, by default), or the newest."),
    parameter("limit", Values::Limit, "The most items to return; refused for a live stream, which has no end."),
    parameter("cursor", Values::Text, "Where to begin: `next_cursor` of the page before."),
];

/// The parameters of `GET /costs` beside the filters of [`PLUGIN_LIST`].
pub const COST_LIST: &[Parameter] = &[
    parameter(
        "group_by",
        Values::Group,
        "By what to group: plugin, category, provider, gpu_type, host, or label.<key>; as the plugins were when it was spent.",
    ),
    parameter("hours", Values::Hours, "Also estimate so many hours of all that has the status `running`."),
    parameter("from", Values::Time, "What was spent at or after this time; by default, ever."),
    parameter("to", Values::Time, "What was spent before this time; by default, up to now."),
];

/// The parameters of `GET /plugins/{id}/history`.
pub const VERSION_LIST: &[Parameter] = &[
    parameter("order", Values::Name(&["asc", "desc"]), "The newest first (`desc`, by default), or the oldest."),
    parameter("limit", Values::Limit, "The most items to return."),
    parameter("cursor", Values::Text, "Where to begin: `next_cursor` of the page before."),
];

/// How many of [`PLUGIN_LIST`], the last ones, say how to list, and not what: `sort`, `limit`, `cursor` and `fields`.
const FORM: usize = 4;

/// The filters of plugins.
pub const PLUGIN_FILTERS: &[Parameter] = PLUGIN_LIST.split_at(PLUGIN_LIST.len() - FORM).0;

/// The parameters of `DELETE /plugins/{id}`.
pub const REMOVAL: &[Parameter] =
    &[parameter("force", Values::Flag, "Remove it even if it holds what may still run or bill.")];

const fn parameter(name: &'static str, values: Values, help: &'static str) -> Parameter {
    Parameter { name, values, help }
}

/// The names of parameters.
pub fn names(parameters: &[Parameter]) -> Vec<&'static str> {
    parameters.iter().map(|parameter| parameter.name).collect()
}

/// What a list of plugins is asked for.
#[derive(Debug)]
pub struct PluginList {
    /// Which, in what order, how many.
    pub query: ListQuery,
    /// Only these fields of each; `None` for all.
    pub fields: Option<Vec<&'static str>>,
    /// A digest of the filters and the order: a cursor belongs to these.
    pub list: String,
}

impl PluginList {
    /// Reads the query of a list of plugins in a store.
    ///
    /// # Errors
    ///
    /// 400 for a parameter or value that is not known, 410 for the cursor of another store.
    pub fn read(params: Params, store: &StoreId) -> Result<PluginList, Problem> {
        let params = params.only(&names(PLUGIN_LIST))?;
        let list = digest(&params);
        let mut query = ListQuery::default();
        for (name, values) in params.iter() {
            query.filters.extend(filter(name, values)?);
        }
        if let Some(sort) = params.single("sort")? {
            query.sort = sort_of(sort)?;
        }
        query.limit = params.single("limit")?.map(limit_of).transpose()?;
        if let Some(cursor) = params.single("cursor")? {
            let ListCursor { key, unique_id } = Cursor::read(cursor, store, &list)?;
            query.after =
                Some(Position { key, unique_id: domain::plugin::identity::UniqueId::from_client(&unique_id) });
        }
        let fields =
            params.iter().find(|(name, _)| *name == "fields").map(|(_, names)| fields_of(names)).transpose()?;
        Ok(PluginList { query, fields, list })
    }
}

/// What a list of resources is asked for.
#[derive(Debug)]
pub struct ResourceList {
    /// Which, and how many.
    pub query: ResourceQuery,
    /// A digest of the filters: a cursor belongs to these.
    pub list: String,
}

impl ResourceList {
    /// Reads the query of a list of resources in a store.
    ///
    /// # Errors
    ///
    /// As [`PluginList::read`].
    pub fn read(params: Params, store: &StoreId) -> Result<ResourceList, Problem> {
        let params = params.only(&names(RESOURCE_LIST))?;
        let list = digest(&params);
        let text = |name| params.single(name).map(|value| value.map(str::to_owned));
        let after = match params.single("cursor")? {
            Some(cursor) => {
                let (unique_id, row): (String, usize) = Cursor::read(cursor, store, &list)?;
                Some(RowPosition { unique_id: domain::plugin::identity::UniqueId::from_client(&unique_id), row })
            }
            None => None,
        };
        let query = ResourceQuery {
            kind: params
                .single("kind")?
                .map(|name| named("kind", name, ResourceKind::NAMES, ResourceKind::from_name))
                .transpose()?,
            host: text("host")?,
            pid: params.single("pid")?.map(pid_of).transpose()?,
            container_id: text("container_id")?,
            instance_id: text("instance_id")?,
            endpoint: text("endpoint")?,
            finding: params
                .iter()
                .find(|(name, _)| *name == "finding")
                .map(|(name, values)| all(name, values, FindingKind::NAMES, FindingKind::from_name))
                .transpose()?,
            verified: params.flag("verified")?,
            limit: params.single("limit")?.map(limit_of).transpose()?.unwrap_or(DEFAULT_LIMIT),
            after,
        };
        Ok(ResourceList { query, list })
    }
}

/// A digest of filters and order: the same for the same list, and short enough for a cursor.
pub(crate) fn digest(params: &Params) -> String {
    let mut parts: Vec<_> = params
        .iter()
        .filter(|(name, _)| !["limit", "cursor", "fields"].contains(name))
        .map(|(name, values)| (name, values.iter().collect::<BTreeSet<_>>()))
        .collect();
    parts.sort();
    // The same in every version and process. It guards against mistakes, not against attacks: a
    // forged cursor begins somewhere else in a list that anyone may read.
    let mut hasher = FnvHasher::default();
    hasher.write(format!("{parts:?}").as_bytes());
    format!("{:016x}", hasher.finish())
}

/// The condition of a filter; `None` when it asks for nothing, or the name is not one of a filter.
pub(crate) fn filter(name: &str, values: &[String]) -> Result<Option<Filter>, Problem> {
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

fn pid_of(value: &str) -> Result<Pid, Problem> {
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

fn sort_of(value: &str) -> Result<Sort, Problem> {
    let (name, descending) = value.strip_prefix('-').map_or((value, false), |name| (name, true));
    let field = named("sort", name, SortField::NAMES, SortField::from_name)?;
    Ok(Sort { field, descending })
}

fn fields_of(names: &[String]) -> Result<Vec<&'static str>, Problem> {
    names
        .iter()
        .map(|name| {
            let known = PluginDocument::FIELDS.iter().find(|field| *field == name);
            known.copied().ok_or_else(|| bad(unknown_name("field", name, PluginDocument::FIELDS)))
        })
        .collect()
}
