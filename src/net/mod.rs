//! The outgoing HTTP client for webhooks, probes, traces, and the client of the registry's API.
//!
//! The client uses reqwest. It follows no redirects, uses no proxy, and connects only to addresses that its policy
//! permits. This module does not depend on webhooks, plugins or the command line.
//!
//! | file | idea |
//! |---|---|
//! | [`http_client`] | [`HttpClient`]: sends requests |
//! | [`address_policy`] | [`AddressPolicy`]: the addresses that the client may connect to |
//! | [`special_addresses`] | the addresses that are not public, from IANA's registries |
//! | [`target_url`] | strict parsing of the URLs that users configure |
//! | [`tls`] | [`Security`]: the trusted servers, and the client certificate |
//! | [`cause`] | the cause of a failed request |
//! | [`error`] | [`RequestError`]: why a request has no response |
//! | [`tls_advice`] | remedies for a failed TLS connection |

pub mod address_policy;
pub mod cause;
pub mod error;
pub mod http_client;
pub mod special_addresses;
pub mod target_url;
pub mod tls;
pub mod tls_advice;

pub use address_policy::{AddressPolicy, Forbidden};
pub use error::RequestError;
pub use http_client::{HttpClient, HttpSettings};
pub use tls::{Security, Trust};
