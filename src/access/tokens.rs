//! All tokens of the store and the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use super::file;
use super::keyring::{Keyring, KeyringEntry};
use super::token_text::TokenText;
use crate::store::{Addition, StoreError, TokenStore};
use domain::access::token::MAX_TOKENS;
use domain::access::{Token, TokenId, TokenTerms};
use domain::plugin::Invalid;

/// How often the store and the file are read again. A token revoked at another replica stays valid for at most this
/// long.
const READ_EVERY: Duration = Duration::from_secs(2);

/// The maximum delay until the store learns of a token's use.
const NOTE_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Why an operation on tokens failed.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// There is no such token.
    #[error("there is no token `{0}`")]
    NotFound(String),
    /// Another token in force has the name.
    #[error("a token with this name is in force; revoke it first, or choose another name")]
    NameTaken,
    /// The number of tokens is at its maximum.
    #[error("there are {MAX_TOKENS} tokens, which is the maximum; revoke one first")]
    TooMany,
    /// The token comes from the file.
    #[error("the token comes from the file of tokens; remove it there")]
    InFile,
    /// The requested terms break the rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The file of tokens cannot be read, or is wrong.
    #[error("the tokens in {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The store cannot be read or written.
    #[error("the store's tokens cannot be read or written")]
    Store(#[from] StoreError),
}

/// The tokens of a store and of a file. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    store: Arc<dyn TokenStore>,
    path: Option<PathBuf>,
    /// `None` until the first read.
    ring: ArcSwapOption<Keyring>,
    /// Held during a read, so that an older read never replaces a newer one.
    reading: Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    /// The tokens of the last valid file.
    of_file: Option<Vec<Token>>,
    /// Its text, to detect a change.
    text: Option<String>,
    /// The last logged error about the file.
    told: Option<String>,
    /// When the store last received the tokens' times of use.
    noted: Option<Timestamp>,
}

impl Tokens {
    /// The tokens of a store, and of a file if a path is given. The first request reads them.
    pub fn new(store: Arc<dyn TokenStore>, path: Option<PathBuf>) -> Tokens {
        Tokens(Arc::new(Inner { store, path, ring: ArcSwapOption::empty(), reading: Mutex::default() }))
    }

    /// Checks a file of tokens. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// If the file is unreadable or invalid.
    pub fn check_file(path: &Path) -> Result<(), TokensError> {
        let wrong = |why: String| TokensError::File { path: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        file::read(&text).map(drop).map_err(wrong)
    }

    /// The tokens in force, if they were read. Never waits.
    pub fn in_force(&self) -> Guard<Option<Arc<Keyring>>> {
        self.0.ring.load()
    }

    /// The tokens in force; reads them first if necessary.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn ready(&self) -> Result<Arc<Keyring>, TokensError> {
        if let Some(ring) = self.0.ring.load_full() {
            return Ok(ring);
        }
        self.refresh().await
    }

    /// Reads the tokens again.
    ///
    /// # Errors
    ///
    /// If the store cannot be read; then the last known tokens stay in force. A wrong file is an error only at the
    /// first read; later its last valid tokens stay in force.
    pub async fn refresh(&self) -> Result<Arc<Keyring>, TokensError> {
        let mut reading = self.0.reading.lock().await;
        self.read_file(&mut reading).await?;
        let store = Arc::clone(&self.0.store);
        let stored = blocking(move || store.list()).await?;
        let before = self.0.ring.load_full();
        let ring = Arc::new(Keyring::new(stored, reading.of_file.clone(), before.as_deref()));
        if before.is_some_and(|before| before.is_open() != ring.is_open()) {
            let open = ring.is_open();
            info!(open, "the requirement of tokens has changed");
        }
        self.0.ring.store(Some(Arc::clone(&ring)));
        Ok(ring)
    }

    async fn read_file(&self, reading: &mut Reading) -> Result<(), TokensError> {
        let Some(path) = &self.0.path else { return Ok(()) };
        match read_file(path, reading.text.take()).await {
            Ok((text, tokens)) => {
                reading.text = Some(text);
                reading.told = None;
                if let Some(tokens) = tokens {
                    info!(file = %path.display(), tokens = tokens.len(), "read the file of tokens");
                    reading.of_file = Some(tokens);
                }
                Ok(())
            }
            Err(error) if reading.of_file.is_none() => Err(error),
            Err(error) => {
                let why = error.to_string();
                if reading.told.as_ref() != Some(&why) {
                    warn!(error = why, "the file of tokens cannot be used; its last valid tokens stay in force");
                    reading.told = Some(why);
                }
                Ok(())
            }
        }
    }

    /// Reads the tokens again every two seconds until `stop`, and writes their times of use to the store.
    pub async fn run(self, now: impl Fn() -> Timestamp, stop: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = ticks.tick() => {
                    if let Err(error) = self.refresh().await {
                        debug!(error = &error as &dyn std::error::Error, "cannot read the tokens; trying again soon");
                    }
                    self.note_uses(now(), NOTE_EVERY).await;
                }
            }
        }
        self.note_uses(now(), SignedDuration::ZERO).await;
    }

    /// Writes the tokens' times of use to the store, at most once per `every`.
    async fn note_uses(&self, now: Timestamp, every: SignedDuration) {
        let mut reading = self.0.reading.lock().await;
        if reading.noted.is_some_and(|noted| now.duration_since(noted) < every) {
            return;
        }
        let Some(ring) = self.0.ring.load_full() else { return };
        let is_news = |key: &&Arc<KeyringEntry>| !key.is_of_file && key.last_used() > key.token.last_used_at;
        let uses = ring.keys().filter(is_news).filter_map(|key| Some((key.token.id.clone(), key.last_used()?)));
        let uses: Vec<_> = uses.collect();
        reading.noted = Some(now);
        if uses.is_empty() {
            return;
        }
        let store = Arc::clone(&self.0.store);
        if let Err(failure) = blocking(move || store.note_uses(&uses)).await {
            debug!(error = failure.chain(), "cannot write the tokens' times of use");
        }
    }

    /// Creates a token. Only the returned text shows it.
    ///
    /// # Errors
    ///
    /// If the name is taken, there are too many tokens, or the store cannot be written.
    pub async fn create(&self, terms: TokenTerms, by: &str, now: Timestamp) -> Result<(Token, TokenText), TokensError> {
        let ring = self.ready().await?;
        if ring.keys().any(|key| key.is_of_file && key.token.terms.name == terms.name) {
            return Err(TokensError::NameTaken);
        }
        let text = TokenText::generate();
        let token = text.token(terms, by, now);
        let (store, kept) = (Arc::clone(&self.0.store), token.clone());
        match blocking(move || store.add(&kept)).await? {
            Addition::Done => {}
            Addition::NameTaken => return Err(TokensError::NameTaken),
            Addition::TooMany => return Err(TokensError::TooMany),
        }
        self.refresh().await?;
        Ok((token, text))
    }

    /// Revokes a token. This process refuses the token at once, and others within two seconds.
    ///
    /// # Errors
    ///
    /// If there is no token of this id, it comes from the file, or the store cannot be written.
    pub async fn revoke(&self, id: &TokenId, now: Timestamp) -> Result<(), TokensError> {
        let ring = self.ready().await?;
        if ring.key(id.as_str()).is_some_and(|key| key.is_of_file) {
            return Err(TokensError::InFile);
        }
        let (store, revoked) = (Arc::clone(&self.0.store), id.clone());
        let is_done = blocking(move || store.revoke(&revoked, now)).await?;
        self.refresh().await?;
        if is_done { Ok(()) } else { Err(TokensError::NotFound(id.as_str().chars().take(64).collect())) }
    }
}

/// The tokens of a file; without the tokens if the text equals `known`.
async fn read_file(path: &Path, known: Option<String>) -> Result<(String, Option<Vec<Token>>), TokensError> {
    let wrong = |why: String| TokensError::File { path: path.display().to_string(), why };
    let place = path.to_owned();
    let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(place)).await;
    let text = text.map_err(|error| wrong(error.to_string()))?.map_err(|error| wrong(error.to_string()))?;
    if known.as_ref() == Some(&text) {
        return Ok((text, None));
    }
    let tokens = file::read(&text).map_err(wrong)?;
    Ok((text, Some(tokens)))
}

/// Runs blocking work on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(StoreError::refused("the operation on the store was cancelled; try again")))
}
