//! The URL of the database, and the connection settings in it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use url::Url;

use super::tls::Trust;

/// The maximum time to connect, unless the URL sets another.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// The maximum time for the network to acknowledge sent data, unless the URL sets another.
const NETWORK_TIME: Duration = Duration::from_secs(10);

/// A `postgres://` URL: libpq's connection URI
/// (<https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING-URIS>), several hosts included.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: Config,
    pub(super) trust: Trust,
    shown: String,
}

/// Two URLs are equal if their texts are.
impl PartialEq for PostgresUrl {
    fn eq(&self, other: &PostgresUrl) -> bool {
        self.config == other.config && self.trust == other.trust
    }
}

impl Eq for PostgresUrl {}

impl fmt::Display for PostgresUrl {
    /// Without the password and the parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

impl FromStr for PostgresUrl {
    type Err = String;

    /// Parses a URL. In addition to tokio-postgres, it accepts `sslmode=verify-ca` and `verify-full`, and
    /// `sslrootcert`.
    fn from_str(text: &str) -> Result<PostgresUrl, String> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut root, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => root = Some(decoded(value)?),
                _ => rest.push(pair),
            }
        }
        let mut config: Config = format!("{address}?{}", rest.join("&")).parse().map_err(|error| said(&error))?;
        if config.get_hosts().is_empty() {
            return Err("a `postgres://` URL must name a host".into());
        }
        let (ssl_mode, trust) = Trust::of(mode.as_deref(), root)?;
        config.ssl_mode(ssl_mode);
        config.application_name(config.get_application_name().map_or("plugin-registry", |name| name).to_owned());
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIME);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(NETWORK_TIME);
        }
        // Of several hosts, the primary: a registry needs to write.
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(PostgresUrl { config, trust, shown: without_password(address) })
    }
}

impl PostgresUrl {
    /// Whether connections may go without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Disable
    }
}

fn decoded(value: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
    Ok(decoded.map_err(|_| "the URL has escapes that are not UTF-8")?.into_owned())
}

/// A URL without its password.
fn without_password(address: &str) -> String {
    if let Ok(mut url) = Url::parse(address) {
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return "postgres://…".into();
        }
        return url.into();
    }
    // A URL with several hosts is not valid by the URL standard, so this does not parse it.
    match address.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?))) {
        Some((scheme, (user, hosts))) => {
            format!("{scheme}://{}:***@{hosts}", user.split(':').next().unwrap_or_default())
        }
        None => address.to_owned(),
    }
}

/// The error with its cause, because the library's message names only the kind.
fn said(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://ann:hush@db.example:5433/registry", "postgres://ann:***@db.example:5433/registry"),
            ("postgres://ann:hush@one,two:5433/registry?sslmode=disable", "postgres://ann:***@one,two:5433/registry"),
            ("postgresql://db.example/registry?password=hush", "postgresql://db.example/registry"),
        ] {
            let url: PostgresUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("hush"));
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, what) in [
            ("postgres:///registry", "must name a host"),
            ("postgres://db/x?sslmode=sometimes", "sslmode"),
            ("postgres://db/x?colour=red", "colour"),
            ("postgres://db:port/x", "port"),
        ] {
            let wrong = text.parse::<PostgresUrl>().unwrap_err();
            assert!(wrong.contains(what), "{text}: {wrong}");
            assert!(!wrong.contains("hush"));
        }
    }
}
