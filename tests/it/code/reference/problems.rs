//! problems.md: the types of problem documents.

use super::markdown::{Page, code, sentence};
use plugin_registry::http::problem::Kind;

const ABOUT: &str = "Every error is a problem document (RFC 9457): [Problem](fields.md#problem). \
[Using the API](../guide/using-the-api.md) tells how to handle them.

## How to read this

- `type` of the document is `urn:plugin-registry:problem:` and then the word of the first column. It does not change.
- `title` is the text of the third column. `detail` says what is wrong with this request, and what would be right.
- `errors` lists the wrong places of the body as JSON Pointers (RFC 6901), at most 100.
- A 429 or 503 names the seconds to wait in `Retry-After`, if the registry knows them.";

/// The page.
pub(super) fn page() -> String {
    let mut page = Page::new("Problems", ABOUT);
    let mut kinds = Kind::ALL.to_vec();
    kinds.sort_by_key(|kind| kind.status());
    page.heading(2, "Types of problems");
    let row = |kind: &Kind| {
        let status = kind.status().as_u16().to_string();
        vec![code(kind.slug()), status, kind.title().into(), sentence(kind.help())]
    };
    page.table(&["type", "status", "title", "when, and what to do"], &kinds.iter().map(row).collect::<Vec<_>>());
    page.finish()
}
