//! The load: connections that are kept alive, each of which asks again as soon as it is answered.
//!
//! One thread has them all, and takes them in turn. That costs two system calls a request, which is less than any
//! server can do with, so that the server is the limit; [`Load::busy`] shows whether it was.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use crate::cpu;
use crate::wire::Connection;

/// A number of connections to one server.
pub(crate) struct Client {
    connections: Vec<Connection>,
    request: Vec<u8>,
}

/// What a load has come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Which part of the time this client was busy, from 0 to 1.
    pub(crate) busy: f64,
    /// How many answers.
    pub(crate) answers: u64,
}

impl Client {
    /// Opens the connections.
    pub(crate) fn connect(address: SocketAddr, connections: usize) -> anyhow::Result<Client> {
        let connections = (0..connections).map(|_| Connection::open(address)).collect::<Result<_, _>>();
        Ok(Client { connections: connections.context("no connection to the server")?, request: Vec::new() })
    }

    /// Asks for `time`. `write` appends the next request to an empty buffer; all answers must have the status `expected`.
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
