//! The state that all handlers share: the registry, the webhooks, and the limits of requests.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::cost_answers::CostAnswers;
use super::middleware::host_check::AllowedHosts;
use super::middleware::load_shedding::LoadShedder;
use super::middleware::rate_limit::{RateLimits, RequestRate};
use crate::access::Tokens;
use crate::dashboard::Dashboard;
use crate::http::metrics::requests::Requests;
use crate::liveness::visibility::Visibility;
use crate::registry::Registry;
use crate::telemetry::{LogLevel, Traces};
use crate::webhook::Deliveries;

/// The state that all handlers share.
#[derive(Clone)]
pub struct Api {
    /// The registry.
    pub registry: Registry,
    /// The webhooks.
    pub webhooks: Deliveries,
    /// Authentication of requests.
    pub access: Access,
    /// The resources on this host that the registry can see.
    pub sight: Visibility,
    /// Which callers may read backups.
    pub backups: BackupAccess,
    /// Size and time limits of requests.
    pub limits: Limits,
    /// Metrics of the answered requests.
    pub requests: Requests,
    /// Admission of requests under load.
    pub gate: Arc<LoadShedder>,
    /// Answers about costs, which equal questions share.
    pub costs: CostAnswers,
    /// How often lines may be written into the history of each plugin.
    pub notes: Arc<RateLimits>,
    /// The exporter of traces.
    pub traces: Traces,
    /// The log level.
    pub log_level: LogLevel,
    /// The files of the dashboard.
    pub dashboard: Dashboard,
    /// Whether AI agents find their tools at `/mcp`.
    pub serves_mcp: bool,
    /// Which routes this listener serves.
    pub offer: Exposure,
}

/// How many lines a plugin takes at once.
const NOTES_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// Which routes a listener serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exposure {
    /// All routes.
    #[default]
    Everything,
    /// All routes but the metrics, which have a separate listener.
    AllButMetrics,
    /// The metrics only.
    MetricsAlone,
}

/// An [`Api`] that all requests share; a clone copies only a pointer.
#[derive(Clone)]
pub struct Shared(Arc<Api>);

impl Shared {
    /// Puts an [`Api`] behind a shared pointer.
    pub fn new(api: Api) -> Shared {
        Shared(Arc::new(api))
    }
}

impl Deref for Shared {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.0
    }
}

impl Api {
    /// An [`Api`] for a registry and its webhooks, with the tokens of the registry's store and the default limits. No
    /// resources of this host are visible.
    pub fn new(registry: Registry, webhooks: Deliveries) -> Api {
        let tokens = Tokens::new(Arc::clone(registry.tokens()), None);
        let access = Access { tokens, names: Arc::new(AllowedHosts::default()) };
        Api {
            registry,
            webhooks,
            access,
            sight: Visibility::default(),
            backups: BackupAccess::Given,
            limits: Limits::default(),
            requests: Requests::default(),
            costs: CostAnswers::default(),
            notes: Arc::new(RateLimits::new(RequestRate { per_second: NonZeroU32::MIN, burst: NOTES_AT_ONCE })),
            traces: Traces::default(),
            log_level: LogLevel::default(),
            gate: Arc::default(),
            dashboard: Dashboard::default(),
            serves_mcp: true,
            offer: Exposure::default(),
        }
    }
}

/// Size and time limits of requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest body, and the longest line of an NDJSON body, in bytes.
    pub body_bytes: usize,
    /// How long a client may take to send a body, or a line of an NDJSON body.
    pub body_time: Duration,
    /// How long a request may take until the reply begins; NDJSON bodies are exempt.
    pub request_time: Duration,
    /// How often an idle live stream sends a heartbeat.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 1024 * 1024,
            body_time: Duration::from_secs(10),
            request_time: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
        }
    }
}

/// Authentication of requests.
#[derive(Clone)]
pub struct Access {
    /// The tokens.
    pub tokens: Tokens,
    /// The hosts that a request may name while no tokens are configured.
    pub names: Arc<AllowedHosts>,
}

/// Which callers may read backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupAccess {
    /// Every caller whose permission covers backups, also without a token.
    Given,
    /// Only callers with an admin token. Without tokens, anyone in the network could read the secrets in a backup.
    ToAdmins,
}

/// A read that visits more plugins than this number waits for its caller's turn ([`crate::registry::fair_pool`]), so that
/// neither other requests nor the registry's own work wait for it.
pub(crate) const LONG_SCAN: usize = 2_000;
