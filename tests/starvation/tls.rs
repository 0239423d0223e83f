//! Those who are slow over TLS and HTTP/2.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// How many connections of each of the four kinds. A handshake costs both sides a thousand times as much as a header.
const SECURE_OF_EACH: usize = 250;

/// A way to be slow.
#[derive(Clone, Copy, Debug)]
enum SlowTls {
    /// A handshake of which a byte comes every second.
    Handshake,
    /// HTTP/1.1, a header of which a byte comes every second.
    Header,
    /// HTTP/2, a ping every second, and no request.
    Pings,
    /// HTTP/2, a header that does not end, of which a byte comes every second.
    Frames,
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_connections_over_tls_are_closed_while_a_good_client_is_served() {
    let _alone = ALONE.lock().await;
    let home = tempfile::tempdir().expect("a temporary folder");
    let (certificate, key) = signed(home.path());
    let flags = ["--tls-cert", &certificate.display().to_string(), "--tls-key", &key.display().to_string()];
    let store = format!("sqlite:{}", home.path().join("registry.db").display());
    let (_daemon, address) = serve(&store, &flags).await;
    let (stop, stopped) = watch::channel(false);
    let good = tokio::spawn(good_client(connector(&certificate, b"http/1.1"), address, stopped));

    let mut slow = JoinSet::new();
    for kind in [SlowTls::Handshake, SlowTls::Header, SlowTls::Pings, SlowTls::Frames] {
        let protocol: &[u8] = if matches!(kind, SlowTls::Header) { b"http/1.1" } else { b"h2" };
        let connector = connector(&certificate, protocol);
        for _ in 0..SECURE_OF_EACH {
            slow.spawn(closed_by_server(connector.clone(), address, kind));
        }
    }
    let mut not_closed = Vec::new();
    while let Some(ended) = slow.join_next().await {
        not_closed.extend(ended.expect("the connection's task lives").err());
    }
    stop.send_replace(true);
    tell(4 * SECURE_OF_EACH, good.await.expect("the good client saw no error"));
    assert!(not_closed.is_empty(), "{} connections were left open, for example {:?}", not_closed.len(), not_closed[0]);
}

/// A certificate for localhost, and its key.
fn signed(home: &Path) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a good name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let (certificate_file, key_file) = (home.join("certificate.pem"), home.join("key.pem"));
    std::fs::write(&certificate_file, certificate.pem()).expect("it can be written");
    std::fs::write(&key_file, key.serialize_pem()).expect("it can be written");
    (certificate_file, key_file)
}

fn connector(certificate: &Path, protocol: &[u8]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).expect("a certificate")).expect("it can be trusted");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("TLS").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(connector: &TlsConnector, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    connector.connect("localhost".try_into().expect("a name"), stream).await.expect("a handshake")
}

/// Connects and asks, in turns, until it is told to stop. Any error is a panic.
async fn good_client(connector: TlsConnector, address: SocketAddr, stopped: watch::Receiver<bool>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while !*stopped.borrow() {
        let mut stream = connect(&connector, address).await;
        for _ in 0..20 {
            let began = Instant::now();
            stream.write_all(b"GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it can be asked");
            let mut answer = vec![0; 16 * 1024];
            let read = stream.read(&mut answer).await.expect("an answer");
            assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
            latencies.push(began.elapsed());
        }
    }
    latencies
}

/// Is slow in one way, until the server ends the connection.
async fn closed_by_server(connector: TlsConnector, address: SocketAddr, kind: SlowTls) -> Result<(), SlowTls> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0plugins!";
    // HEADERS of stream 1 with one field, `:method: GET`, without END_HEADERS; CONTINUATION with nothing.
    const HEADERS: &[u8] = b"\0\0\x01\x01\0\0\0\0\x01\x82";
    const CONTINUATION: &[u8] = b"\0\0\0\x09\0\0\0\0\x01";
    let over = match kind {
        SlowTls::Handshake => {
            let stream = TcpStream::connect(address).await.expect("a connection");
            ended(stream, &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], &[0]).await
        }
        SlowTls::Header => {
            let first = b"GET /plugins HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
            ended(connect(&connector, address).await, first, b"a").await
        }
        SlowTls::Pings => ended(connect(&connector, address).await, PREFACE, PING).await,
        SlowTls::Frames => {
            let first = [PREFACE, HEADERS].concat();
            ended(connect(&connector, address).await, &first, CONTINUATION).await
        }
    };
    over.map_err(|()| kind)
}
