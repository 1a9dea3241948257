//! The host that a request names, in one place whatever the version of HTTP.

use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Version};

use super::ApiError;

/// Sees to it that a request names its host once, in `Host`: HTTP/2 names it in the URI, and may repeat it in the
/// header (RFC 9113, section 8.3.1); HTTP/1.1 must name it (RFC 9112, section 3.2). The library looks at neither.
///
/// # Errors
/// [`ApiError::BadHost`] where there is none, or more than one.
pub fn settle<B>(request: &mut Request<B>) -> Result<(), ApiError> {
    let mut named = request.headers().get_all(HOST).iter();
    let (first, second) = (named.next(), named.next());
    if second.is_some() || (first.is_none() && request.version() == Version::HTTP_11) {
        return Err(ApiError::BadHost);
    }
    if request.version() != Version::HTTP_2 {
        return Ok(());
    }
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    let differs = |host: &HeaderValue| {
        !host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes())
    };
    if first.is_some_and(differs) {
        return Err(ApiError::BadHost);
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| ApiError::BadHost)?;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(version: Version, uri: &str, hosts: &[&str]) -> Result<Option<String>, ApiError> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let mut request = request.body(()).unwrap();
        settle(&mut request)?;
        let host = request.headers().get(HOST);
        Ok(host.map(|host| host.to_str().unwrap().to_owned()))
    }

    #[test]
    fn http_1_names_its_host_in_one_header() {
        let settled = |hosts: &[&str]| settled(Version::HTTP_11, "/x", hosts);
        assert_eq!(settled(&["a.example"]), Ok(Some("a.example".to_owned())));
        assert_eq!(settled(&[]), Err(ApiError::BadHost));
        assert_eq!(settled(&["a.example", "a.example"]), Err(ApiError::BadHost));
    }

    #[test]
    fn http_2_names_its_host_in_the_uri_and_the_header_must_not_differ() {
        let settled = |hosts: &[&str]| settled(Version::HTTP_2, "https://a.example:8443/x", hosts);
        let host = Ok(Some("a.example:8443".to_owned()));
        assert_eq!(settled(&[]), host);
        assert_eq!(settled(&["a.example:8443"]), host);
        assert_eq!(settled(&["b.example"]), Err(ApiError::BadHost));
        assert_eq!(settled(&["a.example:8443", "b.example"]), Err(ApiError::BadHost));
    }
}
