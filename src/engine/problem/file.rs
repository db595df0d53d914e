//! Which file of a commit a remark is about. A tool that runs in a folder names files from there, and a forge shows
//! remarks at files of the commit alone.

use crate::model::Problem;

/// Files that end like a path.
#[derive(Debug, Default, Clone, Copy)]
struct Seen<'a> {
    /// There is one of just this name.
    exact: bool,
    /// One that ends so.
    first: Option<&'a str>,
    /// There is another.
    several: bool,
}

/// Moves each remark at a file that the commit does not have to the one whose path ends so, if there is just one. `names`
/// are those of the commit's files, each with a zero byte behind it.
pub fn find_files(problems: &mut [Problem], names: &[u8]) {
    let mut seen = vec![Seen::default(); problems.len()];
    for name in names.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok()) {
        for (problem, seen) in problems.iter().zip(&mut seen) {
            seen.look(name, &problem.remark.path);
        }
    }
    for (problem, seen) in problems.iter_mut().zip(seen) {
        if let Seen { exact: false, first: Some(name), several: false } = seen {
            name.clone_into(&mut problem.remark.path);
        }
    }
}

impl<'a> Seen<'a> {
    fn look(&mut self, name: &'a str, path: &str) {
        match name.strip_suffix(path) {
            Some("") => self.exact = true,
            Some(folder) if folder.ends_with('/') && !path.is_empty() => {
                self.several |= self.first.is_some();
                self.first = Some(name);
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Annotation, Level};

    #[test]
    fn a_remark_goes_to_the_only_file_that_can_be_meant() {
        let names = b"Makefile\0a.c\0web/src/a.ts\0web/src/b.ts\0app/src/b.ts\0lib/a.c\0xsrc/c.ts\0b\xff/src/d.ts\0";
        for (path, meant) in [
            ("src/a.ts", "web/src/a.ts"),
            // there are two, or none, or it is there as it is called
            ("src/b.ts", "src/b.ts"),
            ("src/c.ts", "src/c.ts"),
            ("src/d.ts", "src/d.ts"),
            ("a.c", "a.c"),
            ("web/src/b.ts", "web/src/b.ts"),
            ("", ""),
        ] {
            let remark = Annotation {
                path: path.to_owned(),
                line: 1,
                end_line: 0,
                column: 0,
                length: 0,
                severity: Level::Error,
                title: String::new(),
                message: "wrong".to_owned(),
            };
            let mut problems = [Problem { remark, at: 1 }];
            find_files(&mut problems, names);
            assert_eq!(problems[0].remark.path, meant, "{path}");
        }
    }
}
