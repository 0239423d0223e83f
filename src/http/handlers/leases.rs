//! `/leases`: leases of application processes, which prove with renewals that they are alive.

use std::ops::Bound;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::header::{HeaderValue, LINK, LOCATION};
use hyper::{StatusCode, Uri};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock::new_identity;
use crate::http::extract::body::{JsonBody, NoBody};
use crate::http::extract::path::LeasePath;
use crate::http::extract::principal::RequestCaller;
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::extract::write::Write;
use crate::http::headers::revision_header;
use crate::http::problem::Problem;
use crate::http::query::cursor::Cursor;
use crate::http::query::list_params::{DEFAULT_LIMIT, LEASE_LIST, digest, limit_of, named, names};
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::{Api, LONG_SCAN, Shared};
use domain::command::{Command, Outcome, Refusal};
use domain::host;
use domain::index::IndexKey;
use domain::lease::{DEFAULT_TTL, MAX_TTL, MIN_TTL, OnGone};
use domain::plugin::read::{ObjectReader, integer, nullable, one_of, string};
use domain::plugin::{Invalid, UniqueId};
use domain::{Lease, LeaseId, LeaseState, LeaseTerms, Revision, Snapshot};

/// The longest `holder`, in characters.
pub(crate) const MAX_HOLDER: usize = 256;

/// The fields that [`terms_of`] takes.
pub(crate) const FIELDS: &[&str] = &["holder", "host", "ttl_seconds", "on_gone"];

/// The lease of an application process.
#[derive(Serialize, ToSchema)]
#[schema(as = Lease)]
pub(crate) struct LeaseDocument<'a> {
    /// The id of the lease, which plugins carry as `lease_id`.
    lease_id: &'a str,
    /// The application that holds the lease.
    holder: &'a str,
    /// The host of the application.
    #[schema(required)]
    host: Option<&'a str>,
    /// How long the lease lasts without a renewal, in seconds.
    #[schema(minimum = 5, maximum = 3600)]
    ttl_seconds: u32,
    /// What becomes of a resource that was claimed under the lease and seen gone, once the lease has ended; null for the
    /// registry's setting `--on-gone`.
    #[schema(required)]
    on_gone: Option<OnGone>,
    /// The caller that took the lease: the name of a token, or `anonymous`; null for leases from before this field
    /// existed.
    #[schema(required)]
    principal: Option<&'a str>,
    /// The state of the lease.
    state: LeaseState,
    /// When to renew the lease: after a third of its time to live.
    renew_after_seconds: u32,
    /// When the lease was granted.
    #[schema(value_type = String, format = DateTime)]
    granted_at: Timestamp,
    /// When the lease was last renewed, as far as this process knows.
    #[schema(value_type = String, format = DateTime)]
    renewed_at: Timestamp,
    /// When the lease expires without a renewal, or when it ended.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Why an expired lease is not lost yet: self-preservation, because most leases of the host expired at once.
    #[schema(required)]
    brake: Option<String>,
    /// The unique_ids of the plugins that carry the lease.
    plugins: Vec<&'a str>,
}

/// A page of leases.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeasePage<'a> {
    /// The leases, sorted by id. Ended leases stay for a day, and as long as a plugin carries them.
    items: Vec<LeaseDocument<'a>>,
    /// The value for the parameter `cursor` on the next page; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The newest revision.
    #[schema(value_type = u64)]
    revision: Revision,
}

impl<'a> LeaseDocument<'a> {
    fn of(lease: &'a Arc<Lease>, api: &Api, snapshot: &'a Snapshot) -> LeaseDocument<'a> {
        let view = api.registry.view_lease(lease);
        let carried = snapshot.state.having(&IndexKey::Lease(lease.id.as_str().into()));
        let brake = view.held_until.map(|until| {
            format!(
                "self-preservation: most leases of this host expired at once, so none counts as lost before {until}"
            )
        });
        LeaseDocument {
            lease_id: lease.id.as_str(),
            holder: &lease.holder,
            host: lease.host.as_deref(),
            ttl_seconds: lease.ttl_seconds,
            on_gone: lease.on_gone,
            principal: lease.principal.as_deref(),
            state: lease.state,
            renew_after_seconds: (lease.ttl_seconds / 3).max(1),
            granted_at: lease.granted_at,
            renewed_at: view.renewed_at,
            expires_at: view.expires_at,
            brake,
            plugins: carried.into_iter().flat_map(|records| records.keys()).map(UniqueId::as_str).collect(),
        }
    }
}

/// Reads the request for a lease.
pub(crate) fn terms_of(body: Value) -> Result<LeaseTerms, Invalid> {
    let mut fields = ObjectReader::new(body, "", FIELDS, &[])?;
    let holder = fields.required("holder", text);
    let host = fields.optional("host", nullable(text)).flatten();
    let ttl = fields.optional("ttl_seconds", |value, at| integer(&value, at, MIN_TTL, MAX_TTL));
    let on_gone = fields.optional("on_gone", nullable(one_of(OnGone::NAMES, OnGone::from_name))).flatten();
    fields.finish()?;
    // `finish` has refused a document without a holder.
    let holder = holder.ok_or_else(|| Invalid::at("/holder", "is required"))?;
    Ok(LeaseTerms { holder, host, ttl_seconds: ttl.unwrap_or(DEFAULT_TTL), on_gone })
}

/// A text of 1 to [`MAX_HOLDER`] characters.
pub(crate) fn text(value: Value, pointer: &str) -> Result<Box<str>, Invalid> {
    let text = string(value, pointer)?;
    if text.is_empty() || text.chars().nth(MAX_HOLDER).is_some() {
        return Err(Invalid::at(pointer, format!("must have 1 to {MAX_HOLDER} characters")));
    }
    Ok(text.into())
}

/// The reply with a lease, as of a revision.
fn answer(api: &Api, lease: &Arc<Lease>, revision: Revision) -> Response {
    let snapshot = api.registry.snapshot();
    let mut response = json::json(&LeaseDocument::of(lease, api, &snapshot));
    let (name, value) = revision_header(revision);
    response.headers_mut().insert(name, value);
    response
}

/// Grant a lease.
///
/// Take a lease for each application process. Plugins carry the id as `lease_id`, so a renewal covers all of them.
#[utoipa::path(post, path = "/leases", tag = "leases", responses(
    (status = CREATED, description = "The lease", body = LeaseDocument, headers(("Location" = String, description = "Its path"))),
    (status = CONFLICT, description = "The registry has the maximum number of leases"),
))]
pub(crate) async fn grant_lease(
    State(api): State<Shared>,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = LeaseId::new(new_identity());
    let command = Command::GrantLease { id: id.clone(), terms: terms_of(body)? };
    let granted = move |outcome: &Outcome| {
        let lease = outcome.state.as_ref().and_then(|state| state.lease(id.as_str()));
        let Some(lease) = lease else { return StatusCode::CREATED.into_response() };
        let mut response = (StatusCode::CREATED, answer(&api, lease, outcome.revision)).into_response();
        if let Ok(location) = HeaderValue::from_str(&format!("/leases/{id}")) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    };
    write.run_for(command, granted).await
}

/// List the leases.
#[utoipa::path(get, path = "/leases", tag = "leases", responses(
    (status = OK, description = "The leases", body = LeasePage),
    (status = GONE, description = "The cursor belongs to another store"),
))]
pub(crate) async fn list_leases(
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    now: Now,
    uri: Uri,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&names(LEASE_LIST))?;
    let list = digest(&params);
    let state = params.single("state")?;
    let state = state.map(|name| named("state", name, LeaseState::NAMES, LeaseState::from_name)).transpose()?;
    let host = params.single("host")?.map(str::to_owned);
    let limit = params.single("limit")?.map(limit_of).transpose()?.unwrap_or(DEFAULT_LIMIT);
    let from = match params.single("cursor")? {
        Some(cursor) => Bound::Excluded(LeaseId::named(&Cursor::<String>::read(cursor, &now.store, &list)?)),
        None => Bound::Unbounded,
    };
    let is_long = now.state.leases().size() > LONG_SCAN;
    let scanned = api.clone();
    let page = move || {
        let leases = now.state.leases().range((from, Bound::Unbounded)).map(|(_, lease)| lease);
        let wanted = leases.filter(|lease| {
            state.is_none_or(|state| lease.state == state)
                && host.as_ref().is_none_or(|host| lease.host.as_deref().is_some_and(|of| host::is_same(of, host)))
        });
        let mut found: Vec<_> = wanted.take(limit.saturating_add(1)).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|last| Cursor::write(&now.store, &list, last.id.to_string()));
        let items = found.into_iter().map(|lease| LeaseDocument::of(lease, &scanned, &now)).collect();
        let page = LeasePage { items, next_cursor: next.clone(), revision: now.state.revision() };
        (json::text_of(&page), next)
    };
    let (text, next) = if is_long { api.registry.scans().run(caller, move |_| Ok(page())).await? } else { page() };
    let link = next.as_ref().and_then(|next| json::next_page(uri.query(), next));
    let mut response = json::json_bytes(text);
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    Ok(response)
}

/// Read a lease.
#[utoipa::path(get, path = "/leases/{lease_id}", tag = "leases", responses(
    (status = OK, description = "The lease", body = LeaseDocument),
    (status = NOT_FOUND, description = "No lease has this id"),
))]
pub(crate) async fn read_lease(
    State(api): State<Shared>,
    now: Now,
    LeasePath(id): LeasePath,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let lease = now.state.lease(id.as_str()).ok_or(Refusal::NoLease(id))?;
    Ok(json::json(&LeaseDocument::of(lease, &api, &now)))
}

/// Renew a lease.
///
/// A renewal costs no revision, and recovers a lost lease. Send no body, or `{}`.
#[utoipa::path(put, path = "/leases/{lease_id}", tag = "leases", responses(
    (status = OK, description = "The lease", body = LeaseDocument),
    (status = NOT_FOUND, description = "No lease has this id"),
    (status = CONFLICT, description = "The lease was released; take a new one"),
))]
pub(crate) async fn renew_lease(
    State(api): State<Shared>,
    LeasePath(id): LeasePath,
    RequestCaller(asker): RequestCaller,
    params: Params,
    _: NoBody,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let (lease, revision) = api.registry.renew_lease(&id, asker).await?;
    Ok(answer(&api, &lease, revision))
}

/// Release a lease.
///
/// Ends the lease cleanly: the resources of its plugins do not become orphans. No plugin is removed.
#[utoipa::path(delete, path = "/leases/{lease_id}", tag = "leases", responses(
    (status = NO_CONTENT, description = "The lease was released"),
    (status = NOT_FOUND, description = "No lease has this id"),
))]
pub(crate) async fn release_lease(LeasePath(id): LeasePath, write: Write) -> Result<Response, Problem> {
    write.run_for(Command::ReleaseLease { id }, |_| StatusCode::NO_CONTENT.into_response()).await
}
