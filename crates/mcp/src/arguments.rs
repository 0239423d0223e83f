//! What the tools take.

use rmcp::schemars;
use schemars::JsonSchema;
use serde::Deserialize;

/// What kind of thing a plugin holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An operating-system process.
    Process,
    /// A container.
    Container,
    /// A rented machine or job at a provider.
    Remote,
}

impl Kind {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Process => "process",
            Kind::Container => "container",
            Kind::Remote => "remote",
        }
    }
}

/// Give exactly one of `pid`, `container_id`, `instance_id` and `endpoint`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoisArguments {
    /// A process id.
    pub pid: Option<u32>,
    /// A container id, or its first 12 characters or more.
    pub container_id: Option<String>,
    /// The id that a provider gave to a machine.
    pub instance_id: Option<String>,
    /// An endpoint URL, or an SSH host, or host:port.
    pub endpoint: Option<String>,
    /// The host of the process or container. Process ids repeat on each host, so give it if you know it.
    pub host: Option<String>,
    /// The longest answer in bytes: 4096 unless given, at most 65536.
    pub max_bytes: Option<u32>,
}

/// All fields narrow the list; none lists everything.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldArguments {
    /// Only what this plugin holds.
    pub plugin: Option<String>,
    /// Only what is on this host.
    pub host: Option<String>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only what a provider may charge for, or only the rest.
    pub billable: Option<bool>,
    /// The longest answer in bytes: 4096 unless given, at most 65536.
    pub max_bytes: Option<u32>,
}

/// All fields narrow the list; none lists every finding.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingsArguments {
    /// Only these findings: `orphan` (may run or bill, and its application is gone), `ghost` (claimed, and seen gone),
    /// `reused` (the id belongs to another process now), `overdue` (held too long), `unverified` (not looked at).
    pub finding: Option<Vec<Finding>>,
    /// Only what this plugin holds.
    pub plugin: Option<String>,
    /// Only what is on this host.
    pub host: Option<String>,
    /// Also findings that a person has acknowledged.
    #[serde(default)]
    pub acknowledged: bool,
    /// The longest answer in bytes: 4096 unless given, at most 65536.
    pub max_bytes: Option<u32>,
}

/// What can be wrong with something that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It may run or bill, and its application is gone.
    Orphan,
    /// It is claimed, and was seen gone.
    Ghost,
    /// Its id belongs to another process now.
    Reused,
    /// It is held beyond the time for which it was meant.
    Overdue,
    /// It is claimed, and no probe looks at it.
    Unverified,
}

impl Finding {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Finding::Orphan => "orphan",
            Finding::Ghost => "ghost",
            Finding::Reused => "reused",
            Finding::Overdue => "overdue",
            Finding::Unverified => "unverified",
        }
    }
}

/// The name of one thing that is held, as the other tools show it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameArguments {
    /// The plugin that holds it.
    pub plugin: String,
    /// Its kind.
    pub kind: Kind,
    /// Its id: the process id as a text, the container id, or the id at the provider.
    pub id: String,
    /// Its host; needed only if the plugin holds the same id on two hosts.
    pub host: Option<String>,
}

/// A process that you have started.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterArguments {
    /// What kind of plugin it is, for example `mcp` or `tool`.
    pub category: String,
    /// The plugin's name within the category. The same name again adds the process to the plugin.
    pub name: String,
    /// A title for people; the name unless given.
    pub title: Option<String>,
    /// The process id.
    pub pid: u32,
    /// The host that the process runs on; the registry's own unless given.
    pub host: Option<String>,
    /// The lease under which it is held. The registry reports the process as an orphan after the lease has run out.
    pub lease_id: Option<String>,
}

/// The name of one thing that is held, and why it is released.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseArguments {
    /// The plugin that holds it.
    pub plugin: String,
    /// Its kind.
    pub kind: Kind,
    /// Its id: the process id as a text, the container id, or the id at the provider.
    pub id: String,
    /// Its host; needed only if the plugin holds the same id on two hosts.
    pub host: Option<String>,
    /// Why it is released, in at most 500 characters. The registry keeps the reason in its history.
    pub reason: Option<String>,
    /// Only say what would be released.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which costs to add up.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostsArguments {
    /// Costs that arose at or after this time (RFC 3339); since the beginning unless given.
    pub from: Option<String>,
    /// Costs that arose before this time (RFC 3339); up to now unless given.
    pub to: Option<String>,
    /// One sum for each value: `plugin`, `category`, `provider`, `gpu_type`, `host`, or `label.` and a key.
    pub group_by: Option<String>,
    /// The longest answer in bytes: 4096 unless given, at most 65536.
    pub max_bytes: Option<u32>,
}

/// Which changes to show.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesArguments {
    /// Only changes of this plugin.
    pub plugin: Option<String>,
    /// Only changes after this revision; every answer says its revision.
    pub after_revision: Option<u64>,
    /// The longest answer in bytes: 4096 unless given, at most 65536.
    pub max_bytes: Option<u32>,
}
