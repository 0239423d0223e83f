//! The columns of each kind of document.

use serde_json::Value;

use super::cell::Show;
use super::path;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// The field of the document, with dots.
    pub field: &'static str,
    /// How people see it.
    pub show: Show,
    /// Whether only `wide` has it.
    pub is_wide: bool,
}

/// A kind of document.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What several of them are called.
    pub plural: &'static str,
    /// The columns, in their order.
    pub columns: &'static [Column],
    /// The fields whose values, joined by `/`, name an item for other commands.
    pub name: &'static [&'static str],
}

const fn column(title: &'static str, field: &'static str, show: Show) -> Column {
    Column { title, field, show, is_wide: false }
}

const fn wide(title: &'static str, field: &'static str, show: Show) -> Column {
    Column { title, field, show, is_wide: true }
}

impl Kind {
    /// What other commands call the item.
    pub fn name_of(&self, item: &Value) -> String {
        let parts: Vec<String> = self.name.iter().map(|field| path::raw(path::at(item, field))).collect();
        parts.join("/")
    }
}

/// Plugins.
pub const PLUGIN: Kind = Kind {
    plural: "plugins",
    columns: &[
        column("PLUGIN", "unique_id", Show::Text),
        column("ACTIVE", "has_active_resources", Show::Flag),
        column("MODE", "execution_mode", Show::Text),
        column("STATUS", "remote_resource.status", Show::State),
        column("PIDS", "spawned_pids", Show::Count),
        column("HOST", "host", Show::Text),
        column("USD/H", "remote_resource.estimated_cost_per_hour", Show::Money),
        column("CHANGED", "updated_at", Show::Age),
        column("TITLE", "title", Show::Text),
        wide("CONFIGURED", "is_configured", Show::Flag),
        wide("BILLABLE", "billable", Show::Flag),
        wide("CONTAINER", "container_id", Show::Text),
        wide("PROVIDER", "remote_resource.provider", Show::Text),
        wide("GPU", "remote_resource.gpu_type", Show::Text),
        wide("GPUS", "remote_resource.gpu_count", Show::Number),
        wide("VERSION", "version", Show::Text),
        wide("LABELS", "labels", Show::Members),
        wide("LEASE", "lease_id", Show::Text),
        wide("REVISION", "revision", Show::Number),
    ],
    name: &["unique_id"],
};

/// Resources that plugins hold.
pub const RESOURCE: Kind = Kind {
    plural: "resources",
    columns: &[
        column("PLUGIN", "plugin", Show::Text),
        column("KIND", "kind", Show::Text),
        column("ID", "id", Show::Text),
        column("HOST", "host", Show::Text),
        column("CLAIM", "claim", Show::State),
        column("OBSERVED", "observed.state", Show::State),
        column("HELD", "held_since", Show::Age),
        column("BILLABLE", "billable", Show::Flag),
        column("FINDING", "finding", Show::Wrong),
        wide("CERTAINTY", "certainty", Show::Text),
        wide("CLAIMED", "claimed", Show::State),
        wide("SEEN", "observed.at", Show::Age),
        wide("BY", "observed.by", Show::Text),
        wide("EXPIRES", "expires_at", Show::Age),
        wide("LEASE", "lease.state", Show::State),
        wide("ACKNOWLEDGED", "acknowledged.reason", Show::Text),
    ],
    name: &["plugin", "kind", "id"],
};

/// Resources with findings.
pub const FINDING: Kind = Kind {
    plural: "findings",
    columns: &[
        column("FINDING", "finding", Show::Wrong),
        column("PLUGIN", "plugin", Show::Text),
        column("KIND", "kind", Show::Text),
        column("ID", "id", Show::Text),
        column("SINCE", "evidence.since", Show::Age),
        column("BILLABLE", "billable", Show::Flag),
        column("NEXT STEP", "evidence.next_step", Show::Text),
        wide("EVIDENCE", "evidence.text", Show::Text),
        wide("COST", "evidence.cost", Show::Members),
        wide("HOST", "host", Show::Text),
        wide("ACKNOWLEDGED", "acknowledged.reason", Show::Text),
        wide("UNTIL", "acknowledged.until", Show::Age),
    ],
    name: &["plugin", "kind", "id"],
};

/// Hosts.
pub const HOST: Kind = Kind {
    plural: "hosts",
    columns: &[
        column("HOST", "host", Show::Text),
        column("LOOKED AT", "looked_at", Show::Flag),
        column("BY", "probe", Show::Text),
        column("SEEN", "heard_at", Show::Age),
        column("PLUGINS", "plugins", Show::Number),
        column("PROCESSES", "processes", Show::Number),
        column("CONTAINERS", "containers", Show::Number),
        column("FINDINGS", "findings", Show::Number),
        column("USD/H", "usd_per_hour", Show::Money),
        wide("REMOTES", "remotes", Show::Number),
        wide("AGENT", "agent", Show::Text),
        wide("OWN", "is_own", Show::Flag),
        wide("NAMES", "names", Show::Members),
    ],
    name: &["host"],
};

/// Changes.
pub const EVENT: Kind = Kind {
    plural: "changes",
    columns: &[
        column("REVISION", "id", Show::Number),
        column("TIME", "time", Show::Time),
        column("CHANGE", "type", Show::Text),
        column("SUBJECT", "subject", Show::Text),
        column("BY", "principal", Show::Text),
        column("FIELDS", "data.changed", Show::Names),
        wide("REQUEST", "data.request_id", Show::Text),
    ],
    name: &["id"],
};

/// Groups of costs.
pub const COST: Kind = Kind {
    plural: "groups",
    columns: &[
        column("GROUP", "key", Show::Text),
        column("USD/H", "burn_usd_per_hour", Show::Money),
        column("SPENT FROM", "accrued.low_usd", Show::Money),
        column("SPENT TO", "accrued.high_usd", Show::Money),
        column("ESTIMATED", "estimated_usd", Show::Money),
        column("BILLABLE", "billable", Show::Number),
        column("UNPRICED", "unpriced", Show::Number),
    ],
    name: &["key"],
};

/// Budgets.
pub const BUDGET: Kind = Kind {
    plural: "budgets",
    columns: &[
        column("BUDGET", "id", Show::Text),
        column("NAME", "name", Show::Text),
        column("LIMIT", "limit_usd", Show::Money),
        column("PERIOD", "period", Show::Text),
        column("SPENT", "spent.high_usd", Show::Money),
        column("PERCENT", "spent_percent", Show::Number),
        column("USD/H", "burn_usd_per_hour", Show::Money),
        column("LIMIT/H", "limit_usd_per_hour", Show::Money),
        column("REACHED", "reached_percent", Show::Members),
        wide("FULL", "projected_breach_at", Show::Age),
        wide("FILTERS", "filters", Show::Members),
        wide("THRESHOLDS", "threshold_percent", Show::Members),
        wide("ENDS", "period_end", Show::Age),
    ],
    name: &["id"],
};

/// Leases.
pub const LEASE: Kind = Kind {
    plural: "leases",
    columns: &[
        column("LEASE", "lease_id", Show::Text),
        column("HOLDER", "holder", Show::Text),
        column("HOST", "host", Show::Text),
        column("STATE", "state", Show::State),
        column("TTL", "ttl_seconds", Show::Number),
        column("RENEWED", "renewed_at", Show::Age),
        column("EXPIRES", "expires_at", Show::Age),
        column("PLUGINS", "plugins", Show::Count),
        wide("ON GONE", "on_gone", Show::Text),
        wide("BY", "principal", Show::Text),
        wide("BRAKE", "brake", Show::Text),
    ],
    name: &["lease_id"],
};

/// Webhooks.
pub const WEBHOOK: Kind = Kind {
    plural: "webhooks",
    columns: &[
        column("WEBHOOK", "id", Show::Text),
        column("STATE", "state", Show::State),
        column("LAG", "lag", Show::Number),
        column("FAILURES", "failures", Show::Number),
        column("DELIVERED", "last_delivered_at", Show::Age),
        column("URL", "url", Show::Text),
        wide("KINDS", "kinds", Show::Members),
        wide("FILTERS", "filters", Show::Members),
        wide("ERROR", "last_error", Show::Wrong),
        wide("DESCRIPTION", "description", Show::Text),
    ],
    name: &["id"],
};

/// The results of a release.
pub const RELEASED: Kind = Kind {
    plural: "resources",
    columns: &[
        column("PLUGIN", "plugin", Show::Text),
        column("KIND", "kind", Show::Text),
        column("ID", "id", Show::Text),
        column("RELEASED", "released", Show::Flag),
        column("PROBLEM", "problem.detail", Show::Wrong),
    ],
    name: &["plugin", "kind", "id"],
};

/// The results of registrations.
pub const REGISTERED: Kind = Kind {
    plural: "registrations",
    columns: &[
        column("PLUGIN", "unique_id", Show::Text),
        column("RESULT", "result", Show::Text),
        column("REVISION", "revision", Show::Number),
        column("PROBLEM", "problem.detail", Show::Wrong),
    ],
    name: &["unique_id"],
};

/// Contexts of the configuration file.
pub const CONTEXT: Kind = Kind {
    plural: "contexts",
    columns: &[
        column("CONTEXT", "name", Show::Text),
        column("CURRENT", "current", Show::Flag),
        column("SERVER", "server", Show::Text),
        wide("TOKEN", "token", Show::Text),
        wide("CA", "ca_file", Show::Text),
    ],
    name: &["name"],
};

/// Settings and where they come from.
pub const SETTING: Kind = Kind {
    plural: "settings",
    columns: &[
        column("SETTING", "setting", Show::Text),
        column("VALUE", "value", Show::Text),
        column("FROM", "from", Show::Text),
    ],
    name: &["setting"],
};
