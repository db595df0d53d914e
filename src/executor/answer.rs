//! What words about a pull mean: a kubelet's or an engine's. containerd, CRI-O, Docker and Podman each have their own.

/// How the kubelet speaks of a pull between two tries, without a word about why the last one failed.
const BETWEEN_PULLS: &str = "Back-off pulling image";

/// What the registry answered, as far as the words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// There is no such image.
    NotFound,
    /// Not to those whom it does not know: the image is private, or does not exist.
    Denied,
    /// Nothing that is about the image: it is away, too busy, or cannot be found.
    None,
}

/// What the registry answered. A name server's "no such host" is no answer of a registry, nor is a limit on how often it
/// may be asked.
pub(super) fn answer(message: &str) -> Answer {
    const DENIED: [&str; 10] = [
        "pull access denied",
        "insufficient_scope",
        "requested access to the resource is denied",
        "401 Unauthorized",
        "403 Forbidden",
        "unauthorized:",
        "denied:",
        "authorization failed",
        "authentication required",
        "no basic auth credentials",
    ];
    const NOT_FOUND: [&str; 6] = [
        "code = NotFound",
        "manifest unknown",
        "name unknown",
        "repository does not exist",
        "404 Not Found",
        "no match for platform",
    ];
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    let ends_so = message.trim_end_matches(['"', '\'']).ends_with(": not found");
    match message {
        _ if says(&["toomanyrequests", "429 Too Many Requests"]) => Answer::None,
        _ if says(&DENIED) => Answer::Denied,
        _ if says(&NOT_FOUND) || ends_so => Answer::NotFound,
        _ => Answer::None,
    }
}

/// Whether the kubelet only says that it will try again.
pub(super) fn is_between_pulls(message: &str) -> bool {
    message.starts_with(BETWEEN_PULLS)
}
