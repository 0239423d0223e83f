//! TLS for tests: an authority, its certificates, and connections that trust it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hyper::{Request, StatusCode};
use plugin_registry::client::{Security, Trust};
use plugin_registry::server::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::within_patience;

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let folder = TempDir::new().expect("no temporary folder");
        std::fs::write(folder.path().join("authority.pem"), issuer.pem()).expect("it cannot be written");
        Authority { issuer, folder }
    }

    /// The file with the authority's own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A certificate for this host, with this common name.
    pub(crate) fn sign(&self, name: &str) -> Signed {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("good names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let place = |what: &str| self.folder.path().join(format!("{name}.{what}.pem"));
        let signed = Signed { certificate: place("certificate"), key: place("key") };
        std::fs::write(&signed.certificate, certificate.pem()).expect("it cannot be written");
        std::fs::write(&signed.key, key.serialize_pem()).expect("it cannot be written");
        signed
    }

    /// The authority's own certificate and key, for a server that presents them.
    pub(crate) fn files_of_its_own(&self) -> Signed {
        let key = self.folder.path().join("authority.key.pem");
        std::fs::write(&key, self.issuer.key().serialize_pem()).expect("it cannot be written");
        Signed { certificate: self.file(), key }
    }

    /// A client that trusts the authority.
    pub(crate) fn security(&self) -> Security {
        Security { trust: Trust::Authorities(self.file()), identity: None }
    }

    /// Connects as a client that trusts the authority, and offers this protocol.
    pub(crate) async fn connect(&self, address: SocketAddr, protocol: &str) -> io::Result<TlsStream<TcpStream>> {
        self.connect_as(address, protocol, None).await
    }

    /// As [`Authority::connect`], with a client certificate.
    pub(crate) async fn connect_as(
        &self,
        address: SocketAddr,
        protocol: &str,
        identity: Option<&Signed>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.file())).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match identity {
            Some(signed) => {
                let key = PrivateKeyDer::from_pem_file(&signed.key).expect("a key");
                builder.with_client_auth_cert(vec![certificate(&signed.certificate)], key).expect("they fit")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.into()];
        let stream = TcpStream::connect(address).await?;
        let handshake = TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream);
        within_patience("the handshake", handshake).await
    }
}

impl Signed {
    /// The files of a server's certificate.
    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.certificate.clone(), key: self.key.clone(), client_authorities: None }
    }

    /// Replaces them with another certificate.
    pub(crate) fn replace_by(&self, other: &Signed) {
        std::fs::copy(&other.certificate, &self.certificate).expect("it cannot be copied");
        std::fs::copy(&other.key, &self.key).expect("it cannot be copied");
    }

    /// Returns true if and only if the server presented this certificate.
    pub(crate) fn was_shown(&self, stream: &TlsStream<TcpStream>) -> bool {
        let shown = stream.get_ref().1.peer_certificates().expect("a certificate was shown");
        shown[0] == certificate(&self.certificate)
    }
}

fn certificate(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).expect("a certificate")
}

/// Sends a request over HTTP/1.1, and returns all bytes until the end.
pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    within_patience("the answer", stream.read_to_end(&mut answer)).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// An HTTP/2 connection.
pub(crate) struct Http2 {
    pub(crate) send: h2::client::SendRequest<Bytes>,
    /// Completes when the connection ends.
    pub(crate) connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    /// Connects with the settings of `builder`.
    pub(crate) async fn begin(stream: TlsStream<TcpStream>, builder: &h2::client::Builder) -> Http2 {
        let (send, connection) = within_patience("the preface", builder.handshake(stream)).await.expect("HTTP/2");
        Http2 { send, connection: tokio::spawn(connection) }
    }

    /// Sends the head of a request.
    pub(crate) async fn request(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> Result<(h2::client::ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        self.send = within_patience("a stream", self.send.clone().ready()).await?;
        self.send.send_request(request, ends)
    }

    /// Sends a request, and returns status and body.
    pub(crate) async fn get(&mut self, path: &str) -> (StatusCode, Bytes) {
        let request = Request::get(format!("https://localhost{path}")).body(()).unwrap();
        let (response, _) = self.request(request, true).await.expect("it can be asked");
        let response = within_patience("the answer", response).await.expect("an answer");
        let (parts, body) = response.into_parts();
        (parts.status, whole(body).await.expect("a whole body"))
    }

    /// Waits until the server closes the connection.
    pub(crate) async fn ended(self) {
        drop(self.send);
        // The connection is closed with or without an error.
        drop(within_patience("the end of the connection", self.connection).await);
    }
}

/// Reads a body to its end.
pub(crate) async fn whole(mut body: h2::RecvStream) -> Result<Bytes, h2::Error> {
    let mut all = Vec::new();
    while let Some(part) = within_patience("the body", body.data()).await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        all.extend_from_slice(&part);
    }
    Ok(all.into())
}
