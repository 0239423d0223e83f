//! `/backup`: all that a restart would find again.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};

use crate::http::extract::principal::RequestPrincipal;
use crate::http::media_type::NDJSON;
use crate::http::problem::{Kind, Problem};
use crate::http::query::params::Params;
use crate::http::state::{BackupAccess, Shared};
use crate::registry::backup::BackupError;

/// How long to wait while another backup is made.
const WAIT: Duration = Duration::from_secs(10);

/// Make a backup.
///
/// For administrators: it holds everything, also saved configurations and the secrets of webhooks. It is of one moment, and
/// delays no other request. `plugin-registry restore` reads it; one that has no last line (`{"end": …}`) broke off, and is
/// refused there. Of a registry that keeps nothing (`--store memory`) it has what stands, and no history.
#[utoipa::path(get, path = "/backup", tag = "service", responses(
    (status = OK, description = "The backup: JSON, a line each", body = String, content_type = "application/x-ndjson"),
    (status = FORBIDDEN, description = "The role of the token is not for that; or there are no tokens, and anybody in the network could ask for it"),
    (status = SERVICE_UNAVAILABLE, description = "Another backup is being made, or the store cannot be read"),
))]
pub(crate) async fn read_backup(
    State(api): State<Shared>,
    RequestPrincipal(principal): RequestPrincipal,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    if api.backups == BackupAccess::ToAdmins && principal.token.is_none() {
        let detail = "a backup holds secrets, and this registry gives everything to everybody in the network; \
                      make it with `plugin-registry backup` where the store is";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let backup = api.registry.backup().await?;
    let pieces = futures_util::stream::try_unfold(backup, |mut backup| async move {
        Ok::<_, BackupError>(backup.next().await?.map(|piece| (piece, backup)))
    });
    let headers = [
        (CONTENT_TYPE, NDJSON),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_DISPOSITION, "attachment; filename=\"plugin-registry.backup\""),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Problem {
        Problem::new(Kind::Unavailable, error.to_string()).with_retry_after(WAIT)
    }
}
