//! Any texts are secrets, and any bytes are what a job writes: nothing of a secret comes through, nothing else is lost, and
//! it takes no longer than a look at each byte.

use containerops::agent::mask::{LiveMasks, Masks};

/// The first lines, up to an empty one, are secrets; the rest is written, and cut where its first byte says.
pub fn hide(bytes: &[u8]) {
    let split = bytes.windows(2).position(|two| two == b"\n\n").map_or(bytes.len(), |at| at + 1);
    let (secrets, text) = bytes.split_at(split);
    let secrets = String::from_utf8_lossy(secrets);
    let masks = Masks::new(secrets.lines());

    let hidden = masks.hide(text);
    let mut blotted = text.to_vec();
    let count = masks.blot(&mut blotted);
    assert_eq!(count > 0, masks.is_in(text));
    assert_eq!(count == 0, *hidden == *text, "what is hidden is shown as stars");
    assert_eq!(blotted.len(), text.len());
    let is_there = |secret: &str, text: &[u8]| text.windows(secret.len()).any(|window| window == secret.as_bytes());
    for secret in secrets.lines().map(str::trim).filter(|secret| secret.len() >= 4 && !secret.contains('*')) {
        assert!(!is_there(secret, &hidden), "{secret:?} comes through");
        assert!(!is_there(secret, &blotted), "{secret:?} comes through");
    }

    let cut = text.first().map_or(0, |byte| usize::from(*byte) * text.len() / 256);
    let safe = masks.safe(&text[..cut]);
    assert!(safe <= cut);
    let parts = [masks.hide(&text[..safe]), masks.hide(&text[safe..])].concat();
    assert_eq!(parts, *hidden, "a cut changes what is hidden");

    let live = LiveMasks::new(masks);
    let (shown, _) = live.listen(text);
    live.now().hide(&shown);
}
