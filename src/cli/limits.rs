//! The flags of `serve` that are about what clients may take, and from where.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use hyper::header::HeaderValue;
use ipnet::IpNet;

use crate::http::middleware::client_ip::{ProxyField, TrustedProxies};
use crate::http::middleware::cors::Cors;
use crate::http::middleware::limiter::Limiter;
use crate::http::middleware::load_shedding::LoadShedder;
use crate::http::middleware::rate_limit::{RateLimits, RequestRate};
use domain::command::quota::Quotas;

/// How many seconds' worth of requests may come at once, when nothing is said.
const BURST_SECONDS: u32 = 10;

/// In which header field a proxy writes whose request it passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What clients may take, and from where.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// The most requests a second of one caller, on average; 0 for no limit. A caller is a principal, or else an address
    /// (IPv6: a /64).
    #[arg(long, env = "PLUGIN_REGISTRY_RATE_LIMIT", default_value_t = 0, value_name = "N")]
    rate_limit: u32,
    /// The most requests of one caller at once, after a pause; without it, ten seconds' worth.
    #[arg(long, env = "PLUGIN_REGISTRY_RATE_BURST", value_name = "N")]
    rate_burst: Option<NonZeroU32>,
    /// The most requests that are worked on at a time.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_REQUESTS", default_value_t = LoadShedder::default().requests.most(), value_name = "N")]
    max_requests: usize,
    /// The most live streams, long polls and NDJSON bodies at a time.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_WATCHERS", default_value_t = LoadShedder::default().watchers.most(), value_name = "N")]
    max_watchers: usize,
    /// The most bytes of bodies that are held at a time, of all requests together.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_BODY_MEMORY", default_value = "256MiB", value_name = "BYTES", value_parser = bytes)]
    max_body_memory: u64,
    /// The most plugins.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_PLUGINS", default_value_t = Quotas::default().plugins, value_name = "N")]
    max_plugins: usize,
    /// The most bytes of all plugins' documents and configurations together.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_BYTES", default_value = "1GiB", value_name = "BYTES", value_parser = bytes)]
    max_bytes: u64,
    /// The most labels of a plugin.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_LABELS", default_value_t = Quotas::default().labels, value_name = "N")]
    max_labels: usize,
    /// Proxies that say whose requests they pass on, as addresses or networks: `10.0.0.0/8,192.0.2.7`.
    #[arg(long, env = "PLUGIN_REGISTRY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "CIDR,…", value_parser = network)]
    trusted_proxies: Vec<IpNet>,
    /// In which header field they say so. It must be one that they set or extend whatever a client has sent.
    #[arg(
        long,
        env = "PLUGIN_REGISTRY_PROXY_HEADER",
        value_enum,
        default_value = "x-forwarded-for",
        value_name = "FIELD"
    )]
    proxy_header: ProxyHeader,
    /// Origins whose pages may read answers (CORS): `https://app.example,http://localhost:3000`, or `*`.
    #[arg(long, env = "PLUGIN_REGISTRY_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGIN,…")]
    cors_origins: Vec<String>,
    /// With TLS: for how many seconds browsers must use https only (Strict-Transport-Security); 0 for not at all.
    #[arg(long, env = "PLUGIN_REGISTRY_HSTS", default_value_t = 0, value_name = "SECONDS")]
    hsts: u32,
}

impl LimitArgs {
    /// What is let in, by a server that speaks TLS or does not.
    ///
    /// # Errors
    ///
    /// When an origin is none.
    pub fn gate(&self, is_tls: bool) -> anyhow::Result<Arc<LoadShedder>> {
        let origins = self.cors_origins.iter().map(String::as_str);
        let cors = Cors::allowing(origins).map_err(|why| anyhow!("--cors-origins: {why}"))?;
        let strict = format!("max-age={}", self.hsts);
        let strict_transport = if is_tls && self.hsts > 0 { HeaderValue::from_str(&strict).ok() } else { None };
        Ok(Arc::new(LoadShedder {
            proxies: self.proxies(),
            rates: self.rate().map(RateLimits::new),
            requests: Limiter::of(self.max_requests),
            watchers: Limiter::of(self.max_watchers),
            bodies: Limiter::of(usize::try_from(self.max_body_memory).unwrap_or(usize::MAX)),
            cors,
            strict_transport,
        }))
    }

    /// The proxies that are believed.
    pub fn proxies(&self) -> TrustedProxies {
        let field = match self.proxy_header {
            ProxyHeader::XForwardedFor => ProxyField::XForwardedFor,
            ProxyHeader::Forwarded => ProxyField::Forwarded,
        };
        TrustedProxies::new(self.trusted_proxies.clone(), field)
    }

    /// How much the registry may hold.
    pub fn quotas(&self) -> Quotas {
        Quotas { plugins: self.max_plugins, bytes: self.max_bytes, labels: self.max_labels }
    }

    fn rate(&self) -> Option<RequestRate> {
        let per_second = NonZeroU32::new(self.rate_limit)?;
        let usual = NonZeroU32::new(self.rate_limit.saturating_mul(BURST_SECONDS)).unwrap_or(per_second);
        let burst = self.rate_burst.unwrap_or(usual);
        Some(RequestRate { per_second, burst })
    }
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(one).ok_or_else(|| "must be an address, or a network such as 10.0.0.0/8".into())
}

/// A number of bytes: `1048576`, `1024KiB`, `1MiB`, `1GiB`.
fn bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let unit = units.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (number, bits) = unit.unwrap_or((text, 0));
    let number = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(1 << bits));
    number.ok_or_else(|| "must be a number of bytes, such as 1048576, 512MiB or 1GiB".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bytes() {
        for (text, number) in
            [("0", 0), ("1048576", 1 << 20), ("2KiB", 2048), ("512 MiB", 512 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(bytes(text), Ok(number), "{text}");
        }
        for wrong in ["", "GiB", "-1", "1GB", "1.5GiB", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        for wrong in ["", "10.0.0.0/33", "proxy.example", "10.0.0"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }
}
