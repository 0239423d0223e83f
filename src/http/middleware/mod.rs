//! What every request goes through, from the outside to the handler.
//!
//! | file | idea |
//! |---|---|
//! | [`stack`] | the order of it all: id, snapshot, time limit, form of errors, log line |
//! | [`authorize`] | who asks, and whether it is for them |
//! | [`unused_token`] | a token that is shown to a registry without tokens |
//! | [`load_shedding`], [`limiter`], [`rate_limit`] | which requests are let in |
//! | [`consistency`] | how current the answer is |
//! | [`host_check`], [`cors`], [`security_headers`] | what pages of browsers may do |
//! | [`client_ip`] | whose address a request comes from |
//! | [`request_id`], [`trace`](mod@trace) | the name of a request, and its trace |
//! | [`compress`] | smaller answers |

pub mod authorize;
pub mod client_ip;
pub mod compress;
pub mod consistency;
pub mod cors;
pub mod host_check;
pub mod limiter;
pub mod load_shedding;
pub mod rate_limit;
pub mod request_id;
pub mod security_headers;
pub mod stack;

pub mod trace;
pub mod unused_token;
