//! `plugin-registry token`: tokens made, listed and revoked in the store itself, also while a registry runs on it. So
//! the first token needs none.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::access::TokenText;
use crate::clock::{Clock as _, SystemClock};
use crate::store::{Addition, Journal, StoreUrl, TokenStore};
use domain::access::{Role, Token, TokenId, TokenTerms};
use domain::plugin::time;

/// Who is said to have made a token here.
const MAKER: &str = "command line";

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenCommand {
    /// Create a token in a store, and print it. This is the only time that it is shown.
    Create(CreateArgs),
    /// List the tokens.
    List(StoreArgs),
    /// Revoke a token. Registries on the store notice within two seconds.
    Revoke(RevokeArgs),
    /// Create a token for a file of tokens; print the token, and the entry of the file.
    Generate(TermsArgs),
}

/// The store of the tokens.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// The store: `sqlite:PATH` or `postgres://…`.
    #[arg(long, env = "PLUGIN_REGISTRY_STORE", default_value = "sqlite:plugin-registry.db", value_name = "URL")]
    store: StoreUrl,
}

/// The flags of `token create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Create the store if there is none: for a token that exists before the first start.
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    terms: TermsArgs,
}

/// The flags of `token revoke`.
#[derive(Debug, Clone, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The name or the id of the token.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    token: Option<String>,
    /// Delete all tokens. Then every client that reaches the registry may do everything.
    #[arg(long, conflicts_with = "token")]
    all: bool,
}

/// The terms of a token.
#[derive(Debug, Clone, Args)]
pub struct TermsArgs {
    /// The name of the token's bearer, which events show.
    #[arg(long)]
    name: String,
    /// The role: viewer, reporter, agent or admin.
    #[arg(long, value_parser = role)]
    role: Role,
    /// Restrict the token to plugins of this category; repeatable. For reporters and agents.
    #[arg(long = "category", value_name = "NAME")]
    categories: Vec<String>,
    /// Restrict the token to plugins on this host; repeatable.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Restrict the token to plugins with this label; repeatable. Several values of one key are alternatives.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// When the token expires: a time (2027-01-31T00:00:00Z), or days (90d) or hours (12h) from now. Default: never.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

/// Does what is asked.
///
/// # Errors
///
/// If the store is unusable, or the command fails.
pub fn run(command: &TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create(args) => {
            let now = SystemClock.now();
            // Invalid terms fail before this creates a store.
            let text = TokenText::generate();
            let token = text.token(args.terms.terms(now)?, MAKER, now);
            let create = |store: &dyn TokenStore| create(store, &token, &text);
            if args.new { args.store.with_new(create) } else { args.store.with(create) }
        }
        TokenCommand::List(args) => args.with(list),
        TokenCommand::Revoke(args) => args.store.with(|store| revoke(store, args)),
        TokenCommand::Generate(terms) => generate(terms),
    }
}

impl StoreArgs {
    /// Works in an existing store.
    fn with(&self, work: impl FnOnce(&dyn TokenStore) -> anyhow::Result<()>) -> anyhow::Result<()> {
        if self.store != StoreUrl::Memory && !self.store.exists().with_context(|| self.cannot_open())? {
            let folder = match &self.store {
                StoreUrl::Sqlite(path) if path.is_relative() => std::env::current_dir().ok(),
                _ => None,
            };
            let folder = folder.map(|folder| format!(" (in {})", folder.display())).unwrap_or_default();
            bail!(
                "there is no store {}{folder}; name the registry's store with --store, or create one with \
                 `token create --new`",
                self.store
            );
        }
        self.with_new(work)
    }

    /// Works in a store, and creates it if there is none.
    fn with_new(&self, work: impl FnOnce(&dyn TokenStore) -> anyhow::Result<()>) -> anyhow::Result<()> {
        if self.store == StoreUrl::Memory {
            bail!(
                "the store `memory` belongs to one process alone; give it tokens by --tokens-file, or by POST /tokens"
            );
        }
        let mut journal: Box<dyn Journal> = self.store.open().with_context(|| self.cannot_open())?;
        let done = work(&*journal.tokens());
        journal.close();
        done
    }

    fn cannot_open(&self) -> String {
        format!("the store {} cannot be opened", self.store)
    }
}

fn create(store: &dyn TokenStore, token: &Token, text: &TokenText) -> anyhow::Result<()> {
    match store.add(token)? {
        Addition::Done => print(&format!("{}\n", text.reveal())),
        Addition::NameTaken => bail!("a token of the name `{}` is in force already; revoke it first", token.terms.name),
        Addition::TooMany => bail!("there are as many tokens as there can be; revoke one first"),
    }
}

fn list(store: &dyn TokenStore) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let mut text = String::new();
    for token in store.list()? {
        let Token { id, terms, .. } = &token;
        let state = match token.revoked_at {
            Some(at) => format!("revoked {at}"),
            None if token.is_expired(now) => "expired".to_owned(),
            None => terms.expires_at.map_or("in force".to_owned(), |end| format!("until {end}")),
        };
        let scope = terms.scope.as_ref().map_or("everything".to_owned(), ToString::to_string);
        let used = token.last_used_at.map_or("never".to_owned(), |at| at.to_string());
        // Writing to a String cannot fail.
        let _written = writeln!(text, "{id}  {}  {}  {scope}  {state}  used: {used}", terms.name, terms.role.as_str());
    }
    print(&text)
}

fn revoke(store: &dyn TokenStore, args: &RevokeArgs) -> anyhow::Result<()> {
    let Some(named) = &args.token else { return Ok(store.clear()?) };
    let tokens = store.list()?;
    let in_force = || tokens.iter().filter(|token| token.revoked_at.is_none());
    let found = in_force().find(|token| token.terms.name.as_str() == named);
    let found = found.or_else(|| in_force().find(|token| token.id.as_str() == named));
    let id: Option<&TokenId> = found.map(|token| &token.id);
    match id {
        Some(id) if store.revoke(id, SystemClock.now())? => Ok(()),
        _ => bail!("no token in force has the name or the id `{named}`"),
    }
}

fn generate(args: &TermsArgs) -> anyhow::Result<()> {
    let document = args.document(SystemClock.now())?;
    // Invalid terms fail here already.
    TokenTerms::read(document.clone(), "")?;
    let text = TokenText::generate();
    let mut entry = document;
    if let Some(fields) = entry.as_object_mut() {
        fields.insert("id".into(), text.id().as_str().into());
        fields.insert("hash".into(), text.hash().to_text().into());
    }
    print(&format!("{}\n{}\n", text.reveal(), json!({ "token": [entry] })))
}

impl TermsArgs {
    fn terms(&self, now: Timestamp) -> anyhow::Result<TokenTerms> {
        Ok(TokenTerms::read(self.document(now)?, "")?)
    }

    /// As `POST /tokens` takes it.
    fn document(&self, now: Timestamp) -> anyhow::Result<Value> {
        let mut labels = Map::new();
        for (key, value) in &self.labels {
            match labels.get_mut(key).and_then(Value::as_array_mut) {
                Some(values) => values.push(value.as_str().into()),
                None => drop(labels.insert(key.clone(), json!([value]))),
            }
        }
        let mut document = Map::from_iter([
            ("name".to_owned(), self.name.as_str().into()),
            ("role".to_owned(), self.role.as_str().into()),
        ]);
        if !(self.categories.is_empty() && self.hosts.is_empty() && labels.is_empty()) {
            let scope = json!({"categories": self.categories, "hosts": self.hosts, "labels": labels});
            document.insert("scope".to_owned(), scope);
        }
        if let Some(end) = &self.expires {
            document.insert("expires_at".to_owned(), end_of(end, now)?.to_string().into());
        }
        Ok(document.into())
    }
}

/// A time, or a number of days or hours from now.
fn end_of(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Some(time) = time::parse(text) {
        return Ok(time);
    }
    let number = |unit| text.strip_suffix(unit).and_then(|number: &str| number.parse::<u32>().ok());
    let hours = number('h').or_else(|| number('d')?.checked_mul(24));
    let hours =
        hours.with_context(|| format!("`{text}` is no time (2027-01-31T00:00:00Z), days (90d) or hours (12h)"))?;
    Ok(now.checked_add(SignedDuration::from_hours(hours.into()))?)
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| format!("must be one of {}", Role::NAMES.join(", ")))
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("the result could not be written")
}
