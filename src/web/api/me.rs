//! `GET /me`: who asks, and with what leave.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use crate::{
    model::Scopes,
    web::{
        Web,
        access::{Visitor, Who},
    },
};

/// Whoever asks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// The forge and the name there; `null`: nobody has said, or the token is the server's own.
    #[schema(required = true, example = "github/alice")]
    login: Option<String>,
    /// What the token was made for; `null` without a token.
    #[schema(required = true)]
    scopes: Option<Scopes>,
    /// Whether all repositories and the server are theirs.
    admin: bool,
}

/// Who asks, and with what leave
#[utoipa::path(get, path = "/me", tag = "people", operation_id = "getMe", responses((status = 200, description = "Whoever asks", body = Me)))]
pub(super) async fn show(visitor: Visitor, State(web): State<Web>) -> Answer<Me> {
    let scopes = match &visitor.who {
        Who::Token { scopes, .. } => Some(scopes.clone()),
        Who::Nobody | Who::Anyone | Who::Person { .. } => None,
    };
    Ok(Json(Me { login: visitor.login().map(ToString::to_string), scopes, admin: visitor.is_admin(&web) }))
}
