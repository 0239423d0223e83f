//! TLS: certificates that are reloaded without closing connections, and handshakes that cannot monopolise the CPU.

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

/// The protocols for ALPN (RFC 7301), in the server's order of preference.
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];

/// HTTP/2 with TLS (RFC 9113 section 3.2).
const HTTP_2: &[u8] = b"h2";

/// The files of the certificate, and of the authorities for client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain in PEM, leaf first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
    /// The authorities that must have signed the clients' certificates, in PEM; `None` requires no client certificate.
    pub client_authorities: Option<PathBuf>,
}

/// Why TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file does not have the expected contents.
    #[error("{} has no {what} in PEM format", .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The expected contents.
        what: &'static str,
    },
    /// The files do not match, for example because the key belongs to another certificate.
    #[error("cannot use the certificate in {}", .file.display())]
    Unfit {
        /// The file of the certificate.
        file: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// The authorities for client certificates are invalid.
    #[error("cannot use the certificate authorities in {}: {why}", .file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// The cause.
        why: String,
    },
}

/// The contents of the files.
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

/// The TLS configuration of a server. Clones are cheap, and all clones see a new certificate.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    /// The contents that `config` was built from, or the invalid contents of the last refresh.
    seen: std::sync::Mutex<Option<Contents>>,
    /// Permits for threads that compute handshakes.
    handshakes: Semaphore,
}

impl Tls {
    /// Reads `files`.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or the files do not match.
    pub fn load(files: TlsFiles) -> Result<Tls, TlsError> {
        let contents = files.read()?;
        let config = ArcSwap::from_pointee(files.configure(&contents)?);
        // The other threads continue to answer requests, however many handshakes clients start.
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() / 2).max(1);
        let (seen, handshakes) = (std::sync::Mutex::new(Some(contents)), Semaphore::new(threads));
        Ok(Tls(Arc::new(Inner { files, config, seen, handshakes })))
    }

    /// Reloads the files if they have changed. New connections use the new certificate; open connections continue.
    /// Returns whether the files had changed. Blocks on disk.
    ///
    /// # Errors
    ///
    /// When the new contents are invalid. The previous certificate stays, and each invalid contents are reported only
    /// once.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let mut seen = self.0.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let contents = match self.0.files.read() {
            Ok(contents) => contents,
            // Reported only once, until the files are readable again.
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

    /// Why clients refuse the certificate that was read last, at `now` (since the Unix epoch), if they do.
    pub fn complaint(&self, now: Duration) -> Option<&'static str> {
        let seen = self.0.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let chain = certificates(&self.0.files.certificate, &seen.as_ref()?.certificate).ok()?;
        certificate::complaint(chain.first()?, now)
    }

    /// Performs a TLS handshake within `time`.
    ///
    /// # Errors
    ///
    /// When the client breaks off the handshake, exceeds `time`, or lacks a required certificate.
    pub async fn accept<S>(&self, stream: S, time: Duration) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            // The hello is complete, so the server signs now, which takes a thousand times as long as parsing the
            // hello. The permit is returned before the server waits for the client, so slow clients block no other
            // handshake.
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

/// Returns true if and only if the handshake selected HTTP/2.
pub fn is_http2<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}
