//! `receivers`: who is told how runs of the flow end.

use crate::model::{News, Receiver, Way};

use super::{
    Reading, Shape, children,
    fields::Fields,
    findings::quoted,
    keys,
    node::{Node, Text, Value},
    scalar,
};

/// More are a list of their own, at the mail server.
const MAX_RECEIVERS: usize = 10;
/// As long as a mail address may be.
const MAX_MAIL: usize = 254;
/// Longer than any webhook's.
const MAX_URL: usize = 2000;

/// All of them. The original has but mail, and tells of every end.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Vec<Receiver> {
    let Some(entry) = fields.claim_entry("receivers").filter(|entry| !entry.value.is_null()) else { return Vec::new() };
    let items = children::each(entry, &keys::RECEIVER, reading);
    if items.len() > MAX_RECEIVERS {
        let message = format!("{} receivers; {MAX_RECEIVERS} are the most", items.len());
        reading.findings.error(entry.key.at, message).hint("a mailing list is one receiver");
    }
    let mut receivers: Vec<Receiver> = Vec::new();
    for mut item in items {
        let receiver = one(&mut item, reading);
        item.close(reading);
        receivers.extend(receiver.filter(|receiver| !receivers.contains(receiver)));
    }
    receivers.truncate(MAX_RECEIVERS);
    receivers
}

fn one(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Option<Receiver> {
    let way = way(fields, reading);
    let on = on(fields, reading);
    let Some(node) = fields.claim("address") else {
        reading.mistake(fields.at(), "a receiver needs an `address`");
        return None;
    };
    let text = scalar::text(node, "`address`", reading)?;
    let way = way?;
    let good = match way {
        Way::Mail => check_mail(&text, reading),
        Way::Webhook => check_url(&text, reading),
    };
    good.then_some(Receiver { way, address: text.text, on })
}

fn way(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Option<Way> {
    let Some(node) = fields.claim("type") else {
        reading.mistake(fields.at(), "a receiver needs a `type`: mail or webhook");
        return None;
    };
    let text = scalar::text(node, "`type`", reading)?;
    let way = Way::named(&text.text);
    if way.is_none() {
        let message = format!("a receiver's `type` is mail or webhook; {} is none of them", quoted(&text.text));
        let hint = reading.findings.did_you_mean(&text.text, ["mail", "webhook"]);
        reading.mistake(text.at, message).maybe_hint(hint);
    }
    way
}

fn on(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Vec<News> {
    let Some(node) = fields.claim("on") else {
        return match reading.shape {
            Shape::Ours => vec![News::Failure, News::Fixed],
            Shape::Original => vec![News::Always],
        };
    };
    words(node, reading)
}

fn words(node: &Node, reading: &mut Reading<'_>) -> Vec<News> {
    let mut on = Vec::new();
    let words = scalar::texts(node, "an end in `on`", reading);
    if words.is_empty() && matches!(node.value, Value::List(_)) {
        let finding = reading.findings.error(node.at, "`on` names no end: this receiver would never hear anything");
        finding.hint("name some of failure, fixed, success and always, or leave `on` out");
    }
    for word in words {
        match News::ALL.into_iter().find(|news| news.as_str() == word.text) {
            Some(news) if on.contains(&news) => {}
            Some(news) => on.push(news),
            None => {
                let names = News::ALL.map(News::as_str);
                let hint = reading.findings.did_you_mean(&word.text, names);
                let message = format!("`on` is any of {}; {} is none of them", names.join(", "), quoted(&word.text));
                reading.mistake(word.at, message).maybe_hint(hint);
            }
        }
    }
    on
}

/// Narrower than the standard: what nobody's address has cannot become another header, or another receiver.
fn check_mail(text: &Text, reading: &mut Reading<'_>) -> bool {
    let is_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_dotted = |text: &str| text.split('.').all(|part| !part.is_empty());
    let good = text.text.rsplit_once('@').is_some_and(|(local, host)| {
        let fits = text.text.len() <= MAX_MAIL && local.len() <= 64;
        fits && local.chars().all(is_local) && host.chars().all(is_host) && is_dotted(local) && is_dotted(host)
    });
    if !good {
        let finding = reading.mistake(text.at, format!("{} is no mail address", quoted(&text.text)));
        finding.hint("one address, such as dev@acme.example");
    }
    good
}

fn check_url(text: &Text, reading: &mut Reading<'_>) -> bool {
    let url = url::Url::parse(&text.text).ok().filter(|_| text.text.len() <= MAX_URL);
    let Some(url) = url.filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host()) else {
        let finding = reading.mistake(text.at, format!("{} is no address of a webhook", quoted(&text.text)));
        finding.hint("an https URL");
        return false;
    };
    if url.password().is_some() || !url.username().is_empty() {
        let finding = reading.findings.error(text.at, "a URL in a flow file holds no credentials");
        finding.hint("whoever reads the repository would have them");
        return false;
    }
    if url.scheme() == "http" {
        let message = "this URL is not encrypted: it is called only if the server's administrator has listed it";
        reading.findings.warning(text.at, message).hint("use https");
    }
    true
}
