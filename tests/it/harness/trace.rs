//! Everything that a reader can see, to compare before and after.

use bytes::Bytes;

use super::{Call, Client, Problem};

/// A reader's view of the whole registry.
#[derive(Debug, PartialEq)]
pub(crate) struct Trace {
    /// The newest revision.
    pub(crate) revision: u64,
    plugins: Bytes,
    categories: Bytes,
    resources: Bytes,
    stats: Bytes,
}

impl Trace {
    /// Reads everything.
    pub(crate) async fn of(client: &Client) -> Trace {
        let plugins = client.get("/plugins?limit=10000").answers(200).await;
        Trace {
            revision: plugins.revision(),
            plugins: plugins.body,
            categories: client.get("/categories").answers(200).await.body,
            resources: client.get("/resources").answers(200).await.body,
            stats: client.get("/stats").answers(200).await.body,
        }
    }
}

/// Asserts that the server refuses `call` with `status`, changes nothing, and spends no revision.
#[track_caller]
pub(crate) fn refused_without_trace(client: &Client, call: Call, status: u16) -> impl Future<Output = Problem> {
    let place = std::panic::Location::caller();
    let refused = call.refused(status);
    async move {
        let before = Trace::of(client).await;
        let problem = refused.await;
        assert_eq!(before, Trace::of(client).await, "{place}: a refused request changed something");
        problem
    }
}
