//! The Model Context Protocol (MCP) for a plugin registry.
//!
//! AI agents start processes, and lose them. Through these tools an agent asks whose a process is, what is left over,
//! what it costs, and what the next safe step is. No tool stops anything.
//!
//! Each tool is one or two requests to the registry's HTTP API, sent with the credentials of the caller. Rights, scopes,
//! limits and masking are therefore the API's own.
//!
//! | file | what is there |
//! |---|---|
//! | [`api`] | how a tool reaches the HTTP API: the service implements [`Api`] in its own process |
//! | [`arguments`], [`answers`] | what the tools take and return; their schemas come from these types |
//! | [`tools`] | the tools |
//! | [`server`] | the handshake, the resource template, and the service over HTTP |
//! | [`stdio`] | the same tools over standard input and output |

pub mod answers;
pub mod api;
pub mod arguments;
mod clipped;
pub mod server;
pub mod stdio;
pub mod tools;

pub use api::{Api, ApiReply, ApiRequest, Caller, Unanswered};
pub use server::{Mcp, http_service};
pub use stdio::serve_stdio;
