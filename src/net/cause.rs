//! The cause of a failed request, in the words of the library that knows most.

use std::error::Error;
use std::fmt;

/// The texts of libraries that only say that there is no connection.
const EMPTY_WORDS: [&str; 2] = ["client error (Connect)", "tcp connect error"];

/// The cause of a reqwest error.
///
/// The text of a reqwest error only says that a request to a URL failed, so its first cause that says more is shown
/// instead.
#[derive(Debug)]
pub struct Cause(reqwest::Error);

impl Cause {
    pub(super) fn of(error: reqwest::Error) -> Cause {
        Cause(error.without_url())
    }

    /// The first cause that says more than that there is no connection.
    pub(super) fn telling(&self) -> Option<&(dyn Error + 'static)> {
        let mut cause = self.0.source()?;
        while EMPTY_WORDS.contains(&cause.to_string().as_str()) {
            cause = cause.source()?;
        }
        Some(cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.telling() {
            Some(source) => fmt::Display::fmt(source, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.telling().and_then(Error::source)
    }
}
