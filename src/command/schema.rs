//! `containerops schema`: the JSON Schema of flow files.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// Print the JSON Schema of flow files, for editors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  containerops schema > flow.schema.json

A server has the same at /schema/flow.json. Editors with the YAML language server find it by a first line such as
  # yaml-language-server: $schema=https://ci.example.org/schema/flow.json")]
pub struct Args {}

/// Prints it.
///
/// # Errors
/// If standard output is gone.
pub fn run(Args {}: Args) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout(), "{:#}", crate::flow::schema())?;
    Ok(ExitCode::SUCCESS)
}
