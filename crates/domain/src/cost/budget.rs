//! A budget as its owner sets it: limits on the spending of some plugins, and the thresholds that raise an event.

use serde_json::{Map, Value, json};

use super::period::Period;
use crate::money::MicroUsd;
use crate::plugin::read::{ObjectReader, integer, nullable, one_of, pointer_push};
use crate::plugin::{Invalid, Name, merge_patch};
use crate::query::Filters;

/// The maximum number of budgets. The registry checks each budget whenever a billable version ends.
pub const MAX_BUDGETS: usize = 100;

/// The maximum limit, in USD.
pub const MAX_LIMIT_USD: f64 = 1e9;

/// The maximum number of thresholds of one budget.
pub const MAX_THRESHOLDS: usize = 20;

/// The maximum threshold, in percent of the limit.
pub const MAX_PERCENT: u32 = 1_000;

/// The thresholds of a budget that sets none.
pub const DEFAULT_THRESHOLDS: [u32; 3] = [50, 80, 100];

/// The fields that a client can set.
pub const FIELDS: &[&str] = &["name", "filters", "limit_usd", "limit_usd_per_hour", "period", "threshold_percent"];

/// Further fields of a response. The registry ignores them in a request, so that a client can send a response back.
pub const READ_ONLY: &[&str] = &[
    "id",
    "counted_from",
    "period_start",
    "period_end",
    "spent",
    "spent_percent",
    "burn_usd_per_hour",
    "over_limit_per_hour",
    "projected_breach_at",
    "reached_percent",
    "revision",
    "created_at",
    "updated_at",
];

/// A budget as its owner set it.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Its name, for people.
    pub name: Name,
    /// The plugins it covers: those that meet these filters while they cost money.
    pub filters: Filters,
    /// The limit for one period.
    pub limit: MicroUsd,
    /// The limit for the cost of an hour, whatever the period; `None` for a budget without one.
    pub limit_per_hour: Option<MicroUsd>,
    /// The length of a period.
    pub period: Period,
    /// The percentages of the limit that raise an event: unique, ascending.
    pub thresholds: Vec<u32>,
}

impl Budget {
    /// Reads the document of a client or of the store.
    ///
    /// # Errors
    ///
    /// Every field that is missing, wrong or unknown.
    pub fn read(body: Value) -> Result<Budget, Invalid> {
        let mut fields = ObjectReader::new(body, "", FIELDS, READ_ONLY)?;
        let name = fields.required("name", |value, pointer| {
            let text = crate::plugin::read::string(value, pointer)?;
            Name::new(&text).map_err(|detail| Invalid::at(pointer, detail))
        });
        let filters = fields.optional("filters", Filters::read).unwrap_or_default();
        let limit = fields.required("limit_usd", |value, pointer| limit(&value, pointer));
        let limit_per_hour = fields
            .optional("limit_usd_per_hour", nullable(|value, pointer: &str| self::limit(&value, pointer)))
            .flatten();
        let period = fields.required("period", one_of(Period::NAMES, Period::from_name));
        let thresholds = fields.optional("threshold_percent", thresholds);
        fields.finish()?;
        // `finish` refuses a document without them.
        let (Some(name), Some(limit), Some(period)) = (name, limit, period) else {
            return Err(Invalid::at("", "name, limit_usd and period are required"));
        };
        let thresholds = thresholds.unwrap_or_else(|| DEFAULT_THRESHOLDS.to_vec());
        Ok(Budget { name, filters, limit, limit_per_hour, period, thresholds })
    }

    /// This budget after a merge patch (RFC 7396).
    ///
    /// # Errors
    ///
    /// Every field that is wrong or unknown.
    pub fn patched(&self, patch: &Map<String, Value>) -> Result<Budget, Invalid> {
        let mut document = self.document();
        merge_patch::merge(&mut document, Value::Object(patch.clone()));
        Budget::read(document)
    }

    /// The document that [`Budget::read`] reads.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "name": self.name.as_str(), "filters": self.filters.sent(), "limit_usd": self.limit,
            "period": self.period, "threshold_percent": self.thresholds,
        });
        // Absent rather than null, so that an earlier version on the same store can read budgets without it.
        if let (Some(limit), Some(members)) = (self.limit_per_hour, document.as_object_mut()) {
            members.insert("limit_usd_per_hour".to_owned(), json!(limit));
        }
        document
    }

    /// A percentage of the limit, as an amount.
    pub fn threshold(&self, percent: u32) -> MicroUsd {
        // Rounded up, so that spending never reaches the threshold a millionth too early.
        MicroUsd((self.limit.0 * i128::from(percent) + 99).div_euclid(100))
    }
}

fn limit(value: &Value, pointer: &str) -> Result<MicroUsd, Invalid> {
    let usd = value.as_f64().filter(|_| value.is_number()).filter(|usd| (0.0..=MAX_LIMIT_USD).contains(usd));
    let limit = usd.map(MicroUsd::nearest).filter(|limit| limit.0 > 0);
    limit.ok_or_else(|| Invalid::at(pointer, "must be a number of USD from 0.000001 to 1000000000"))
}

/// Percentages, ascending and unique.
fn thresholds(value: Value, pointer: &str) -> Result<Vec<u32>, Invalid> {
    let values = match value {
        Value::Array(values) if !values.is_empty() && values.len() <= MAX_THRESHOLDS => values,
        _ => {
            return Err(Invalid::at(pointer, format!("must be an array of 1 to {MAX_THRESHOLDS} percentages")));
        }
    };
    let (mut percentages, mut errors) = (Vec::new(), Vec::new());
    for (place, value) in values.iter().enumerate() {
        let mut pointer = pointer.to_owned();
        pointer_push(&mut pointer, &place.to_string());
        match integer(value, &pointer, 1, MAX_PERCENT) {
            Ok(percentage) => percentages.push(percentage),
            Err(Invalid(wrong)) => errors.extend(wrong),
        }
    }
    percentages.sort_unstable();
    percentages.dedup();
    if errors.is_empty() { Ok(percentages) } else { Err(Invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named() {
        let body = json!({
            "nam": "x", "filters": {"activ": true}, "limit_usd": 0, "period": "year", "threshold_percent": [0, 50, "x"],
        });
        let Invalid(errors) = Budget::read(body).unwrap_err();
        let told: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        let expected = [
            "/nam",
            "/name",
            "/filters/activ",
            "/limit_usd",
            "/period",
            "/threshold_percent/0",
            "/threshold_percent/2",
        ];
        assert_eq!(told, expected);
        let without = json!({"name": "b", "limit_usd": 1, "period": "day", "limit_usd_per_hour": null});
        assert_eq!(Budget::read(without).unwrap().limit_per_hour, None, "as in a reply that is sent back");
        for limit in [json!("5"), json!(-1), json!(1e-9), json!(1e10), json!(null)] {
            let Invalid(errors) = Budget::read(json!({"name": "b", "limit_usd": limit, "period": "day"})).unwrap_err();
            assert_eq!(errors[0].pointer, "/limit_usd", "{limit}");
        }
    }
}
