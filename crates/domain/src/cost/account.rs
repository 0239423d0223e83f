//! The account of a budget: what its plugins have spent in a period, and what has been told about it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::budget::Budget;
use super::notice::{BurnCrossed, Notice, Projected, Reached};
use crate::money::{MicroUsd, Spend};
use crate::record::Record;
use crate::revision::Revision;

/// How far ahead a budget without periods reports that it will reach its limit, in hours: 30 days. Without a horizon each
/// such budget would report it as soon as anything costs.
pub const PROJECTION_HOURS: i64 = 30 * 24;

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
    burn: BurnMark,
}

/// What has been told of the limit of an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct BurnMark {
    /// Whether the newest event said that the burn is above the limit.
    is_over: bool,
    /// The revision of that event, or of the change that set the limit. A crossing is news only to the one who knows it: a
    /// replica that lags must not report a crossing that was over before the newest event.
    told: u64,
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
    /// Whether an event has said in the period that the limit will be reached.
    #[serde(default)]
    projected: bool,
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
    #[serde(default)]
    burn: BurnMark,
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
            burn: BurnMark { is_over: false, told: revision.0 },
        };
        if let Some(before) = before
            && (&before.budget.filters, before.budget.limit_per_hour) == (&budget.filters, budget.limit_per_hour)
        {
            account.burn = before.burn;
        }
        // The same plugins and the same period: the spending so far still counts.
        if let Some(before) = before
            && (&before.budget.filters, before.budget.period) == (&budget.filters, budget.period)
        {
            account.counted_from = before.counted_from;
            account.tally = before.tally.clone();
            if before.budget.limit != budget.limit {
                account.tally.reached.clear();
                account.tally.projected = false;
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

    /// When the costs reach the limit if an hour goes on to cost `burn`; `None` if they do not within the period of `now`,
    /// or have reached it already.
    pub fn projected_breach(&self, spent: Spend, burn: MicroUsd, now: Timestamp) -> Option<Timestamp> {
        let at = (self.budget.limit - spent.high).reached_at(burn, now)?;
        self.budget.period.end(now).is_none_or(|end| at < end).then_some(at)
    }

    /// Whether an hour of `burn` is above the limit of an hour. Exactly the limit is within it.
    pub fn is_over_per_hour(&self, burn: MicroUsd) -> bool {
        self.budget.limit_per_hour.is_some_and(|limit| burn > limit)
    }

    /// Whether the newest event said that the burn is above the limit of an hour.
    pub fn told_over_per_hour(&self) -> bool {
        self.burn.is_over
    }

    /// The revision of the last event about an hour's costs: [`Account::is_news`] compares it.
    pub fn burn_told(&self) -> Revision {
        Revision(self.burn.told)
    }

    /// What is true of the budget and has no event yet, if its plugins spent `spent` in the period of `now` and an hour
    /// costs `burn`.
    pub fn to_tell(&self, spent: Spend, burn: MicroUsd, now: Timestamp) -> Vec<Notice> {
        let reached = self.thresholds_to_tell(spent, now).map(Notice::Reached);
        let projected = self.breach_to_tell(spent, burn, now).map(Notice::Projected);
        reached.chain(projected).chain(self.crossing_to_tell(burn).map(Notice::Burn)).collect()
    }

    fn thresholds_to_tell(&self, spent: Spend, now: Timestamp) -> impl Iterator<Item = Reached> {
        let reached = self.reached(now);
        let is_news =
            move |percent: &&u32| !reached.contains(percent) && spent.high >= self.budget.threshold(**percent);
        let told = move |percent: &u32| Reached {
            name: self.budget.name.as_str().into(),
            percent: *percent,
            limit_usd: self.budget.limit,
            period: self.budget.period,
            period_start: self.budget.period.start(now),
            low_usd: spent.low,
            high_usd: spent.high,
        };
        self.budget.thresholds.iter().filter(is_news).map(told)
    }

    fn breach_to_tell(&self, spent: Spend, burn: MicroUsd, now: Timestamp) -> Option<Projected> {
        let is_of_now = self.tally.period_start == self.budget.period.start(now);
        if is_of_now && self.tally.projected {
            return None;
        }
        let at = self.projected_breach(spent, burn, now)?;
        let is_near = at.duration_since(now) <= SignedDuration::from_hours(PROJECTION_HOURS);
        (is_near || self.budget.period.end(now).is_some()).then(|| Projected {
            name: self.budget.name.as_str().into(),
            limit_usd: self.budget.limit,
            period: self.budget.period,
            period_start: self.budget.period.start(now),
            projected_breach_at: at,
            burn_usd_per_hour: burn,
            low_usd: spent.low,
            high_usd: spent.high,
        })
    }

    fn crossing_to_tell(&self, burn: MicroUsd) -> Option<BurnCrossed> {
        let limit = self.budget.limit_per_hour?;
        (self.is_over_per_hour(burn) != self.burn.is_over).then(|| BurnCrossed {
            name: self.budget.name.as_str().into(),
            limit_usd_per_hour: limit,
            burn_usd_per_hour: burn,
        })
    }

    /// Returns true if and only if the event is new: it matches the current budget and period, and has not been
    /// recorded. `burn_told` is what the one who found it saw in [`Account::burn_told`].
    pub fn is_news(&self, notice: &Notice, burn_told: Revision) -> bool {
        let Budget { limit, period, thresholds, limit_per_hour, .. } = &self.budget;
        let is_now = |start: Option<Timestamp>| self.tally.period_start == start;
        match notice {
            Notice::Reached(reached) => {
                let fits =
                    (*limit, *period) == (reached.limit_usd, reached.period) && thresholds.contains(&reached.percent);
                let is_told = is_now(reached.period_start) && self.tally.reached.contains(&reached.percent);
                fits && !is_told && reached.period_start >= self.tally.period_start
            }
            Notice::Projected(projected) => {
                let is_told = is_now(projected.period_start) && self.tally.projected;
                let fits = (*limit, *period) == (projected.limit_usd, projected.period);
                fits && !is_told && projected.period_start >= self.tally.period_start
            }
            Notice::Burn(crossed) => {
                let fits = *limit_per_hour == Some(crossed.limit_usd_per_hour) && burn_told.0 == self.burn.told;
                fits && crossed.is_over() != self.burn.is_over
            }
        }
    }

    /// Adds the cost of a version that ended at `end`.
    pub(crate) fn count(&mut self, spent: Spend, end: Timestamp, revision: Revision) {
        self.enter(self.budget.period.start(end));
        self.tally.low_usd += spent.low;
        self.tally.high_usd += spent.high;
        self.touched = revision;
    }

    /// Records an event of the registry.
    pub(crate) fn note(&mut self, notice: &Notice, revision: Revision) {
        match notice {
            Notice::Reached(reached) => {
                self.enter(reached.period_start);
                self.tally.reached.push(reached.percent);
            }
            Notice::Projected(projected) => {
                self.enter(projected.period_start);
                self.tally.projected = true;
            }
            Notice::Burn(crossed) => self.burn = BurnMark { is_over: crossed.is_over(), told: revision.0 },
        }
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
        let Account { budget, revision, created_at, updated_at, counted_from, touched, tally, burn } = self.clone();
        let (budget, revision, touched) = (budget.document(), revision.0, touched.0);
        let kept = StoredAccount { budget, revision, created_at, updated_at, counted_from, touched, tally, burn };
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
        let StoredAccount { budget, revision, created_at, updated_at, counted_from, touched, tally, burn } = kept;
        let budget = Budget::read(budget).map_err(|invalid| invalid.to_string())?;
        let (revision, touched) = (Revision(revision), Revision(touched));
        Ok(Account { budget, revision, created_at, updated_at, counted_from, touched, tally, burn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn budget(body: Value) -> Budget {
        Budget::read(body).unwrap()
    }

    fn spent(usd: f64) -> Spend {
        Spend::exactly(MicroUsd::nearest(usd))
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
            account.thresholds_to_tell(spent(usd), at(day)).map(|reached| reached.percent).collect::<Vec<_>>()
        };
        assert_eq!(percentages(&account, 4.999_999, 0), [] as [u32; 0]);
        assert_eq!(percentages(&account, 5.0, 0), [50]);
        assert_eq!(percentages(&account, 11.0, 0), [50, 100]);
        let reached = account.to_tell(spent(5.0), MicroUsd::default(), at(0)).remove(0);
        assert!(account.is_news(&reached, Revision(1)));
        account.note(&reached, Revision(2));
        assert!(!account.is_news(&reached, Revision(1)), "not twice");
        assert_eq!(percentages(&account, 11.0, 0), [100]);
        assert_eq!(percentages(&account, 11.0, 1), [50, 100], "another day");
        let next = account.to_tell(spent(5.0), MicroUsd::default(), at(1)).remove(0);
        account.note(&next, Revision(3));
        assert!(!account.is_news(&reached, Revision(1)), "a day that is over");
        // A new limit raises the event again; a new name does not.
        let renamed = account.budget.patched(json!({"name": "c"}).as_object().unwrap()).unwrap();
        assert_eq!(Account::saved(&renamed, Some(&account), at(1), Revision(4)).reached(at(1)), [50]);
        let raised = account.budget.patched(json!({"limit_usd": 20}).as_object().unwrap()).unwrap();
        assert_eq!(Account::saved(&raised, Some(&account), at(1), Revision(4)).reached(at(1)), [] as [u32; 0]);
    }

    #[test]
    fn a_projection_is_told_once_a_period() {
        let at = |hour: i64| Timestamp::from_second(hour * 3_600).unwrap();
        let budget = budget(json!({"name": "b", "limit_usd": 10, "period": "day"}));
        let mut account = Account::saved(&budget, None, at(0), Revision(1));
        let told = |account: &Account, usd: f64, burn: f64, hour: i64| {
            let told = account.breach_to_tell(spent(usd), MicroUsd::nearest(burn), at(hour));
            told.map(|told| told.projected_breach_at)
        };
        assert_eq!(told(&account, 0.0, 0.0, 0), None, "nothing costs anything");
        assert_eq!(told(&account, 0.0, 0.41, 0), None, "reached when the day is over");
        assert_eq!(told(&account, 0.0, 1.0, 0), Some(at(10)));
        assert_eq!(told(&account, 10.0, 1.0, 10), None, "reached already");
        let notice = Notice::Projected(account.breach_to_tell(spent(0.0), MicroUsd::nearest(1.0), at(0)).unwrap());
        assert!(account.is_news(&notice, Revision(0)));
        account.note(&notice, Revision(2));
        assert!(!account.is_news(&notice, Revision(0)), "not twice");
        assert_eq!(told(&account, 5.0, 5.0, 5), None, "not again in the day, also not with another burn");
        assert_eq!(told(&account, 0.0, 1.0, 24), Some(at(34)), "another day");
        assert_eq!(Account::of_text(&account.to_text()), Ok(account.clone()));
        let patched = |patch: Value| account.budget.patched(patch.as_object().unwrap()).unwrap();
        let named = Account::saved(&patched(json!({"name": "c"})), Some(&account), at(1), Revision(3));
        assert_eq!(told(&named, 0.0, 1.0, 1), None, "a new name tells nothing again");
        let raised = Account::saved(&patched(json!({"limit_usd": 20})), Some(&account), at(1), Revision(3));
        assert_eq!(told(&raised, 0.0, 1.0, 1), Some(at(21)), "a new limit does");
    }

    #[test]
    fn a_budget_without_periods_is_projected_within_the_horizon() {
        let budget = budget(json!({"name": "b", "limit_usd": 720, "period": "total"}));
        let account = Account::saved(&budget, None, Timestamp::UNIX_EPOCH, Revision(1));
        let told = |burn| account.breach_to_tell(spent(0.0), MicroUsd::nearest(burn), Timestamp::UNIX_EPOCH).is_some();
        assert_eq!((told(1.0), told(0.99)), (true, false));
    }

    #[test]
    fn a_crossing_is_told_once_and_only_by_who_knows_the_last_one() {
        let account = |body| Account::saved(&budget(body), None, Timestamp::UNIX_EPOCH, Revision(1));
        let mut limited = account(json!({"name": "b", "limit_usd": 9, "period": "day", "limit_usd_per_hour": 2}));
        let crossed = |account: &Account, burn| account.crossing_to_tell(MicroUsd::nearest(burn)).map(Notice::Burn);
        assert_eq!(crossed(&limited, 2.0), None, "exactly the limit is within it");
        let over = crossed(&limited, 2.000_001).unwrap();
        assert!(limited.is_news(&over, Revision(1)));
        limited.note(&over, Revision(2));
        assert!(!limited.is_news(&over, Revision(2)), "not twice");
        assert_eq!(crossed(&limited, 3.0), None, "still above");
        let under = crossed(&limited, 1.0).unwrap();
        assert!(!limited.is_news(&under, Revision(1)), "found before the newest event");
        assert!(limited.is_news(&under, Revision(2)));
        limited.note(&under, Revision(3));
        assert!(!limited.is_news(&over, Revision(1)), "a replica that lags repeats nothing");
        assert_eq!(Account::of_text(&limited.to_text()), Ok(limited.clone()));
        let patched = |patch: Value| limited.budget.patched(patch.as_object().unwrap()).unwrap();
        let lifted = Account::saved(
            &patched(json!({"limit_usd_per_hour": null})),
            Some(&limited),
            Timestamp::UNIX_EPOCH,
            Revision(4),
        );
        assert_eq!(crossed(&lifted, 100.0), None);
        assert!(!lifted.is_news(&over, Revision(4)), "the limit is gone");
        assert_eq!(crossed(&account(json!({"name": "b", "limit_usd": 9, "period": "day"})), 100.0), None);
    }

    #[test]
    fn an_account_of_an_earlier_version_is_read() {
        let budget = budget(json!({"name": "b", "limit_usd": 1, "period": "day"}));
        let account = Account::saved(&budget, None, Timestamp::UNIX_EPOCH, Revision(0));
        let mut stored: Value = serde_json::from_str(&account.to_text()).unwrap();
        stored.as_object_mut().unwrap().remove("burn").unwrap();
        stored["tally"].as_object_mut().unwrap().remove("projected").unwrap();
        assert_eq!(stored["budget"].get("limit_usd_per_hour"), None, "an earlier version refuses the field");
        assert_eq!(Account::of_text(&stored.to_string()), Ok(account));
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
