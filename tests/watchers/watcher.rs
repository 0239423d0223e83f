//! One watcher, which breaks off at random and comes back with `Last-Event-ID`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::service::Address;
use crate::writer::{self, Truth};

/// The changes of every plugin, once all is written.
type Told = watch::Receiver<Option<Arc<Truth>>>;

/// What a watcher asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Filter {
    Everything,
    Category(usize),
    Label(usize),
    LocalOfCategory(usize),
    Plugin(usize, usize),
}

impl Filter {
    fn query(self) -> String {
        match self {
            Filter::Everything => String::new(),
            Filter::Category(category) => format!("&category=k{category}"),
            Filter::Label(category) => format!("&label.team=k{category}"),
            Filter::LocalOfCategory(category) => format!("&execution=local&category=k{category}"),
            Filter::Plugin(category, name) => format!("&plugin=k{category}_p{name}"),
        }
    }

    /// The revisions that it is to see.
    fn expected(self, truth: &Truth) -> Vec<u64> {
        let of = |category: usize, name: usize| truth.get(&writer::id(category, name)).into_iter().flatten().copied();
        let mut revisions: Vec<u64> = match self {
            Filter::Everything => truth.values().flatten().copied().collect(),
            Filter::Category(category) | Filter::Label(category) | Filter::LocalOfCategory(category) => {
                (0..writer::PLUGINS_OF_EACH).flat_map(|name| of(category, name)).collect()
            }
            Filter::Plugin(category, name) => of(category, name).collect(),
        };
        revisions.sort_unstable();
        revisions
    }
}

/// A watcher at work.
pub(crate) struct Watcher {
    filter: Filter,
    address: Address,
    written: watch::Receiver<u64>,
    truth: Told,
    expected: Option<Vec<u64>>,
    chance: u64,
    seen: Vec<u64>,
    last_event_id: Option<String>,
    resumes: u64,
    turned_away: u64,
}

/// What a watcher has seen in the end: all of it.
pub(crate) struct Watched {
    pub(crate) resumes: u64,
    pub(crate) turned_away: u64,
    pub(crate) seen: usize,
}

/// Why a connection was given up.
enum End {
    /// There is nothing more to come.
    Done,
    /// The service, or the watcher itself, broke off.
    BrokenOff,
    /// The service has too much to do, and is to be asked again after so many seconds.
    TurnedAway(u64),
}

impl Watcher {
    pub(crate) fn new(number: usize, address: Address, written: watch::Receiver<u64>, truth: Told) -> Watcher {
        let chance = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
        let filter = crate::filter_of(number);
        Watcher {
            filter,
            address,
            written,
            truth,
            expected: None,
            chance,
            seen: Vec::new(),
            last_event_id: None,
            resumes: 0,
            turned_away: 0,
        }
    }

    /// Watches until it has seen all there is; tells what it has not seen, or not in order.
    pub(crate) async fn run(mut self) -> Result<Watched, String> {
        loop {
            let address = *self.address.wait_for(Option::is_some).await.expect("the service lives");
            // An error is that of a service which was killed.
            match self.watch(address.expect("it is there")).await {
                Ok(End::Done) => break,
                Ok(End::BrokenOff) | Err(_) => {
                    self.resumes += 1;
                    // Not before something was written meanwhile. That the writer has gone away is no failure.
                    self.written.mark_unchanged();
                    drop(self.written.changed().await);
                }
                Ok(End::TurnedAway(seconds)) => {
                    self.turned_away += 1;
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
            }
        }
        let expected = self.expected.expect("it is done");
        match self.seen.iter().zip(&expected).position(|(seen, expected)| seen != expected) {
            None if self.seen.len() == expected.len() => {
                Ok(Watched { resumes: self.resumes, turned_away: self.turned_away, seen: self.seen.len() })
            }
            place => {
                let place = place.unwrap_or(self.seen.len().min(expected.len()));
                let (saw, should) = (self.seen.get(place), expected.get(place));
                Err(format!(
                    "{:?} saw {saw:?} where {should:?} was to come, after {} resumes",
                    self.filter, self.resumes
                ))
            }
        }
    }

    /// Whether it has seen the last of what it is to see, once that is known.
    fn is_done(&mut self) -> bool {
        if self.expected.is_none() {
            self.expected = self.truth.borrow().as_ref().map(|truth| self.filter.expected(truth));
        }
        self.expected.as_ref().is_some_and(|expected| self.seen.last() >= expected.last())
    }

    /// Watches on one connection.
    async fn watch(&mut self, address: SocketAddr) -> std::io::Result<End> {
        let mut stream = TcpStream::connect(address).await?;
        let resume = self.last_event_id.as_ref().map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        // HTTP/1.0: the body comes as it is, and ends with the connection.
        let request =
            format!("GET /events?after=0{} HTTP/1.0\r\nAccept: text/event-stream\r\n{resume}\r\n", self.filter.query());
        stream.write_all(request.as_bytes()).await?;
        // Longer for those who see more: whoever breaks off all the time never catches up.
        let patience = match self.filter {
            Filter::Everything => 4_000,
            Filter::Plugin(..) => 40,
            _ => 150,
        };
        let patience = self.seen.len() + self.random(patience);
        let (mut buffer, mut is_header) = (Vec::with_capacity(16 * 1024), true);
        let mut truth = self.truth.clone();
        loop {
            tokio::select! {
                read = stream.read_buf(&mut buffer) => if read? == 0 { return Ok(End::BrokenOff) },
                // Perhaps it has seen everything by then, and nothing more will come.
                told = truth.changed() => told.expect("the test lives"),
            }
            let separator: &[u8] = if is_header { b"\r\n\r\n" } else { b"\n\n" };
            if is_header && let Some(end) = find(&buffer, separator) {
                let head: Vec<u8> = buffer.drain(..end + 4).collect();
                let head = String::from_utf8_lossy(&head);
                if head.starts_with("HTTP/1.0 503") {
                    let after = head.lines().find_map(|line| line.strip_prefix("retry-after: "));
                    return Ok(End::TurnedAway(after.and_then(|after| after.parse().ok()).expect("when to come back")));
                }
                assert!(head.starts_with("HTTP/1.0 200"), "{head}");
                is_header = false;
            }
            if !is_header {
                let mut from = 0;
                while let Some(end) = find(&buffer[from..], b"\n\n") {
                    self.receive(&buffer[from..from + end]);
                    from += end + 2;
                    if self.seen.len() > patience && self.expected.is_none() {
                        return Ok(End::BrokenOff);
                    }
                }
                buffer.drain(..from);
            }
            if self.is_done() {
                return Ok(End::Done);
            }
        }
    }

    /// Takes a block of the stream: an event, perhaps after comments.
    fn receive(&mut self, block: &[u8]) {
        let block = str::from_utf8(block).expect("a stream of events is UTF-8");
        let id = block.lines().find_map(|line| line.strip_prefix("id: "));
        let Some(id) = id else { return };
        self.last_event_id = Some(id.to_owned());
        if block.lines().any(|line| matches!(line, "event: change" | "event: removal")) {
            let revision = id.rsplit('-').next().and_then(|revision| revision.parse().ok());
            self.seen.push(revision.expect("an id ends with its revision"));
        }
    }

    /// A number from 0 to less than `below`, by chance, and the same in every run (SplitMix64).
    fn random(&mut self, below: u64) -> usize {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below).expect("a small number")
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
