//! Logs as people read them. A log may have a gigabyte and be written by an enemy, so nothing here holds more of it
//! than one chunk and one window of lines, and every byte of it is escaped on its way to a page.
//!
//! From the outside in: [`window`] finds the parts with the wanted lines, [`lines`] takes lines out of them, [`outline`] folds what has a title, [`search`] finds text in all of it, [`ansi`] makes a line HTML as a [`screen`] shows it, [`style`] and [`palette`] know its colours,
//! [`range`] serves bytes.

pub mod ansi;
pub mod lines;
pub mod outline;
pub mod palette;
pub mod place;
pub mod range;
mod screen;
pub mod search;
pub mod style;
pub mod window;
