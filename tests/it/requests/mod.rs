//! Features that all routes share: bodies, headers, limits, connections.

mod as_of;
mod bad_input;
mod conditional;
mod connection_limits;
mod cors;
mod http2;
mod long_poll;
mod ndjson;
mod negotiation;
mod quotas;
mod rates;
mod raw_http;
mod request_id;
mod security_headers;
mod shedding;
mod snapshots;
mod spellings;
mod tls;
mod traces;
mod vectors;
