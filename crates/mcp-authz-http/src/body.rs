//! Response bodies, read up to a limit.

use bytes::{Bytes, BytesMut};
use http::Response;

use crate::error::{HttpError, HttpErrorKind};

/// Reads a response with a body of at most `most` bytes, whatever its `Content-Length` says.
///
/// # Errors
///
/// [`HttpErrorKind::TooLarge`] as soon as the body is longer; the rest is not read. Any other [`HttpError`] if the
/// connection breaks or the request's time is over.
pub async fn read_body(
    mut response: reqwest::Response,
    most: usize,
) -> Result<Response<Bytes>, HttpError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > most.saturating_sub(body.len()) {
            return Err(HttpErrorKind::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut plain = Response::new(body.freeze());
    *plain.status_mut() = response.status();
    *plain.headers_mut() = core::mem::take(response.headers_mut());
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_no_further() {
        let response = || reqwest::Response::from(Response::new("12345"));
        assert_eq!(read_body(response(), 5).await.unwrap().body().as_ref(), b"12345");
        let long = read_body(response(), 4).await.unwrap_err();
        assert_eq!(long.kind(), HttpErrorKind::TooLarge);
    }
}
