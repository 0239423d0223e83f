//! `mcp`: the tools for AI agents over standard input and output.
//!
//! Each question of a tool is a request to the registry, with the token of this command. A registry that is away makes a
//! tool fail, and nothing else: the client goes on with its other servers, and asks again later.

use clap::Args;
use hyper::StatusCode;
use hyper::header::HeaderName;
use registry_mcp::{Api, ApiReply, ApiRequest, Caller, Mcp, Unanswered};
use serde_json::json;

use super::connection::ConnectionArgs;
use crate::client::{Call, Client, ClientError};

/// The header field with the reason of a change.
const REASON: HeaderName = HeaderName::from_static("registry-reason");

/// The flags of `mcp`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  plugin-registry mcp                            for the registry of the current context
  plugin-registry mcp --server https://registry.example --token-file /etc/agent.token

AI agents start it: see docs/guide/agents.md for the configuration of known clients. Registries also answer at /mcp.")]
pub struct McpArgs {
    /// Which registry.
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Serves one client of the Model Context Protocol, until it closes standard input.
///
/// # Errors
///
/// If a setting is invalid, or the client does not speak the protocol.
pub fn run(args: &McpArgs) -> anyhow::Result<u8> {
    let tools = Mcp::new(Remote(args.connection.client()?), env!("CARGO_PKG_VERSION"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(registry_mcp::serve_stdio(tools))?;
    Ok(0)
}

/// A registry elsewhere.
#[derive(Debug, Clone)]
struct Remote(Client);

impl Api for Remote {
    async fn send(&self, request: ApiRequest, _caller: Caller) -> Result<ApiReply, Unanswered> {
        let mut call = Call::encoded(request.method, &request.target).map_err(|error| Unanswered(error.to_string()))?;
        if let Some(body) = &request.body {
            call = call.json(body);
        }
        if let Some(reason) = request.reason {
            call = call.header(REASON, reason);
        }
        let answer = match self.0.call(&call).await {
            Ok(answer) => answer,
            Err(error) => return refusal(&error),
        };
        let body = answer.json().map_err(|error| unanswered(&error))?;
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        Ok(ApiReply { status, revision: answer.revision(), body })
    }
}

/// A refusal as the registry's own reply.
fn refusal(error: &ClientError) -> Result<ApiReply, Unanswered> {
    let ClientError::Refused { status, problem, .. } = error else { return Err(unanswered(error)) };
    let advice = match status {
        401 => {
            " Give the command `plugin-registry mcp` a token: `--token-file FILE` in the client's configuration, or \
                `plugin-registry login` once."
        }
        403 => " `plugin-registry whoami` shows what the token may do.",
        _ => "",
    };
    let body = json!({"title": problem.title, "detail": format!("{}{advice}", problem.detail)});
    Ok(ApiReply { status: StatusCode::from_u16(*status).unwrap_or_default(), revision: None, body })
}

fn unanswered(error: &ClientError) -> Unanswered {
    let advice = match error {
        ClientError::Unreachable { .. } | ClientError::NotARegistry { .. } => {
            "Start the registry, or give the command `plugin-registry mcp` another address with `--server` in the \
             client's configuration. Then ask again: this server need not be restarted for a registry that was away."
        }
        _ => "`plugin-registry context show` tells which registry is asked, and why.",
    };
    Unanswered(format!("{}. {advice}", error.with_causes()))
}
