//! Where the next page of a list begins. Opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::params::bad;
use crate::http::problem::{Kind, Problem};
use domain::StoreId;
use domain::query::sort::{Position, SortKey};

/// A place in a list, with the store and the list that it belongs to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor<P> {
    #[serde(rename = "s")]
    store: String,
    #[serde(rename = "l")]
    list: String,
    #[serde(rename = "p")]
    place: P,
}

/// A place in a list of plugins.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListCursor {
    /// The value that is sorted by.
    #[serde(rename = "k")]
    pub key: SortKey,
    /// The plugin.
    #[serde(rename = "i")]
    pub unique_id: String,
}

impl From<&Position> for ListCursor {
    fn from(position: &Position) -> ListCursor {
        ListCursor { key: position.key.clone(), unique_id: position.unique_id.to_string() }
    }
}

impl<P: Serialize + DeserializeOwned> Cursor<P> {
    /// The text of a place in the list `list` of `store`.
    pub fn write(store: &StoreId, list: &str, place: P) -> String {
        let cursor = Cursor { store: store.to_string(), list: list.to_owned(), place };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }

    /// Reads a place in the list `list` of `store`.
    ///
    /// # Errors
    ///
    /// 400 when it is no cursor, or one of another list; 410 when it is one of another store.
    pub fn read(text: &str, store: &StoreId, list: &str) -> Result<P, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor: Option<Cursor<P>> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let cursor = cursor.ok_or_else(|| bad("`cursor` must be the next_cursor of a reply, unchanged"))?;
        if cursor.store != store.as_str() {
            let detail = "the cursor was made by another store, or before a backup was restored; begin the list anew";
            return Err(Problem::new(Kind::Gone, detail));
        }
        if cursor.list != list {
            return Err(bad("`cursor` belongs to a list with other filters or another order; begin the list anew"));
        }
        Ok(cursor.place)
    }
}
