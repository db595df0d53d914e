//! `containerops token`: made, listed and removed beside a server or without one.

use super::{call, code, containerops, err, folder, out};

#[test]
fn a_token_is_shown_once_listed_without_what_is_secret_and_removed() {
    let folder = folder(&[]);
    let added = call(&folder, &["token", "add", "deploy", "--as", "github/alice", "--scope", "run", "--days", "90"]);
    assert_eq!(code(&added), Some(0), "{}", err(&added));
    let secret = out(&added).trim().to_owned();
    assert!(secret.starts_with("cops_") && secret.len() == 48, "{secret}");
    let own = call(&folder, &["token", "add", "nightly"]);
    assert_eq!(code(&own), Some(0), "{}", err(&own));
    let list = out(&call(&folder, &["token", "list"]));
    assert!(list.contains("deploy  of github/alice  for read run  until "), "{list}");
    assert!(list.contains("nightly  of the server  for read  until ") && list.contains("never used"), "{list}");
    assert!(!list.contains(&secret), "{list}");
    let id = list.lines().find(|line| line.contains("deploy")).and_then(|line| line.split(' ').next()).expect("an id");
    assert_eq!(code(&call(&folder, &["token", "rm", id])), Some(0));
    let again = call(&folder, &["token", "rm", id]);
    assert_eq!((code(&again), err(&again).contains("there is no token")), (Some(1), true));
    assert!(!out(&call(&folder, &["token", "list"])).contains("deploy"));
}

#[test]
fn what_no_token_can_be_is_said_in_words() {
    let folder = folder(&[]);
    for (words, why) in [
        (&["token", "add", "x", "--as", "alice"][..], "github/alice"),
        (&["token", "add", "x", "--scope", "all"], "`read`, `run`, `approve` and `admin` are"),
        (&["token", "add", "x", "--days", "0"], "1..=365"),
        (&["token", "add", " "], "1 to 64 characters"),
    ] {
        let refused = containerops(folder.path(), words).output().expect("it starts");
        assert!(code(&refused) != Some(0) && err(&refused).contains(why), "{words:?}: {}", err(&refused));
    }
}
