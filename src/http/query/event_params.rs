//! The query of `GET /events` and of a plugin's history.

use super::cursor::Cursor;
use super::list_params::{
    DEFAULT_LIMIT, EVENT_LIST, PLUGIN_FILTERS, VERSION_LIST, all, digest, filter, limit_of, named, names, time_of,
};
use super::params::{Params, bad, revision_of};
use crate::http::problem::{Kind, Problem};
use domain::change::history::ChangeRange;
use domain::change::{ChangeKind, Transition};
use domain::plugin::UniqueId;
use domain::query::{Filter, Topic};
use domain::record::Record;
use domain::{Revision, StoreId};

/// The parameters of a list of events.
#[derive(Debug)]
pub struct EventList {
    /// The revisions, the times, the subject and the kinds of the changes.
    pub range: ChangeRange,
    /// The revision at which a page or a live stream begins, if the client sent one.
    pub begin: Option<Revision>,
    /// The plugin must satisfy all filters, before or after the change.
    pub filters: Vec<Filter>,
    /// A digest of the parameters, which ties a cursor to this list.
    pub list: String,
    /// Whether the client sent `limit`.
    is_limited: bool,
}

impl EventList {
    /// Reads the query of `GET /events` in a store.
    ///
    /// # Errors
    ///
    /// 400 for an unknown parameter or value, 410 for a cursor of another store.
    pub fn read(params: Params, store: &StoreId) -> Result<EventList, Problem> {
        let known: Vec<_> = PLUGIN_FILTERS.iter().chain(EVENT_LIST).map(|parameter| parameter.name).collect();
        let params = params.only(&known)?;
        let mut events = EventList::of(&params, store, false)?;
        let revision = |name| params.single(name)?.map(|value| revision_of(name, value)).transpose();
        let time = |name| params.single(name)?.map(|value| time_of(name, &[value.to_owned()])).transpose();
        let received = params.single(LAST_EVENT_ID)?.filter(|id| !id.is_empty());
        let received = received.map(|id| last_event(LAST_EVENT_ID, id, store)).transpose()?;
        // A client reconnects to the same URL, so its last event overrides `after`.
        if let Some(after) = received.or(revision("after")?) {
            events.range.after = events.range.after.max(after);
            events.begin.get_or_insert(after);
        }
        events.range.until = [events.range.until, revision("until")?].into_iter().flatten().min();
        events.range.from = time("from")?;
        events.range.to = time("to")?;
        for (name, values) in params.iter() {
            if name == "kind" {
                events.range.kinds = all(name, values, ChangeKind::NAMES, ChangeKind::from_name)?;
            }
            events.filters.extend(filter(name, values)?);
        }
        if let Some(plugin) = params.single("plugin")? {
            events.range.subject = Some(plugin.to_owned());
        }
        if events.range.subject.is_some() || !events.filters.is_empty() {
            events.range.of_categories = Some(false);
        }
        Ok(events)
    }

    /// Reads the query of the history of the plugin `id` in a store.
    ///
    /// # Errors
    ///
    /// See [`EventList::read`].
    pub fn versions(params: Params, id: &UniqueId, store: &StoreId) -> Result<EventList, Problem> {
        let params = params.only(&names(VERSION_LIST))?;
        let mut events = EventList::of(&params, store, true)?;
        // A budget's changes carry the budget's id, which is not a plugin's unique_id.
        let of_plugins = |kind: &&ChangeKind| !kind.as_str().starts_with("budget.");
        events.range.kinds = ChangeKind::ALL.iter().filter(of_plugins).copied().collect();
        events.range.subject = Some(id.to_string());
        events.range.of_categories = Some(false);
        Ok(events)
    }

    /// Reads the parameters that both lists share: order, limit and cursor.
    fn of(params: &Params, store: &StoreId, descending: bool) -> Result<EventList, Problem> {
        let list = digest(params);
        let order = |value: &str| named("order", value, &["asc", "desc"], |value| Some(value == "desc"));
        let descending = params.single("order")?.map(order).transpose()?.unwrap_or(descending);
        let limit = params.single("limit")?.map(limit_of).transpose()?;
        let is_limited = limit.is_some();
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        let mut range = ChangeRange { descending, limit, ..ChangeRange::default() };
        let mut begin = None;
        if let Some(cursor) = params.single("cursor")? {
            let place: u64 = Cursor::read(cursor, store, &list)?;
            if descending {
                range.until = Some(Revision(place.saturating_sub(1)));
            } else {
                range.after = Revision(place);
                begin = Some(Revision(place));
            }
        }
        Ok(EventList { range, begin, filters: Vec::new(), list, is_limited })
    }

    /// Refuses parameters that a live stream does not support.
    ///
    /// # Errors
    ///
    /// 400, naming the parameters.
    pub fn require_live(&self) -> Result<(), Problem> {
        let ChangeRange { until, from, to, descending, .. } = &self.range;
        if until.is_some() || from.is_some() || to.is_some() || *descending || self.is_limited {
            return Err(bad(
                "a live stream has no end and a fixed order; leave out `until`, `from`, `to`, `limit` and `order`",
            ));
        }
        Ok(())
    }

    /// The narrowest topic on which every change relevant to this list is published.
    pub fn topic(&self) -> Topic {
        match &self.range.subject {
            Some(id) => Topic::Plugin(UniqueId::from_client(id)),
            None => self.filters.iter().find_map(Filter::topic).unwrap_or(Topic::Everything),
        }
    }

    /// How a change affects this list.
    pub fn sight(&self, transition: &Transition) -> EventScope {
        if !self.range.contains(transition) {
            return EventScope::Hidden;
        }
        if self.filters.is_empty() {
            return if transition.is_removal() { EventScope::Removal } else { EventScope::Change };
        }
        let accepted = |record: &Record| self.filters.iter().all(|filter| filter.accepts(record));
        match (transition.before().map(|record| accepted(record)), transition.after().map(|record| accepted(record))) {
            (_, Some(true)) => EventScope::Change,
            (Some(true), _) => EventScope::Removal,
            _ => EventScope::Hidden,
        }
    }
}

/// The parameter in which a client without access to the header field `Last-Event-ID` names its last event. Polyfills of
/// `EventSource` send this name.
pub const LAST_EVENT_ID: &str = "lastEventId";

/// Parses the id of an event in the header field or parameter `name`: `<store>-<revision>`, or a revision without the
/// store.
///
/// # Errors
///
/// 400 for another text, 410 for an event of another store.
pub fn last_event(name: &str, id: &str, store: &StoreId) -> Result<Revision, Problem> {
    match id.rsplit_once('-') {
        Some((of, _)) if of != store.as_str() => {
            let detail = "the event is from another store, or from before a restore; list again, and open a new stream";
            Err(Problem::new(Kind::Gone, detail))
        }
        Some((_, revision)) => revision_of(name, revision),
        None => revision_of(name, id),
    }
}

/// How a change affects a list of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventScope {
    /// The list does not show the change.
    Hidden,
    /// The plugin matches the list after the change.
    Change,
    /// The plugin matched the list before the change, and no longer does: it was removed, or a filter excludes it now.
    Removal,
}
