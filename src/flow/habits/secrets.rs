//! What looks like a credential. A value that has a known form is one, whatever its name; a name that says so is
//! believed if the value could be one.

/// Beginnings of tokens whose issuers have given them one, and how long such a token is at least.
const PREFIXES: [(&str, usize); 17] = [
    ("ghp_", 36),
    ("gho_", 36),
    ("ghu_", 36),
    ("ghs_", 36),
    ("ghr_", 36),
    ("github_pat_", 40),
    ("glpat-", 20),
    ("gldt-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("sk_live_", 20),
    ("rk_live_", 20),
    ("npm_", 36),
    ("pypi-", 40),
    ("dckr_pat_", 20),
    ("AIza", 39),
    ("SG.", 40),
];
/// Ends of names that say what their value is.
const NAMES: [&str; 11] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "TOKEN",
    "SECRET",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "SECRET_KEY",
    "PRIVATE_KEY",
    "CREDENTIALS",
];
/// Nothing shorter keeps anybody out.
const MIN_CHARS: usize = 6;

/// What a variable holds that should be in no file; `None` if it looks harmless.
pub(super) fn looks_secret(name: &str, value: &str) -> Option<&'static str> {
    known_form(value).or_else(|| {
        if name == "CO_DATA" || name == "CO-DATA" {
            return value.split_whitespace().filter_map(pair).find_map(|(name, value)| by_name(name, value));
        }
        by_name(name, value)
    })
}

/// What a text has in it, by its form alone.
pub(super) fn known_form(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let has_password = text.split_whitespace().any(has_password);
    if text.split(|c: char| !is_token(c)).any(is_known) {
        return Some("a token");
    }
    has_password.then_some("a URL with a password")
}

fn is_known(word: &str) -> bool {
    let begins = |(prefix, length): &(&str, usize)| word.starts_with(prefix) && word.len() >= *length;
    let is_aws = |word: &str| {
        (word.starts_with("AKIA") || word.starts_with("ASIA"))
            && word.len() == 20
            && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    // a signed token: two parts of JSON in base64, and a signature
    let is_jwt = |word: &str| word.starts_with("eyJ") && word.split('.').count() == 3 && word.len() >= 60;
    PREFIXES.iter().any(begins) || is_aws(word) || is_jwt(word)
}

/// `scheme://user:password@host`, where the password is no variable of a shell or of a flow.
fn has_password(word: &str) -> bool {
    let Some((_, rest)) = word.split_once("://") else { return false };
    let Some((user, _)) = rest.split(['/', '?', '"', '\'']).next().and_then(|rest| rest.rsplit_once('@')) else {
        return false;
    };
    user.split_once(':').is_some_and(|(_, password)| is_literal(password) && !password.is_empty())
}

/// `name=value`, and what of JSON comes to the same.
fn pair(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=').or_else(|| word.split_once(':'))?;
    let trim = ['{', '}', ',', '"', '\''];
    let (name, value) = (name.trim_matches(trim), value.trim_matches(trim));
    (!name.is_empty()).then_some((name, value))
}

fn by_name(name: &str, value: &str) -> Option<&'static str> {
    let plain = name.to_ascii_uppercase().replace('-', "_");
    let says_so =
        NAMES.iter().any(|end| plain.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')));
    let may_be = value.chars().count() >= MIN_CHARS
        && is_literal(value)
        && !value.contains(char::is_whitespace)
        && !value.starts_with(['/', '.', '~'])
        && !value.contains("://");
    (says_so && may_be).then_some("a credential by its name")
}

/// Not taken from somewhere else when it runs.
fn is_literal(value: &str) -> bool {
    !value.contains(['$', '@', '<', '{', '`']) && !value.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::looks_secret;

    #[test]
    fn known_forms_and_telling_names_are_found() {
        let token = format!("ghp_{}", "a1".repeat(18));
        for (name, value, what) in [
            ("A", token.as_str(), "a token"),
            ("A", "AKIAIOSFODNN7EXAMPLE", "a token"),
            ("A", "-----BEGIN RSA PRIVATE KEY-----\nMII", "a private key"),
            ("URL", "postgres://app:hunter2@db/app", "a URL with a password"),
            ("DB_PASSWORD", "hunter2", "a credential by its name"),
            ("token", "abcdef", "a credential by its name"),
            ("CO_DATA", "git-url=https://x/y api-key=hunter22", "a credential by its name"),
            ("CO_DATA", "{\"password\":\"hunter22\"}", "a credential by its name"),
        ] {
            assert_eq!(looks_secret(name, value), Some(what), "{name}={value}");
        }
    }

    #[test]
    fn what_only_speaks_of_secrets_is_none() {
        for (name, value) in [
            ("TOKEN_URL", "https://example.org/token"),
            ("PASSWORD_FILE", "/run/secrets/password"),
            ("SECRET", "$OTHER"),
            ("PASSWORD", "x"),
            ("TOKEN", "********"),
            ("MONKEY", "abcdefgh"),
            ("TOKENS", "abcdefgh"),
            ("URL", "https://user@example.org/"),
            ("URL", "postgres://app:$PASSWORD@db/app"),
            ("CO_DATA", "entry-path=src out-put-type=json"),
            ("DIGEST", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ] {
            assert_eq!(looks_secret(name, value), None, "{name}={value}");
        }
    }
}
