//! What `deploy/` sets, the program knows.

use std::path::Path;

/// What stands in a folder and its folders, with the names of the files.
fn texts(folder: &Path, into: &mut Vec<(String, String)>) {
    for entry in folder.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts(&path, into);
        } else {
            into.push((path.display().to_string(), std::fs::read_to_string(&path).expect("text")));
        }
    }
}

#[test]
fn whatever_deploy_sets_is_a_setting() {
    // compose.yaml and Kubernetes themselves make these
    let theirs = ["VERSION", "PORT", "SERVICE_HOST", "SERVICE_PORT_AGENTS"];
    // whose table has all of them, as another test sees to
    let known = std::fs::read_to_string("README.md").expect("a README");
    let is_known = |name: &str| known.contains(&format!("`CONTAINEROPS_{name}`"));
    let mut files = Vec::new();
    texts(Path::new("deploy"), &mut files);
    let mut seen = 0;
    for (file, text) in files {
        for rest in text.split("CONTAINEROPS_").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            let name = name.trim_end_matches('_');
            seen += usize::from(is_known(name));
            assert!(is_known(name) || name.is_empty() || theirs.contains(&name), "{file}: CONTAINEROPS_{name}");
        }
    }
    assert!(seen > 20, "{seen} settings are in deploy/");
}
