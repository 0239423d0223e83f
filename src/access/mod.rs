//! Authentication of requests, and the sources of tokens.
//!
//! ```text
//! Authorization: Bearer plr_… ─▶ Tokens ─▶ Keyring::authenticate ─▶ Principal ─▶ the route's permission: has the role it?
//!                                  ▲                                    └─▶ Request ─▶ decide: is the plugin in its scope?
//! TokenStore, the file of tokens ──┘ read again every two seconds, and after a change made here
//! ```
//!
//! Roles, scopes and tokens themselves are in [`domain::access`].
//!
//! | file | idea |
//! |---|---|
//! | [`token_text`] | [`TokenText`]: the text of a token |
//! | [`file`](mod@file) | tokens in a file |
//! | [`keyring`] | [`Keyring`]: the tokens in force, used by every request |
//! | [`tokens`] | [`Tokens`]: all tokens of the store and the file |

pub mod file;
pub mod keyring;
pub mod token_text;
pub mod tokens;

pub use keyring::{Denial, Keyring};
pub use token_text::TokenText;
pub use tokens::{Tokens, TokensError};
