//! The events that the registry makes of a budget by itself, as in the journal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::period::Period;
use crate::money::MicroUsd;

/// An event that the registry makes of a budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Notice {
    /// The costs of a period reached a threshold.
    Reached(Reached),
    /// The costs of a period will reach the limit if the burn goes on.
    Projected(Projected),
    /// The burn went above the limit of an hour, or is back at or below it.
    Burn(BurnCrossed),
}

/// A threshold that a budget reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// The budget's name.
    pub name: Box<str>,
    /// The threshold, in percent of the limit.
    pub percent: u32,
    /// The limit.
    pub limit_usd: MicroUsd,
    /// The length of a period.
    pub period: Period,
    /// The start of the period in which the budget reached the threshold; `None` for a budget without periods.
    pub period_start: Option<Timestamp>,
    /// The amount spent by then: at least.
    pub low_usd: MicroUsd,
    /// The amount spent by then: at most. It is at or above the threshold.
    pub high_usd: MicroUsd,
}

/// A limit that a budget is going to reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projected {
    /// The budget's name.
    pub name: Box<str>,
    /// The limit.
    pub limit_usd: MicroUsd,
    /// The length of a period.
    pub period: Period,
    /// The start of the period whose costs will reach the limit; `None` for a budget without periods.
    pub period_start: Option<Timestamp>,
    /// When the costs reach the limit.
    pub projected_breach_at: Timestamp,
    /// The cost of an hour that the projection assumes.
    pub burn_usd_per_hour: MicroUsd,
    /// The amount spent so far: at least.
    pub low_usd: MicroUsd,
    /// The amount spent so far: at most. The projection starts from it.
    pub high_usd: MicroUsd,
}

/// A crossing of the limit of an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BurnCrossed {
    /// The budget's name.
    pub name: Box<str>,
    /// The limit of an hour.
    pub limit_usd_per_hour: MicroUsd,
    /// The cost of an hour after the crossing.
    pub burn_usd_per_hour: MicroUsd,
}

impl BurnCrossed {
    /// Whether the burn is above the limit. A burn of exactly the limit is within it.
    pub fn is_over(&self) -> bool {
        self.burn_usd_per_hour > self.limit_usd_per_hour
    }
}
