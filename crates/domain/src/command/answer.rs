//! The answer to a request, as it is kept for whoever sends the request again.

use serde::{Deserialize, Serialize};

/// An answer, as the client got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names and values of header fields.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// The body.
    pub body: Box<str>,
}
