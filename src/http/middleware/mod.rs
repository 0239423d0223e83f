//! The layers that every request passes, from the connection to the handler.
//!
//! | file | idea |
//! |---|---|
//! | [`stack`] | the order of all layers: id, snapshot, time limit, form of errors, log line |
//! | [`authorize`] | authentication and authorization |
//! | [`unused_token`] | the response header for a token that a registry without tokens ignores |
//! | [`load_shedding`], [`limiter`], [`rate_limit`], [`memory_guard`] | admission of requests |
//! | [`consistency`] | how current the reply is |
//! | [`host_check`], [`cors`], [`security_headers`] | protection against web pages in a browser |
//! | [`client_ip`] | the client's address behind proxies |
//! | [`request_id`], [`trace`](mod@trace) | the id of a request, and its trace |
//! | [`compress`] | compression of replies |

pub mod authorize;
pub mod client_ip;
pub mod compress;
pub mod consistency;
pub mod cors;
pub mod host_check;
pub mod limiter;
pub mod load_shedding;
pub mod memory_guard;
pub mod rate_limit;
pub mod request_id;
pub mod security_headers;
pub mod stack;

pub mod trace;
pub mod unused_token;
