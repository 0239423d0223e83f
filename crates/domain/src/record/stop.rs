//! A request to stop a plugin, and its answer. The registry stops nothing: what runs the plugin obeys or refuses.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::claim::Origin;
use crate::wire_names;

wire_names! {
    /// The answer to a request to stop.
    StopVerdict {
        /// What runs the plugin stops it.
        Accepted = "accepted",
        /// What runs the plugin does not stop it.
        Refused = "refused",
    }
}

/// A request to stop, with its answer. Stored beside the holdings of the plugin, and dropped with the last of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// The request.
    pub request: StopRequest,
    /// The answer; `None` until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<StopAnswer>,
}

/// A request to stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopRequest {
    /// What the client asks for.
    #[serde(flatten)]
    pub terms: StopTerms,
    /// When it asked.
    pub at: Timestamp,
    /// The caller, and its request.
    #[serde(default)]
    pub by: Origin,
}

/// What a client asks for that wants a plugin to stop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = EventStopRequest)]
pub struct StopTerms {
    /// The reason, for people. Absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    pub reason: Option<Box<str>>,
    /// Until when it should have stopped. Absent without such a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub deadline: Option<Timestamp>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopAnswer {
    /// What the client answers.
    #[serde(flatten)]
    pub terms: StopAnswerTerms,
    /// When it answered.
    pub at: Timestamp,
    /// The caller, and its request.
    #[serde(default)]
    pub by: Origin,
}

/// What a client answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = EventStopAnswer)]
pub struct StopAnswerTerms {
    /// Whether it stops the plugin.
    pub answer: StopVerdict,
    /// What it does, or why not, for people. Absent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    pub detail: Option<Box<str>>,
}

/// A request to stop that has no answer yet, as a plugin's document shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginStopRequest)]
pub struct StopRequestDocument<'a> {
    /// The reason, for people; null without one.
    #[schema(required)]
    reason: Option<&'a str>,
    /// Until when the plugin should have stopped; null without such a time.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    deadline: Option<Timestamp>,
    /// When it was asked to stop.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The name of the caller that asked.
    #[schema(required)]
    by: Option<&'a str>,
}

impl<'a> From<&'a StopRequest> for StopRequestDocument<'a> {
    fn from(request: &'a StopRequest) -> StopRequestDocument<'a> {
        StopRequestDocument {
            reason: request.terms.reason.as_deref(),
            deadline: request.terms.deadline,
            at: request.at,
            by: request.by.principal.as_deref(),
        }
    }
}

/// The answer to the last request to stop, as a plugin's document shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginStopAnswer)]
pub struct StopAnswerDocument<'a> {
    /// Whether what runs the plugin stops it.
    answer: StopVerdict,
    /// What it does, or why not, for people; null without it.
    #[schema(required)]
    detail: Option<&'a str>,
    /// When it answered.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The name of the caller that answered.
    #[schema(required)]
    by: Option<&'a str>,
    /// The request.
    request: StopRequestDocument<'a>,
}

impl Stop {
    /// The request, while it has no answer.
    pub fn pending(&self) -> Option<&StopRequest> {
        self.answer.is_none().then_some(&self.request)
    }

    /// The answer, as shown.
    pub(super) fn shown_answer(&self) -> Option<StopAnswerDocument<'_>> {
        let answer = self.answer.as_ref()?;
        Some(StopAnswerDocument {
            answer: answer.terms.answer,
            detail: answer.terms.detail.as_deref(),
            at: answer.at,
            by: answer.by.principal.as_deref(),
            request: (&self.request).into(),
        })
    }
}
