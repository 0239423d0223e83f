//! A stored response, which a retry of the request receives.

use serde::{Deserialize, Serialize};

/// A response as sent to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The names and values of header fields.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// The body.
    pub body: Box<str>,
}
