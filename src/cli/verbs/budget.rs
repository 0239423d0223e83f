//! `budget ls`, `set` and `rm`.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::filters::PluginFilters;
use super::resources::simple;
use crate::cli::exit_code;
use crate::cli::failure::{Failure, Usage};
use crate::cli::output::kind::BUDGET;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The commands of `budget`.
#[derive(Debug, Clone, Subcommand)]
pub enum BudgetCommand {
    /// List the budgets, and how much of each is spent.
    Ls(BudgetLsArgs),
    /// Create a budget, or change the one with this name.
    Set(Box<BudgetSetArgs>),
    /// Remove a budget.
    Rm(BudgetRmArgs),
}

/// The flags of `budget ls`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry budget ls
  plugin-registry budget ls -o fields=name,spent_percent

Next: plugin-registry budget set NAME --limit USD --period month")]
pub struct BudgetLsArgs {
    /// Go on, and print each budget that changes.
    #[arg(short, long)]
    watch: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `budget set`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry budget set 'speech, monthly' --limit 500 --period month label.team=speech
  plugin-registry budget set 'speech, monthly' --limit 600 --limit-per-hour 12

The registry stops nothing: a budget emits an event at each threshold, when it will reach its limit, and when an hour costs
more than --limit-per-hour. Next: plugin-registry webhook add URL")]
pub struct BudgetSetArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
    /// How much may be spent in a period, in USD.
    #[arg(long, value_name = "USD")]
    limit: Option<f64>,
    /// How much an hour may cost, in USD. `none` removes the limit.
    #[arg(long, value_name = "USD|none", value_parser = hourly_limit)]
    limit_per_hour: Option<HourlyLimit>,
    /// How long a period is: day, week, month or total.
    #[arg(long)]
    period: Option<String>,
    /// The percentages of the limit at which an event is emitted. Default: 50, 80, 100.
    #[arg(long, value_name = "PERCENT", value_delimiter = ',')]
    threshold: Vec<u32>,
    /// Which plugins count. Default: all.
    #[command(flatten)]
    filters: PluginFilters,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// A limit of an hour, or none.
#[derive(Debug, Clone, Copy)]
struct HourlyLimit(Option<f64>);

fn hourly_limit(text: &str) -> Result<HourlyLimit, &'static str> {
    if text == "none" {
        return Ok(HourlyLimit(None));
    }
    // JSON has no infinity and no NaN: they would become null, which removes the limit.
    let usd = text.parse().ok().filter(|usd: &f64| usd.is_finite());
    usd.map(|usd| HourlyLimit(Some(usd))).ok_or("must be a number of USD, or none")
}

/// The flags of `budget rm`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry budget rm 'speech, monthly'")]
pub struct BudgetRmArgs {
    /// Its name or its id.
    #[arg(value_name = "NAME|ID")]
    name: String,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

impl BudgetCommand {
    /// How it connects and prints.
    pub fn session(&self) -> &SessionArgs {
        match self {
            BudgetCommand::Ls(args) => &args.session,
            BudgetCommand::Set(args) => &args.session,
            BudgetCommand::Rm(args) => &args.session,
        }
    }
}

/// Runs a command of `budget`.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, command: &BudgetCommand) -> anyhow::Result<u8> {
    match command {
        BudgetCommand::Ls(args) => simple(&session, &BUDGET, &Call::get(&["budgets"]), args.watch).await,
        BudgetCommand::Set(args) => set(&session, args).await,
        BudgetCommand::Rm(args) => remove(&session, args).await,
    }
}

async fn set(session: &Session, args: &BudgetSetArgs) -> anyhow::Result<u8> {
    let mut body = json!({});
    let mut add = |name: &str, value: Option<Value>| {
        if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
            members.insert(name.to_owned(), value);
        }
    };
    let filters = args.filters.document();
    add("limit_usd", args.limit.map(|limit| json!(limit)));
    add("limit_usd_per_hour", args.limit_per_hour.map(|HourlyLimit(limit)| json!(limit)));
    add("period", args.period.as_ref().map(|period| json!(period)));
    add("threshold_percent", (!args.threshold.is_empty()).then(|| json!(args.threshold)));
    add("filters", filters.as_object().is_some_and(|filters| !filters.is_empty()).then_some(filters));
    let known = find(session, &args.name).await?;
    if known.is_none() {
        if args.limit.is_none() || args.period.is_none() {
            return Err(
                Usage(format!("there is no budget `{}`: a new one needs --limit and --period", args.name)).into()
            );
        }
        add("name", Some(json!(args.name)));
    }
    let call = match known {
        Some(id) => Call::new(Method::PATCH, &["budgets", &id]).json(&body),
        None => Call::new(Method::POST, &["budgets"]).json(&body),
    };
    let budget = session.json(&call).await?;
    session.printer.one(&BUDGET, &budget)?;
    Ok(0)
}

async fn remove(session: &Session, args: &BudgetRmArgs) -> anyhow::Result<u8> {
    let Some(id) = find(session, &args.name).await? else {
        let what = format!("there is no budget `{}`", args.name);
        let advice = Some("plugin-registry budget ls".to_owned());
        return Err(Failure { what, advice, code: exit_code::NOT_FOUND }.into());
    };
    session.confirm(&format!("Remove the budget `{}`?", args.name), args.yes)?;
    session.call(&Call::new(Method::DELETE, &["budgets", &id])).await?;
    session.printer.say(&format!("removed the budget `{}`", args.name));
    Ok(0)
}

/// The id of the budget with this name or id.
async fn find(session: &Session, name: &str) -> anyhow::Result<Option<String>> {
    let list = session.json(&Call::get(&["budgets"])).await?;
    let budgets = list.get("items").and_then(Value::as_array).into_iter().flatten();
    let field = |budget: &Value, field: &str| budget.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut ids = budgets.filter(|budget| ["name", "id"].iter().any(|key| field(budget, key).as_deref() == Some(name)));
    Ok(ids.next().and_then(|budget| field(budget, "id")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infinite_limit_removed_the_limit() {
        let limit = |text| hourly_limit(text).map(|HourlyLimit(limit)| limit);
        assert_eq!((limit("2.5"), limit("none")), (Ok(Some(2.5)), Ok(None)));
        for text in ["1e400", "-inf", "NaN", "", "many"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
