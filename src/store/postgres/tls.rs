//! TLS to the database, by libpq's `sslmode`
//! (<https://www.postgresql.org/docs/15/libpq-ssl.html#LIBPQ-SSL-PROTECTION>).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::StoreError;

/// The certificates that the client accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Any certificate: traffic is encrypted, but an attacker may pose as the database.
    Anybody,
    /// A certificate for the host, signed by an authority in this file; `None` for the system's authorities.
    Authorities(Option<String>),
}

impl Trust {
    /// The meaning of `sslmode` and `sslrootcert`. As in libpq, `require` with a file of authorities means `verify-ca`.
    /// Here `verify-ca` means `verify-full`, because no mode checks the authority alone.
    pub fn of(mode: Option<&str>, root: Option<String>) -> Result<(SslMode, Trust), String> {
        Ok(match (mode.unwrap_or("prefer"), root) {
            ("disable", _) => (SslMode::Disable, Trust::Anybody),
            ("prefer", _) => (SslMode::Prefer, Trust::Anybody),
            ("require", None) => (SslMode::Require, Trust::Anybody),
            ("require" | "verify-ca" | "verify-full", root) => (SslMode::Require, Trust::Authorities(root)),
            (other, _) => {
                return Err(format!(
                    "`sslmode={other}` is unknown; use disable, prefer, require, verify-ca or verify-full"
                ));
            }
        })
    }

    /// A connector for TLS.
    ///
    /// # Errors
    ///
    /// If the authorities cannot be read.
    pub fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::unusable("TLS cannot be set up", error))?;
        let config = match self {
            Trust::Anybody => config.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
            Trust::Authorities(file) => config.with_root_certificates(authorities(file.as_deref())?),
        };
        Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
    }
}

fn authorities(file: Option<&str>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let unreadable = |error| StoreError::unusable(format!("sslrootcert {file} cannot be read"), error);
            for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
                let certificate = certificate.map_err(unreadable)?;
                roots.add(certificate).map_err(|error| {
                    StoreError::unusable(format!("sslrootcert {file} holds something other than certificates"), error)
                })?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(StoreError::refused(
            "there is no authority to check the database's certificate with; add one with sslrootcert=FILE",
        ));
    }
    Ok(roots)
}

/// Accepts every certificate, as `sslmode=require` does, and checks that the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
