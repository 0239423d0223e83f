//! The URLs that deliveries may go to: valid targets that the address policy permits.

use url::Url;

pub use crate::net::target_url::MAX_URL;
use crate::net::{AddressPolicy, Forbidden, target_url};

/// Parses the URL of a target, and checks the URL against the policy.
///
/// # Errors
///
/// Why the URL is invalid, for the user who sent it.
pub fn read(text: &str, policy: AddressPolicy) -> Result<Url, String> {
    let url = target_url::read(text)?;
    policy.check_url(&url).map_err(|forbidden| refusal(&forbidden))?;
    Ok(url)
}

/// Why the policy forbids the target, and which setting would permit it.
pub(super) fn refusal(forbidden: &Forbidden) -> String {
    format!("{forbidden}; choose a public target, or permit private targets with --webhooks-allow-private")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://127.0.0.1/")]
    #[case("http://127.1/")]
    #[case("http://2130706433/")]
    #[case("http://0x7f000001/")]
    #[case("http://0x7f.1/")]
    #[case("http://0177.0.0.1/")]
    #[case("http://%31%32%37.0.0.1/")]
    #[case("http://１２７.0.0.1/")]
    #[case("http://127.0.0.1./")]
    #[case("http://0.0.0.0/")]
    #[case("http://0/")]
    #[case("http://localhost/")]
    #[case("http://LOCALHOST./")]
    #[case("http://a.localhost:8080/")]
    #[case("http://10.1.2.3/")]
    #[case("http://172.16.0.1/")]
    #[case("http://172.31.255.255/")]
    #[case("https://192.168.1.1:443/")]
    #[case("http://100.64.0.1/")]
    #[case("http://100.100.100.200/latest/meta-data/")]
    #[case("http://169.254.169.254/latest/meta-data/")]
    #[case("http://2852039166/")]
    #[case("http://168.63.129.16/")]
    #[case("http://192.0.0.192/")]
    #[case("http://198.18.0.1/")]
    #[case("http://224.0.0.1/")]
    #[case("http://255.255.255.255/")]
    #[case("http://[::]/")]
    #[case("http://[::1]/")]
    #[case("http://[::ffff:127.0.0.1]/")]
    #[case("http://[::ffff:a9fe:a9fe]/")]
    #[case("http://[::127.0.0.1]/")]
    #[case("http://[64:ff9b::10.0.0.1]/")]
    #[case("http://[64:ff9b:1::1]/")]
    #[case("http://[2002:7f00:1::]/")]
    #[case("http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/")]
    #[case("http://[fe80::1]/")]
    #[case("http://[fd00:ec2::254]/")]
    #[case("http://[fec0::1]/")]
    #[case("http://[ff02::1]/")]
    #[case("http://[2001:db8::1]/")]
    fn what_is_not_public_is_refused_in_every_spelling(#[case] url: &str) {
        let refused = read(url, AddressPolicy::Public).expect_err(url);
        assert!(refused.contains("--webhooks-allow-private"), "{url}: {refused}");
        assert!(read(url, AddressPolicy::Everything).is_ok(), "{url}");
    }

    #[rstest]
    #[case("http://93.184.215.14/")]
    #[case("https://example.com/hooks?x=1")]
    #[case("https://xn--bcher-kva.example/")]
    #[case("https://bücher.example:8443/a%20b")]
    #[case("http://[2606:2800:220:1::1]/")]
    #[case("http://[64:ff9b::5db8:d70e]/")]
    #[case("http://172.32.0.1/")]
    #[case("http://localhost.example.com/")]
    fn what_is_public_is_taken(#[case] url: &str) {
        assert!(read(url, AddressPolicy::Public).is_ok(), "{:?}", read(url, AddressPolicy::Public));
    }
}
