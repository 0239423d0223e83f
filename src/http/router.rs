//! All routes on one page.

use std::time::Duration;

use axum::Router;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::backup::Backups;
use super::context::SurroundLayer;
use super::metrics::Requests;
use super::{
    backup, budgets, categories, config, costs, events, health, leases, metrics, observations, openapi, plugins,
    resources, runtime, stats, webhooks,
};
use crate::liveness::sight::Sight;
use crate::registry::Registry;
use crate::webhook::Deliveries;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// The registry.
    pub registry: Registry,
    /// The webhooks.
    pub webhooks: Deliveries,
    /// What the registry can see of its own host.
    pub sight: Sight,
    /// To whom backups are given.
    pub backups: Backups,
    /// What a request may take.
    pub limits: Limits,
    /// The requests that were answered.
    pub requests: Requests,
}

impl Api {
    /// What serves a registry with its webhooks, within the usual limits, and sees nothing of its host.
    pub fn new(registry: Registry, webhooks: Deliveries) -> Api {
        let (sight, limits, requests) = (Sight::default(), Limits::default(), Requests::default());
        Api { registry, webhooks, sight, backups: Backups::Given, limits, requests }
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
fn routes() -> OpenApiRouter<Api> {
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
        .routes(routes!(stats::read_stats))
        .routes(routes!(backup::read_backup))
        .routes(routes!(health::read_health))
        .routes(routes!(health::read_readiness))
        .routes(routes!(metrics::read_metrics))
        .routes(routes!(openapi::read_openapi))
}

/// The description of the API.
pub fn description() -> Value {
    openapi::complete(&routes().into_openapi())
}

/// The whole service: routes, description, API browser, and what surrounds all of them.
pub fn router(api: Api) -> Router {
    let (routes, _) = routes().split_for_parts();
    surrounded(routes.merge(openapi::browser()).with_state(api.clone()), api)
}

/// Puts around routes what surrounds every request.
fn surrounded(routes: Router, api: Api) -> Router {
    routes.layer(SurroundLayer::new(api))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        let service = surrounded(routes, Api::new(registry, webhooks));
        let ask =
            |path: &str| service.clone().oneshot(Request::get(path).header("host", "x").body(Body::empty()).unwrap());
        let failed = ask("/broken").await.unwrap();
        assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(failed.headers()["content-type"], super::super::problem::PROBLEM_JSON);
        assert_eq!(ask("/whole").await.unwrap().status(), StatusCode::OK);
    }
}
