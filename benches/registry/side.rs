//! One side of a comparison: a server with its client, and its measured values.

use std::time::Duration;

use crate::cpu;
use crate::load::Client;
use crate::samples::Samples;
use crate::server::Server;

/// A server under measurement.
pub(crate) struct Side {
    /// Responses a second.
    pub(crate) rates: Samples,
    /// The server's processor time per response, in microseconds.
    pub(crate) costs: Samples,
    /// The share of the time during which its client was busy, from 0 to 1.
    pub(crate) busy: Samples,
    client: Client,
    server: Server,
}

impl Side {
    /// Connects to a server.
    pub(crate) fn of(server: Server, connections: usize) -> anyhow::Result<Side> {
        let client = Client::connect(server.address, connections)?;
        let none = Samples::default();
        Ok(Side { rates: none.clone(), costs: none.clone(), busy: none, client, server })
    }

    /// Measures a round. `write` appends the next request to an empty buffer; every response must have `status`.
    pub(crate) fn measure(
        &mut self,
        time: Duration,
        status: u16,
        write: impl FnMut(&mut Vec<u8>),
    ) -> anyhow::Result<()> {
        let before = cpu::of_threads(self.server.name)?;
        let load = self.client.ask(time, status, write)?;
        let spent = cpu::of_threads(self.server.name)? - before;
        self.rates.push(load.rate);
        self.costs.push(spent * 1e6 / load.answers as f64);
        self.busy.push(load.busy);
        Ok(())
    }
}
