//! Every operation of the OpenAPI description has a row in the table of operations, and every row an operation.

use std::collections::BTreeSet;

use plugin_registry::http::operations::OPERATIONS;
use plugin_registry::http::router::gathered;

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let described = gathered();
    let mut routes = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        routes.extend(methods.as_object().unwrap().keys().map(|method| (path.as_str(), method.to_ascii_uppercase())));
    }
    let rows: BTreeSet<_> = OPERATIONS.iter().map(|row| (row.path, row.method.to_owned())).collect();
    let without_row: Vec<_> = routes.difference(&rows).collect();
    let without_route: Vec<_> = rows.difference(&routes).collect();
    assert!(without_row.is_empty(), "routes without a row in http/operations.rs: {without_row:?}");
    assert!(without_route.is_empty(), "rows of http/operations.rs without a route: {without_route:?}");
    assert_eq!(rows.len(), OPERATIONS.len(), "a row stands twice");
}
