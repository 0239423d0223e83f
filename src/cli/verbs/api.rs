//! `api` and `ui`: everything else.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::Args;
use hyper::Method;
use hyper::header::{ACCEPT, HeaderName};

use super::document::text_of;
use super::filters::pair;
use crate::cli::failure::Usage;
use crate::cli::output::format::Format;
use crate::cli::output::kind::PLUGIN;
use crate::cli::session::{Session, SessionArgs};
use crate::client::Call;

/// The flags of `api`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry api GET /plugins -q active=true -q limit=10
  plugin-registry api PUT /categories/inference --data '{\"display_name\": \"Inference\"}'
  plugin-registry api GET /metrics -H 'accept: text/plain'
  plugin-registry api POST /plugins --data @plugin.json --include

It sends the token of the context. The paths are in docs/reference/endpoints.md and at /openapi.json.")]
pub struct ApiArgs {
    /// The HTTP method.
    #[arg(value_name = "METHOD")]
    method: String,
    /// The path, percent-encoded; it may have a query.
    #[arg(value_name = "PATH")]
    path: String,
    /// Parameters of the query.
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    query: Vec<(String, String)>,
    /// The body: JSON, `@FILE`, or `-` for standard input.
    #[arg(short, long, value_name = "BODY", allow_hyphen_values = true)]
    data: Option<String>,
    /// Fields of the header.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Also print the status and the header of the response, to standard error.
    #[arg(short, long)]
    include: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The flags of `ui`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry ui
  plugin-registry ui --print                     only print its address")]
pub struct UiArgs {
    /// Print the address instead of opening it.
    #[arg(long)]
    print: bool,
    /// How it connects and prints.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Sends a request.
///
/// # Errors
///
/// If the registry is unreachable or refuses the request.
pub async fn run(session: Session, args: &ApiArgs) -> anyhow::Result<u8> {
    let answer = session.call(&request(args)?).await?;
    if args.include {
        let mut lines = format!("{}\n", answer.status);
        for (name, value) in answer.headers() {
            lines.extend([name, ": ", value, "\n"]);
        }
        session.printer.say(&lines);
    }
    match (session.printer.format(), answer.json()) {
        (_, Ok(serde_json::Value::Null)) => {}
        (Format::Table | Format::Wide, Ok(document)) => {
            session.printer.text(&format!("{}\n", crate::cli::output::json::pretty(&document)))?;
        }
        (_, Ok(document)) => session.printer.one(&PLUGIN, &document)?,
        // Metrics, and lines of JSON.
        (_, Err(_)) => {
            let text = String::from_utf8_lossy(&answer.body);
            session.printer.text(&crate::cli::output::text::lines(&text))?;
        }
    }
    Ok(0)
}

fn request(args: &ApiArgs) -> anyhow::Result<Call> {
    let wrong = || Usage(format!("`{}` is no HTTP method: write GET, POST, PUT, PATCH or DELETE", args.method));
    let method = Method::from_bytes(args.method.to_ascii_uppercase().as_bytes()).map_err(|_| wrong())?;
    let mut call = Call::encoded(method, &args.path)?.with_all(&args.query);
    let mut media_type = None;
    for line in &args.header {
        let (name, value) = line.split_once(':').ok_or_else(|| Usage(format!("`{line}` is no `NAME: VALUE`")))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| Usage(format!("`{name}` is no name of a header field")))?;
        if name == hyper::header::CONTENT_TYPE {
            media_type = Some(value.trim().to_owned());
        } else {
            call = call.header(name, value.trim());
        }
    }
    if !args.header.iter().any(|line| line.to_ascii_lowercase().starts_with("accept:")) {
        call = call.header(ACCEPT, "*/*");
    }
    if let Some(data) = &args.data {
        let body = match data.strip_prefix('@') {
            Some(file) => text_of(Path::new(file))?,
            None if data == "-" => text_of(Path::new("-"))?,
            None => data.clone(),
        };
        let usual =
            if args.method.eq_ignore_ascii_case("PATCH") { "application/merge-patch+json" } else { "application/json" };
        call = call.body(media_type.as_deref().unwrap_or(usual), body);
    }
    Ok(call)
}

/// Opens the dashboard.
///
/// # Errors
///
/// If no browser can be started.
pub fn ui(session: &Session, args: &UiArgs) -> anyhow::Result<u8> {
    let address = session.client.server().as_str();
    if args.print {
        session.printer.text(&format!("{address}\n"))?;
        return Ok(0);
    }
    let browser = std::env::var_os("BROWSER").filter(|name| !name.is_empty()).unwrap_or_else(|| "xdg-open".into());
    let failed = || format!("{} cannot be started: open {address} yourself", browser.display());
    Command::new(&browser)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(failed)?;
    session.printer.say(&format!("opening {address}"));
    Ok(0)
}
