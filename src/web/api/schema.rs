//! How the model's texts are described: ids, names, digests, times.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

use crate::{
    model::{
        ActionId, ActionPath, AuditId, DeliveryId, JobId, PlanDigest, RepositoryId, RepositoryName, RunId, Scopes,
        SecretName, Sha, Time, TokenId,
    },
    web::pages::Moment,
};

/// A moment, as answers have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub(super) Time);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.serialize_str(&Moment(self.0).iso())
    }
}

impl PartialSchema for At {
    fn schema() -> RefOr<Schema> {
        let moment =
            ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("date-time".to_owned())));
        moment.description(Some("UTC, to the millisecond.")).examples(["2026-03-01T12:00:00.000Z"]).into()
    }
}

impl ToSchema for At {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Time")
    }
}

macro_rules! texts {
    ($($type:ident: $what:literal, $pattern:literal, $example:literal;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                // nothing that has a form is longer
                let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern)).max_length(Some(255));
                text.description(Some($what)).examples([$example]).into()
            }
        }
        impl ToSchema for $type {}
    )*};
}

texts! {
    RunId: "A run's id: ids of one kind sort by when they were made.", "^[0-7][0-9a-hjkmnp-tv-z]{12}$", "01pn6v3kq4h2c";
    JobId: "A job's id.", "^[0-7][0-9a-hjkmnp-tv-z]{12}$", "01pn6v3kq4h2c";
    ActionId: "An action's id.", "^[0-7][0-9a-hjkmnp-tv-z]{12}$", "01pn6v3kq4h2c";
    DeliveryId: "A delivery's id.", "^[0-7][0-9a-hjkmnp-tv-z]{12}$", "01pn6v3kq4h2c";
    RepositoryId: "A repository's id here.", "^[0-7][0-9a-hjkmnp-tv-z]{12}$", "01pn6v3kq4h2c";
    TokenId: "A token's id; the token itself is shown once, when it is made.", "^[0-7][0-9a-hjkmnp-tv-z]{12}$", "01pn6v3kq4h2c";
    AuditId: "The id of a line of the audit log.", "^[0-7][0-9a-hjkmnp-tv-z]{12}$", "01pn6v3kq4h2c";
    RepositoryName: "A repository's name on its forge.", "^([A-Za-z0-9_][A-Za-z0-9._-]*|\\.[A-Za-z0-9_-][A-Za-z0-9._-]*|\\.\\.[A-Za-z0-9._-]+)(/([A-Za-z0-9_][A-Za-z0-9._-]*|\\.[A-Za-z0-9_-][A-Za-z0-9._-]*|\\.\\.[A-Za-z0-9._-]+)){0,20}$", "acme/shop";
    Sha: "A commit.", "^([0-9a-f]{40}|[0-9a-f]{64})$", "3f786850e387550fdab836ed7e6dc881de23001b";
    PlanDigest: "The SHA-256 of a plan; empty without one.", "^([0-9a-f]{64})?$", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    SecretName: "A secret's name.", "^[A-Za-z_][A-Za-z0-9_-]{0,99}$", "DEPLOY_TOKEN";
    ActionPath: "An action, by its stage and its name.", r"^[^.]+\.[\s\S]+$", "test.unit";
}

impl PartialSchema for Scopes {
    fn schema() -> RefOr<Schema> {
        <Vec<crate::model::Scope>>::schema()
    }
}

impl ToSchema for Scopes {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <Vec<crate::model::Scope>>::schemas(schemas);
    }
}
