//! Secrets are hidden in every form in which programs write them by accident, wherever a text is cut, and nothing else is.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use containerops::{
    agent::mask::Masks,
    engine::{Asked, cache, choose},
    executor::{Container, Isolation, Placement, kubernetes},
    flow::{self, Decision},
    model::{
        Author, Event, EventKind, FlowFrom, ForgeKind, Grants, JobPlan, Plan, PullRequest, Repository, RunUntrusted,
        SecretLevel, SecretLimits, Trust, UntrustedPolicy, UntrustedReason, Visibility,
    },
    store::{Json, SecretRow},
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::pod;

/// What a secret may be made of: enough kinds that each quoting has something to do.
fn secret() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9+/=\"'\\\\ $`&<>%äß€!#?;:@._~*()-]{4,60}"
        .prop_filter("it begins and ends with no blank", |text| text.trim() == text && text.len() >= 4)
}

/// What stands around it: nothing that could be taken for a part of it.
fn around() -> impl Strategy<Value = String> {
    "[,|]{0,7}"
}

fn hidden(masks: &Masks, text: &str) -> String {
    masks.hide_str(text)
}

/// What of base64 says something of the bytes from `from` to `to` alone.
fn own(encoded: &str, from: usize, to: usize) -> &str {
    &encoded[(from * 8).div_ceil(6)..to * 8 / 6]
}

proptest! {
    #[test]
    fn every_form_of_a_secret_is_hidden(secret in secret(), before in around(), after in around()) {
        let masks = Masks::new([secret.as_str()]);
        let json = serde_json::to_string(&secret).expect("JSON");
        let json = &json[1..json.len() - 1];
        let ascii: String = json.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) }).collect();
        let form = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
        let strict: String = secret.bytes().map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
        let shell = secret.replace('\'', "'\\''");
        for form in [secret.as_str(), json, &ascii, &form, &strict, &strict.to_lowercase().replace(&secret.to_lowercase(), &secret), &shell] {
            // small letters in escapes only count where the secret itself has none that change
            if form.to_lowercase() == *form && form != secret && secret.to_lowercase() != secret { continue; }
            let text = format!("{before}{form}{after}");
            prop_assert_eq!(hidden(&masks, &text), format!("{}***{}", before, after), "{:?} of {:?}", form, secret);
        }
    }

    #[test]
    fn base64_is_hidden_at_each_offset_in_both_alphabets_and_in_lines(
        secret in secret(), before in vec(any::<u8>(), 0..9), after in vec(any::<u8>(), 0..9),
    ) {
        let masks = Masks::new([secret.as_str()]);
        let (from, to) = (before.len(), before.len() + secret.len());
        let bytes = [&before[..], secret.as_bytes(), &after[..]].concat();
        for encoded in [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)] {
            let left = hidden(&masks, &encoded);
            prop_assert!(!left.contains(own(&encoded, from, to)), "{encoded} → {left}");
            // no bit of it is left, also where a character holds bits of its neighbours
            let mut blotted = encoded.clone().into_bytes();
            masks.blot(&mut blotted);
            let all = &blotted[from * 8 / 6..(to * 8).div_ceil(6)];
            prop_assert!(all.iter().all(|byte| *byte == b'*'), "{encoded} → {}", String::from_utf8_lossy(&blotted));
        }
    }

    #[test]
    fn long_secrets_are_hidden_also_where_base64_has_lines(secret in "[a-zA-Z0-9]{100,700}", width in prop::sample::select(vec![64_usize, 76])) {
        let masks = Masks::new([secret.as_str()]);
        let encoded = STANDARD.encode(&secret);
        let lines: Vec<&str> = encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        let left = hidden(&masks, &lines.join("\n"));
        for line in &lines[..lines.len() - 1] {
            prop_assert!(!left.contains(line));
        }
        prop_assert_eq!(hidden(&masks, &format!("<{secret}>")), "<***>");
        prop_assert_eq!(hidden(&masks, &format!("<{}", own(&encoded, 0, secret.len()))), "<***");
    }

    #[test]
    fn each_line_of_many_is_hidden_by_itself_and_all_of_it_in_json(lines in vec("[a-z0-9+/ ]{0,30}", 2..8)) {
        let secret = lines.join("\n");
        let masks = Masks::new([secret.as_str()]);
        for line in lines.iter().map(|line| line.trim()).filter(|line| line.len() >= 4) {
            prop_assert_eq!(hidden(&masks, &format!("<{line}>")), "<***>");
        }
        let whole = secret.trim();
        if whole.len() >= 4 && whole.contains('\n') {
            let json = serde_json::to_string(whole).expect("JSON");
            prop_assert_eq!(hidden(&masks, &json), "\"***\"");
        }
    }

    #[test]
    fn wherever_a_line_is_cut_no_secret_comes_through(
        secrets in vec("[a-d]{4,12}", 1..5), text in "[a-d]{0,200}", cuts in vec(any::<Index>(), 0..6),
    ) {
        let masks = Masks::new(secrets.iter().map(String::as_str));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut sent, mut held, mut read) = (String::new(), String::new(), 0);
        for cut in cuts.into_iter().chain([text.len()]) {
            held.push_str(&text[read..cut]);
            read = cut;
            let safe = if cut == text.len() { held.len() } else { masks.safe(held.as_bytes()) };
            sent.push_str(&hidden(&masks, &held[..safe]));
            held.drain(..safe);
        }
        for secret in &secrets {
            prop_assert!(!sent.contains(secret.as_str()), "{secret} in {sent} of {text}");
        }
        // what is left is what stood beside secrets, in its order
        let mut rest = text.as_str();
        for part in sent.split("***") {
            let at = rest.find(part);
            prop_assert!(at.is_some(), "{part} of {sent} is not in {text}");
            rest = &rest[at.unwrap_or_default() + part.len()..];
        }
    }

    #[test]
    fn just_what_a_plain_search_finds_is_hidden(secrets in vec("[ab]{4,20}", 1..6), text in "[ab\n]{0,300}") {
        let masks = Masks::new(secrets.iter().map(String::as_str));
        let mut blotted = text.clone().into_bytes();
        let count = masks.blot(&mut blotted);
        let mut plain = text.clone().into_bytes();
        for secret in &secrets {
            for at in 0..text.len() {
                if text[at..].starts_with(secret.as_str()) {
                    plain[at..at + secret.len()].fill(b'*');
                }
            }
        }
        prop_assert_eq!(String::from_utf8_lossy(&blotted), String::from_utf8_lossy(&plain));
        prop_assert_eq!(count, plain.iter().filter(|byte| **byte == b'*').count());
        prop_assert_eq!(masks.is_in(text.as_bytes()), count > 0);
        prop_assert_eq!(plain.len(), text.len());
    }
}

/// Letters that no quoting changes and that base64 does not make of each other.
fn letters(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec(prop::sample::select(vec!['a', 'b', 'c']), length).prop_map(|letters| letters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn secrets_of_all_lengths_are_found_together_wherever_they_are(
        secrets in vec(letters(4..40), 1..60),
        parts in vec((letters(0..30), any::<Index>(), prop::option::of(0_usize..40)), 0..60),
    ) {
        let masks = Masks::new(secrets.iter().map(String::as_str));
        let mut text = String::new();
        for (between, which, cut) in parts {
            let secret = which.get(&secrets);
            text += &between;
            text += &secret[..cut.unwrap_or(secret.len()).min(secret.len())];
        }
        let (mut blotted, mut plain) = (text.clone().into_bytes(), text.clone().into_bytes());
        masks.blot(&mut blotted);
        for secret in &secrets {
            for at in (0..text.len()).filter(|at| text[*at..].starts_with(secret.as_str())) {
                plain[at..at + secret.len()].fill(b'*');
            }
        }
        prop_assert_eq!(String::from_utf8_lossy(&blotted), String::from_utf8_lossy(&plain));
    }
}

#[test]
fn many_secrets_hide_as_much_as_each_by_itself() {
    let secrets: Vec<String> =
        (1_u32..300).map(|n| format!("{:x}", u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let secrets: Vec<&str> = secrets.iter().zip(0..).map(|(text, n)| &text[..(4 + n % 9).min(text.len())]).collect();
    let masks = Masks::new(secrets.iter().copied());
    for secret in secrets.into_iter().step_by(5) {
        let alone = Masks::new([secret]);
        for form in [secret.to_owned(), STANDARD.encode(secret), STANDARD.encode(format!("xy{secret}z"))] {
            let (mut one, mut all) = (form.clone().into_bytes(), form.clone().into_bytes());
            masks.blot(&mut all);
            assert!(alone.blot(&mut one) >= secret.len(), "{form}");
            let is_less = one.iter().zip(&all).any(|(one, all)| *one == b'*' && *all != b'*');
            assert!(!is_less, "{form}: {}", String::from_utf8_lossy(&all));
        }
    }
}

#[test]
fn what_programs_print_shows_nothing() {
    let secret = "p@ss 'w\"ord\\&<$x>/+ä";
    let masks = Masks::new([secret]);
    for (form, by) in [
        (r#"p@ss 'w"ord\&<$x>/+ä"#, "cat"),
        (r#"p@ss '\''w"ord\&<$x>/+ä"#, "set -x"),
        (r#"p@ss '"'"'w"ord\&<$x>/+ä"#, "Python's shlex.quote"),
        (r#"p@ss\ \'w\"ord\\\&\<\$x\>/+ä"#, "printf %q"),
        (r#"p@ss 'w\"ord\\&<$x>/+ä"#, "JSON"),
        (r#"p@ss 'w\"ord\\&<$x>\/+ä"#, "PHP's JSON with its letters"),
        (r#"p@ss 'w\"ord\\&<$x>/+\u00e4"#, "Python's JSON"),
        (r#"p@ss 'w\"ord\\&<$x>\/+\u00e4"#, "PHP's JSON"),
        (r#"p@ss 'w\"ord\\\u0026\u003c$x\u003e/+ä"#, "Go's JSON"),
        (r#"p@ss 'w\"ord\\&<\$x>/+ä"#, "a shell's double quotes"),
        ("p%40ss%20%27w%22ord%5C%26%3C%24x%3E%2F%2B%C3%A4", "RFC 3986"),
        ("p%40ss%20%27w%22ord%5c%26%3c%24x%3e%2f%2b%c3%a4", "the same in small letters"),
        ("p%40ss%20%27w%22ord%5C%26%3C%24x%3E/%2B%C3%A4", "Python's urllib.parse.quote"),
        ("p%40ss%20'w%22ord%5C%26%3C%24x%3E%2F%2B%C3%A4", "encodeURIComponent"),
        ("p@ss%20'w%22ord%5C&%3C$x%3E/+%C3%A4", "encodeURI"),
        ("p%40ss+%27w%22ord%5C%26%3C%24x%3E%2F%2B%C3%A4", "a form"),
        ("p@ss &#39;w&quot;ord\\&amp;&lt;$x&gt;/+ä", "HTML"),
        ("p@ss &#x27;w&quot;ord\\&amp;&lt;$x&gt;/+ä", "Python's HTML"),
    ] {
        assert_eq!(masks.hide_str(&format!("a {form} b")), "a *** b", "{by}");
    }
    assert_eq!(format!("{masks:?}"), "Masks(…)");
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let masks = Masks::new(["hunter22", "abc", "", "  \n x \n"]);
    for text in ["", "abc", "hunter2", "hunter 22", "HUNTER22", "x", "\n\n"] {
        assert!(matches!(masks.hide(text.as_bytes()), std::borrow::Cow::Borrowed(same) if same == text.as_bytes()));
    }
    assert!(Masks::new(["", "abc"]).is_empty() && Masks::default().is_empty());
}

#[test]
fn a_secret_that_repeats_itself_costs_no_time() {
    let masks = Masks::new([&*"a".repeat(64 << 10), &*"ab".repeat(1000)]);
    let text = "a".repeat(4 << 20);
    let begun = std::time::Instant::now();
    assert_eq!(masks.hide_str(&text), "***");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

const CANARY: &str = "canary-4711-never-shown";

/// One of many events, made of a number.
fn event(n: u64) -> Event {
    let pick = |of: &[&str], by: u64| of[usize::try_from(n / by).expect("a number") % of.len()].to_owned();
    let name = "acme/shop".parse().expect("a name");
    let branch = pick(&["main", "release/1", "fix", CANARY, "main"], 2);
    let head = pick(&["acme/shop", "mallory/shop", "acme/other"], 14).parse().ok();
    let kind = match n % 7 {
        0 => EventKind::Push { branch },
        1 => EventKind::Tag { tag: branch },
        2 => EventKind::MergeGroup { base: "main".to_owned(), branch },
        3 => EventKind::Schedule { branch, cron: "0 0 * * *".to_owned() },
        4 => EventKind::Manual { branch, inputs: [].into(), chain: Vec::new() },
        _ => EventKind::PullRequest(PullRequest {
            number: n,
            branch,
            base: "main".to_owned(),
            head_repository: head,
            author: "mallory".to_owned(),
            draft: false,
            before: None,
            labels: Vec::new(),
        }),
    };
    let trust = match n / 3 % 3 {
        0 => Trust::Trusted,
        1 => Trust::Untrusted(UntrustedReason::Fork("mallory/shop".to_owned())),
        _ => Trust::Untrusted(UntrustedReason::HeadRepositoryGone),
    };
    let repository = Repository {
        forge: ForgeKind::Github,
        name,
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
        visibility: Visibility::default(),
    };
    let sha = "0".repeat(40).parse().expect("a sha");
    Event {
        repository,
        kind,
        sha,
        base_sha: None,
        actor: "mallory".to_owned(),
        title: String::new(),
        trust,
        message: None,
    }
}

/// One of all rules, and one of all authors.
fn policy(n: u64) -> (UntrustedPolicy, Author) {
    let run = [RunUntrusted::Never, RunUntrusted::Approval, RunUntrusted::Contributors, RunUntrusted::Always];
    let flow = if n.is_multiple_of(2) { FlowFrom::Base } else { FlowFrom::Head };
    let author = if (n / 2).is_multiple_of(2) { Author::Contributor } else { Author::Stranger };
    (UntrustedPolicy { run: run[usize::try_from(n / 4 % 4).expect("a number")], flow }, author)
}

/// A row whose bytes stand for a value.
fn row(n: u64) -> SecretRow {
    let texts =
        |texts: &[&str], is: bool| if is { texts.iter().map(|&text| text.to_owned()).collect() } else { Vec::new() };
    SecretRow {
        forge: ForgeKind::Github,
        level: SecretLevel::Repository,
        scope: "acme/shop".parse().expect("a name"),
        name: "TOKEN".parse().expect("a name"),
        limits: Json(SecretLimits {
            events: texts(&["push", "pull_request"], n.is_multiple_of(2)),
            branches: texts(&["main", "release/*"], (n / 2).is_multiple_of(2)),
            images: texts(&["acme/deployer"], (n / 4).is_multiple_of(2)),
        }),
        key_id: String::new(),
        sealed: CANARY.as_bytes().to_vec(),
        created: containerops::model::Time::from_millis(0),
        changed: containerops::model::Time::from_millis(0),
        used: None,
        changed_by: String::new(),
    }
}

/// What the cluster is given for the jobs of a plan: the pod and its Secret, under several policies.
fn placed(plan: &Plan, event: &Event, n: u64) -> String {
    let mut told = String::new();
    for action in plan.stages.iter().flat_map(|stage| &stage.actions) {
        let container = |(place, job): (i64, &JobPlan)| Container {
            name: format!("job-{place}"),
            image: job.image.clone(),
            resources: job.resources.clone(),
            ..pod::placement().containers.swap_remove(0)
        };
        let placement = Placement {
            isolation: Isolation::from(event),
            flow: plan.title.clone(),
            action: action.name.clone(),
            tenant: pod::tenant(event.repository.name.as_str()),
            containers: (0..).zip(action.members()).map(container).collect(),
            ..pod::placement()
        };
        let settings = pod::settings();
        let (pod, secret) = (kubernetes::pod(&placement, &settings), kubernetes::secret(&placement, "uid", &settings));
        told += &serde_json::to_string(&(pod, secret, n)).expect("JSON");
    }
    assert!(told.contains("acme/deployer"), "{told}");
    told
}

#[test]
fn canaries_are_given_to_no_untrusted_run() {
    let text = "stages: [{name: a, actions: [{name: a, cache: [{paths: [target]}], jobs: [{name: a, image: \"acme/deployer:3\", run: make, \
                secrets: [TOKEN]}]}]}]";
    let flow = flow::read("a.yml", &"acme/shop".parse().expect("a name"), text.as_bytes()).expect("a flow");
    let name = "TOKEN".parse().expect("a name");
    let (mut given, mut without, mut admitted) = (0, 0, BTreeMap::new());
    for n in 0..100_000 {
        let event = event(n);
        let grants = event.trusted().map_or_else(Grants::none, |event| Grants::of(event, flow.wants()));
        assert_eq!(grants.is_empty(), event.trust != Trust::Trusted, "{event:?}");
        // whatever the rule lets run, and whoever wrote it: it has none
        let (policy, author) = policy(n);
        if event.trust != Trust::Trusted {
            *admitted.entry(format!("{:?}", policy.admits(author))).or_insert(0) += 1;
            let scopes = cache::scopes(&event);
            assert!(scopes[0].starts_with("untrusted "), "what it leaves is found by its like alone: {scopes:?}");
        }
        if n.is_multiple_of(97)
            && let Decision::Run(plan) = flow.plan(&event)
        {
            let told = serde_json::to_string(&(&plan, &grants)).expect("JSON");
            assert!(!told.contains(CANARY) && !serde_json::to_string(&plan).expect("JSON").contains("TOKEN"), "{told}");
            let placed = placed(&plan, &event, n);
            assert!(!placed.contains(CANARY) && !placed.contains("TOKEN"), "{placed}");
        }
        if !n.is_multiple_of(10) {
            continue;
        }
        let rows = [row(n / 21)];
        let asked = Asked { event: &event, image: "acme/deployer:3", pinned: None };
        match choose(&rows, &name, asked) {
            Ok(row) => {
                let limits = &row.limits;
                let foreign = event
                    .pull_request()
                    .is_some_and(|pull| pull.head_repository.as_ref() != Some(&event.repository.name));
                assert!(limits.branches.is_empty() || !(foreign || event.branch().is_none()), "{event:?}");
                assert!(limits.events.is_empty() || limits.events.iter().any(|is| is == event.name()), "{event:?}");
                given += 1;
            }
            Err(_) => without += 1,
        }
    }
    assert!(given > 1_000 && without > 1_000, "{given} and {without}");
    assert!(admitted.len() == 3 && admitted.values().all(|&events| events > 1_000), "{admitted:?}");
}
