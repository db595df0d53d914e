//! Which headers of a delivery prove something to somebody: what they say is kept nowhere and shown nowhere.

/// What stands in the place of a secret.
pub const HIDDEN: &str = "(hidden)";

/// Parts of the names of headers that carry secrets: the forges' own, and what proxies put in front of a server.
const SECRET: [&str; 12] = [
    "auth",
    "cookie",
    "token",
    "signature",
    "secret",
    "key",
    "password",
    "credential",
    "session",
    "jwt",
    "assertion",
    "cert",
];

/// Whether a header of this name may carry a secret: a signature, a token, a cookie, a password.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}
