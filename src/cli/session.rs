//! What a command that asks a registry works with: the client, and the printer.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use super::connection::ConnectionArgs;
use super::failure::Failure;
use super::output::format::OutputArgs;
use super::output::kind::Kind;
use super::output::printer::Printer;
use super::output::text;
use crate::client::{Answer, Call, Client, Live};

/// The flags of every command that asks a registry.
#[derive(Debug, Clone, Args)]
pub struct SessionArgs {
    /// How data is printed.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Print each request and how long it took to standard error.
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    pub debug: bool,
    /// Ask no questions, also on a terminal.
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    pub no_input: bool,
    /// Which registry.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// A connection to a registry, and the way to the user.
#[derive(Debug, Clone)]
pub struct Session {
    /// The client.
    pub client: Client,
    /// The printer.
    pub printer: Printer,
    is_debug: bool,
    may_ask: bool,
}

impl SessionArgs {
    /// Opens the session. It sends nothing yet.
    ///
    /// # Errors
    ///
    /// If a setting is invalid.
    pub fn open(&self) -> anyhow::Result<Session> {
        Ok(Session {
            client: self.connection.client()?,
            printer: Printer::new(&self.output),
            is_debug: self.debug,
            may_ask: !self.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
        })
    }
}

impl Session {
    /// Sends a request.
    ///
    /// # Errors
    ///
    /// If the registry is unreachable or refuses the request.
    pub async fn call(&self, call: &Call) -> anyhow::Result<Answer> {
        let begun = Instant::now();
        let result = self.client.call(call).await;
        if self.is_debug {
            let outcome = match &result {
                Ok(answer) => answer.status.to_string(),
                Err(error) => error.with_causes(),
            };
            let took = begun.elapsed().as_millis();
            self.printer.say(&format!("{} -> {outcome} ({took} ms)", text::one_line(&call.line())));
        }
        Ok(result?)
    }

    /// Sends a request, and returns the document of its response.
    ///
    /// # Errors
    ///
    /// As [`Session::call`].
    pub async fn json(&self, call: &Call) -> anyhow::Result<Value> {
        Ok(self.call(call).await?.json()?)
    }

    /// Follows live events.
    ///
    /// # Errors
    ///
    /// As [`Session::call`].
    pub async fn follow(&self, call: Call) -> anyhow::Result<Live> {
        if self.is_debug {
            self.printer.say(&text::one_line(&call.line()));
        }
        Ok(self.client.follow(call).await?)
    }

    /// Prints a list, page by page; at most `limit` items.
    ///
    /// # Errors
    ///
    /// As [`Session::call`], or if standard output is closed.
    pub async fn print_list(&self, kind: &'static Kind, call: &Call, limit: Option<u32>) -> anyhow::Result<()> {
        let mut list = self.printer.list(kind);
        let mut pages = Pages::new(call, limit);
        while let Some(page) = pages.next(self).await? {
            list.page(page)?;
        }
        Ok(list.end()?)
    }

    /// A whole list as one document.
    ///
    /// # Errors
    ///
    /// As [`Session::call`].
    pub async fn whole_list(&self, call: &Call) -> anyhow::Result<Value> {
        let mut pages = Pages::new(call, None);
        let mut whole: Option<Value> = None;
        while let Some(mut page) = pages.next(self).await? {
            if let Some(items) = whole.as_mut().and_then(|whole| whole.get_mut("items")).and_then(Value::as_array_mut) {
                let more = page.get_mut("items").and_then(Value::as_array_mut);
                items.append(more.unwrap_or(&mut Vec::new()));
            } else {
                whole = Some(page);
            }
        }
        let mut whole = whole.unwrap_or_default();
        if let Some(cursor) = whole.get_mut("next_cursor") {
            *cursor = Value::Null;
        }
        Ok(whole)
    }

    /// Asks whether to go on. Without a terminal, or with `is_sure`, the answer is yes.
    ///
    /// # Errors
    ///
    /// If the answer is no.
    pub fn confirm(&self, question: &str, is_sure: bool) -> anyhow::Result<()> {
        if is_sure || !self.may_ask {
            return Ok(());
        }
        let mut stderr = std::io::stderr();
        write!(stderr, "{} [y/N] ", text::lines(question))?;
        stderr.flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(Failure { what: "nothing was changed".into(), advice: None, code: super::exit_code::FAILED }.into())
    }

    /// Returns true if and only if a person can answer questions.
    pub fn may_ask(&self) -> bool {
        self.may_ask
    }
}

/// The pages of a list.
struct Pages {
    call: Call,
    cursor: Option<String>,
    left: Option<u32>,
    has_ended: bool,
}

impl Pages {
    fn new(call: &Call, limit: Option<u32>) -> Pages {
        Pages { call: call.clone(), cursor: None, left: limit, has_ended: limit == Some(0) }
    }

    async fn next(&mut self, session: &Session) -> anyhow::Result<Option<Value>> {
        if self.has_ended {
            return Ok(None);
        }
        let mut call = self.call.clone();
        if let Some(left) = self.left {
            call = call.with("limit", left.min(1000).to_string());
        }
        if let Some(cursor) = &self.cursor {
            call = call.with("cursor", cursor.clone());
        }
        let page = session.json(&call).await?;
        let count = page.get("items").and_then(Value::as_array).map_or(0, Vec::len);
        self.left = self.left.map(|left| left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX)));
        self.cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        self.has_ended = self.cursor.is_none() || self.left == Some(0);
        Ok(Some(page))
    }
}
