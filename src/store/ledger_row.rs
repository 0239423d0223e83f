//! Accruals and budgets as rows: the same columns in every SQL store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::row::time_from_sql;
use domain::cost::{Account, Accrual};
use domain::plugin::{Name, PluginKey};
use domain::{MicroUsd, Spend};

/// The columns of the table `accruals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccrualRow {
    /// The plugin's category.
    pub category: String,
    /// Its name.
    pub name: String,
    /// Its cost in USD: minimum. The millionths may exceed 64 bits.
    pub low: String,
    /// Its cost in USD: maximum.
    pub high: String,
    /// When it first cost money, in microseconds since the Unix epoch.
    pub began: i64,
    /// When its newest costing version ended.
    pub ended: i64,
}

impl From<(&PluginKey, &Accrual)> for AccrualRow {
    fn from((key, accrual): (&PluginKey, &Accrual)) -> AccrualRow {
        AccrualRow {
            category: key.category.to_string(),
            name: key.name.to_string(),
            low: accrual.closed.low.to_string(),
            high: accrual.closed.high.to_string(),
            began: accrual.began.as_microsecond(),
            ended: accrual.ended.as_microsecond(),
        }
    }
}

impl TryFrom<AccrualRow> for (PluginKey, Accrual) {
    type Error = StoreError;

    fn try_from(row: AccrualRow) -> Result<(PluginKey, Accrual), StoreError> {
        let name = |text: &str| {
            let wrong = |wrong| StoreError::refused(format!("the name of a plugin that has cost money {wrong}"));
            Name::new(text).map_err(wrong)
        };
        let amount = |text: &str| {
            text.parse::<MicroUsd>().map_err(|error| StoreError::unusable("an amount in the store is damaged", error))
        };
        let key = PluginKey { category: name(&row.category)?, name: name(&row.name)? };
        let closed = Spend { low: amount(&row.low)?, high: amount(&row.high)? };
        Ok((key, Accrual { closed, began: time_from_sql(row.began)?, ended: time_from_sql(row.ended)? }))
    }
}

/// Parses a stored budget.
///
/// # Errors
///
/// If it is damaged.
pub fn account_of(id: &str, document: &str) -> Result<(Box<str>, Account), StoreError> {
    let damaged = |why| StoreError::unusable(format!("the budget {id} is damaged"), why);
    Account::of_text(document).map(|account| (id.into(), account)).map_err(damaged)
}

/// The text of a budget for the store; `None` if it was removed.
pub fn account_text(account: Option<&Arc<Account>>) -> Option<String> {
    account.map(|account| account.to_text())
}
