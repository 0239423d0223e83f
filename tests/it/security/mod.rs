//! Authentication, roles and scopes, secrets.

mod access;
mod authorization_matrix;
mod canary;
mod masking;
mod origin;
mod token_command;
pub(crate) mod tokens;
