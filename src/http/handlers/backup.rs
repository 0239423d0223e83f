//! `/backup`: a backup of the whole store.

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

/// When a client should retry while the registry makes another backup.
const WAIT: Duration = Duration::from_secs(10);

/// Create a backup.
///
/// Requires the role `admin`: a backup holds all data, also saved configurations and secrets of webhooks. A backup
/// shows one moment, and delays no other request. `plugin-registry restore` reads the backup; it refuses an incomplete
/// backup without the last line (`{"end": …}`). With `--store memory`, a backup has the current state and no history.
#[utoipa::path(get, path = "/backup", tag = "service", responses(
    (status = OK, description = "The backup, a JSON document in each line", body = String, content_type = "application/x-ndjson"),
    (status = FORBIDDEN, description = "The token's role does not allow backups; or no tokens are configured, and the service listens on the network"),
    (status = SERVICE_UNAVAILABLE, description = "The registry makes another backup, or cannot read the store"),
))]
pub(crate) async fn read_backup(
    State(api): State<Shared>,
    RequestPrincipal(principal): RequestPrincipal,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    if api.backups == BackupAccess::ToAdmins && principal.token.is_none() {
        let detail = "a backup holds secrets, and without tokens anyone in the network could read them; run \
         `plugin-registry backup` on the host of the store, or configure tokens";
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
