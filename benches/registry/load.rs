//! The load: keep-alive connections, each of which sends its next request after each response.
//!
//! One thread drives all of them in turn. It needs two system calls a request, fewer than any server, so the server
//! is the bottleneck; [`Load::busy`] shows whether it was.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use crate::cpu;
use crate::wire::Connection;

/// Some connections to one server.
pub(crate) struct Client {
    connections: Vec<Connection>,
    request: Vec<u8>,
}

/// The result of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Responses a second.
    pub(crate) rate: f64,
    /// The share of the time during which this client was busy, from 0 to 1.
    pub(crate) busy: f64,
    /// The number of responses.
    pub(crate) answers: u64,
}

impl Client {
    /// Opens the connections.
    pub(crate) fn connect(address: SocketAddr, connections: usize) -> anyhow::Result<Client> {
        let connections = (0..connections).map(|_| Connection::open(address)).collect::<Result<_, _>>();
        Ok(Client { connections: connections.context("no connection to the server")?, request: Vec::new() })
    }

    /// Sends requests for `time`. `write` appends the next request to an empty buffer; all responses must have the
    /// status `expected`.
    pub(crate) fn ask(
        &mut self,
        time: Duration,
        expected: u16,
        mut write: impl FnMut(&mut Vec<u8>),
    ) -> anyhow::Result<Load> {
        let (begin, busy) = (Instant::now(), cpu::of_this_thread()?);
        for connection in &mut self.connections {
            send(connection, &mut self.request, &mut write)?;
        }
        let mut answers = 0;
        let mut goes_on = true;
        while goes_on {
            goes_on = begin.elapsed() < time;
            for connection in &mut self.connections {
                let status = connection.receive()?.status;
                ensure!(status == expected, "the server answered {status} instead of {expected}");
                answers += 1;
                if goes_on {
                    send(connection, &mut self.request, &mut write)?;
                }
            }
        }
        let elapsed = begin.elapsed().as_secs_f64();
        let busy = cpu::of_this_thread()? - busy;
        Ok(Load { rate: answers as f64 / elapsed, busy: busy / elapsed, answers })
    }
}

fn send(
    connection: &mut Connection,
    request: &mut Vec<u8>,
    write: &mut impl FnMut(&mut Vec<u8>),
) -> anyhow::Result<()> {
    request.clear();
    write(request);
    Ok(connection.send(request)?)
}
