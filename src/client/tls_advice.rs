//! What to do about a TLS connection that could not be made: rustls says what is wrong, and this what mends it.
//!
//! It looks through any chain of causes, so that it serves every client that is built on rustls.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// What to do about an error, as the end of a message that names the error: empty when there is nothing to say.
pub fn hint(error: &(dyn Error + 'static)) -> String {
    advice(error).map(|advice| format!("; {advice}")).unwrap_or_default()
}

/// What to do about an error that TLS has caused.
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match cause::<TlsError>(error)? {
        TlsError::InvalidCertificate(wrong) => of_certificate(wrong),
        TlsError::InvalidMessage(_) => {
            Some("the server does not speak TLS on that port; write the address with http://")
        }
        TlsError::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate | AlertDescription::UnknownCA,
        ) => Some(
            "the server asks for a certificate of this client, of an authority that it trusts; give one with --client-cert \
             and --client-key",
        ),
        TlsError::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
        | TlsError::PeerIncompatible(_) => {
            Some("server and client have no version or cipher of TLS in common; both must know TLS 1.2 or 1.3")
        }
        _ => None,
    }
}

fn of_certificate(wrong: &CertificateError) -> Option<&'static str> {
    match wrong {
        CertificateError::UnknownIssuer => Some(
            "the server's certificate is of an authority that is not trusted here; give that authority's certificate with \
             --ca-file",
        ),
        CertificateError::BadSignature => Some(
            "another authority of the same name has signed the server's certificate, one made anew perhaps; give the \
             certificate of the authority that signed it with --ca-file",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("the server's certificate has expired; renew it, or set this machine's clock right")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some("the server's certificate is not valid yet; set the clocks of both machines right")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Some(
            "use a name for the server that its certificate has, or add this one to the certificate (subjectAltName)",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Some("the certificate is not one for servers; make it with extendedKeyUsage=serverAuth")
        }
        CertificateError::ApplicationVerificationFailure => Some(
            "the server has shown another certificate than the one in the file given; give the one that it uses now",
        ),
        // rustls hands on the rest as webpki has it, and names no type of it.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => Some(
            "the server shows a certificate of an authority (CA:TRUE) as its own; make one with \
             basicConstraints=critical,CA:FALSE, and give the authority's with --ca-file",
        ),
        _ => None,
    }
}

/// Returns true if and only if an HTTP request got an answer that is no HTTP: a server that speaks TLS says so with an alert.
pub fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse)
}

/// The error itself or the first of its causes that is of a type. An `io::Error` may hold one that is not its source.
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
