//! What a change does to holdings, apart from the plugin's document.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::plugin::FreeJson;
use crate::record::{FindingKind, Slot, StopAnswerTerms, StopTerms};
use crate::wire_names;

/// A line that an application writes into the history of its plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = EventNote)]
pub struct Note {
    /// The line, for people.
    #[schema(value_type = String)]
    pub text: Box<str>,
    /// Anything else, for programs. Absent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub data: Option<FreeJson>,
}

/// What a change does to holdings of one plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum HoldingAct {
    /// The change before left them behind: the document no longer names them.
    LeftBehind {
        /// The resources.
        slots: Arc<[Slot]>,
    },
    /// They were seen gone, and are held no longer; or the plugin holds too much.
    Ended {
        /// The resources.
        slots: Arc<[Slot]>,
        /// Why, for people.
        reason: EndReason,
    },
    /// A client released them by name.
    Released {
        /// The resources.
        slots: Arc<[Slot]>,
    },
    /// The time until which they are meant to be held is near.
    ExpiresSoon {
        /// The resources.
        slots: Arc<[Slot]>,
    },
    /// A client set or removed the time until which one is meant to be held.
    ExpirySet {
        /// The resource.
        slot: Slot,
        /// The time; `None` for no end.
        expires_at: Option<Timestamp>,
    },
    /// A client acknowledged the finding of one.
    Acknowledged {
        /// The resource.
        slot: Slot,
        /// The finding.
        finding: FindingKind,
        /// The reason, for people.
        reason: Box<str>,
        /// When the acknowledgement ends.
        until: Timestamp,
    },
    /// The application wrote a line into the history of its plugin. Holdings stay as they are.
    Noted {
        /// The line.
        #[serde(with = "stored_note")]
        note: Note,
    },
    /// A client asks to stop what the plugin holds.
    StopRequested {
        /// What it asks for.
        request: StopTerms,
    },
    /// What runs the plugin answers that request.
    StopAnswered {
        /// The answer.
        answer: StopAnswerTerms,
    },
    /// Acknowledgements ended.
    Unacknowledged {
        /// The resources.
        slots: Arc<[Slot]>,
    },
}

wire_names! {
    /// Why a plugin holds a resource no longer.
    EndReason {
        /// It was seen gone, or its name belongs to another resource.
        SeenGone = "seen_gone",
        /// The plugin left too much behind, and no agent sees this one any longer.
        TooMany = "too_many",
    }
}

impl HoldingAct {
    /// The resources.
    pub fn slots(&self) -> &[Slot] {
        match self {
            HoldingAct::LeftBehind { slots }
            | HoldingAct::Ended { slots, .. }
            | HoldingAct::Released { slots }
            | HoldingAct::ExpiresSoon { slots }
            | HoldingAct::Unacknowledged { slots } => slots,
            HoldingAct::ExpirySet { slot, .. } | HoldingAct::Acknowledged { slot, .. } => std::slice::from_ref(slot),
            HoldingAct::Noted { .. } | HoldingAct::StopRequested { .. } | HoldingAct::StopAnswered { .. } => &[],
        }
    }
}

/// A note in a stored act. Its data is a text there: serde keeps the fields of a tagged enum in between, and JSON that is
/// kept as it was written cannot be read from there.
mod stored_note {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Note;

    #[derive(Serialize, Deserialize)]
    struct StoredNote {
        text: Box<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(note: &Note, serializer: S) -> Result<S::Ok, S::Error> {
        let data = note.data.as_ref().map(|data| data.as_str().to_owned());
        StoredNote { text: note.text.clone(), data }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Note, D::Error> {
        let StoredNote { text, data } = StoredNote::deserialize(deserializer)?;
        let data = data.map(|data| serde_json::from_str(&data)).transpose().map_err(D::Error::custom)?;
        Ok(Note { text, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_with_any_data_is_read_as_it_was_stored() {
        for data in [
            "[]",
            "{\"step\":7,\"loss\":2.5e-182}",
            "{\"\":[2979859]}",
            "\"text\"",
            "{\"$serde_json::private::RawValue\":\"x\",\"$serde_json::private::Number\":\"x\"}",
        ] {
            let note = Note { text: "checkpoint".into(), data: Some(serde_json::from_str(data).unwrap()) };
            let act = HoldingAct::Noted { note };
            let stored = serde_json::to_string(&act).unwrap();
            assert_eq!(serde_json::from_str::<HoldingAct>(&stored).unwrap(), act, "{stored}");
        }
    }
}
