//! All routes on one page.

use axum::{Extension, Router};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::handlers::{
    backup, budgets, categories, config, costs, dashboard, event_counts, events, health, held_resources, holdings,
    hosts, leases, log_level, mcp, metrics, notes, observations, plugins, release, resources, spans, stats,
    stop_requests, tokens, webhooks, whoami,
};
use super::middleware::stack::StackLayer;
use super::openapi::{self, Description};
use super::state::Exposure;
use crate::http::state::Shared;

/// All routes of the API.
fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(plugins::list_plugins, plugins::register_plugin))
        .routes(routes!(plugins::read_plugin, plugins::replace_plugin, plugins::patch_plugin, plugins::remove_plugin))
        .routes(routes!(held_resources::replace_pids, held_resources::add_pids, held_resources::clear_pids))
        .routes(routes!(held_resources::remove_pid))
        .routes(routes!(held_resources::set_container, held_resources::clear_container))
        .routes(routes!(held_resources::set_remote, held_resources::patch_remote, held_resources::clear_remote))
        .routes(routes!(config::read_config, config::save_config, config::delete_config))
        .routes(routes!(config::validate_config))
        .routes(routes!(events::list_events))
        .routes(routes!(event_counts::count_events))
        .routes(routes!(events::read_history))
        .routes(routes!(notes::write_note))
        .routes(routes!(stop_requests::request_stop))
        .routes(routes!(stop_requests::answer_stop))
        .routes(routes!(categories::list_categories))
        .routes(routes!(categories::name_category))
        .routes(routes!(resources::list_resources))
        .routes(routes!(release::release_resources))
        .routes(routes!(holdings::set_expiry, holdings::clear_expiry))
        .routes(routes!(holdings::acknowledge_finding, holdings::end_acknowledgement))
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
        .routes(routes!(hosts::list_hosts))
        .routes(routes!(spans::list_spans))
        .routes(routes!(whoami::read_caller))
        .routes(routes!(stats::read_stats))
        .routes(routes!(backup::read_backup))
        .routes(routes!(health::read_health))
        .routes(routes!(health::read_readiness))
        .routes(routes!(metrics::read_metrics))
        .routes(routes!(log_level::read_level, log_level::set_level))
        .merge(OpenApiRouter::new().routes(routes!(openapi::read_openapi)).layer(Extension(Description(description))))
}

/// The description that utoipa derives from the handlers, before [`openapi::complete`] adds the table of operations.
pub fn gathered() -> Value {
    serde_json::to_value(routes().into_openapi()).unwrap_or_default()
}

/// The description of the API.
pub fn description() -> Value {
    openapi::complete(gathered())
}

/// The whole service: routes, API description, API browser, dashboard, tools of agents, and the middleware around them.
pub fn router(api: Shared) -> Router {
    let routes = match api.offer {
        Exposure::MetricsAlone => OpenApiRouter::new().routes(routes!(metrics::read_metrics)).split_for_parts().0,
        Exposure::Everything | Exposure::AllButMetrics => {
            let of_api = routes().split_for_parts().0;
            let tools =
                api.serves_mcp.then(|| mcp::routes(surrounded(of_api.clone().with_state(api.clone()), api.clone())));
            let pages = openapi::browser().merge(dashboard::routes(&api.dashboard));
            of_api.merge(pages).merge(tools.unwrap_or_default())
        }
    };
    surrounded(routes.with_state(api.clone()), api)
}

/// Wraps routes in the middleware.
fn surrounded(routes: Router, api: Shared) -> Router {
    routes.layer(StackLayer::new(api))
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
    use crate::http::state::Api;
    use crate::registry::Registry;
    use crate::store::memory::MemoryJournal;
    use crate::webhook::Deliveries;
    use crate::webhook::deliveries::DeliverySettings;

    async fn broken() -> &'static str {
        panic!("on purpose")
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_and_the_service_lives() {
        let registry = Registry::start(Box::new(MemoryJournal::new()), Arc::new(SystemClock)).unwrap();
        let routes = Router::new().route("/broken", get(broken)).route("/whole", get(|| async { "whole" }));
        let webhooks = Deliveries::start(registry.clone(), Arc::new(SystemClock), DeliverySettings::default());
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
