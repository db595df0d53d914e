//! What makes pages of logs.

#[path = "../../src/web/log/ansi.rs"]
pub mod ansi;
#[path = "../../src/web/log/fault.rs"]
pub mod fault;
#[path = "../../src/web/log/lines.rs"]
pub mod lines;
#[path = "../../src/web/log/palette.rs"]
pub mod palette;
#[path = "../../src/web/log/style.rs"]
pub mod style;
