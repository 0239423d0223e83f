//! The outgoing HTTP client: one for webhooks, probes, traces, and for the client of our own API.
//!
//! It is built on reqwest. It follows no redirects, uses no proxy, and connects only to addresses that
//! its policy allows. This module knows no webhook, no plugin and no setting of the command line.
//!
//! | file | idea |
//! |---|---|
//! | [`http_client`] | [`HttpClient`]: sends requests |
//! | [`address_policy`] | [`AddressPolicy`]: which addresses may be connected to |
//! | [`special_addresses`] | which addresses are not public, by IANA's registries |
//! | [`target_url`] | the URL of a target that a user has named, read strictly |
//! | [`tls`] | [`Security`]: which servers are trusted, and the client's own certificate |
//! | [`error`] | [`RequestError`]: why there is no response |

pub mod address_policy;
pub mod error;
pub mod http_client;
pub mod special_addresses;
pub mod target_url;
pub mod tls;

pub use address_policy::{AddressPolicy, Forbidden};
pub use error::RequestError;
pub use http_client::{HttpClient, HttpSettings};
pub use tls::{Security, Trust};
