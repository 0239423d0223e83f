//! Tokens at work: how requests are authenticated, and where tokens are read from.
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
//! | [`token_text`] | [`TokenText`]: a token as its bearer holds it |
//! | [`file`](mod@file) | tokens in a file |
//! | [`keyring`] | [`Keyring`]: those in force, looked up by every request |
//! | [`tokens`] | [`Tokens`]: all of them, as the rest of the program holds them |

pub mod file;
pub mod keyring;
pub mod token_text;
pub mod tokens;

pub use keyring::{Denial, Keyring};
pub use token_text::TokenText;
pub use tokens::{Tokens, TokensError};
