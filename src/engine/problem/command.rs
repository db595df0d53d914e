//! What jobs say in GitHub's own words for it: `::error file=src/lib.rs,line=3,endLine=4,col=5,title=Oh::message`.

use super::remark::Remark;
use crate::model::Level;

/// What a line orders.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// Something is to be told.
    Tell(Remark),
    /// Nothing is an order until this word comes.
    Stop(&'a str),
    /// Somebody else's.
    Other,
}

/// Reads a line; `None`: it is no order.
pub(super) fn read(line: &str) -> Option<Command<'_>> {
    let line = line.trim_start().strip_prefix("::")?;
    let (head, message) = line.split_once("::")?;
    let (name, properties) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
    let level = match name.to_ascii_lowercase().as_str() {
        "error" => Level::Error,
        "warning" => Level::Warning,
        "notice" => Level::Notice,
        "stop-commands" => return Some(Command::Stop(message.trim())),
        _ => return Some(Command::Other),
    };
    Some(Command::Tell(remark(level, properties, &unescaped(message))))
}

fn remark(level: Level, properties: &str, message: &str) -> Remark {
    let mut remark = Remark::new("", 1, 0, level, message);
    let mut end_column = 0;
    for (name, value) in properties.split(',').filter_map(|property| property.split_once('=')) {
        let value =
            unescaped(value.trim()).replace("%3A", ":").replace("%3a", ":").replace("%2C", ",").replace("%2c", ",");
        let number = value.parse::<usize>().unwrap_or(0);
        match name.trim().to_ascii_lowercase().as_str() {
            "file" => remark.path = value,
            "line" => remark.line = number.max(1),
            "endline" => remark.end_line = number,
            "col" => remark.column = number,
            "endcolumn" => end_column = number,
            "title" => remark.title = value,
            _ => {}
        }
    }
    if remark.end_line <= remark.line {
        remark.end_line = 0;
    }
    if remark.column > 0 && end_column >= remark.column {
        remark.length = end_column - remark.column + 1;
    }
    remark
}

/// In the order in which GitHub's own tools do it, so that an escaped percent sign stays one.
fn unescaped(text: &str) -> String {
    text.replace("%0D", "\r").replace("%0d", "\r").replace("%0A", "\n").replace("%0a", "\n").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        match read(line) {
            Some(Command::Tell(r)) => {
                let (place, extent) = (format!("{}:{}-{}", r.path, r.line, r.end_line), (r.column, r.length));
                format!("{} {place} {extent:?} [{}] {:?}", r.level.as_str(), r.title, r.message)
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn githubs_words_are_read_as_github_reads_them() {
        for (line, expected) in [
            ("::error file=a.js,line=1,col=5,endColumn=7::Missing", r#"error a.js:1-0 (5, 3) [] "Missing""#),
            ("  ::warning file=a b.c,line=2,endLine=4,title=Odd::x", r#"warning a b.c:2-4 (0, 0) [Odd] "x""#),
            ("::notice::50%25 done%0Anext", r#"notice :1-0 (0, 0) [] "50% done\nnext""#),
            ("::error title=a%3Ab%2Cc%2525::%250A", r#"error :1-0 (0, 0) [a:b,c%25] "%0A""#),
            ("::ERROR file=a,line=x,endLine=0::m::n", r#"error a:1-0 (0, 0) [] "m::n""#),
            ("::error file=a,line=9,endLine=3::m", r#"error a:9-0 (0, 0) [] "m""#),
            ("::group::tests", "Some(Other)"),
            ("::stop-commands::word", r#"Some(Stop("word"))"#),
            ("std::error::Error", "None"),
            (":: ", "None"),
            ("error::x", "None"),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }
}
