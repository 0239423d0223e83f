//! A budget: a limit on the spending of some plugins in a period, and the thresholds that raise an event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::period::Period;
use crate::money::{MicroUsd, Spend};
use crate::plugin::read::{ObjectReader, integer, one_of, pointer_push};
use crate::plugin::{Invalid, Name, merge_patch};
use crate::query::Filters;
use crate::record::Record;
use crate::revision::Revision;

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
pub const FIELDS: &[&str] = &["name", "filters", "limit_usd", "period", "threshold_percent"];

/// Further fields of a response. The registry ignores them in a request, so that a client can send a response back.
pub const READ_ONLY: &[&str] = &[
    "id",
    "counted_from",
    "period_start",
    "period_end",
    "spent",
    "spent_percent",
    "burn_usd_per_hour",
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
        let period = fields.required("period", one_of(Period::NAMES, Period::from_name));
        let thresholds = fields.optional("threshold_percent", thresholds);
        fields.finish()?;
        // `finish` refuses a document without them.
        let (Some(name), Some(limit), Some(period)) = (name, limit, period) else {
            return Err(Invalid::at("", "name, limit_usd and period are required"));
        };
        let thresholds = thresholds.unwrap_or_else(|| DEFAULT_THRESHOLDS.to_vec());
        Ok(Budget { name, filters, limit, period, thresholds })
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
        json!({
            "name": self.name.as_str(), "filters": self.filters.sent(), "limit_usd": self.limit,
            "period": self.period, "threshold_percent": self.thresholds,
        })
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

/// A threshold that a budget reached, as in the journal.
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

/// A budget and its spending.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The budget as its owner set it.
    pub budget: Budget,
    /// The revision of the owner's last change.
    pub revision: Revision,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its owner last changed it.
    pub updated_at: Timestamp,
    /// Earlier spending does not count.
    pub counted_from: Timestamp,
    /// The newest change to any of these fields.
    pub touched: Revision,
    tally: Tally,
}

/// The spending of one period.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    /// The start of the period; `None` for a budget without periods.
    period_start: Option<Timestamp>,
    /// The amount spent in the period by versions that have ended.
    low_usd: MicroUsd,
    high_usd: MicroUsd,
    /// The thresholds reached in the period.
    reached: Vec<u32>,
}

/// An [`Account`] as stored.
#[derive(Serialize, Deserialize)]
struct StoredAccount {
    budget: Value,
    revision: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    counted_from: Timestamp,
    touched: u64,
    tally: Tally,
}

impl Account {
    /// The account of a budget saved at `at`, which replaces `before`.
    pub fn saved(budget: &Budget, before: Option<&Account>, at: Timestamp, revision: Revision) -> Account {
        let mut account = Account {
            budget: budget.clone(),
            revision,
            created_at: before.map_or(at, |before| before.created_at),
            updated_at: at,
            counted_from: at,
            touched: revision,
            tally: Tally { period_start: budget.period.start(at), ..Tally::default() },
        };
        // The same plugins and the same period: the spending so far still counts.
        if let Some(before) = before
            && (&before.budget.filters, before.budget.period) == (&budget.filters, budget.period)
        {
            account.counted_from = before.counted_from;
            account.tally = before.tally.clone();
            if before.budget.limit != budget.limit {
                account.tally.reached.clear();
            }
        }
        account
    }

    /// The start of the time that counts at `now`: the start of the period or of the budget, whichever is later.
    pub fn counts_from(&self, now: Timestamp) -> Timestamp {
        self.budget.period.start(now).map_or(self.counted_from, |start| start.max(self.counted_from))
    }

    /// The amount spent in the period of `now` by versions that have ended.
    pub fn closed(&self, now: Timestamp) -> Spend {
        let is_of_now = self.tally.period_start == self.budget.period.start(now);
        let Tally { low_usd: low, high_usd: high, .. } = self.tally;
        if is_of_now { Spend { low, high } } else { Spend::default() }
    }

    /// The thresholds reached in the period of `now`.
    pub fn reached(&self, now: Timestamp) -> &[u32] {
        let is_of_now = self.tally.period_start == self.budget.period.start(now);
        if is_of_now { &self.tally.reached } else { &[] }
    }

    /// The thresholds that `spent` reaches in the period of `now` and that have no event yet.
    pub fn to_tell(&self, spent: Spend, now: Timestamp) -> Vec<Reached> {
        let reached = self.reached(now);
        let news = |percent: &&u32| !reached.contains(percent) && spent.high >= self.budget.threshold(**percent);
        let told = |percent: &u32| Reached {
            name: self.budget.name.as_str().into(),
            percent: *percent,
            limit_usd: self.budget.limit,
            period: self.budget.period,
            period_start: self.budget.period.start(now),
            low_usd: spent.low,
            high_usd: spent.high,
        };
        self.budget.thresholds.iter().filter(news).map(told).collect()
    }

    /// Returns true if and only if the event is new: it matches the current budget and period, and has not been
    /// recorded.
    pub fn is_news(&self, reached: &Reached) -> bool {
        let Budget { limit, period, thresholds, .. } = &self.budget;
        let fits = (*limit, *period) == (reached.limit_usd, reached.period) && thresholds.contains(&reached.percent);
        let is_told = self.tally.period_start == reached.period_start && self.tally.reached.contains(&reached.percent);
        fits && !is_told && reached.period_start >= self.tally.period_start
    }

    /// Adds the cost of a version that ended at `end`.
    pub(crate) fn count(&mut self, spent: Spend, end: Timestamp, revision: Revision) {
        self.enter(self.budget.period.start(end));
        self.tally.low_usd += spent.low;
        self.tally.high_usd += spent.high;
        self.touched = revision;
    }

    /// Records that the budget reached a threshold.
    pub(crate) fn note(&mut self, reached: &Reached, revision: Revision) {
        self.enter(reached.period_start);
        self.tally.reached.push(reached.percent);
        self.touched = revision;
    }

    /// Starts a new period, unless `period_start` is the current one.
    fn enter(&mut self, period_start: Option<Timestamp>) {
        if self.tally.period_start != period_start {
            self.tally = Tally { period_start, ..Tally::default() };
        }
    }

    /// Returns true if and only if the budget covers the plugin.
    pub fn counts(&self, record: &Record) -> bool {
        self.budget.filters.accept(record)
    }

    /// The text for the store.
    pub fn to_text(&self) -> String {
        let Account { budget, revision, created_at, updated_at, counted_from, touched, tally } = self.clone();
        let (budget, revision, touched) = (budget.document(), revision.0, touched.0);
        let kept = StoredAccount { budget, revision, created_at, updated_at, counted_from, touched, tally };
        // Serialising these types to memory cannot fail.
        serde_json::to_string(&kept).unwrap_or_default()
    }

    /// Reads a text from the store.
    ///
    /// # Errors
    ///
    /// If the text is damaged: the reason.
    pub fn of_text(text: &str) -> Result<Account, String> {
        let kept: StoredAccount = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let StoredAccount { budget, revision, created_at, updated_at, counted_from, touched, tally } = kept;
        let budget = Budget::read(budget).map_err(|invalid| invalid.to_string())?;
        let (revision, touched) = (Revision(revision), Revision(touched));
        Ok(Account { budget, revision, created_at, updated_at, counted_from, touched, tally })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(body: Value) -> Budget {
        Budget::read(body).unwrap()
    }

    fn spent(usd: f64) -> Spend {
        Spend::exactly(MicroUsd::nearest(usd))
    }

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
        for limit in [json!("5"), json!(-1), json!(1e-9), json!(1e10), json!(null)] {
            let Invalid(errors) = Budget::read(json!({"name": "b", "limit_usd": limit, "period": "day"})).unwrap_err();
            assert_eq!(errors[0].pointer, "/limit_usd", "{limit}");
        }
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let body = json!({"name": "b", "limit_usd": 0.1, "period": "week", "filters": {"label.team": ["a", "b"]}});
        let mut account = Account::saved(&budget(body), None, Timestamp::UNIX_EPOCH, Revision(7));
        account.count(Spend { low: MicroUsd(1), high: MicroUsd(2) }, Timestamp::UNIX_EPOCH, Revision(8));
        account.tally.reached.push(50);
        assert_eq!(Account::of_text(&account.to_text()), Ok(account));
        assert!(Account::of_text("{}").is_err());
    }

    #[test]
    fn a_threshold_is_told_once_a_period() {
        let at = |day: i64| Timestamp::from_second(day * 86_400 + 3_600).unwrap();
        let budget = budget(json!({"name": "b", "limit_usd": 10, "period": "day", "threshold_percent": [100, 50, 50]}));
        assert_eq!(budget.thresholds, [50, 100]);
        let mut account = Account::saved(&budget, None, at(0), Revision(1));
        let percentages = |account: &Account, usd: f64, day: i64| {
            account.to_tell(spent(usd), at(day)).iter().map(|reached| reached.percent).collect::<Vec<_>>()
        };
        assert_eq!(percentages(&account, 4.999_999, 0), [] as [u32; 0]);
        assert_eq!(percentages(&account, 5.0, 0), [50]);
        assert_eq!(percentages(&account, 11.0, 0), [50, 100]);
        let reached = account.to_tell(spent(5.0), at(0)).remove(0);
        assert!(account.is_news(&reached));
        account.note(&reached, Revision(2));
        assert!(!account.is_news(&reached), "not twice");
        assert_eq!(percentages(&account, 11.0, 0), [100]);
        assert_eq!(percentages(&account, 11.0, 1), [50, 100], "another day");
        let next = account.to_tell(spent(5.0), at(1)).remove(0);
        account.note(&next, Revision(3));
        assert!(!account.is_news(&reached), "a day that is over");
        // A new limit raises the event again; a new name does not.
        let renamed = account.budget.patched(json!({"name": "c"}).as_object().unwrap()).unwrap();
        assert_eq!(Account::saved(&renamed, Some(&account), at(1), Revision(4)).reached(at(1)), [50]);
        let raised = account.budget.patched(json!({"limit_usd": 20}).as_object().unwrap()).unwrap();
        assert_eq!(Account::saved(&raised, Some(&account), at(1), Revision(4)).reached(at(1)), [] as [u32; 0]);
    }

    #[test]
    fn what_was_spent_counts_on_unless_it_is_for_something_else() {
        let start = Timestamp::UNIX_EPOCH;
        let later = Timestamp::from_second(60).unwrap();
        let mut account =
            Account::saved(&budget(json!({"name": "b", "limit_usd": 10, "period": "day"})), None, start, Revision(1));
        account.count(spent(3.0), start, Revision(2));
        let saved = |patch: Value| {
            let budget = account.budget.patched(patch.as_object().unwrap()).unwrap();
            let saved = Account::saved(&budget, Some(&account), later, Revision(3));
            (saved.closed(later), saved.counted_from)
        };
        assert_eq!(saved(json!({"limit_usd": 20, "threshold_percent": [90]})), (spent(3.0), start));
        assert_eq!(saved(json!({"filters": {"category": "x"}})), (Spend::default(), later));
        assert_eq!(saved(json!({"period": "month"})), (Spend::default(), later));
    }
}
