//! Remedies for a failed TLS connection. rustls reports what is wrong, and this adds the remedy.
//!
//! It searches any chain of causes, so it serves every client that uses rustls.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// The remedy for an error, to append to a message that names the error; empty if there is none.
pub fn hint(error: &(dyn Error + 'static)) -> String {
    advice(error).map(|advice| format!("; {advice}")).unwrap_or_default()
}

/// The remedy for an error that TLS has caused.
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match cause::<TlsError>(error)? {
        TlsError::InvalidCertificate(wrong) => of_certificate(wrong),
        TlsError::InvalidMessage(_) => {
            Some("the server does not serve TLS on that port; write the address with http://")
        }
        TlsError::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate | AlertDescription::UnknownCA,
        ) => Some(
            "the server requires a client certificate of an authority that it trusts; give one with --client-cert \
             and --client-key",
        ),
        TlsError::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
        | TlsError::PeerIncompatible(_) => {
            Some("server and client share no version or cipher of TLS; both must support TLS 1.2 or 1.3")
        }
        _ => None,
    }
}

fn of_certificate(wrong: &CertificateError) -> Option<&'static str> {
    match wrong {
        CertificateError::UnknownIssuer => Some(
            "this client does not trust the authority of the server's certificate; give that authority's certificate \
             with --ca-file",
        ),
        CertificateError::BadSignature => Some(
            "another authority of the same name signed the server's certificate, perhaps a renewed one; give the \
             certificate of the authority that signed it with --ca-file",
        ),
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
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => Some(
            "the server presents a certificate of an authority (CA:TRUE) as its own; create one with \
             basicConstraints=critical,CA:FALSE, and give the authority's with --ca-file",
        ),
        _ => None,
    }
}

/// Returns true if and only if the response to an HTTP request is not HTTP: a TLS server responds with an alert.
pub fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse)
}

/// The error itself, or the first of its causes that has this type. An `io::Error` may hold one that is not its source.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref::<E>() {
        return Some(found);
    }
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match held {
        Some(held) => cause(held),
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
        assert!(advice(&error).unwrap().contains(told));
        let deep = Outer(io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error)));
        assert!(hint(&deep).starts_with("; ") && hint(&deep).contains(told), "{}", hint(&deep));
    }

    #[test]
    fn an_authority_that_is_shown_as_a_server() {
        #[derive(Debug, thiserror::Error)]
        #[error("…")]
        struct CaUsedAsEndEntity;
        let other = CertificateError::Other(rustls::OtherError(std::sync::Arc::new(CaUsedAsEndEntity)));
        assert!(advice(&TlsError::InvalidCertificate(other)).unwrap().contains("CA:FALSE"));
    }

    #[test]
    fn of_other_errors_nothing_is_said() {
        let refused = Outer(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(hint(&refused).is_empty() && !is_no_http(&refused));
    }
}
