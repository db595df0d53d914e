//! People who have signed in, their sessions, and tokens. Of what proves who somebody is, only hashes are kept.

use super::{Json, Result, Tx, execute, meant, row, rows};
use crate::model::{ForgeKind, Login, PersonId, Scopes, Time, TokenId};

/// Somebody with an account on a forge.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PersonRow {
    /// Ours.
    pub id: PersonId,
    /// Where they have signed in.
    pub forge: ForgeKind,
    /// What they are called there.
    pub login: String,
}

impl PersonRow {
    /// Their name.
    pub fn login(&self) -> Login {
        Login { forge: self.forge, name: self.login.clone() }
    }
}

/// A token, without what is secret of it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct TokenRow {
    /// Ours.
    pub id: TokenId,
    /// What its maker calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Json<Scopes>,
    /// When it was made.
    pub created: Time,
    /// When it is worth nothing any more.
    pub expires: Time,
    /// When it was used last.
    pub used: Option<Time>,
    /// From where that was.
    pub used_from: String,
    /// Whose rights it has; `None`: the server's own.
    pub person_id: Option<PersonId>,
    /// Where they have signed in.
    pub forge: Option<ForgeKind>,
    /// What they are called there.
    pub login: Option<String>,
}

impl TokenRow {
    /// Whose rights it has.
    pub fn owner(&self) -> Option<Login> {
        Some(Login { forge: self.forge?, name: self.login.clone()? })
    }
}

/// A token to be made.
#[derive(Debug)]
pub struct NewToken<'a> {
    /// The hash of what is shown once.
    pub hash: &'a str,
    /// What its maker calls it.
    pub name: &'a str,
    /// Whose rights it has; `None`: the server's own.
    pub person: Option<PersonId>,
    /// What it may be used for.
    pub scopes: &'a Scopes,
    /// When it is worth nothing any more.
    pub expires: Time,
    /// Now.
    pub now: Time,
}

/// A list's statement, with its own condition.
macro_rules! tokens {
    ($where:literal) => {
        concat!(
            "SELECT t.id, t.name, t.scopes, t.created, t.expires, t.used, t.used_from, t.person_id, p.forge, p.login ",
            "FROM api_tokens t LEFT JOIN people p ON p.id = t.person_id WHERE ",
            $where
        )
    };
}

impl Tx {
    /// Somebody has signed in: their account's id on the forge tells who they are, whatever they are called now. Whoever
    /// had that name before has lost it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn person_signs_in(&mut self, login: &Login, account: &str, now: Time) -> Result<PersonId> {
        let account = format!("id:{account}");
        let expected = format!("login:{}", login.name.to_lowercase());
        execute!(
            self,
            "UPDATE people SET account = $3 WHERE forge = $1 AND account = $2 \
             AND NOT EXISTS (SELECT 1 FROM people WHERE forge = $1 AND account = $3)",
            login.forge,
            &expected,
            &account,
        )?;
        execute!(
            self,
            "INSERT INTO people (id, forge, account, login, seen) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (forge, account) DO UPDATE SET login = excluded.login, seen = excluded.seen",
            PersonId::mint(now),
            login.forge,
            &account,
            &login.name,
            now,
        )?;
        execute!(
            self,
            "UPDATE people SET login = '' WHERE forge = $1 AND lower(login) = lower($2) AND account <> $3",
            login.forge,
            &login.name,
            &account,
        )?;
        self.person(login.forge, &account).await
    }

    /// Somebody by name, who need not have signed in.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn person_named(&mut self, login: &Login, now: Time) -> Result<PersonId> {
        let found: Option<(PersonId,)> = row!(
            self,
            (PersonId,),
            "SELECT id FROM people WHERE forge = $1 AND lower(login) = lower($2)",
            login.forge,
            &login.name,
        )?;
        if let Some((id,)) = found {
            return Ok(id);
        }
        let account = format!("login:{}", login.name.to_lowercase());
        execute!(
            self,
            "INSERT INTO people (id, forge, account, login, seen) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (forge, account) DO UPDATE SET login = excluded.login",
            PersonId::mint(now),
            login.forge,
            &account,
            &login.name,
            now,
        )?;
        self.person(login.forge, &account).await
    }

    async fn person(&mut self, forge: ForgeKind, account: &str) -> Result<PersonId> {
        let found: Option<(PersonId,)> =
            row!(self, (PersonId,), "SELECT id FROM people WHERE forge = $1 AND account = $2", forge, account)?;
        found.map(|(id,)| id).ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Begins a session.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn begin_session(&mut self, hash: &str, person: PersonId, expires: Time, now: Time) -> Result<()> {
        execute!(
            self,
            "INSERT INTO sessions (hash, person_id, created, expires) VALUES ($1, $2, $3, $4)",
            hash,
            person,
            now,
            expires,
        )?;
        Ok(())
    }

    /// Whose session this is, if it is one.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn session(&mut self, hash: &str, now: Time) -> Result<Option<PersonRow>> {
        row!(
            self,
            PersonRow,
            "SELECT p.id, p.forge, p.login FROM sessions s JOIN people p ON p.id = s.person_id \
             WHERE s.hash = $1 AND s.expires > $2 AND p.login <> ''",
            hash,
            now,
        )
    }

    /// Ends a session.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn end_session(&mut self, hash: &str) -> Result<()> {
        execute!(self, "DELETE FROM sessions WHERE hash = $1", hash)?;
        Ok(())
    }

    /// Forgets sessions that are over, and tokens that have been for `kept`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_sessions(&mut self, now: Time, kept: Time) -> Result<()> {
        execute!(self, "DELETE FROM sessions WHERE expires <= $1", now)?;
        execute!(self, "DELETE FROM api_tokens WHERE expires <= $1", kept)?;
        Ok(())
    }

    /// Makes a token.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_token(&mut self, new: &NewToken<'_>) -> Result<TokenId> {
        let id = TokenId::mint(new.now);
        execute!(
            self,
            "INSERT INTO api_tokens (id, hash, name, person_id, scopes, created, expires, used_from) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, '')",
            id,
            new.hash,
            new.name,
            new.person,
            Json(new.scopes),
            new.now,
            new.expires,
        )?;
        Ok(id)
    }

    /// The token with this hash, if it is still worth something.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn token(&mut self, hash: &str, now: Time) -> Result<Option<TokenRow>> {
        row!(self, TokenRow, tokens!("t.hash = $1 AND t.expires > $2 AND COALESCE(p.login, '-') <> ''"), hash, now)
    }

    /// All tokens, or one person's, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn tokens(&mut self, of: Option<PersonId>) -> Result<Vec<TokenRow>> {
        rows!(self, TokenRow, tokens!("($1 IS NULL OR t.person_id = $1) ORDER BY t.id DESC LIMIT 1000"), of)
    }

    /// A token was used.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn token_used(&mut self, id: TokenId, from: &str, now: Time) -> Result<()> {
        let met = execute!(self, "UPDATE api_tokens SET used = $2, used_from = $3 WHERE id = $1", id, now, from)?;
        meant("a token was used", 1, met)
    }

    /// Makes a token worthless, if it is this person's; `None`: whoever has it. Whether there was one.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn remove_token(&mut self, id: TokenId, of: Option<PersonId>) -> Result<bool> {
        let met = execute!(self, "DELETE FROM api_tokens WHERE id = $1 AND ($2 IS NULL OR person_id = $2)", id, of)?;
        Ok(met == 1)
    }
}
