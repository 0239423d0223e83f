//! The HTTP API: every route, status code and extractor. All decisions are made in the registry.
//!
//! A handler parses the request, calls the registry once, and replies. Every error becomes a problem document (RFC
//! 9457), also an error in routing or extraction.
//!
//! | file or folder | idea |
//! |---|---|
//! | [`mod@router`] | all routes on one page |
//! | [`operations`] | the facts about every route: permission, parameters, media types, and so on |
//! | [`trailing_slash`] | one form of every path |
//! | [`state`] | the state that all handlers share |
//! | [`middleware`] | the layers around every handler |
//! | [`extract`] | extractors: the parts of a request that handlers use |
//! | [`query`] | query parameters, from tables that the OpenAPI description also uses |
//! | [`handlers`] | the handlers, one file for each resource |
//! | [`reply`] | replies that handlers share |
//! | [`cost_answers`] | answers about costs, which equal questions share |
//! | [`problem`] | errors |
//! | [`headers`], [`media_type`] | names of header fields and of media types |
//! | [`metrics`] | the metrics that `/metrics` exports |
//! | [`openapi`] | the OpenAPI description of the API |

pub mod cost_answers;
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
pub mod trailing_slash;

pub use self::middleware::load_shedding::LoadShedder;
pub use self::state::{BackupAccess, Exposure};
pub use router::router;
pub use state::{Access, Api, Limits, Shared};
