//! The HTTP API: every route, status code and extractor. Nothing here decides anything.
//!
//! A handler parses, makes one call to the registry, and replies. What goes wrong anywhere, in
//! routing and extraction too, is answered as a problem document (RFC 9457).
//!
//! | file or folder | idea |
//! |---|---|
//! | [`mod@router`] | all routes on one page |
//! | [`operations`] | what is known of every route: permission, parameters, media types, and so on |
//! | [`state`] | what the handlers are given |
//! | [`middleware`] | what every request goes through |
//! | [`extract`] | what handlers take from a request |
//! | [`query`] | the query of a request, from tables that the description uses, too |
//! | [`handlers`] | the handlers, one file a resource |
//! | [`reply`] | what handlers answer with |
//! | [`problem`] | errors |
//! | [`headers`], [`media_type`] | names of header fields and of media types |
//! | [`metrics`] | what `/metrics` tells |
//! | [`openapi`] | the description of the API |

pub mod extract;
pub mod handlers;
pub mod headers;
pub mod media_type;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod operations;
pub mod problem;
pub mod query;
pub mod reply;
pub mod router;
pub mod state;

pub use self::middleware::load_shedding::LoadShedder;
pub use self::state::{BackupAccess, Exposure};
pub use router::router;
pub use state::{Access, Api, Limits, Shared};
