//! All routes on one page.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Access;
use super::backup::Backups;
use super::context::SurroundLayer;
use super::gate::Gate;
use super::origin::Names;
use super::requests::Requests;
use super::{
    backup, budgets, categories, config, costs, events, health, leases, log_level, metrics, observations, openapi,
    plugins, resources, runtime, stats, tokens, webhooks,
};
use crate::access::Tokens;
use crate::liveness::sight::Sight;
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
    pub sight: Sight,
    /// To whom backups are given.
    pub backups: Backups,
    /// What a request may take.
    pub limits: Limits,
    /// The requests that were answered.
    pub requests: Requests,
    /// Which of them are let in.
    pub gate: Arc<Gate>,
    /// Who is told of what requests lead to.
    pub traces: Traces,
    /// The log's level.
    pub log_level: LogLevel,
    /// Which of the routes there are.
    pub offer: Offer,
}

/// Which routes a listener offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Offer {
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
        let access = Access { tokens, names: Arc::new(Names::default()) };
        Api {
            registry,
            webhooks,
            access,
            sight: Sight::default(),
            backups: Backups::Given,
            limits: Limits::default(),
            requests: Requests::default(),
            traces: Traces::default(),
            log_level: LogLevel::default(),
            gate: Arc::default(),
            offer: Offer::default(),
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

/// Every route that does something.
fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(plugins::list_plugins, plugins::register_plugin))
        .routes(routes!(plugins::read_plugin, plugins::replace_plugin, plugins::patch_plugin, plugins::remove_plugin))
        .routes(routes!(runtime::replace_pids, runtime::add_pids, runtime::clear_pids))
        .routes(routes!(runtime::remove_pid))
        .routes(routes!(runtime::set_container, runtime::clear_container))
        .routes(routes!(runtime::set_remote, runtime::patch_remote, runtime::clear_remote))
        .routes(routes!(config::read_config, config::save_config, config::delete_config))
        .routes(routes!(config::validate_config))
        .routes(routes!(events::list_events))
        .routes(routes!(events::read_history))
        .routes(routes!(categories::list_categories))
        .routes(routes!(categories::name_category))
        .routes(routes!(resources::list_resources))
        .routes(routes!(costs::read_costs))
        .routes(routes!(budgets::list_budgets, budgets::create_budget))
        .routes(routes!(budgets::read_budget, budgets::patch_budget, budgets::remove_budget))
        .routes(routes!(leases::list_leases, leases::grant_lease))
        .routes(routes!(leases::read_lease, leases::renew_lease, leases::release_lease))
        .routes(routes!(observations::report_observations))
        .routes(routes!(webhooks::list_webhooks, webhooks::create_webhook))
        .routes(routes!(webhooks::read_webhook, webhooks::patch_webhook, webhooks::remove_webhook))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::read_token, tokens::revoke_token))
        .routes(routes!(stats::read_stats))
        .routes(routes!(backup::read_backup))
        .routes(routes!(health::read_health))
        .routes(routes!(health::read_readiness))
        .routes(routes!(metrics::read_metrics))
        .routes(routes!(log_level::read_level, log_level::set_level))
        .routes(routes!(openapi::read_openapi))
}

/// The description of the API.
pub fn description() -> Value {
    openapi::complete(&routes().into_openapi())
}

/// The whole service: routes, description, API browser, and what surrounds all of them.
pub fn router(api: Shared) -> Router {
    let routes = match api.offer {
        Offer::Everything | Offer::AllButMetrics => routes().split_for_parts().0.merge(openapi::browser()),
        Offer::MetricsAlone => OpenApiRouter::new().routes(routes!(metrics::read_metrics)).split_for_parts().0,
    };
    surrounded(routes.with_state(api.clone()), api)
}

/// Puts around routes what surrounds every request.
fn surrounded(routes: Router, api: Shared) -> Router {
    routes.layer(SurroundLayer::new(api))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use hyper::{Request, StatusCode};
    use tower::ServiceExt as _;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::memory::MemoryJournal;
    use crate::webhook::Settings;

    async fn broken() -> &'static str {
        panic!("on purpose")
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_and_the_service_lives() {
        let registry = Registry::start(Box::new(MemoryJournal::new()), Arc::new(SystemClock)).unwrap();
        let routes = Router::new().route("/broken", get(broken)).route("/whole", get(|| async { "whole" }));
        let webhooks = Deliveries::start(registry.clone(), Arc::new(SystemClock), Settings::default());
        let service = surrounded(routes, Shared::new(Api::new(registry, webhooks)));
        let ask = |path: &str| {
            service.clone().oneshot(Request::get(path).header("host", "localhost").body(Body::empty()).unwrap())
        };
        let failed = ask("/broken").await.unwrap();
        assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(failed.headers()["content-type"], super::super::problem::PROBLEM_JSON);
        assert_eq!(ask("/whole").await.unwrap().status(), StatusCode::OK);
    }
}
