//! The position at which the next page of a list begins. Opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::params::bad;
use crate::http::problem::{Kind, Problem};
use domain::StoreId;
use domain::query::sort::{Position, SortKey};

/// A position in a list, with the store and the list that the position belongs to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor<P> {
    #[serde(rename = "s")]
    store: String,
    #[serde(rename = "l")]
    list: String,
    #[serde(rename = "p")]
    place: P,
}

/// A position in a list of plugins.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListCursor {
    /// The value of the sort field.
    #[serde(rename = "k")]
    pub key: SortKey,
    /// The plugin's unique_id.
    #[serde(rename = "i")]
    pub unique_id: String,
}

impl From<&Position> for ListCursor {
    fn from(position: &Position) -> ListCursor {
        ListCursor { key: position.key.clone(), unique_id: position.unique_id.to_string() }
    }
}

impl<P: Serialize + DeserializeOwned> Cursor<P> {
    /// Encodes a position in the list `list` of `store`.
    pub fn write(store: &StoreId, list: &str, place: P) -> String {
        let cursor = Cursor { store: store.to_string(), list: list.to_owned(), place };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }

    /// Decodes a position in the list `list` of `store`.
    ///
    /// # Errors
    ///
    /// 400 for a malformed cursor or a cursor of another list; 410 for a cursor of another store.
    pub fn read(text: &str, store: &StoreId, list: &str) -> Result<P, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor: Option<Cursor<P>> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let cursor = cursor.ok_or_else(|| bad("`cursor` must be the next_cursor of a reply, unchanged"))?;
        if cursor.store != store.as_str() {
            let detail = "the cursor is from another store, or from before a restore; start the list again";
            return Err(Problem::new(Kind::Gone, detail));
        }
        if cursor.list != list {
            return Err(bad("`cursor` belongs to a list with other filters or another order; start the list again"));
        }
        Ok(cursor.place)
    }
}
