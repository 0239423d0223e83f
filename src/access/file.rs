//! The file of tokens, as a Kubernetes secret or a configuration tool provides it.
//!
//! ```toml
//! [[token]]
//! name = "trainer"
//! role = "reporter"
//! hash = "sha256:…:…"      # and id = "…", as `plugin-registry token generate` prints them; or the token itself:
//! # token = "plr_…"
//! scope = { categories = ["finetuning"], hosts = ["gpu-1"], labels = { team = ["text"] } }
//! expires_at = "2027-01-31T00:00:00Z"
//! ```

use std::collections::HashSet;

use serde_json::Value;

use super::token_text;
use crate::clock::new_identity;
use domain::access::token::MAX_TOKENS;
use domain::access::{SaltedHash, Token, TokenId, TokenTerms};
use domain::plugin::Invalid;
use domain::plugin::read::{ObjectReader, each, kind_of, string};

/// Reads the tokens of a file: TOML, or JSON if it starts with `{`.
///
/// # Errors
///
/// What is wrong, for the operator. The text never contains a token.
pub fn read(text: &str) -> Result<Vec<Token>, String> {
    // Editors of Windows begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The parsers' own messages repeat the text at the error, which may be a token.
    let document: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| format!("the file is not valid JSON: line {}", error.line()))?
    } else {
        toml::from_str(text).map_err(|error| format!("the file is not valid TOML: {}", error.message()))?
    };
    read_document(document).map_err(|invalid| invalid.to_string())
}

fn read_document(document: Value) -> Result<Vec<Token>, Invalid> {
    let mut fields = ObjectReader::new(document, "", &["token"], &[])?;
    let tokens = fields.optional("token", |value, pointer| {
        let Value::Array(items) = value else {
            return Err(Invalid::at(pointer, format!("must be an array of tokens, not {}", kind_of(&value))));
        };
        if items.len() > MAX_TOKENS {
            return Err(Invalid::at(pointer, format!("must have at most {MAX_TOKENS} tokens")));
        }
        each(items, pointer, token)
    });
    fields.finish()?;
    let tokens: Vec<Token> = tokens.unwrap_or_default();
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    for (index, token) in tokens.iter().enumerate() {
        if !names.insert(token.terms.name.clone()) || !ids.insert(token.id.clone()) {
            return Err(Invalid::at(format!("/token/{index}"), "its name or its id occurs twice; remove one"));
        }
    }
    Ok(tokens)
}

fn token(value: Value, pointer: &str) -> Result<Token, Invalid> {
    const FIELDS: &[&str] = &["name", "role", "scope", "expires_at", "id", "hash", "token"];
    let mut fields = ObjectReader::new(value, pointer, FIELDS, &[])?;
    let terms = TokenTerms::take(&mut fields);
    let id = fields.optional("id", string);
    let hash = fields.optional("hash", |value, at| {
        let text = string(value, at)?;
        SaltedHash::from_text(&text).ok_or_else(|| Invalid::at(at, "must be `sha256:SALT:DIGEST`, both in base64"))
    });
    let plain = fields.optional("token", |value, at| {
        let text = string(value, at)?;
        let parts = token_text::parts(&text)
            .map(|(id, secret)| (TokenId::named(id), SaltedHash::of(secret, new_identity().into_bytes())));
        parts.ok_or_else(|| Invalid::at(at, "must be a token as `plugin-registry token generate` makes them"))
    });
    fields.finish()?;
    // `finish` refuses a document that lacks a name or a role.
    let terms = terms.ok_or_else(|| Invalid::at(pointer, "name and role are required"))?;
    terms.check(pointer)?;
    let (id, hash) = match (plain, id, hash) {
        (Some(token), None, None) => token,
        (None, Some(id), Some(hash)) => (TokenId::named(&id), hash),
        _ => return Err(Invalid::at(pointer, "must have either `token`, or `id` and `hash`")),
    };
    Ok(Token { id, terms, hash, created_at: None, created_by: None, last_used_at: None, revoked_at: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::TokenText;

    #[test]
    fn tokens_are_read_from_toml_and_from_json_hashed_or_plain() {
        let new = TokenText::generate();
        let (plain, hash) = (new.reveal(), new.hash().to_text());
        let secret = token_text::parts(&plain).unwrap().1;
        for text in [
            format!("[[token]]\nname = \"n\"\nrole = \"agent\"\ntoken = \"{plain}\"\nscope = {{ hosts = [\"h\"] }}"),
            format!("[[token]]\nname = \"n\"\nrole = \"agent\"\nid = \"{}\"\nhash = \"{hash}\"", new.id()),
            format!("{{\"token\": [{{\"name\": \"n\", \"role\": \"agent\", \"token\": \"{plain}\"}}]}}"),
            format!("\u{feff}{{\"token\": [{{\"name\": \"n\", \"role\": \"agent\", \"token\": \"{plain}\"}}]}}"),
        ] {
            let tokens = read(&text).unwrap();
            assert!(tokens.len() == 1 && tokens[0].id == *new.id() && tokens[0].hash.is_of(secret), "{text}");
        }
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_and_no_token_is() {
        let new = TokenText::generate().reveal();
        for wrong in [
            format!("token = \"{new}\""),
            format!("token {new}"),
            format!("{{\"{new}\": "),
            format!("[[token]]\nname = \"n\"\nrole = \"{new}\""),
            format!("[[token]]\nname = \"n\"\nrole = \"agent\"\nid = \"0\"\ntoken = \"{new}\""),
            format!("[[token]]\nname = \"n\"\nrole = \"agent\"\ntoken = \"{new}x\""),
            format!("[[token]]\nname = \"n\"\nrole = \"agent\"\nhash = \"{new}\"\nid = \"0\""),
            "[[token]]\nname = \"n\"\nrole = \"agent\"".into(),
            format!(
                "[[token]]\nname = \"n\"\nrole = \"agent\"\ntoken = \"{new}\"\n[[token]]\nname = \"n\"\nrole = \"admin\"\ntoken = \"{new}\""
            ),
        ] {
            let why = read(&wrong).unwrap_err();
            assert!(!why.contains(&new[21..]), "{why}");
        }
    }
}
