//! `costs`: what plugins cost.

use clap::Args;
use serde_json::{Value, json};

use super::filters::{PluginFilters, past};
use crate::cli::output::format::Format;
use crate::cli::output::kind::COST;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The flags of `costs`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry costs                          what an hour costs, and what was spent
  plugin-registry costs --from month --by label.team
  plugin-registry costs --by provider -o csv
  plugin-registry costs --hours 24               also what a day will cost

All amounts are estimates from declared prices, in USD. Next: plugin-registry budget ls")]
pub struct CostsArgs {
    /// Whose costs.
    #[command(flatten)]
    filters: PluginFilters,
    /// A row for each: plugin, category, provider, gpu_type, status_class, host, or label.KEY.
    #[arg(long, value_name = "FIELD", add = super::complete::groups())]
    by: Option<String>,
    /// Costs since then: 2h, 7d, day, week, month, or RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Costs before then.
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    to: Option<String>,
    /// Also estimate this many hours.
    #[arg(long, value_name = "HOURS")]
    hours: Option<f64>,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Shows costs.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, args: &CostsArgs) -> anyhow::Result<u8> {
    let now = session.printer.moments().now();
    let mut call = Call::get(&["costs"]).with_all(&args.filters.parameters());
    for (name, text) in [("from", &args.from), ("to", &args.to)] {
        if let Some(text) = text {
            call = call.with(name, past(text, now)?.to_string());
        }
    }
    if let Some(by) = &args.by {
        call = call.with("group_by", by.clone());
    }
    if let Some(hours) = args.hours {
        call = call.with("hours", hours.to_string());
    }
    let document = session.json(&call).await?;
    let is_list = !matches!(session.printer.format(), Format::Json | Format::Yaml | Format::JsonPath(_));
    if args.by.is_some() && is_list {
        session.printer.whole_list(&COST, rows(&document, session.printer.is_for_people()))?;
    } else {
        session.printer.one(&COST, &document)?;
    }
    Ok(0)
}

/// The groups, the dearest first; for people, with a row of totals.
fn rows(document: &Value, has_totals: bool) -> Value {
    let mut rows = document.get("groups").and_then(Value::as_array).cloned().unwrap_or_default();
    let rate = |row: &Value| row.get("burn_usd_per_hour").and_then(Value::as_f64).unwrap_or(0.0);
    rows.sort_by(|one, other| rate(other).total_cmp(&rate(one)));
    if has_totals && !rows.is_empty() {
        let field = |name: &str| document.get(name).cloned();
        rows.push(json!({
            "key": "total",
            "burn_usd_per_hour": field("burn_usd_per_hour"),
            "accrued": field("accrued"),
            "estimated_usd": document.get("estimate").and_then(|estimate| estimate.get("usd")),
            "billable": field("billable"),
            "unpriced": field("unpriced"),
        }));
    }
    json!({ "items": rows })
}
