//! TLS: certificates from files, replaced while connections go on, and handshakes that cannot take the processor away.

use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate;

/// What is spoken over a connection, as ALPN (RFC 7301) has it: the first that the client knows, too.
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];

/// HTTP/2 over TLS (RFC 9113 section 3.2).
const HTTP_2: &[u8] = b"h2";

/// Where the certificate is, and whom it is shown to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those between it and its authority after it, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// The authorities whose certificates clients must have, in PEM; without it, clients need none.
    pub client_authorities: Option<PathBuf>,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", .file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what} in PEM", .file.display())]
    Malformed {
        /// Which.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The parts do not fit together, for example a key of another certificate.
    #[error("the certificate in {} cannot be used", .file.display())]
    Unfit {
        /// The file of the certificate.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities of clients cannot be used.
    #[error("the authorities in {} cannot be used: {why}", .file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

/// What was in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

impl TlsFiles {
    fn read(&self) -> Result<Contents, TlsError> {
        let read =
            |file: &Path| std::fs::read(file).map_err(|source| TlsError::Unreadable { file: file.to_owned(), source });
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_authorities: self.client_authorities.as_deref().map(read).transpose()?,
        })
    }

    fn configure(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let unfit = |source| TlsError::Unfit { file: self.certificate.clone(), source };
        let chain = certificates(&self.certificate, &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| TlsError::Malformed { file: self.key.clone(), what: "private key" })?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?;
        let builder = match (&self.client_authorities, &contents.client_authorities) {
            (Some(file), Some(text)) => {
                let wrong = |why: String| TlsError::Authorities { file: file.clone(), why };
                let mut roots = RootCertStore::empty();
                for authority in certificates(file, text)? {
                    roots.add(authority).map_err(|error| wrong(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| wrong(error.to_string()))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unfit)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(config)
    }
}

fn certificates(file: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let malformed = || TlsError::Malformed { file: file.to_owned(), what: "certificate" };
    let found = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(|_| malformed())?;
    if found.is_empty() { Err(malformed()) } else { Ok(found) }
}

/// The server's side of TLS. Cheap to clone; all clones see a new certificate.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    /// What `config` was made of, or what could not be used when it was looked at last.
    seen: std::sync::Mutex<Option<Contents>>,
    /// How many threads may work on handshakes at a time.
    handshakes: Semaphore,
}

impl Tls {
    /// TLS with what is in `files` now.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or what is in them does not fit together.
    pub fn load(files: TlsFiles) -> Result<Tls, TlsError> {
        let contents = files.read()?;
        let config = ArcSwap::from_pointee(files.configure(&contents)?);
        // The others go on answering requests, however many handshakes are asked for.
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() / 2).max(1);
        let (seen, handshakes) = (std::sync::Mutex::new(Some(contents)), Semaphore::new(threads));
        Ok(Tls(Arc::new(Inner { files, config, seen, handshakes })))
    }

    /// Looks whether the files have changed; if so, connections to come are shown the new certificate, and those that
    /// there are go on. Returns whether that is so. It waits for a disk.
    ///
    /// # Errors
    ///
    /// When what is there now cannot be used: then all is as before. The same contents are told of once.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let mut seen = self.0.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let contents = match self.0.files.read() {
            Ok(contents) => contents,
            // Told of until it can be read again, once.
            Err(error) => return if seen.take().is_some() { Err(error) } else { Ok(false) },
        };
        if seen.as_ref() == Some(&contents) {
            return Ok(false);
        }
        let config = self.0.files.configure(&contents);
        *seen = Some(contents);
        self.0.config.store(Arc::new(config?));
        Ok(true)
    }

    /// What clients will not like, `now` (since the Unix epoch), about the certificate that was read last.
    pub fn complaint(&self, now: Duration) -> Option<&'static str> {
        let seen = self.0.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let chain = certificates(&self.0.files.certificate, &seen.as_ref()?.certificate).ok()?;
        certificate::complaint(chain.first()?, now)
    }

    /// Makes a handshake with a client, within `time`.
    ///
    /// # Errors
    ///
    /// When the client breaks it off, takes too long, or has no certificate that is asked for.
    pub async fn accept<S>(&self, stream: S, time: Duration) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            // Now that all is there, our signature is made, which takes a thousand times as long as the client's hello. The
            // place is given back before the client is waited for: one that is slow keeps it from nobody.
            let place = self.0.handshakes.acquire().await.map_err(io::Error::other)?;
            let mut handshake = pin!(start.into_stream(self.0.config.load_full()));
            let first = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
            drop(place);
            match first {
                Poll::Ready(done) => done,
                Poll::Pending => handshake.await,
            }
        };
        tokio::time::timeout(time, handshake).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// Returns true if and only if the handshake has led to HTTP/2.
pub fn is_http2<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}
