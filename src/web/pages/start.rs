//! The form that starts a flow by hand, and what it leads to.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    response::{IntoResponse as _, Redirect, Response},
};
use sha2::{Digest as _, Sha256};

use super::Failure;
use crate::{
    model::{ManualInput, Wanted},
    store::{DeliveryFilter, RepositoryRow, Tx},
    web::{
        Web,
        access::Granted,
        delivery,
        start::{Startable, start, startable},
    },
};

/// A form of the most inputs of the most bytes.
const MOST_BYTES: usize = 1 << 20;
/// Stands before the names of inputs in the form, so that one may be called `branch`.
const INPUT: &str = "input.";

/// A flow's form.
#[derive(Debug)]
pub(super) struct StartView {
    pub(super) flow: String,
    /// Names the wish, so that a second click on one page means the first's start.
    pub(super) wish: String,
    pub(super) branch: String,
    pub(super) inputs: Vec<InputView>,
}

/// A field of it.
#[derive(Debug)]
pub(super) struct InputView {
    pub(super) name: String,
    pub(super) field: String,
    pub(super) value: String,
    pub(super) required: bool,
    /// Each with whether it is chosen at first.
    pub(super) options: Vec<(String, bool)>,
}

/// The forms of a repository's page.
pub(super) async fn forms(tx: &mut Tx, repository: &RepositoryRow) -> Result<Vec<StartView>, Failure> {
    let newest = DeliveryFilter {
        forge: Some(repository.forge),
        repository: Some(repository.name.clone()),
        limit: 1,
        ..DeliveryFilter::default()
    };
    // the same until something has become of it, so that a page that is drawn anew is the same page
    let wish = tx.deliveries(&newest).await?.first().map(|delivery| delivery.id.to_string()).unwrap_or_default();
    let form = |of: Startable| StartView {
        wish: wish.clone(),
        branch: repository.facts.default_branch.clone(),
        inputs: of.inputs.iter().map(field).collect(),
        flow: of.flow,
    };
    Ok(startable(tx, repository).await?.into_iter().map(form).collect())
}

fn field(input: &ManualInput) -> InputView {
    let value = input.default.clone().unwrap_or_default();
    InputView {
        name: input.name.clone(),
        field: format!("{INPUT}{}", input.name),
        required: input.default.is_none(),
        options: input.options.iter().map(|option| (option.clone(), *option == value)).collect(),
        value,
    }
}

/// `POST /{forge}/{repository}`: leads to the delivery that tells what comes of it.
pub(super) async fn press(web: &Web, of: &Granted, body: Body) -> Result<Response, Failure> {
    let body = axum::body::to_bytes(body, MOST_BYTES).await.map_err(|_| Failure::Query)?;
    let fields: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let text = |name: &str| fields.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let given = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(INPUT)?.to_owned(), value.clone())));
    let wanted = Wanted {
        branch: text("branch"),
        flow: text("flow"),
        inputs: given.collect(),
        by: match of.proof() {
            Some(_) => of.by(),
            None => "someone on the repository's page".to_owned(),
        },
    };
    let wish = match fields.contains_key("wish") {
        // with other inputs it is another wish
        true => format!("of a page, {}", hex::encode(&Sha256::digest(&body)[..16])),
        false => delivery::new_wish(web.engine.clock.now()),
    };
    let id = start(web, of, &wanted, &wish).await?;
    Ok(Redirect::to(&format!("/deliveries/{id}")).into_response())
}
