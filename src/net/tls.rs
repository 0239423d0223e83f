//! Which servers a client trusts, and which certificate it shows, when it speaks TLS.
//!
//! The provider of cryptography is named here each time: a program that has two of them has no default one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier,
};
use tracing::warn;

/// Which servers are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those whose certificate is of an authority that the system trusts.
    #[default]
    System,
    /// Those whose certificate is of an authority in this file (PEM).
    Authorities(PathBuf),
    /// The one whose certificate is the first in this file (PEM), whatever name it is for: the health check of a server on the same host.
    Exactly(PathBuf),
}

/// Which servers a client trusts, and who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Which servers it trusts.
    pub trust: Trust,
    /// The client's own certificate and its private key (PEM), for servers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Security {
    /// Reads the files, and the system's authorities if these are trusted.
    ///
    /// # Errors
    ///
    /// When a file cannot be used; the error names it.
    pub fn configure(&self) -> Result<ClientConfig, String> {
        let (builder, provider) = builder().map_err(|error| error.to_string())?;
        let builder = match &self.trust {
            Trust::System => builder.with_root_certificates(system_roots().0),
            Trust::Authorities(file) => builder.with_root_certificates(authorities(file)?),
            Trust::Exactly(file) => {
                let trusted = certificates(file)?.into_iter().next().ok_or_else(|| nothing_in(file))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Exactly { trusted, provider }))
            }
        };
        let Some((certificate, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let secret = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("the private key in {} cannot be read: {error}", key.display()))?;
        builder
            .with_client_auth_cert(certificates(certificate)?, secret)
            .map_err(|error| format!("the certificate in {} cannot be used: {error}", certificate.display()))
    }
}

/// TLS with servers whose certificate is of an authority that the system trusts. Without any such authority no server can
/// be reached by https; http needs none.
///
/// # Errors
///
/// When TLS cannot be set up.
pub fn trusting_the_system() -> Result<ClientConfig, rustls::Error> {
    let (roots, taken) = system_roots();
    if taken == 0 {
        warn!("the system trusts no certificate authority; nothing can be sent by https");
    }
    Ok(builder()?.0.with_root_certificates(roots).with_no_client_auth())
}

/// TLS that trusts no server, for one that speaks plain http: the system's certificates need not be read.
///
/// # Errors
///
/// When TLS cannot be set up.
pub fn trusting_no_server() -> Result<ClientConfig, rustls::Error> {
    Ok(builder()?.0.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<(ConfigBuilder<ClientConfig, WantsVerifier>, Arc<CryptoProvider>), rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    Ok((builder, provider))
}

/// The system's authorities, and how many there are. Those that cannot be read are left out; a server's certificate that
/// none of them has signed is refused.
fn system_roots() -> (RootCertStore, usize) {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    (roots, taken)
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| format!("the authority in {} cannot be used: {error}", file.display()))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error| format!("the certificates in {} cannot be read: {error}", file.display());
    let found: Vec<_> =
        CertificateDer::pem_file_iter(file).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if found.is_empty() { Err(nothing_in(file)) } else { Ok(found) }
}

fn nothing_in(file: &Path) -> String {
    format!("{} holds no certificate in PEM", file.display())
}

/// Trusts one certificate, and checks that its owner signs.
#[derive(Debug)]
struct Exactly {
    trusted: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.trusted {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
