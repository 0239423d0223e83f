//! Compresses long replies for clients that accept gzip (RFC 9110 section 8.4).

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::header::{ACCEPT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, VARY};
use tower::{Layer as _, Service};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use crate::http::media_type::EVENT_STREAM;

/// Shorter replies are not worth the time to compress them, in bytes.
const MIN_LENGTH: u64 = 4096;

/// The reply of a service, compressed if the client accepts gzip and the reply is long.
pub async fn compressed<S>(mut inner: S, request: Request) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    if request.headers().contains_key(ACCEPT_ENCODING) {
        let layer = CompressionLayer::new().gzip(true).compress_when(WorthCompressing);
        let Ok(response) = layer.layer(inner).call(request).await;
        return response.map(Body::new);
    }
    let Ok(mut response) = inner.call(request).await;
    if WorthCompressing.should_compress(&response) {
        response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

/// Compresses long replies only, and none with a strong entity tag. A compressed form would be another representation
/// under the same tag (RFC 9110 section 8.8.3.3).
#[derive(Clone, Copy)]
struct WorthCompressing;

impl Predicate for WorthCompressing {
    fn should_compress<B: hyper::body::Body>(&self, response: &hyper::Response<B>) -> bool {
        let strong = response.headers().get(ETAG).is_some_and(|tag| !tag.as_bytes().starts_with(b"W/"));
        // A compressor holds back events until it has a full block.
        let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == EVENT_STREAM);
        !strong && !is_stream && SizeAbove::new(MIN_LENGTH).should_compress(response)
    }
}
