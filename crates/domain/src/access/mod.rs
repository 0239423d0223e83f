//! Access control: roles, scopes, principals, and tokens as stored.
//!
//! [`crate::command::authorization`] applies a scope to a command. The service authenticates requests and loads tokens
//! from the store and from a file.
//!
//! | file | idea |
//! |---|---|
//! | [`role`] | [`Role`], and the [`Permission`]s it has |
//! | [`scope`] | [`Scope`]: the plugins a token is limited to |
//! | [`principal`] | [`Principal`]: the caller |
//! | [`token_id`] | [`TokenId`]: the public part of a token |
//! | [`hash`] | [`SaltedHash`]: the hash of its secret part |
//! | [`token`] | [`Token`] and its [`TokenTerms`] |

pub mod hash;
pub mod principal;
pub mod role;
pub mod scope;
pub mod token;
pub mod token_id;

pub use self::role::Permission;
pub use hash::SaltedHash;
pub use principal::Principal;
pub use role::Role;
pub use scope::Scope;
pub use token::{Token, TokenTerms};
pub use token_id::TokenId;
