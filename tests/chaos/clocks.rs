//! Machines whose clocks are wrong: an hour ahead, and one that is set back and forth while its server runs. It needs
//! libfaketime, which every program of Debian's package `faketime` is started with.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{dice::Dice, service::Setup};

/// Between two times at which a clock is set.
const PACE: Duration = Duration::from_secs(4);
/// What it is set to, beside the right time.
const WRONG: [&str; 3] = ["+3600", "-3600", "+0"];

/// Gives the second of these servers a clock that is an hour ahead, and the third one that jumps.
pub(crate) fn turn(setups: &mut [Setup], library: &str, folder: &Path, dice: Dice) {
    let common = [("LD_PRELOAD", library.to_owned()), ("DONT_FAKE_MONOTONIC", "1".to_owned())];
    let [_, ahead, jumps, ..] = setups else { panic!("wrong clocks need three servers") };
    ahead.settings.extend(common.clone());
    ahead.settings.push(("FAKETIME", "+3600".to_owned()));
    let file = folder.join("clock");
    std::fs::write(&file, WRONG[1]).expect("a file");
    jumps.settings.extend(common);
    jumps.settings.push(("FAKETIME_TIMESTAMP_FILE", file.display().to_string()));
    jumps.settings.push(("FAKETIME_CACHE_DURATION", "1".to_owned()));
    tokio::spawn(jump(file, dice));
}

async fn jump(file: PathBuf, mut dice: Dice) {
    loop {
        tokio::time::sleep(PACE).await;
        let wrong = WRONG[dice.between(0, WRONG.len() as u64) as usize];
        // whole, or not at all
        let new = file.with_extension("new");
        if std::fs::write(&new, wrong).and_then(|()| std::fs::rename(&new, &file)).is_err() {
            return;
        }
    }
}
