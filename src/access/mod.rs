//! Who may do what: tokens, roles and scopes.
//!
//! ```text
//! Authorization: Bearer plr_… ─▶ Tokens ─▶ Keyring::authenticate ─▶ Principal ─▶ the route's Deed: may the role do it?
//!                                  ▲                                    └─▶ Request ─▶ decide: is the plugin in its scope?
//! TokenStore, the file of tokens ──┘ read again every two seconds, and after a change made here
//! ```
//!
//! Everything but [`Tokens`] is pure. What a scope means for a command is for the layer `registry` to say, where commands
//! are decided; what a route asks for, for `http`.
//!
//! | file | idea |
//! |---|---|
//! | [`role`] | [`Role`], and the [`Deed`]s that it may do |
//! | [`scope`] | [`Scope`]: with which plugins |
//! | [`principal`] | [`Principal`]: who asks |
//! | [`token_text`] | [`TokenText`]: a token as its bearer holds it |
//! | [`hash`] | [`SaltedHash`]: what is kept of it |
//! | [`token`] | [`Token`] and its [`TokenTerms`] |
//! | [`file`](mod@file) | tokens in a file |
//! | [`keyring`] | [`Keyring`]: those in force, looked up by every request |
//! | [`tokens`] | [`Tokens`]: all of them, as the rest of the program holds them |

pub mod file;
pub mod hash;
pub mod keyring;
pub mod principal;
pub mod role;
pub mod scope;
pub mod token;
pub mod token_id;
pub mod token_text;
pub mod tokens;

pub use hash::SaltedHash;
pub use keyring::{Denial, Keyring};
pub use principal::Principal;
pub use role::{Deed, Role};
pub use scope::Scope;
pub use token::{Token, TokenTerms};
pub use self::token_id::TokenId;
pub use token_text::TokenText;
pub use tokens::{Tokens, TokensError};
