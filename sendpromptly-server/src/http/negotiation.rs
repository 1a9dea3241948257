//! `Accept`, `Content-Type` and `Content-Encoding` (RFC 9110, sections 8.3, 8.4 and 12.5.1).

use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use super::ApiError;

/// Whether the client takes a JSON answer. The most specific range that fits decides, by its `q`.
///
/// # Errors
/// [`ApiError::MissingAccept`] or [`ApiError::NotAcceptable`].
pub fn accepts_json(headers: &HeaderMap) -> Result<(), ApiError> {
    if !headers.contains_key(ACCEPT) {
        return Err(ApiError::MissingAccept);
    }
    let ranges = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let best = ranges
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
        .max_by(|one, other| {
            // Of two that are as specific, the kinder one counts.
            (one.specificity, one.allows).cmp(&(other.specificity, other.allows))
        });
    match best {
        Some(range) if range.allows => Ok(()),
        _ => Err(ApiError::NotAcceptable),
    }
}

/// Whether the client is a browser that would show a page: it names HTML, and no program does by accident.
#[must_use]
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let mut values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.any(|value| value.contains("text/html"))
}

/// A media range that a JSON answer fits.
struct Range {
    specificity: u8,
    allows: bool,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        let specificity = match media.as_str() {
            "*/*" => 0,
            "application/*" => 1,
            "application/json" => 3,
            other if is_json_suffix(other) => 2,
            _ => return None,
        };
        let q = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
        });
        let allows = match q {
            None => true,
            Some(q) => q.parse::<f32>().is_ok_and(|q| q > 0.0 && q <= 1.0),
        };
        Some(Self { specificity, allows })
    }
}

/// A client that takes some `…/…+json` reads JSON, whatever the type before the suffix (RFC 6839, section 3.1).
fn is_json_suffix(media: &str) -> bool {
    // The characters of a registered name (RFC 6838, section 4.2).
    let is_name = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !name.is_empty() && name.bytes().all(allowed)
    };
    media
        .strip_suffix("+json")
        .and_then(|media| media.split_once('/'))
        .is_some_and(|(kind, name)| is_name(kind) && is_name(name))
}

/// Whether the body is plain JSON.
///
/// # Errors
/// [`ApiError::UnsupportedMediaType`].
pub fn is_json_body(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let json = match (types.next().and_then(|value| value.to_str().ok()), types.next()) {
        (Some(value), None) => {
            let media = value.split(';').next().unwrap_or_default().trim();
            media.eq_ignore_ascii_case("application/json")
        }
        _ => false,
    };
    let plain = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
    if json && plain {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: hyper::header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_most_specific_range_decides_by_its_q() {
        let accepts = |values: &[&str]| accepts_json(&headers(ACCEPT, values));
        for right in [
            &["application/json"][..],
            &["APPLICATION/JSON; charset=utf-8"],
            &["application/*"],
            &["*/*"],
            &["application/problem+json"],
            &["text/x+json"],
            &["Model/glTF+json; q=0.5"],
            &["application/json;q=0, text/x+json", "application/json"],
            &["text/html", "*/*;q=0.1"],
            &["*/*;q=0, application/json"],
            &["application/json;q=0.001"],
            &["text/html, application/*;q=0.5"],
        ] {
            assert_eq!(accepts(right), Ok(()), "{right:?}");
        }
        for wrong in [
            &[""][..],
            &["text/html"],
            &["*/*;q=0"],
            &["application/json;q=0, */*"],
            &["application/json;q=0.0, application/*;q=1"],
            &["application/json;q=x"],
            &["application/jsonp"],
            &["application/+json"],
            &["/x+json"],
            &["*/x+json"],
            &["text/x/y+json"],
            &["x+json"],
            &["text/x+json;q=0"],
            &["text/x+json, application/json;q=0"],
            &["json"],
        ] {
            assert_eq!(accepts(wrong), Err(ApiError::NotAcceptable), "{wrong:?}");
        }
        assert_eq!(accepts(&[]), Err(ApiError::MissingAccept));
    }

    #[test]
    fn a_body_is_json_with_or_without_parameters_and_not_encoded() {
        let is_json = |values: &[&str]| is_json_body(&headers(CONTENT_TYPE, values)).is_ok();
        assert!(is_json(&["application/json"]) && is_json(&["Application/JSON ; charset=utf-8"]));
        for wrong in [
            &[][..],
            &[""],
            &["text/json"],
            &["application/jsonx"],
            &["application/json", "application/json"],
        ] {
            assert!(!is_json(wrong), "{wrong:?}");
        }
        let mut encoded = headers(CONTENT_TYPE, &["application/json"]);
        encoded.insert(CONTENT_ENCODING, "identity".parse().unwrap());
        assert!(is_json_body(&encoded).is_ok());
        encoded.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(is_json_body(&encoded).is_err());
    }
}
