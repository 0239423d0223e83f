//! The flags of `serve` that limit clients, and name the proxies and origins it trusts.

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
use crate::http::middleware::memory_guard::{self, MemoryGuard};
use crate::http::middleware::rate_limit::{RateLimits, RequestRate};
use domain::command::answer_quota::AnswerQuota;
use domain::command::quota::Quotas;

/// How many seconds' worth of requests a caller may send at once by default.
const BURST_SECONDS: u32 = 10;

/// The header field in which a proxy forwards the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The limits on clients, and the proxies and origins that are trusted.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Requests a second of each caller, on average; 0 for no limit. A caller is a principal, or without tokens an
    /// address (IPv6: a /64). Lower limits hinder imports, and agents of large hosts.
    #[arg(long, env = "PLUGIN_REGISTRY_RATE_LIMIT", default_value_t = 0, value_name = "N")]
    rate_limit: u32,
    /// Requests that a caller may send at once after a pause. Default: ten seconds' worth of --rate-limit.
    #[arg(long, env = "PLUGIN_REGISTRY_RATE_BURST", value_name = "N")]
    rate_burst: Option<NonZeroU32>,
    /// Requests in progress at a time. With a higher limit, requests wait longer and take more memory; with a lower
    /// one, the registry rejects them sooner (503).
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_REQUESTS", default_value_t = LoadShedder::default().requests.most(), value_name = "N")]
    max_requests: usize,
    /// Live streams, long polls and NDJSON responses at a time. Each costs some 30 KiB.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_WATCHERS", default_value_t = LoadShedder::default().watchers.most(), value_name = "N")]
    max_watchers: usize,
    /// Bytes of all request bodies in memory at a time. A lower limit rejects large imports sooner (503).
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_BODY_MEMORY", default_value = "256MiB", value_name = "BYTES", value_parser = bytes)]
    max_body_memory: u64,
    /// Memory that the process may take. Beyond it, what stores more is answered 507, and live streams and imports 503. 0
    /// for no bound. Default: half of the memory of the machine, or of its cgroup.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_MEMORY", value_name = "BYTES", value_parser = bytes)]
    max_memory: Option<u64>,
    /// Plugins in the registry. Each takes some 2.6 KiB of memory beside its document.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_PLUGINS", default_value_t = Quotas::default().plugins, value_name = "N")]
    max_plugins: usize,
    /// Bytes of all plugins' documents and configurations, which are all held in memory.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_BYTES", default_value = "1GiB", value_name = "BYTES", value_parser = bytes)]
    max_bytes: u64,
    /// Labels of a plugin. Each is an entry in an index, which takes memory beyond its text.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_LABELS", default_value_t = Quotas::default().labels, value_name = "N")]
    max_labels: usize,
    /// Active leases of a token. Without tokens, callers cannot be told apart and share all leases.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_LEASES_PER_TOKEN", default_value_t = Quotas::default().leases_per_token, value_name = "N")]
    max_leases_per_token: usize,
    /// Bytes of stored responses to requests with an Idempotency-Key. A token has a quarter of them. Beyond it, the registry
    /// forgets the oldest, and does a repeated request anew.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_STORED_RESPONSES", default_value = "256MiB", value_name = "BYTES", value_parser = bytes)]
    max_stored_responses: u64,
    /// Proxies whose header names the client, as addresses or networks: `10.0.0.0/8,192.0.2.7`. Every client in these
    /// networks can claim any address.
    #[arg(long, env = "PLUGIN_REGISTRY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "CIDR,…", value_parser = network)]
    trusted_proxies: Vec<IpNet>,
    /// The header field in which these proxies forward the client's address. They must set or extend it on every
    /// request.
    #[arg(
        long,
        env = "PLUGIN_REGISTRY_PROXY_HEADER",
        value_enum,
        default_value = "x-forwarded-for",
        value_name = "FIELD"
    )]
    proxy_header: ProxyHeader,
    /// Origins whose pages may read responses (CORS): `https://app.example,http://localhost:3000`, or `*`.
    #[arg(long, env = "PLUGIN_REGISTRY_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGIN,…")]
    cors_origins: Vec<String>,
    /// Strict-Transport-Security: browsers use HTTPS only, for this many seconds; 0 disables. Needs TLS. A browser
    /// cannot be released sooner.
    #[arg(long, env = "PLUGIN_REGISTRY_HSTS", default_value_t = 0, value_name = "SECONDS")]
    hsts: u32,
}

impl LimitArgs {
    /// The admission of requests, for a server with or without TLS.
    ///
    /// # Errors
    ///
    /// If an origin is invalid.
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
            memory: MemoryGuard::of(match self.max_memory {
                Some(0) => u64::MAX,
                Some(most) => most,
                None => memory_guard::usual_most(),
            }),
            cors,
            strict_transport,
        }))
    }

    /// The proxies whose header is trusted.
    pub fn proxies(&self) -> TrustedProxies {
        let field = match self.proxy_header {
            ProxyHeader::XForwardedFor => ProxyField::XForwardedFor,
            ProxyHeader::Forwarded => ProxyField::Forwarded,
        };
        TrustedProxies::new(self.trusted_proxies.clone(), field)
    }

    /// The quotas of the registry.
    pub fn quotas(&self) -> Quotas {
        Quotas {
            plugins: self.max_plugins,
            bytes: self.max_bytes,
            observed_reserve: Quotas::reserve_of(self.max_bytes),
            labels: self.max_labels,
            leases_per_token: self.max_leases_per_token,
            answers: AnswerQuota { bytes: self.max_stored_responses },
        }
    }

    fn rate(&self) -> Option<RequestRate> {
        let per_second = NonZeroU32::new(self.rate_limit)?;
        let usual = NonZeroU32::new(self.rate_limit.saturating_mul(BURST_SECONDS)).unwrap_or(per_second);
        let burst = self.rate_burst.unwrap_or(usual);
        Some(RequestRate { per_second, burst })
    }
}

/// Parses a network or an address.
fn network(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(one).ok_or_else(|| "must be an address, or a network such as 10.0.0.0/8".into())
}

/// Parses a number of bytes: `1048576`, `1024KiB`, `1MiB`, `1GiB`.
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
    fn bytes_are_read_with_binary_units() {
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
