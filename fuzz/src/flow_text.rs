//! Any bytes are a flow file: reading ends, within bounds, and what is good means the same when it is written out.

use containerops::{
    flow::{self, Decision},
    model::{Event, EventKind, ForgeKind, Repository, Trust},
};

/// Reads a text as a flow file.
pub fn read(text: &[u8]) {
    let event = event();
    let name = &event.repository.name;
    flow::habits(text);
    match flow::read("a.yml", name, text) {
        Err(diagnostics) => {
            flow::markdown("a.yml", &diagnostics);
        }
        Ok(read) => {
            let Decision::Run(plan) = read.plan(&event) else { return };
            // an `@` has no escape: what looks like a variable of the flow would be read as one
            if text.contains(&b'@') {
                return;
            }
            let written = flow::full_form(&plan);
            let again = match flow::read("b.yml", name, written.as_bytes()) {
                Ok(again) => again,
                Err(wrong) => panic!("{written}\n{}", flow::render("b.yml", &wrong)),
            };
            assert_eq!(again.plan(&event), Decision::Run(plan), "{written}");
        }
    }
}

fn event() -> Event {
    let repository = Repository {
        forge: ForgeKind::Git,
        name: "a/b".parse().expect("a name"),
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
        visibility: containerops::model::Visibility::default(),
    };
    let kind = EventKind::Push { branch: "main".to_owned() };
    let sha = "0".repeat(40).parse().expect("a sha");
    let (actor, title) = (String::new(), String::new());
    Event { repository, kind, sha, base_sha: None, actor, title, trust: Trust::Trusted, message: None }
}
