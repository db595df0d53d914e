//! Where a submodule is fetched from. `.gitmodules` names any address, and is whoever's who may push: what the server
//! alone could read is not fetched for it, and nothing of ours goes with it to another host.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use url::{Host, Url};

use crate::{
    forge::{Realm, Source},
    model::is_public,
};

/// Where a submodule is fetched from.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) source: Source,
    /// `host:port:address`: where that name leads, as it was looked at.
    pub(super) pin: Option<String>,
}

/// What `.gitmodules` says, before it is asked whether we go there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Url(Url),
    Path(PathBuf),
}

const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The address that `text` names, relative to `base`, for a submodule of a repository that was fetched from `source`.
///
/// # Errors
/// Why we do not go there, in words for the author.
pub(super) async fn address(source: &Source, base: &str, text: &str) -> Result<Address, String> {
    match named(base, text)? {
        Named::Path(path) => below(&source.realm, &path),
        Named::Url(url) => match of_the_forge(source, &url) {
            Some(source) => Ok(Address { source, pin: None }),
            None => public(source, url).await,
        },
    }
}

/// A source of the same kind, elsewhere.
pub(super) fn at(realm: &Realm, url: String) -> Source {
    Source { url, header: None, refs: Vec::new(), merge_ref: None, realm: realm.clone() }
}

fn named(base: &str, text: &str) -> Result<Named, String> {
    let refused = || format!("`{}` is no address that is fetched: https is", text.escape_default());
    if text.is_empty() || text.starts_with('-') || text.contains("::") || text.chars().any(char::is_control) {
        return Err(refused());
    }
    if text.starts_with("./") || text.starts_with("../") {
        return relative(base, text);
    }
    match text.split_once("://") {
        Some(("http" | "https", _)) => plain(text).ok_or_else(refused),
        // nobody has given us a key; whatever is public there is public here
        Some(("ssh" | "git" | "git+ssh", rest)) => {
            let host = rest.split_once('/').ok_or_else(refused)?;
            let name = host.0.rsplit('@').next().and_then(|name| name.split(':').next()).unwrap_or_default();
            plain(&format!("https://{name}/{}", host.1)).ok_or_else(refused)
        }
        Some(("file", path)) if path.starts_with('/') => Ok(Named::Path(path.into())),
        Some(_) => Err(refused()),
        None if text.starts_with('/') => Ok(Named::Path(text.into())),
        None => {
            let (host, path) = text.split_once(':').filter(|(host, _)| !host.contains('/')).ok_or_else(refused)?;
            let name = host.rsplit('@').next().unwrap_or_default();
            plain(&format!("https://{name}/{}", path.trim_start_matches('/'))).ok_or_else(refused)
        }
    }
}

/// Without credentials, a query or a fragment.
fn plain(text: &str) -> Option<Named> {
    let mut url = Url::parse(text).ok()?;
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    if url.host_str().is_none_or(|host| host.starts_with('-')) {
        return None;
    }
    Some(Named::Url(url))
}

/// As git has it: each `..` takes a part of the base away, and the repository's own name is one.
fn relative(base: &str, text: &str) -> Result<Named, String> {
    let too_far = || format!("`{}` leads out of {base}", text.escape_default());
    let mut parts: Vec<&str> = base.trim_end_matches('/').split('/').collect();
    // scheme, nothing, host; or the nothing before the first slash
    let least = if base.contains("://") { 3 } else { 1 };
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.len() > least => drop(parts.pop()),
            ".." => return Err(too_far()),
            name => parts.push(name),
        }
    }
    if parts.len() <= least {
        return Err(too_far());
    }
    let whole = parts.join("/");
    if whole.starts_with('/') { Ok(Named::Path(whole.into())) } else { plain(&whole).ok_or_else(too_far) }
}

fn below(realm: &Realm, path: &Path) -> Result<Address, String> {
    let refused = || format!("{} is none of this server's repositories", path.display());
    let Realm::Below(root) = realm else { return Err(refused()) };
    let root = root.canonicalize().map_err(|_| refused())?;
    let with_ending = PathBuf::from(format!("{}.git", path.display()));
    let real = path.canonicalize().or_else(|_| with_ending.canonicalize()).map_err(|_| refused())?;
    if !real.starts_with(&root) || !real.join("HEAD").is_file() {
        return Err(refused());
    }
    Ok(Address { source: at(realm, real.display().to_string()), pin: None })
}

/// A repository on the source's own host. What is on this host is the forge's to show or not; our own header goes only to
/// what is listed, and to the repository itself.
fn of_the_forge(source: &Source, url: &Url) -> Option<Source> {
    let Realm::Host { shared } = &source.realm else { return None };
    let own = Url::parse(&source.url).ok().filter(|own| own.host().is_some() && own.host() == url.host())?;
    let is_http = matches!(own.scheme(), "http" | "https");
    // an ssh address has no port that would mean anything here
    let same_port = url.port_or_known_default() == own.port_or_known_default() || url.port().is_none();
    if !is_http || !same_port || (url.scheme() == "http" && own.scheme() == "https") {
        return None;
    }
    let mut there = own.clone();
    there.set_path(url.path());
    let name = |url: &Url| {
        let path = url.path().trim_matches('/').to_ascii_lowercase();
        path.strip_suffix(".git").map(str::to_owned).unwrap_or(path)
    };
    let is_shared = |pattern: &String| fast_glob::glob_match(pattern.to_ascii_lowercase(), name(&there));
    let may = name(&there) == name(&own) || shared.iter().any(is_shared);
    let header = source.header.clone().filter(|_| may && is_plain(&name(&there)));
    Some(Source { header, ..at(&source.realm, there.to_string()) })
}

/// Whether a repository's path says what it names: nothing encoded, and no way up.
fn is_plain(path: &str) -> bool {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    path.chars().all(is_known) && !path.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// Anywhere else: what everybody could fetch.
async fn public(source: &Source, url: Url) -> Result<Address, String> {
    let private = || format!("{url} leads to a private address");
    if url.scheme() != "https" {
        return Err(format!("{url} is not encrypted"));
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let pin = match url.host() {
        Some(Host::Ipv4(address)) if is_public(address.into()) => None,
        Some(Host::Ipv6(address)) if is_public(address.into()) => None,
        // a proxy finds addresses itself, and goes where its own rules let it
        Some(Host::Domain(_)) if PROXIES.iter().any(|name| std::env::var_os(name).is_some()) => None,
        Some(Host::Domain(name)) => {
            let found = tokio::net::lookup_host((name, port)).await.map_err(|error| format!("{name}: {error}"))?;
            let found: Vec<SocketAddr> = found.collect();
            let first = found.first().filter(|_| found.iter().all(|one| is_public(one.ip()))).ok_or_else(private)?;
            Some(format!("{name}:{port}:{}", first.ip()))
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => return Err(private()),
    };
    Ok(Address { source: at(&source.realm, url.to_string()), pin })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(base: &str, text: &str) -> String {
        match named(base, text) {
            Ok(Named::Url(url)) => url.to_string(),
            Ok(Named::Path(path)) => path.display().to_string(),
            Err(words) => words,
        }
    }

    #[test]
    fn addresses_are_read_as_git_reads_them() {
        let base = "https://forge.example/acme/app.git";
        for (text, there) in [
            ("../lib.git", "https://forge.example/acme/lib.git"),
            ("../../other/lib", "https://forge.example/other/lib"),
            ("./part", "https://forge.example/acme/app.git/part"),
            ("git@forge.example:acme/lib.git", "https://forge.example/acme/lib.git"),
            ("ssh://git@forge.example:2222/acme/lib", "https://forge.example/acme/lib"),
            ("https://user:secret@other.example/x.git", "https://other.example/x.git"),
            ("file:///etc", "/etc"),
        ] {
            assert_eq!(shown(base, text), there);
        }
        assert_eq!(shown("/srv/git/acme/app.git", "../lib.git"), "/srv/git/acme/lib.git");
        for text in [
            "",
            "-oProxyCommand=x:y",
            "ext::sh -c id",
            "ssh://-oProxyCommand=x/y",
            "../../../x",
            "../../..",
            "name",
            "a/b:c",
            "fd://17",
            "https://x/\n",
        ] {
            assert!(named(base, text).is_err(), "{text}: {}", shown(base, text));
        }
    }

    fn source(url: &str, shared: &[&str]) -> Source {
        let shared = shared.iter().map(ToString::to_string).collect();
        Source { header: Some("Authorization: x".into()), ..at(&Realm::Host { shared }, url.to_owned()) }
    }

    #[test]
    fn a_header_goes_to_what_is_listed_on_the_same_host_alone() {
        let own = source("https://forge.example/acme/app.git", &["acme/lib-*"]);
        let with = |url: &str| {
            let found = of_the_forge(&own, &Url::parse(url).expect(url));
            found.map(|source| source.header.is_some())
        };
        assert_eq!(with("https://forge.example/acme/lib-a.git"), Some(true));
        assert_eq!(with("https://forge.example/Acme/App"), Some(true), "itself");
        for other in ["acme/other", "acme/lib-a/../secret", "acme/lib-a%2f..%2fsecret", "evil/lib-a"] {
            assert_eq!(with(&format!("https://forge.example/{other}")), Some(false), "{other}");
        }
        for other in [
            "https://forge.example.evil/acme/lib-a",
            "http://forge.example/acme/lib-a",
            "https://forge.example:1/acme/lib-a",
        ] {
            assert_eq!(with(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn private_addresses_are_not_asked() {
        let own = source("https://forge.example/acme/app.git", &[]);
        for url in [
            "https://127.0.0.1/x.git",
            "https://[::1]/x",
            "https://localhost/x",
            "http://example.org/x",
            "https://169.254.169.254/",
        ] {
            assert!(address(&own, &own.url, url).await.is_err(), "{url}");
        }
        assert!(address(&own, &own.url, "https://1.1.1.1/x.git").await.expect("public").source.header.is_none());
        assert!(address(&own, &own.url, "file:///srv/git/x.git").await.is_err());
    }
}
