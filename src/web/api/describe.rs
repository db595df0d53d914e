//! `/api/v1/openapi.json`: the API's description, OpenAPI 3.1, made of the operations themselves. What all of one kind
//! answer is said here once, by what they need.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response as Answer},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Content, Deprecated, HeaderBuilder, HttpMethod, Info, License, OpenApi, OpenApiBuilder, PathItem,
        PathsBuilder, Ref, RefOr, Response, Schema, SecurityRequirement, ServerBuilder,
        path::{Operation as Told, ParameterIn},
        schema::{AdditionalProperties, SchemaType, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};

use super::{operations, problem};
use crate::{
    model::What,
    web::access::{Anybody, Need, Operation},
};

/// What is what.
const ABOUT: &str = "\
Everything that the pages show, as JSON, and what can be done with runs.

**Who asks**: a program shows a token, `Authorization: Bearer cops_…`; a browser has its session's cookie. What is public can be \
seen without. What you may not see answers as if it were not there.

**Lists** come in pages: an answer's `next`, if it is not null, is the `cursor` of the page behind it; the header `Link` has the whole address.

**Errors** are problems, RFC 9457: branch on `type`, show `detail`.

**Again**: an answer's `ETag` in `If-None-Match` brings a 304 without a body while nothing has changed.

New fields, and new values where a description says so, may come at any time; none goes away below `/api/v1`.";

/// The description, as it is served.
static TEXT: LazyLock<String> = LazyLock::new(|| describe().to_json().unwrap_or_default());

/// `GET /openapi.json`.
pub(super) async fn serve(_: Anybody) -> Answer {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

fn describe() -> OpenApi {
    let mut components = Components::new();
    let mut paths = PathsBuilder::new();
    let mut schemas = vec![(problem::Body::name().into_owned(), problem::Body::schema())];
    problem::Body::schemas(&mut schemas);
    for operation in operations().operations() {
        schemas.extend(operation.schemas.clone());
        let (path, method) = (operation.path.clone(), operation.method.clone());
        paths = paths.path(path, PathItem::new(method, told(operation)));
    }
    components.schemas.extend(schemas);
    if let Some(RefOr::T(Schema::OneOf(what))) = components.schemas.get_mut(&*What::name()) {
        what.items.iter_mut().for_each(one_field);
    }
    components.security_schemes.extend(ways());
    let mut info = Info::new("ContainerOps", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    let mut license = License::new(env!("CARGO_PKG_LICENSE"));
    license.identifier = Some(env!("CARGO_PKG_LICENSE").to_owned());
    info.license = Some(license);
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/api/v1").description(Some("This server")).build()]))
        .tags(Some(tags()))
        .components(Some(components))
        .paths(paths)
        .build()
}

fn tags() -> Vec<utoipa::openapi::Tag> {
    let tags = [
        ("runs", "Executions of flows, and what can be done with them"),
        ("jobs", "The containers of a run, and what they have left"),
        ("logs", "What jobs have said"),
        ("repositories", "Where flows are"),
        ("deliveries", "Every webhook, what became of it, and why"),
        ("secrets", "What jobs are given and nobody is shown"),
        ("people", "Who asks, and their tokens"),
        ("server", "The server itself"),
    ];
    let tag = |(name, words): (&str, &str)| TagBuilder::new().name(name).description(Some(words)).build();
    tags.into_iter().map(tag).collect()
}

/// How somebody says who they are.
fn ways() -> [(String, SecurityScheme); 2] {
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("cops_…");
    let token = token.description(Some("A token of somebody, or of the server itself")).build();
    let session = ApiKeyValue::with_description(
        "__Host-containerops",
        "The session of somebody who has signed in with a browser; `containerops` where that is not by https. What changes something must come from our own pages",
    );
    [
        ("token".to_owned(), SecurityScheme::Http(token)),
        ("session".to_owned(), SecurityScheme::ApiKey(ApiKey::Cookie(session))),
    ]
}

/// An operation, with what all of its kind have.
fn told(Operation { need, method, mut told, .. }: Operation) -> Told {
    let reads = method == HttpMethod::Get;
    for parameter in told.parameters.iter_mut().flatten() {
        if matches!(parameter.name.as_str(), "before" | "from") {
            parameter.deprecated = Some(Deprecated::True);
        }
        if let Some(schema) = &mut parameter.schema {
            bare(schema);
        }
    }
    if let Some(body) = &mut told.request_body {
        for content in body.content.values_mut() {
            if let Some(schema) = &mut content.schema {
                bare(schema);
            }
        }
    }
    told.security = Some(security(need));
    for (status, words) in refusals(need, &told) {
        told.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(refusal(words)));
    }
    if reads {
        remembered(&mut told);
    }
    told
}

/// What may be left out is left out, and not null.
fn bare(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::OneOf(one)) = schema {
        one.items.retain(|item| !is_null(item));
        if let [only] = one.items.as_slice() {
            *schema = only.clone();
        }
    }
    if let RefOr::T(Schema::Object(object)) = schema
        && let SchemaType::Array(types) = &object.schema_type
        && let [one] = types.iter().filter(|one| **one != Type::Null).collect::<Vec<_>>().as_slice()
    {
        object.schema_type = SchemaType::Type((*one).clone());
    }
}

/// One of several kinds has its own field and no other.
fn one_field(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && !object.properties.is_empty()
    {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

/// With what it may be asked.
fn security(need: Need) -> Vec<SecurityRequirement> {
    use crate::model::Right::See;
    let nobody = SecurityRequirement::default();
    let known = ["token", "session"].map(|way| SecurityRequirement::new(way, [""; 0]));
    match need {
        Need::Nothing => Vec::new(),
        Need::Visitor | Need::Repository(See) | Need::Run(See) | Need::Job(See) => {
            [nobody].into_iter().chain(known).collect()
        }
        Need::SignedIn => known.into_iter().skip(1).collect(),
        Need::Known | Need::Repository(_) | Need::Run(_) | Need::Job(_) | Need::Delivery(_) => {
            known.into_iter().collect()
        }
    }
}

/// Why it may be refused.
fn refusals(need: Need, told: &Told) -> Vec<(&'static str, &'static str)> {
    let parameters = || told.parameters.iter().flatten();
    let has_query = parameters().any(|one| matches!(one.parameter_in, ParameterIn::Query));
    let has_header = parameters().any(|one| one.name == "Idempotency-Key");
    let mut all = vec![("429", "Too many requests or wrong tokens; wait as long as `Retry-After` says, or a minute")];
    if has_query || has_header || told.request_body.is_some() {
        all.push(("400", "Something of the request is not of the expected form; `errors` says what"));
    }
    if need != Need::Nothing {
        all.push(("401", "The token is not known here or has expired, or one is needed"));
        all.push(("403", "It is not yours to do, the token was not made for it, or another site asked"));
        all.push(("503", "The forge is away, or others are asking for this just now"));
    }
    if has_query || parameters().next().is_some() || matches!(need, Need::Known | Need::SignedIn) {
        all.push(("404", "There is no such thing, or you may not see it"));
    }
    if told.request_body.is_some() {
        all.push(("413", "The body is too large"));
        all.push(("415", "The body is not JSON, or does not say so"));
    }
    all
}

fn refusal(words: &str) -> Response {
    let problem = RefOr::Ref(Ref::from_schema_name(problem::Body::name()));
    let mut response = Response::new(words);
    response.content.insert("application/problem+json".to_owned(), Content::new(Some(problem)));
    response
}

/// What an answer has that may be asked for again.
fn remembered(told: &mut Told) {
    let pages = told.parameters.iter().flatten().any(|one| one.name == "cursor");
    let text = |words: &str| HeaderBuilder::new().schema(String::schema()).description(Some(words)).build();
    if let Some(RefOr::T(good)) = told.responses.responses.get_mut("200") {
        good.headers.insert("ETag".to_owned(), text("Names what the answer says; for `If-None-Match`"));
        if pages {
            good.headers.insert(
                "Link".to_owned(),
                text("The address of the next page, if there may be one: `<…>; rel=\"next\"`"),
            );
        }
    }
    let unchanged = Response::new("What `If-None-Match` names is still so");
    told.responses.responses.insert("304".to_owned(), RefOr::T(unchanged));
}
