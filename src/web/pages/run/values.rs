//! Which values went where, and which images ran. Pure.

use std::collections::BTreeMap;

use crate::{
    model::Plan,
    store::Pins,
    web::links::{Kind, Link},
};

/// So many links are on a run's page; the table has all of them.
const LINKS_SHOWN: usize = 30;
/// So much of a value is.
const VALUE_SHOWN: usize = 80;
/// So many images are.
const IMAGES_SHOWN: usize = 30;

/// Values that go from job to job.
pub(super) struct ValuesView {
    pub(super) links: Vec<ValueView>,
    /// How many there are besides.
    pub(super) more: usize,
}

pub(super) struct ValueView {
    pub(super) from: String,
    /// Where that is on the page; none: it is no job.
    pub(super) from_url: Option<String>,
    pub(super) name: String,
    pub(super) to: String,
    pub(super) to_url: String,
    pub(super) target: String,
    pub(super) value: Option<String>,
    /// What is said where there is no value.
    pub(super) note: &'static str,
}

impl ValuesView {
    /// With all of them, or with those for which a page has room.
    pub(super) fn new(links: &[Link], all: bool) -> Self {
        let shown = if all { links.len() } else { LINKS_SHOWN.min(links.len()) };
        Self { links: links[..shown].iter().map(ValueView::new).collect(), more: links.len() - shown }
    }
}

impl ValueView {
    fn new(link: &Link) -> Self {
        let anchor = |(stage, action): (usize, usize)| format!("#a{stage}-{action}");
        let note = match (link.kind, &link.from, link.optional) {
            (Kind::Artifact, ..) => "files",
            (_, None, _) => "of the webhook",
            (_, Some(_), true) => "not written; not needed",
            (_, Some(_), false) => "not written yet",
        };
        let from = link.from.clone().unwrap_or_else(|| "event".to_owned());
        let target = match link.kind {
            Kind::Variable | Kind::Artifact | Kind::Auto => link.target.clone(),
            Kind::Input => format!("CO_DATA {}", link.target),
        };
        Self {
            from,
            from_url: link.places.0.map(anchor),
            name: link.name.clone(),
            to: link.to.clone(),
            to_url: anchor(link.places.1),
            target,
            value: link.value.as_ref().map(|value| shortened(value, link.cut)),
            note,
        }
    }
}

fn shortened(value: &str, cut: bool) -> String {
    let line = value.lines().next().unwrap_or_default();
    let begin: String = line.chars().take(VALUE_SHOWN).collect();
    if cut || begin.len() < value.trim_end().len() { format!("{begin}…") } else { begin }
}

/// The images of a run, in the order of the jobs that they are for.
pub(super) struct ImagesView {
    pub(super) images: Vec<ImageView>,
    /// How many there are.
    pub(super) count: usize,
    /// Of how many the digest is known.
    pub(super) pinned: usize,
}

pub(super) struct ImageView {
    pub(super) name: String,
    /// `sha256:…`; empty: not asked for yet, or nobody knew.
    pub(super) digest: String,
    /// How many jobs and services it is for.
    pub(super) jobs: usize,
}

impl ImagesView {
    /// `None`: nothing of it has an image.
    pub(super) fn new(plan: &Plan, pins: &Pins) -> Option<Self> {
        let jobs = plan.stages.iter().flat_map(|stage| &stage.actions).flat_map(|action| action.members());
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut images: Vec<ImageView> = Vec::new();
        for job in jobs.filter(|job| !job.is_podless() && !job.image.is_empty()) {
            let place = *places.entry(&job.image).or_insert(images.len());
            match images.get_mut(place) {
                Some(image) => image.jobs += 1,
                None => images.push(ImageView { name: job.image.clone(), digest: digest(pins, &job.image), jobs: 1 }),
            }
        }
        let (count, pinned) = (images.len(), images.iter().filter(|image| !image.digest.is_empty()).count());
        images.truncate(IMAGES_SHOWN);
        (count > 0).then_some(Self { images, count, pinned })
    }
}

/// By which digest an image ran; empty if nobody knows.
pub(super) fn digest(pins: &Pins, image: &str) -> String {
    let pinned = pins.get(image).and_then(|pin| pin.image.split_once('@'));
    pinned.map_or_else(String::new, |(_, digest)| digest.to_owned())
}
