//! What a line of a script does that it should not. No shell is read here: words are looked at, and what is not sure
//! is let pass.

use super::{Habit, secrets};

/// What is wrong with a line.
pub(super) struct Fault {
    pub(super) habit: Habit,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// Modes with which everybody may write.
const MODES: [&str; 9] = ["777", "0777", "1777", "666", "0666", "a+w", "o+w", "a+rwx", "o+rwx"];
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "python3"];

/// Lines with their faults, in the script's order.
pub(super) fn faults(script: &str) -> Vec<(&str, Fault)> {
    let fails_in_pipes = script.contains("pipefail");
    let mut faults = Vec::new();
    for line in script.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let words: Vec<&str> =
            line.split([' ', '\t', ';', '&', '(', ')', '"', '\'']).filter(|w| !w.is_empty()).collect();
        let mut fault =
            |habit, message: &str, hint| faults.push((line, Fault { habit, message: message.to_owned(), hint }));
        if world_writable(&words) {
            fault(
                Habit::WorldWritable,
                "everybody may write these files",
                "`chmod u+w`, `755` or `644`: give them to who writes",
            );
        }
        if !fails_in_pipes && words.windows(2).any(|pair| pair == ["|", "tee"]) {
            let hint = "write into a file and `cat` it, or use a shell with `set -o pipefail`";
            fault(
                Habit::HiddenFailure,
                "a pipe ends as its last command does: what fails before `| tee` fails unseen",
                hint,
            );
        }
        if is_insecure(&words) {
            fault(
                Habit::Insecure,
                "anybody between here and the server may change this download",
                "use https, and check the certificate",
            );
        }
        if let Some(what) = secrets::known_form(line) {
            fault(Habit::Secret, &format!("this line has {what} in it"), super::KEEP_OUT);
        }
    }
    faults
}

fn world_writable(words: &[&str]) -> bool {
    let Some(place) = words.iter().position(|word| *word == "chmod" || word.ends_with("/chmod")) else { return false };
    let mode = words[place + 1..].iter().find(|word| !word.starts_with('-'));
    mode.is_some_and(|mode| MODES.contains(mode))
}

/// A check that is switched off, or a program over plain http that runs at once.
fn is_insecure(words: &[&str]) -> bool {
    let has = |name: &str| words.contains(&name);
    let short = |letter: char| {
        words.iter().any(|word| word.starts_with('-') && !word.starts_with("--") && word[1..].contains(letter))
    };
    let unchecked = has("curl") && (has("--insecure") || short('k'))
        || has("wget") && has("--no-check-certificate")
        || words.iter().any(|word| word.starts_with("http.sslVerify=false") || *word == "GIT_SSL_NO_VERIFY=1");
    let plain = words.iter().any(|word| word.starts_with("http://") && !is_near(word));
    let runs = words.windows(2).any(|pair| pair[0] == "|" && SHELLS.contains(&pair[1]));
    unchecked || plain && runs
}

/// A server on this machine.
fn is_near(url: &str) -> bool {
    ["localhost", "127.", "[::1]"].iter().any(|host| url["http://".len()..].starts_with(host))
}
