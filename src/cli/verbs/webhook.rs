//! `webhook ls`, `add`, `test`, `enable`, `disable` and `rm`.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::filters::PluginFilters;
use super::resources::simple;
use crate::cli::exit_code;
use crate::cli::output::kind::WEBHOOK;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The commands of `webhook`.
#[derive(Debug, Clone, Subcommand)]
pub enum WebhookCommand {
    /// List the webhooks, and how far each is.
    Ls(WebhookLsArgs),
    /// Create a webhook, and print it with its secret. This is the only time that the secret is shown.
    Add(Box<WebhookAddArgs>),
    /// Send a test event, and show the outcome.
    Test(WebhookIdArgs),
    /// Switch a webhook on, also one that was parked.
    Enable(WebhookIdArgs),
    /// Switch a webhook off.
    Disable(WebhookIdArgs),
    /// Remove a webhook.
    Rm(WebhookIdArgs),
}

/// The flags of `webhook ls`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry webhook ls -o wide")]
pub struct WebhookLsArgs {
    /// Go on, and print each webhook that changes.
    #[arg(short, long)]
    watch: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `webhook add`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry webhook add https://example.com/hooks/registry --kind finding.raised
  plugin-registry webhook add https://example.com/hooks/registry label.team=speech -o jsonpath=$.secret

Next: plugin-registry webhook test ID")]
pub struct WebhookAddArgs {
    /// Where deliveries go.
    #[arg(value_name = "URL")]
    url: String,
    /// Changes of these kinds. Default: all.
    #[arg(long, add = super::complete::changes(), value_delimiter = ',')]
    kind: Vec<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Changes of which plugins. Default: all.
    #[command(flatten)]
    filters: PluginFilters,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of the commands for one webhook.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry webhook test 0191f9a2c0ffee42
  plugin-registry webhook rm 0191f9a2c0ffee42")]
pub struct WebhookIdArgs {
    /// The id of the webhook.
    #[arg(value_name = "ID")]
    id: String,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

impl WebhookCommand {
    /// How it connects and prints.
    pub fn session(&self) -> &SessionArgs {
        match self {
            WebhookCommand::Ls(args) => &args.session,
            WebhookCommand::Add(args) => &args.session,
            WebhookCommand::Test(args)
            | WebhookCommand::Enable(args)
            | WebhookCommand::Disable(args)
            | WebhookCommand::Rm(args) => &args.session,
        }
    }
}

/// Runs a command of `webhook`.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, command: &WebhookCommand) -> anyhow::Result<u8> {
    match command {
        WebhookCommand::Ls(args) => simple(&session, &WEBHOOK, &Call::get(&["webhooks"]), args.watch).await,
        WebhookCommand::Add(args) => {
            let body = json!({
                "url": args.url, "kinds": args.kind, "description": args.description, "filters": args.filters.document(),
            });
            print(&session, &Call::new(Method::POST, &["webhooks"]).json(&body)).await?;
            session.printer.say("keep the secret: it is not shown again");
            Ok(0)
        }
        WebhookCommand::Test(args) => {
            let outcome = print(&session, &Call::new(Method::POST, &["webhooks", &args.id, "test"])).await?;
            Ok(if outcome.get("delivered") == Some(&json!(true)) { 0 } else { exit_code::FAILED })
        }
        WebhookCommand::Enable(args) => switch(&session, &args.id, true).await,
        WebhookCommand::Disable(args) => switch(&session, &args.id, false).await,
        WebhookCommand::Rm(args) => {
            session.call(&Call::new(Method::DELETE, &["webhooks", &args.id])).await?;
            session.printer.say(&format!("removed the webhook {}", args.id));
            Ok(0)
        }
    }
}

async fn switch(session: &Session, id: &str, is_on: bool) -> anyhow::Result<u8> {
    print(session, &Call::new(Method::PATCH, &["webhooks", id]).json(&json!({ "enabled": is_on }))).await?;
    Ok(0)
}

async fn print(session: &Session, call: &Call) -> anyhow::Result<Value> {
    let document = session.json(call).await?;
    session.printer.one(&WEBHOOK, &document)?;
    Ok(document)
}
