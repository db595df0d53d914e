//! The agent's command line. URL and files are arguments, because no environment may stand in a pod's spec.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use super::turn;

/// The name under which [`Command::Install`] leaves the agent.
pub const PROGRAM: &str = "containerops-agent";
/// Exit code of an agent that the server does not want (any more): replaced, or its attempt is over.
pub const EXIT_GONE: u8 = 122;
/// Exit code of an agent that could not begin: no token, no scratch directory.
pub const EXIT_BROKEN: u8 = 123;

/// How long [`Command::Hold`] holds, in seconds. Installing takes milliseconds; the rest is for a node that is very busy.
const HOLD: u64 = 10;

/// `containerops agent …`, and the same for `containerops-agent …`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:
  containerops agent install /agent    copies it to /agent/containerops-agent

Pods and the process executor call it; nobody else needs to.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What an agent can be told to do.
#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    /// Copies this program into a directory, for the containers that mount it.
    Install {
        /// Where to; it becomes `DIR/containerops-agent`.
        dir: PathBuf,
    },
    /// Does nothing for a while: a pod's first container lives that long, so that the cluster can start `install` in it.
    Hold {
        /// For how many seconds.
        #[arg(long = "for", default_value_t = HOLD)]
        seconds: u64,
    },
    /// Claims one job, runs it, and exits as it did.
    Job(JobArgs),
}

/// All that an agent knows before its claim.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct JobArgs {
    /// The server, without `/agent/v1`.
    #[arg(long)]
    pub(super) url: String,
    /// Holds the job's token.
    #[arg(long)]
    pub(super) token_file: PathBuf,
    /// The directory that the jobs of an action share.
    #[arg(long)]
    pub(super) workspace: PathBuf,
    /// A directory of this job's own, for its log until the server has it.
    #[arg(long)]
    pub(super) scratch: PathBuf,
    /// Where the end record is left for the executor.
    #[arg(long)]
    pub(super) termination_log: Option<PathBuf>,
    /// Ends the job if the server has not answered for so many seconds. Without it the agent waits for ever: a pod has a
    /// deadline of its own.
    #[arg(long)]
    pub(super) alone_max: Option<u64>,
    /// A file that is locked while this agent lives and holds its process id. If an agent had it before, this one
    /// exits at once, so that a job never runs twice however often it is started.
    #[arg(long)]
    pub(super) lock: Option<PathBuf>,
}

/// Runs the agent to its end. The exit code of `job` is the job's own, 128 and the number for a signal, or one of
/// [`EXIT_GONE`] and [`EXIT_BROKEN`].
pub fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Install { dir } => match install(&dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                super::complain(&format!("cannot install into {}: {error}", dir.display()));
                ExitCode::from(EXIT_BROKEN)
            }
        },
        Command::Hold { seconds } => {
            std::thread::sleep(Duration::from_secs(seconds));
            ExitCode::SUCCESS
        }
        Command::Job(args) => turn::run(args),
    }
}

/// Copies beside the name and renames, so that whoever finds the program finds all of it.
fn install(dir: &Path) -> io::Result<()> {
    let (half, whole) = (dir.join(format!(".{PROGRAM}")), dir.join(PROGRAM));
    fs::copy(std::env::current_exe()?, &half)?;
    fs::set_permissions(&half, fs::Permissions::from_mode(0o755))?;
    fs::rename(&half, &whole)
}
