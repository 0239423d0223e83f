//! `/events`: changes as a list or live, and the history of a plugin.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use hyper::header::{CONTENT_TYPE, LINK, VARY};
use hyper::{HeaderMap, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use super::event_stream;
use crate::http::extract::negotiate::prefers;
use crate::http::extract::path::PluginPath;
use crate::http::extract::principal::RequestPrincipal;
use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::media_type::{EVENT_STREAM, JSON};
use crate::http::problem::Problem;
use crate::http::query::cursor::Cursor;
use crate::http::query::event_params::{EventList, EventScope};
use crate::http::query::params::Params;
use crate::http::reply::json::next_page;
use crate::http::state::{Api, Shared};
use crate::registry::fair_pool::{Stopped, Turn, WorkCaller};
use crate::registry::journal_error::require_kept;
use domain::change::cloud_event::CloudEvent;
use domain::change::history::ChangePage;
use domain::command::Refusal;
use domain::query::Pace as _;
use domain::{Revision, Snapshot, StoreId};

/// How many changes are examined for a page. A page may therefore be short without being the last.
const LOOKED_AT: usize = 10_000;

/// A page of events. The type describes the reply, which is built from serialised JSON.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(crate) struct EventPage<'a> {
    /// The events, in the requested order.
    items: Vec<CloudEvent<'a>>,
    /// The value for the parameter `cursor` on the next page; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The oldest revision for `after`: the journal has every change after this revision.
    #[schema(value_type = u64)]
    compact_revision: Revision,
    /// The name of `compact_revision` in version 0.1.0.
    #[schema(value_type = u64)]
    #[deprecated]
    horizon: Revision,
    /// The newest revision.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// List changes, or watch them live.
///
/// Each event is a CloudEvent 1.0: `id` is the revision; `data` has the plugin after the change, and the differences.
/// The filters are the filters of `GET /plugins`. An event is included if the plugin matches before or after the
/// change.
///
/// With `Accept: text/event-stream`, the reply is a live stream. The stream starts after `after` or after the header
/// field `Last-Event-ID`, and has no gap between past and new events. Every message has an `event` name and JSON data:
///
/// - `hello` is the first message, with the `store`, its newest `revision` and the server's `version`.
/// - `change` has a plugin that matches the filters; `removal` has a plugin that no longer matches.
/// - `bookmark` has a `revision`: no change up to it is still to come. A client that reconnects continues there.
/// - `cut_off` ends the stream of a slow reader, which may reconnect with `Last-Event-ID`.
///
/// The server sends a comment or a bookmark every 15 s.
#[utoipa::path(get, path = "/events", tag = "events",
    responses(
        (status = OK, description = "The events", content((EventPage = "application/json"), (String = "text/event-stream"))),
        (status = GONE, description = "The revision was compacted, or belongs to another store"),
        (status = SERVICE_UNAVAILABLE, description = "The registry cannot read the journal now"),
    ))]
pub(crate) async fn list_events(
    State(api): State<Shared>,
    RequestPrincipal(principal): RequestPrincipal,
    RequestWorkCaller(caller): RequestWorkCaller,
    now: Now,
    uri: Uri,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let events = EventList::read(params, &now.store)?;
    let mut response = if prefers(&headers, &[JSON, EVENT_STREAM], EVENT_STREAM) {
        event_stream::open(&api, &now, principal, events, &headers).await?
    } else {
        let page = page_of(&api, caller, &now, events).await?;
        page.reply(&now, &uri)
    };
    response.headers_mut().insert(VARY, hyper::header::HeaderValue::from_static("accept"));
    Ok(response)
}

/// Read a plugin's history.
///
/// Lists every change in the journal, the newest first. The history of a removed plugin stays.
#[utoipa::path(get, path = "/plugins/{id}/history", tag = "events", responses(
    (status = OK, description = "The changes", body = EventPage),
    (status = GONE, description = "The cursor belongs to another store"),
    (status = SERVICE_UNAVAILABLE, description = "The registry cannot read the journal now"),
))]
pub(crate) async fn read_history(
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    now: Now,
    PluginPath(id): PluginPath,
    uri: Uri,
    params: Params,
) -> Result<Response, Problem> {
    let events = EventList::versions(params, &id, &now.store)?;
    let page = page_of(&api, caller, &now, events).await?;
    if page.items == 0 && now.state.plugin(id.as_str()).is_none() {
        return Err(Refusal::NotFound(id).into());
    }
    Ok(page.reply(&now, &uri))
}

/// A page of events as serialised JSON.
struct EventPageBody {
    items: usize,
    text: BytesMut,
    compact_revision: Revision,
    next: Option<String>,
}

impl EventPageBody {
    /// Builds a page of the first events, up to the limit.
    fn of(page: &ChangePage, events: &EventList, store: &StoreId, turn: &Turn<'_>) -> Result<EventPageBody, Stopped> {
        let mut text = BytesMut::from("{\"items\":[");
        let (mut items, mut last, mut is_all) = (0, None, page.is_all);
        for transition in &page.transitions {
            turn.step(transition.bytes())?;
            if items == events.range.limit {
                is_all = false;
                break;
            }
            last = Some(transition.change.revision);
            if events.sight(transition) != EventScope::Hidden {
                if items > 0 {
                    text.put_slice(b",");
                }
                text.put_slice(transition.json(store));
                items += 1;
            }
        }
        let next = last.filter(|_| !is_all).map(|last| Cursor::write(store, &events.list, last.0));
        Ok(EventPageBody { items, text, compact_revision: page.compact_revision, next })
    }

    fn reply(mut self, now: &Snapshot, uri: &Uri) -> Response {
        let next = self.next.as_ref().map_or("null".to_owned(), |next| format!("\"{next}\""));
        let (compact_revision, revision) = (self.compact_revision, now.state.revision());
        let end = format!(
            "],\"next_cursor\":{next},\"compact_revision\":{compact_revision},\"horizon\":{compact_revision},\"revision\":{revision}}}"
        );
        self.text.put_slice(end.as_bytes());
        let mut response = ([(CONTENT_TYPE, JSON)], self.text.freeze()).into_response();
        let link = self.next.and_then(|next| next_page(uri.query(), &next));
        response.headers_mut().extend(link.map(|link| (LINK, link)));
        response
    }
}

async fn page_of(api: &Api, caller: WorkCaller, now: &Snapshot, events: EventList) -> Result<EventPageBody, Problem> {
    let wanted = events.range.limit;
    let mut range = events.range.clone();
    range.until = Some(range.until.map_or(now.state.revision(), |until| until.min(now.state.revision())));
    // Without filters, one more change than the limit shows whether there is a next page.
    range.limit = if events.filters.is_empty() { wanted.saturating_add(1) } else { LOOKED_AT };
    let store = now.store.clone();
    let begin = events.begin.map(|_| events.range.after);
    let make = move |page: ChangePage, turn: &Turn<'_>| EventPageBody::of(&page, &events, &store, turn);
    let page = api.registry.changes_for(caller, range, make).await?;
    if let Some(begin) = begin {
        require_kept(begin, page.compact_revision)?;
    }
    Ok(page)
}
