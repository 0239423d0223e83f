//! What the handlers are given: the registry, the webhooks, and what bounds requests.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::middleware::host_check::AllowedHosts;
use super::middleware::load_shedding::LoadShedder;
use crate::access::Tokens;
use crate::http::metrics::requests::Requests;
use crate::liveness::visibility::Visibility;
use crate::registry::Registry;
use crate::telemetry::{LogLevel, Traces};
use crate::webhook::Deliveries;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// The registry.
    pub registry: Registry,
    /// The webhooks.
    pub webhooks: Deliveries,
    /// Who is let in.
    pub access: Access,
    /// What the registry can see of its own host.
    pub sight: Visibility,
    /// To whom backups are given.
    pub backups: BackupAccess,
    /// What a request may take.
    pub limits: Limits,
    /// The requests that were answered.
    pub requests: Requests,
    /// Which of them are let in.
    pub gate: Arc<LoadShedder>,
    /// Who is told of what requests lead to.
    pub traces: Traces,
    /// The log's level.
    pub log_level: LogLevel,
    /// Which of the routes there are.
    pub offer: Exposure,
}

/// Which routes a listener offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exposure {
    /// All of them.
    #[default]
    Everything,
    /// All but the metrics, which have an address of their own.
    AllButMetrics,
    /// The metrics, at that address.
    MetricsAlone,
}

/// An [`Api`] that all requests share: cloning it costs a count.
#[derive(Clone)]
pub struct Shared(Arc<Api>);

impl Shared {
    /// Shares it from now on.
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
    /// What serves a registry with its webhooks and the tokens of its store, within the usual limits, and sees nothing of
    /// its host.
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
            traces: Traces::default(),
            log_level: LogLevel::default(),
            gate: Arc::default(),
            offer: Exposure::default(),
        }
    }
}

/// What a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest body, and the longest line of an NDJSON body, in bytes.
    pub body_bytes: usize,
    /// How long a body, or a line of an NDJSON body, may take to arrive.
    pub body_time: Duration,
    /// How long a request may take until its answer begins; NDJSON bodies excepted.
    pub request_time: Duration,
    /// How often a live stream without news says that it lives.
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

/// What decides who is let in.
#[derive(Clone)]
pub struct Access {
    /// The tokens.
    pub tokens: Tokens,
    /// The names of the service, which count while there are no tokens.
    pub names: Arc<AllowedHosts>,
}

/// To whom backups are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupAccess {
    /// To whoever may do everything, known or not.
    Given,
    /// To those whose token says so. Without tokens, anybody in the network could ask for the secrets that they hold.
    ToAdmins,
}

/// A list that looks at more plugins than this is made on a thread of its own, so that the
/// requests beside it need not wait.
pub(crate) const LONG_SCAN: usize = 2_000;
