//! The console's style sheet, script and icon: compiled in, named by their content, kept by browsers for a year.

use std::sync::LazyLock;

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use sendpromptly_core::hex;
use sha2::{Digest, Sha256};

use super::{PageError, Visit};
use crate::http::{Response, response};

struct Asset {
    path: String,
    content_type: &'static str,
    content: &'static str,
}

static CSS: LazyLock<Asset> = LazyLock::new(|| {
    asset(
        "console",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../assets/console.css"),
    )
});
static JS: LazyLock<Asset> = LazyLock::new(|| {
    asset(
        "console",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/console.js"),
    )
});
static ICON: LazyLock<Asset> = LazyLock::new(|| {
    asset(
        "icon",
        "svg",
        "image/svg+xml",
        include_str!("../../assets/icon.svg"),
    )
});

fn asset(name: &str, ending: &str, content_type: &'static str, content: &'static str) -> Asset {
    let digest = hex::encode(&Sha256::digest(content)[..6]);
    Asset {
        path: format!("/assets/{name}.{digest}.{ending}"),
        content_type,
        content,
    }
}

/// The address of the style sheet.
#[must_use]
pub fn css() -> &'static str {
    &CSS.path
}

/// The address of the script.
#[must_use]
pub fn js() -> &'static str {
    &JS.path
}

/// The address of the icon.
#[must_use]
pub fn icon() -> &'static str {
    &ICON.path
}

/// Gives one of them.
///
/// # Errors
/// [`PageError::NotFound`] where there is none of this name.
pub async fn serve(visit: Visit) -> Result<Response, PageError> {
    let found = [&CSS, &JS, &ICON]
        .into_iter()
        .find(|asset| asset.path == visit.path);
    let asset = found.ok_or(PageError::NotFound)?;
    let mut response = response::with_type(StatusCode::OK, asset.content_type, asset.content);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, forever);
    Ok(response)
}
