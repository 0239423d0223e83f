//! Findings: differences between a plugin's claims and the observations. Pure.
//!
//! A single observation never makes a finding: the registry needs two observations, and some time since the first. The
//! registry only reports a finding. It never acts on one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resource::Slot;
use crate::money::MicroUsd;
use crate::wire_names;

wire_names! {
    /// The kind of a finding.
    FindingKind {
        /// The resource may run or bill, and its application has ended or left it behind.
        Orphan = "orphan",
        /// The plugin claims the resource, and it was seen gone.
        Ghost = "ghost",
        /// The plugin claims the resource, and its name belongs to another one, such as a new process with the same id.
        Reused = "reused",
        /// The plugin claims the resource, and there is no observation that it exists.
        Unverified = "unverified",
        /// The plugin holds the resource beyond the time until which it was meant to be held.
        Overdue = "overdue",
    }
}

/// A finding, as raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What is wrong.
    pub finding: FindingKind,
    /// Since when it is true.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The observation, its time and agent, and the state of the holder; in words.
    #[schema(value_type = String)]
    pub evidence: Box<str>,
    /// The cost of the plugin's remote resources by then, in USD: minimum and maximum. Absent without a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<f64>>)]
    pub cost: Option<[MicroUsd; 2]>,
}

/// A finding about one resource of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingChange {
    /// The resource.
    pub slot: Slot,
    /// The finding.
    pub finding: Finding,
}

/// Counts of observations, kept outside the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looks {
    /// How many observations in a row had the same state.
    pub sightings: u32,
    /// The time of the last observation.
    pub last: Option<Timestamp>,
}
