//! Texts that must fit into a box whose font we do not know.

/// A text for a picture, which is XML, where some characters must not stand at all.
pub(super) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')).collect()
}

/// As much of a text as has room for so many ordinary letters, and the whole of it if that is more.
pub(super) fn fit(text: &str, room: f32) -> (String, Option<String>) {
    let text = clean(text);
    if text.chars().map(width).sum::<f32>() <= room {
        return (text, None);
    }
    let mut used = 1.0;
    let begin = text.chars().take_while(|c| {
        used += width(*c);
        used <= room
    });
    (format!("{}…", begin.collect::<String>().trim_end()), Some(text.clone()))
}

/// About as many ordinary letters.
fn width(c: char) -> f32 {
    match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '(' | ')' | '[' | ']' | ' ' => {
            0.6
        }
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 1.5,
        'A'..='Z' => 1.2,
        c if c.is_ascii() => 1.0,
        _ => 1.8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_shortened_and_the_whole_of_it_kept() {
        assert_eq!(fit("unit", 18.0), ("unit".to_owned(), None));
        let long = "integration-of-everything-with-everything";
        assert_eq!(fit(long, 18.0), ("integration-of-ever…".to_owned(), Some(long.to_owned())));
        assert_eq!(fit("数据库测试数据库测试", 10.0).0, "数据库测试…");
        assert_eq!(clean("a\u{1}b\u{ffff}\nc"), "abc");
    }
}
