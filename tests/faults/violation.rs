//! What a suite reports when a promise does not hold. A value and not a panic, because the runs with a planted
//! bug must *expect* one.

#[derive(Debug, thiserror::Error)]
pub(crate) enum Violation {
    #[error("lost: {0}")]
    Lost(String),
    #[error("a revision was used twice: {0}")]
    Twice(String),
    #[error("half a write: {0}")]
    Half(String),
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    #[error("a client was taken back: {0}")]
    WentBack(String),
    #[error("a list is not of one revision: {0}")]
    NotOneRevision(String),
    #[error("wrong reply: {0}")]
    WrongReply(String),
    #[error("the server {0}")]
    Server(String),
    /// Not the server's fault: the recording is incomplete, a file could not be written. Never what a run with
    /// a planted bug is looking for.
    #[error("the test itself failed: {0}")]
    Harness(String),
}

impl Violation {
    /// Says also what was going on when it was found.
    pub(crate) fn during(mut self, what: impl std::fmt::Debug) -> Violation {
        use Violation::{Corrupt, Half, Harness, Lost, NotOneRevision, Server, Twice, WentBack, WrongReply};
        let (Lost(text) | Twice(text) | Half(text) | Corrupt(text) | WentBack(text) | NotOneRevision(text)
        | WrongReply(text) | Server(text) | Harness(text)) = &mut self;
        *text = format!("{text}\nduring {what:?}");
        self
    }

    /// Returns true if and only if something acknowledged or read is missing, or the store is damaged: what
    /// the planted bugs lead to.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Violation::Lost(_) | Violation::Twice(_) | Violation::Corrupt(_) | Violation::WentBack(_))
    }
}

impl From<std::io::Error> for Violation {
    fn from(error: std::io::Error) -> Violation {
        Violation::Harness(error.to_string())
    }
}
