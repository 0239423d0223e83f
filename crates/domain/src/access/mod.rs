//! Who may do what: roles, scopes, principals, and tokens as they are kept.
//!
//! What a scope means for a command is decided in [`crate::command::authorization`]. How requests are authenticated, and how
//! tokens are read from their store and file, is the service's part.
//!
//! | file | idea |
//! |---|---|
//! | [`role`] | [`Role`], and the [`Permission`]s that it may do |
//! | [`scope`] | [`Scope`]: with which plugins |
//! | [`principal`] | [`Principal`]: who asks |
//! | [`token_id`] | [`TokenId`]: the public part of a token |
//! | [`hash`] | [`SaltedHash`]: what is kept of its secret part |
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
