//! Images that are privileged: their containers may do to their machine whatever that itself may.

use std::{fmt, str::FromStr};

use super::{ForgeKind, RepositoryName, untrusted::matches};

/// That an image is privileged in the trusted runs of some repositories. Written `[forge:]pattern=image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivilegedImage {
    /// At which forge; `None`: at any.
    pub forge: Option<ForgeKind>,
    /// Whose: `*` stands for any text.
    pub repositories: String,
    /// A pattern of images as flows name them, with or without tag; or one with a digest.
    pub image: String,
}

impl PrivilegedImage {
    /// Whether it is about this repository.
    pub fn is_of(&self, forge: ForgeKind, repository: &RepositoryName) -> bool {
        self.forge.is_none_or(|only| only == forge) && matches(&self.repositories, repository.as_str())
    }
}

impl FromStr for PrivilegedImage {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not `[forge:]owner/repository=image`, such as `acme/*=docker:27-dind`");
        let (whose, image) = text.split_once('=').ok_or_else(wrong)?;
        let (forge, repositories) = ForgeKind::before(whose).map_err(|_| wrong())?;
        let is_name = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        // whatever is privileged is named: an image that anybody may choose is everything
        if !is_name(repositories) || !is_name(image) || image.trim_matches(['*', '/']).is_empty() {
            return Err(wrong());
        }
        Ok(Self { forge, repositories: repositories.to_owned(), image: image.to_owned() })
    }
}

impl fmt::Display for PrivilegedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(forge) = self.forge {
            write!(f, "{forge}:")?;
        }
        write!(f, "{}={}", self.repositories, self.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_repositories_and_an_image() {
        let rule = |text: &str| text.parse::<PrivilegedImage>();
        let is_of =
            |text: &str, forge, name: &str| rule(text).expect(text).is_of(forge, &name.parse().expect("a name"));
        assert!(is_of("acme/*=docker:27-dind", ForgeKind::Gitlab, "acme/shop"));
        assert!(is_of("github:acme/shop=docker", ForgeKind::Github, "Acme/Shop"));
        assert!(!is_of("github:acme/shop=docker", ForgeKind::Gitea, "acme/shop"));
        assert!(!is_of("acme/*=docker", ForgeKind::Github, "acmer/shop"));
        assert!(is_of("*=docker", ForgeKind::Github, "anybody/at-all"));
        assert_eq!(
            rule("gitlab:a/b=r.example:5000/x@sha256:00").expect("one").to_string(),
            "gitlab:a/b=r.example:5000/x@sha256:00"
        );
        for bad in ["", "docker:dind", "acme/*=", "=docker", "svn:a/b=docker", "acme/*=*", "acme/*=**"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
