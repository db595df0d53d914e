//! Any bytes are a report of tests: it is read, within bounds, and what is hidden stays hidden.

use std::sync::Arc;

use containerops::{
    agent::mask::Masks,
    engine::{
        junit::{KEPT, Reader},
        problem::Place,
    },
};

/// What no report may show.
const SECRET: &str = "hunter2&<secret>";

/// Reads it.
pub fn read(bytes: &[u8]) {
    let mut reader = Reader::new(Place::new("attempt", "widget"), Arc::new(Masks::new([SECRET])));
    reader.read("report.xml", bytes);
    let found = reader.end();
    let failed = found.tests.failed();
    assert!(failed + found.tests.skipped <= found.tests.tests);
    assert_eq!(found.failed.len() as u64, failed.min(KEPT as u64));
    for test in &found.failed {
        assert!(!test.message.contains(SECRET) && !test.details.contains(SECRET), "{test:?}");
        assert!(!test.file.starts_with('/') && !test.file.split('/').any(|part| part == ".."), "{test:?}");
    }
}
