//! `GET /events` live: the cost of watchers to the writer, and the delay of their events.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use plugin_registry::store::StoreUrl;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::documents;
use crate::samples::Samples;
use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table};
use crate::wire::{Connection, post};

/// The concurrent clients that register plugins.
const WRITERS: usize = 64;

/// Watchers of every change.
const CONCERNED: usize = 100;

/// Watchers of other plugins.
const UNCONCERNED: usize = 5_000;

/// Watchers whose delay is measured.
const TIMED: usize = 1_000;

/// The timed changes in a round.
const TIMED_CHANGES: usize = 10;

/// The sleep of a reader that has found no data.
const PAUSE: Duration = Duration::from_millis(2);

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, _stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).context("too few open files")?;
    let open = |name: &'static str| {
        let threads = std::thread::available_parallelism()?.get();
        let store = StoreUrl::Sqlite(settings.folder.path().join(format!("{name}.db")));
        Server::ours(name, threads, stores::open(&store)?)
    };
    let unwatched = open("unwatched")?;
    let concerned = open("concerned")?;
    let unconcerned = open("unconcerned")?;
    let timed = open("timed")?;
    let readers = Readers::start((0..CONCERNED).map(|_| watch(concerned.address, "")).collect::<Result<_, _>>()?);
    let elsewhere = |number| watch(unconcerned.address, &format!("?label.team=other-{number}"));
    let _elsewhere = (0..UNCONCERNED).map(elsewhere).collect::<Result<Vec<_>, _>>()?;
    let mut waiting = Waiting::of(&timed)?;

    let sides = [Side::of(unwatched, WRITERS)?, Side::of(concerned, WRITERS)?, Side::of(unconcerned, WRITERS)?];
    let [mut unwatched, mut concerned, mut unconcerned] = sides;
    let mut registered = 0;
    let mut next = |request: &mut Vec<u8>| {
        registered += 1;
        post(request, "/plugins", &documents::idle(registered));
    };
    for _ in 0..settings.rounds {
        for side in [&mut unwatched, &mut concerned, &mut unconcerned] {
            side.measure(settings.time, 201, &mut next)?;
        }
        waiting.measure()?;
    }
    readers.stop()?;
    let none = (&unwatched.rates, "/s, no watchers");
    let what = format!("Register durably, with {UNCONCERNED} watchers of something else");
    table.compare(&what, (&unconcerned.rates, "/s"), none, Aim::AtLeast(0.9));
    table.tell(&format!("… with {CONCERNED} watchers of everything"), (&concerned.rates, "/s"), none);
    let what = format!("From the request to the event at {TIMED} watchers: 99 % within");
    table.judge(&what, (&waiting.slow, "ms"), (&waiting.usual, "ms for half of them"), Aim::AtMost(50.0));
    table.note(format!(
        "Watchers: {WRITERS} connections register; the watchers' readers share the processors. The time of a change is \
         from sending the request to having read its event at each watcher, one after the other, the commit included."
    ));
    Ok(())
}

/// Opens a stream of events, and waits for its first bytes.
fn watch(address: SocketAddr, query: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!("GET /events{query} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    read_to(&mut stream, b"retry: 3000\n\n")?;
    Ok(stream)
}

/// Reads until `end` arrives.
fn read_to(stream: &mut TcpStream, end: &[u8]) -> anyhow::Result<()> {
    let mut buffer = Vec::new();
    let mut piece = [0; 16 * 1024];
    while memchr::memmem::find(&buffer, end).is_none() {
        let read = stream.read(&mut piece)?;
        ensure!(read > 0, "a stream of events has ended");
        buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    Ok(())
}

/// A thread that reads streams and discards their data.
struct Readers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Readers {
    fn start(streams: Vec<TcpStream>) -> Readers {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut piece = vec![0; 64 * 1024];
            streams.iter().try_for_each(|stream| stream.set_nonblocking(true))?;
            while !stopped.load(Ordering::Relaxed) {
                for mut stream in &streams {
                    match stream.read(&mut piece) {
                        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                        Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                        _ => {}
                    }
                }
                std::thread::sleep(PAUSE);
            }
            Ok(())
        });
        Readers { stop, thread }
    }

    fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join().map_err(|_| anyhow::anyhow!("the reading thread panicked"))?;
        ended.context("a watcher of everything was cut off")
    }
}

/// Watchers that wait for a change, and the client that makes it.
struct Waiting {
    watchers: Vec<TcpStream>,
    writer: Connection,
    made: usize,
    usual: Samples,
    slow: Samples,
}

impl Waiting {
    fn of(server: &Server) -> anyhow::Result<Waiting> {
        let watchers = (0..TIMED).map(|_| watch(server.address, "?category=watched")).collect::<Result<_, _>>()?;
        let writer = Connection::open(server.address)?;
        Ok(Waiting { watchers, writer, made: 0, usual: Samples::default(), slow: Samples::default() })
    }

    /// Makes some changes, and records the median and the 99th percentile of the delays, in milliseconds.
    fn measure(&mut self) -> anyhow::Result<()> {
        let mut waits = Vec::with_capacity(TIMED * TIMED_CHANGES);
        for _ in 0..TIMED_CHANGES {
            self.made += 1;
            let name = self.made;
            let mut request = Vec::new();
            let document = format!(r#"{{"category":"watched","name":"n{name}","title":"t","config_schema":{{}}}}"#);
            post(&mut request, "/plugins", &document);
            let begin = Instant::now();
            self.writer.send(&request)?;
            for watcher in &mut self.watchers {
                read_to(watcher, b"}\n\n")?;
                waits.push(begin.elapsed().as_secs_f64() * 1e3);
            }
            ensure!(self.writer.receive()?.status == 201, "a plugin was not registered");
        }
        waits.sort_by(f64::total_cmp);
        let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or(f64::NAN);
        self.usual.push(at(50));
        self.slow.push(at(99));
        Ok(())
    }
}
