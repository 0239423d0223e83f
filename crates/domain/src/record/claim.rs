//! Who claimed a resource, when, and under which lease; and who left it behind.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::finding::FindingKind;
use crate::lease::LeaseId;
use crate::plugin::RemoteResource;
use crate::wire_names;

wire_names! {
    /// Whether the plugin still names a resource.
    ClaimState {
        /// The plugin's document names it.
        Claimed = "claimed",
        /// The plugin's document names it no longer, but it may still run or bill.
        LeftBehind = "left_behind",
    }
}

/// The claim of a resource. The resources of one request share their claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// When the plugin first named it.
    pub held_since: Timestamp,
    /// The lease under which it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<LeaseId>,
    /// The caller, and its request.
    #[serde(default, skip_serializing_if = "Origin::is_unknown")]
    pub by: Origin,
    /// When the resource must be released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
}

/// The caller that made a change, and its request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The name of the principal; `None` for the registry itself, and in stores older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Arc<str>>,
    /// `X-Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Box<str>>,
}

impl Origin {
    fn is_unknown(&self) -> bool {
        self.principal.is_none() && self.request_id.is_none()
    }
}

/// The time until which a resource is meant to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// The time.
    pub at: Timestamp,
    /// When a client set it.
    pub set_at: Timestamp,
}

/// The longest time between the warning and the expiry.
const LONGEST_NOTICE: SignedDuration = SignedDuration::from_hours(1);

impl Expiry {
    /// When to warn: a tenth of the time before, and at most an hour.
    pub fn notice_at(self) -> Timestamp {
        let notice = (self.at.duration_since(self.set_at) / 10).min(LONGEST_NOTICE);
        self.at.saturating_sub(notice).unwrap_or(self.at)
    }
}

/// How a plugin left a resource behind: a request no longer named it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// When.
    pub at: Timestamp,
    /// The caller, and its request.
    #[serde(default, skip_serializing_if = "Origin::is_unknown")]
    pub by: Origin,
    /// The remote resource, as the plugin last described it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteResource>,
}

impl LeftBehind {
    /// When, and by which request.
    pub fn in_words(&self) -> String {
        let request = self.by.request_id.as_deref().map(|id| format!(" {id}")).unwrap_or_default();
        let by = self.by.principal.as_deref().map(|by| format!(" of {by}")).unwrap_or_default();
        format!("left behind at {} by the request{request}{by}", self.at)
    }
}

/// The acknowledgement of a finding: it stays visible, and no count, metric or webhook has it until the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The acknowledged finding. Another finding about the same resource is news.
    pub finding: FindingKind,
    /// The reason, for people.
    pub reason: Box<str>,
    /// When it ends.
    pub until: Timestamp,
    /// When a client made it.
    pub at: Timestamp,
    /// The caller, and its request.
    #[serde(default, skip_serializing_if = "Origin::is_unknown")]
    pub by: Origin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_comes_a_tenth_of_the_time_before_and_at_most_an_hour() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let notice = |seconds| Expiry { at: at(seconds), set_at: at(0) }.notice_at();
        assert_eq!(notice(100), at(90));
        assert_eq!(notice(36_000), at(32_400));
        assert_eq!(notice(360_000), at(356_400));
    }
}
