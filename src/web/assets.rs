//! Style sheet and script, carried in the program, served under the digest of their bytes: a browser may keep them
//! for ever, and a new release is seen at once.

use std::sync::OnceLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::{access::Anybody, log::palette, pages::marks_css};

/// One file.
struct Asset {
    name: &'static str,
    media: &'static str,
    content: String,
}

/// All files, and their common digest.
struct Assets {
    digest: String,
    files: [Asset; 2],
}

fn assets() -> &'static Assets {
    static ASSETS: OnceLock<Assets> = OnceLock::new();
    ASSETS.get_or_init(|| {
        let style = format!("{}\n{}\n{}", include_str!("../../static/app.css"), marks_css(), palette::css());
        let script = include_str!("../../static/app.js").to_owned();
        let mut hash = Sha256::new();
        hash.update(&style);
        hash.update(&script);
        let digest = hex::encode(&hash.finalize()[..6]);
        let files = [
            Asset { name: "app.css", media: "text/css; charset=utf-8", content: style },
            Asset { name: "app.js", media: "text/javascript; charset=utf-8", content: script },
        ];
        Assets { digest, files }
    })
}

/// The path of an asset, for pages.
pub(super) fn path(name: &str) -> String {
    format!("/static/{}/{name}", assets().digest)
}

/// `GET /static/{digest}/{name}`. Another release's digest gets this release's file, but may not keep it.
pub(super) async fn serve(_: Anybody, Path((digest, name)): Path<(String, String)>) -> Response {
    let Some(asset) = assets().files.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keep = if digest == assets().digest { "public, max-age=31536000, immutable" } else { "no-store" };
    ([(header::CONTENT_TYPE, asset.media), (header::CACHE_CONTROL, keep)], asset.content.as_str()).into_response()
}
