//! Whose secrets a request is about: what the page and the API share. A repository's are its maintainers', an owner's are
//! for all of its repositories and therefore the administrators'.

use serde::Deserialize;

use super::{
    Web,
    access::{Acting, Granted, Visitor},
    pages::{Failure, Place, Route},
};
use crate::{
    model::{ForgeKind, RepositoryName, Right, SecretLevel, SecretName, SecretScope},
    store::{SecretRow, Tx},
};

/// `?forge=github&repository=acme/shop`, or `?forge=github&owner=acme`; a form sends what is not chosen as empty.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SecretsQuery {
    #[serde(default)]
    pub(super) forge: String,
    #[serde(default)]
    pub(super) repository: String,
    #[serde(default)]
    pub(super) owner: String,
    /// Which of them the page's form is about.
    #[serde(default)]
    pub(super) name: String,
}

/// Whose secrets somebody may keep.
pub(super) struct Keeper {
    pub(super) scope: SecretScope,
    pub(super) visitor: Visitor,
    granted: Option<Granted>,
}

impl SecretsQuery {
    /// Whose secrets these are, if they are the visitor's to keep.
    pub(super) async fn keeper(&self, web: &Web, visitor: Visitor) -> Result<Keeper, Failure> {
        let forge: ForgeKind = self.forge.parse().map_err(|_| Failure::Query)?;
        let level = match (self.repository.as_str(), self.owner.as_str()) {
            (_, "") => SecretLevel::Repository,
            ("", _) => SecretLevel::Owner,
            (_, _) => return Err(Failure::Query),
        };
        let text = if level == SecretLevel::Owner { &self.owner } else { &self.repository };
        let name: RepositoryName = text.parse().map_err(|_| Failure::Query)?;
        let scope = SecretScope { forge, level, name };
        if level == SecretLevel::Owner {
            visitor.administers(web)?;
            return Ok(Keeper { scope, visitor, granted: None });
        }
        let route = Route { forge, repository: scope.name.clone(), place: Place::Runs };
        let granted = visitor.at(web, &route, Right::Maintain).await?;
        Ok(Keeper { scope, visitor, granted: Some(granted) })
    }
}

impl Keeper {
    /// An owner's secrets, for those who keep the secrets of one of its repositories and administer the server.
    pub(super) fn of_owner(self, web: &Web, owner: &str) -> Result<Self, Failure> {
        self.visitor.administers(web)?;
        let mut around = SecretScope::around(self.scope.forge, &self.scope.name).into_iter();
        let scope = around.find(|scope| scope.level == SecretLevel::Owner && scope.name.as_str() == owner);
        Ok(Self { scope: scope.ok_or(Failure::Query)?, granted: None, ..self })
    }

    /// What they are about to do.
    pub(super) fn does(&self, web: &Web, what: &'static str, name: &SecretName) -> Acting {
        let target = format!("`{name}` of {}", self.scope);
        match &self.granted {
            Some(granted) => granted.does(web, what, target),
            None => self.visitor.does(web, what, target),
        }
    }

    /// Those that its jobs may have, the nearest first.
    pub(super) async fn all(&self, tx: &mut Tx) -> Result<Vec<SecretRow>, Failure> {
        let scopes = match self.scope.level {
            SecretLevel::Repository => SecretScope::around(self.scope.forge, &self.scope.name),
            SecretLevel::Owner => vec![self.scope.clone()],
        };
        let mut all = Vec::new();
        for scope in &scopes {
            all.extend(tx.secrets(scope).await?);
        }
        Ok(all)
    }
}
