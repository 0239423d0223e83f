//! The TLS configuration of clients: trusted servers and client certificates.
//!
//! The crypto provider is named explicitly each time: rustls has no default when a binary links two providers.

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

/// The servers that a client trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Servers whose certificate was signed by an authority of the system.
    #[default]
    System,
    /// Servers whose certificate was signed by an authority in this file (PEM).
    Authorities(PathBuf),
    /// Only the server with the first certificate in this file (PEM), whatever its name. For the health check of a
    /// server on the same host.
    Exactly(PathBuf),
}

/// The servers that a client trusts, and the client's certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// The trusted servers.
    pub trust: Trust,
    /// The client's certificate chain and private key (PEM), for servers that require client certificates.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Security {
    /// Reads the files, and the system's authorities if the client trusts them.
    ///
    /// # Errors
    ///
    /// When a file is invalid; the error names the file.
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
            .map_err(|error| format!("cannot read the private key in {}: {error}", key.display()))?;
        builder
            .with_client_auth_cert(certificates(certificate)?, secret)
            .map_err(|error| format!("cannot use the certificate in {}: {error}", certificate.display()))
    }
}

/// TLS that trusts the system's certificate authorities. Without any authority, all https requests fail, but http
/// requests work.
///
/// # Errors
///
/// When rustls refuses the configuration.
pub fn trusting_the_system() -> Result<ClientConfig, rustls::Error> {
    let (roots, taken) = system_roots();
    if taken == 0 {
        warn!("the system has no certificate authorities, so https requests will fail; install them");
    }
    Ok(builder()?.0.with_root_certificates(roots).with_no_client_auth())
}

/// TLS that trusts no server, for plain http: this avoids reading the system's certificates.
///
/// # Errors
///
/// When rustls refuses the configuration.
pub fn trusting_no_server() -> Result<ClientConfig, rustls::Error> {
    Ok(builder()?.0.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<(ConfigBuilder<ClientConfig, WantsVerifier>, Arc<CryptoProvider>), rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    Ok((builder, provider))
}

/// The system's authorities, and their number. Unreadable certificates are skipped: servers that they have signed are
/// not trusted.
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
            .map_err(|error| format!("cannot use the certificate authority in {}: {error}", file.display()))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error| format!("cannot read the certificates in {}: {error}", file.display());
    let found: Vec<_> =
        CertificateDer::pem_file_iter(file).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if found.is_empty() { Err(nothing_in(file)) } else { Ok(found) }
}

fn nothing_in(file: &Path) -> String {
    format!("{} has no certificate in PEM format", file.display())
}

/// Trusts exactly one certificate, and verifies that the server has the private key.
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
