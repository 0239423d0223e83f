//! The way from a replica to the database: a TCP proxy that can be cut, or swallow what comes back.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It arrives.
    Fair,
    /// It does not arrive, in either direction, and nobody is told: the connections stand.
    Silent,
    /// What the database answers does not arrive; what it is asked does.
    Deaf,
    /// The connections are broken, and no new ones are made.
    Broken,
}

/// A way.
pub(crate) struct Network {
    /// Where it begins.
    pub(crate) port: u16,
    weather: Arc<watch::Sender<Weather>>,
}

impl Network {
    /// A way to a port of this host.
    pub(crate) async fn to(port: u16) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let begin = listener.local_addr().expect("it is bound").port();
        let weather = Arc::new(watch::Sender::new(Weather::Fair));
        let forecast = Arc::clone(&weather);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(connect(near, port, forecast.subscribe()));
            }
        });
        Network { port: begin, weather }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn connect(near: TcpStream, port: u16, mut weather: watch::Receiver<Weather>) {
    if *weather.borrow() == Weather::Broken {
        return;
    }
    // A silent network lets nobody connect; the one who waits gives up by itself.
    drop(weather.wait_for(|weather| matches!(weather, Weather::Fair | Weather::Broken)).await);
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let passes_there = |weather: &Weather| matches!(weather, Weather::Fair | Weather::Deaf);
    let passes_back = |weather: &Weather| matches!(weather, Weather::Fair);
    tokio::select! {
        () = carry(near_read, far_write, weather.clone(), passes_there) => {}
        () = carry(far_read, near_write, weather.clone(), passes_back) => {}
        _ = weather.wait_for(|weather| *weather == Weather::Broken) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    passes: impl Fn(&Weather) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if weather.wait_for(&passes).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
