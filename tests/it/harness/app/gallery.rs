//! The pages that stories come to, one of each shape, kept for whoever judges pages by their looks: `.ci/browser`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, body::Body, http::header, middleware::map_response, response::Response};
use sha2::{Digest as _, Sha256};

/// No page is longer.
const LONGEST: usize = 16 << 20;

/// The same router; where `CONTAINEROPS_TEST_PAGES` names a folder, its pages are kept there.
pub(super) fn hung(router: Router) -> Router {
    let Some(folder) = std::env::var_os("CONTAINEROPS_TEST_PAGES") else { return router };
    let folder: Arc<Path> = PathBuf::from(folder).into();
    router.layer(map_response(move |response| keep(Arc::clone(&folder), response)))
}

async fn keep(folder: Arc<Path>, response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let page = axum::body::to_bytes(body, LONGEST).await.expect("a page");
    let digest = Sha256::digest(shape(&String::from_utf8_lossy(&page)));
    let path = folder.join(format!("{}.html", hex::encode(&digest[..8])));
    if !path.exists() {
        std::fs::write(path, &page).expect("a folder for pages");
    }
    Response::from_parts(parts, Body::from(page))
}

/// Which elements it has, with their classes.
fn shape(page: &str) -> String {
    let tags = page.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    let element = |tag: &str| {
        let class = tag.split_once("class=\"").and_then(|(_, rest)| rest.split('"').next());
        format!("{}.{}", tag.split([' ', '\n']).next().unwrap_or_default(), class.unwrap_or_default())
    };
    tags.map(element).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}
