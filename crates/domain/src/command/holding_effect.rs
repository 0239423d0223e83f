//! What a changed document of a plugin does to what the plugin held before.

use crate::change::{EndReason, Event, HoldingAct};
use crate::plugin::pids::MAX_PIDS;
use crate::plugin::{Invalid, Plugin, UniqueId};
use crate::record::holding_rules::{Succession, changes_holdings, succeed};
use crate::record::{Naming, Origin, Record, ResourceKind, Slot};

/// What a change of a document does to what the plugin held before.
#[derive(Debug, Default)]
pub(super) struct HoldingEffect {
    left: Vec<Slot>,
    dropped: Vec<Slot>,
}

impl HoldingEffect {
    /// Works out the effect, without its time and caller.
    ///
    /// # Errors
    ///
    /// If the plugin would hold too many processes.
    pub(super) fn of(current: &Record, plugin: &Plugin, naming: &Naming) -> Result<HoldingEffect, Invalid> {
        if !changes_holdings(current, plugin, naming) {
            return Ok(HoldingEffect::default());
        }
        let Succession { holdings, left, dropped } =
            succeed(Some(current), plugin, naming, current.updated_at, &Origin::default());
        let left_pids = holdings.left().filter(|(slot, _)| slot.kind == ResourceKind::Process).count();
        if plugin.spawned_pids.len() + left_pids > MAX_PIDS {
            let behind = if left_pids == 0 {
                String::new()
            } else {
                format!(", with the {left_pids} that it left behind and that still run; release some of those")
            };
            return Err(Invalid::at("/spawned_pids", format!("must have at most {MAX_PIDS} process ids{behind}")));
        }
        Ok(HoldingEffect { left, dropped })
    }

    /// The events that follow the change of the document.
    pub(super) fn events(self, id: &UniqueId) -> impl Iterator<Item = Event> {
        let HoldingEffect { left, dropped } = self;
        let left = (!left.is_empty()).then(|| HoldingAct::LeftBehind { slots: left.into() });
        let ended = |slots: Vec<Slot>| HoldingAct::Ended { slots: slots.into(), reason: EndReason::TooMany };
        let dropped = (!dropped.is_empty()).then(|| ended(dropped));
        let id = id.clone();
        left.into_iter().chain(dropped).map(move |act| Event::Holdings { id: id.clone(), act })
    }
}
