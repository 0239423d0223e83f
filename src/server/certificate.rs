//! Finds the reasons for which clients refuse a certificate. The server logs them at its start.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

/// Why a client that checks the server's certificate at `now` refuses it, regardless of the authorities that the client
/// trusts.
pub fn complaint(certificate: &CertificateDer<'_>, now: Duration) -> Option<&'static str> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = provider.signature_verification_algorithms.all;
    // With no trusted authority, the check still finds the faults of the certificate itself first.
    let verified = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        UnixTime::since_unix_epoch(now),
        algorithms,
    );
    match verified {
        Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            Some("it has expired; renew it")
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })) => {
            Some("it is not valid yet; correct the clock, or use another certificate")
        }
        Err(Error::InvalidCertificate(
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
        )) => Some("it is not for servers; create it with extendedKeyUsage=serverAuth"),
        // rustls passes on other errors of webpki without a type of its own.
        Err(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => Some(
            "it belongs to an authority (CA:TRUE), which many clients refuse from a server, including this program's; \
             create one with basicConstraints=critical,CA:FALSE",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
    use rstest::rstest;

    use super::*;

    fn is_good(_params: &mut CertificateParams) {}

    fn is_authority(params: &mut CertificateParams) {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }

    fn has_expired(params: &mut CertificateParams) {
        params.not_after = date_time_ymd(2001, 1, 1);
    }

    fn is_of_the_future(params: &mut CertificateParams) {
        params.not_before = date_time_ymd(4000, 1, 1);
    }

    fn is_for_clients(params: &mut CertificateParams) {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }

    #[rstest]
    #[case(is_good, None)]
    #[case(is_authority, Some("CA:FALSE"))]
    #[case(has_expired, Some("expired"))]
    #[case(is_of_the_future, Some("not valid yet"))]
    #[case(is_for_clients, Some("serverAuth"))]
    fn what_clients_would_refuse_is_told(#[case] make: impl Fn(&mut CertificateParams), #[case] told: Option<&str>) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        make(&mut params);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        // In the year 2026.
        let complaint = complaint(certificate.der(), Duration::from_secs(1_780_000_000));
        match (complaint, told) {
            (Some(complaint), Some(told)) => assert!(complaint.contains(told), "{complaint}"),
            (complaint, told) => assert_eq!(complaint, told),
        }
    }
}
