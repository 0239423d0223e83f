//! The tools over standard input and output, for clients that start their servers as child processes.

use std::io;

use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;

use crate::api::Api;
use crate::server::Mcp;

/// Serves one client until it closes standard input. Standard output carries nothing but messages of the protocol.
///
/// # Errors
///
/// If the client does not speak the protocol, or cannot be written to.
pub async fn serve_stdio<A: Api>(mcp: Mcp<A>) -> io::Result<()> {
    match mcp.serve(stdio_pipes()).await {
        Ok(running) => running.waiting().await.map(drop).map_err(io::Error::other),
        // The client has gone before it said anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}
