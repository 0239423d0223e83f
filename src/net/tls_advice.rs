//! Remedies for a failed TLS connection. rustls reports what is wrong, and this adds the remedy.
//!
//! It searches any chain of causes, so it serves every client that uses rustls.
//!
//! The remedy depends on where a client has its authorities and its certificate from.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::cause::Cause;

/// Where a client has its authorities and its certificate from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// The flags of a command that connects to a registry.
    Flags,
    /// The system's store of authorities, without a certificate: webhooks, probes and traces.
    System,
}

/// The remedy for an error, to append to a message that names the error; empty if there is none.
pub fn hint(error: &(dyn Error + 'static), set_by: SetBy) -> String {
    advice(error, set_by).map(|advice| format!("; {advice}")).unwrap_or_default()
}

/// The remedy for an error that TLS has caused.
pub fn advice(error: &(dyn Error + 'static), set_by: SetBy) -> Option<&'static str> {
    match cause::<TlsError>(error)? {
        TlsError::InvalidCertificate(wrong) => of_certificate(wrong, set_by),
        TlsError::InvalidMessage(_) => {
            Some("the server does not serve TLS on that port; write the address with http://")
        }
        TlsError::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate | AlertDescription::UnknownCA,
        ) => Some(match set_by {
            SetBy::Flags => {
                "the server requires a client certificate of an authority that it trusts; give one with --client-cert \
                 and --client-key"
            }
            SetBy::System => "the server requires a client certificate, which the registry does not have here",
        }),
        TlsError::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
        | TlsError::PeerIncompatible(_) => {
            Some("server and client share no version or cipher of TLS; both must support TLS 1.2 or 1.3")
        }
        _ => None,
    }
}

fn of_certificate(wrong: &CertificateError, set_by: SetBy) -> Option<&'static str> {
    match wrong {
        CertificateError::UnknownIssuer => Some(match set_by {
            SetBy::Flags => {
                "this client does not trust the authority of the server's certificate; give that authority's \
                 certificate with --ca-file"
            }
            SetBy::System => {
                "the system does not trust the authority of the server's certificate; add that authority's \
                 certificate to the system's, or to the file that SSL_CERT_FILE names, and restart the registry"
            }
        }),
        CertificateError::BadSignature => Some(match set_by {
            SetBy::Flags => {
                "another authority of the same name signed the server's certificate, perhaps a renewed one; give the \
                 certificate of the authority that signed it with --ca-file"
            }
            SetBy::System => {
                "another authority of the same name signed the server's certificate, perhaps a renewed one; add the \
                 certificate of the authority that signed it to the system's, and restart the registry"
            }
        }),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("the server's certificate has expired; renew it, or correct this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some("the server's certificate is not valid yet; correct the clocks of both machines")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("use a server name from its certificate, or add this name to the certificate (subjectAltName)")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Some("the certificate is not for servers; create it with extendedKeyUsage=serverAuth")
        }
        CertificateError::ApplicationVerificationFailure => {
            Some("the server presents another certificate than the one in the file; give its current certificate")
        }
        // rustls passes on other errors of webpki without a type of its own.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => Some(match set_by {
            SetBy::Flags => {
                "the server presents a certificate of an authority (CA:TRUE) as its own; create one with \
                 basicConstraints=critical,CA:FALSE, and give the authority's with --ca-file"
            }
            SetBy::System => {
                "the server presents a certificate of an authority (CA:TRUE) as its own; create one for it with \
                 basicConstraints=critical,CA:FALSE"
            }
        }),
        _ => None,
    }
}

/// Returns true if and only if the response to an HTTP request is not HTTP: a TLS server responds with an alert.
pub fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse)
}

/// The error itself, or the first of its causes that has this type. An `io::Error` and a [`Cause`] may hold one that is
/// not their source.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref::<E>() {
        return Some(found);
    }
    if let Some(held) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return cause(held);
    }
    match error.downcast_ref::<Cause>() {
        Some(of_request) => cause(of_request.telling()?),
        None => cause(error.source()?),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the request failed")]
    struct Outer(#[source] io::Error);

    #[rstest]
    #[case(TlsError::InvalidCertificate(CertificateError::UnknownIssuer), "--ca-file")]
    #[case(TlsError::InvalidCertificate(CertificateError::BadSignature), "same name")]
    #[case(TlsError::InvalidCertificate(CertificateError::Expired), "renew")]
    #[case(TlsError::InvalidCertificate(CertificateError::NotValidYet), "clock")]
    #[case(TlsError::InvalidCertificate(CertificateError::NotValidForName), "subjectAltName")]
    #[case(TlsError::AlertReceived(AlertDescription::CertificateRequired), "--client-cert")]
    #[case(TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType), "http://")]
    fn what_to_do_is_said_however_deep_the_cause_is(#[case] error: TlsError, #[case] told: &str) {
        assert!(advice(&error, SetBy::Flags).unwrap().contains(told));
        let on_system = advice(&error, SetBy::System).unwrap();
        assert!(!on_system.contains("--"), "the registry's own requests have no such flag: {on_system}");
        let deep = Outer(io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error)));
        let hint = hint(&deep, SetBy::Flags);
        assert!(hint.starts_with("; ") && hint.contains(told), "{hint}");
    }

    #[test]
    fn an_authority_that_is_shown_as_a_server() {
        #[derive(Debug, thiserror::Error)]
        #[error("…")]
        struct CaUsedAsEndEntity;
        let other = CertificateError::Other(rustls::OtherError(std::sync::Arc::new(CaUsedAsEndEntity)));
        let error = TlsError::InvalidCertificate(other);
        for set_by in [SetBy::Flags, SetBy::System] {
            assert!(advice(&error, set_by).unwrap().contains("CA:FALSE"));
        }
    }

    #[test]
    fn of_other_errors_nothing_is_said() {
        let refused = Outer(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(hint(&refused, SetBy::Flags).is_empty() && !is_no_http(&refused));
    }
}
