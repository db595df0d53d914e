//! `containerops doctor`: looks at everything that the service needs, and says what to do.

mod bucket;
mod machine;
mod urls;

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use futures::{FutureExt as _, future::BoxFuture};

use super::serve::{runtime, settings};
use crate::{
    app::{self, Chosen},
    executor::{docker, kubernetes},
    model::{Finding, Health},
    settings::Settings,
    store,
};

/// No examination takes longer; what has not answered by then is said.
const LIMIT: Duration = Duration::from_secs(30);
/// GitHub takes a JWT that is a minute old; half of that is left for everything else.
const SKEW: i64 = 30;

/// Check the set-up: cluster or engine, database, bucket, forge credentials, hooks, clock, disk, addresses. Works while the service runs, and
/// changes nothing. The exit code is 1 if something cannot work.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops doctor
  containerops doctor --json | jq '.[] | select(.health != \"ok\")'")]
pub struct Args {
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one].
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// What one examination comes to: its findings, and the clock that it saw.
type Examined = (Vec<Finding>, Option<i64>);

/// Examines.
///
/// # Errors
/// If the settings are wrong, or nothing can be printed.
pub fn run(args: Args) -> Result<ExitCode> {
    let settings = settings(args.config)?;
    let findings = runtime()?.block_on(examine(&settings));
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &findings)?;
        writeln!(out)?;
    } else {
        let colours = out.is_terminal();
        findings.iter().try_for_each(|finding| write!(out, "{}", line(finding, colours)))?;
    }
    let broken = findings.iter().any(|finding| finding.health == Health::Error);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// All findings, in the order of what they are about.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let examinations: Vec<(&'static str, BoxFuture<'_, Examined>)> = vec![
        ("database", store::examine(&settings.database_url).map(|found| (found, None)).boxed()),
        ("disk", machine::examine(settings).map(|found| (found, None)).boxed()),
        ("bucket", bucket::examine(settings).map(|found| (found, None)).boxed()),
        ("cluster", cluster(settings).boxed()),
        ("GitHub", github(settings).boxed()),
        ("GitLab", gitlab(settings).boxed()),
        ("Gitea", gitea(settings).boxed()),
        ("addresses", urls::examine(settings).map(|found| (found, None)).boxed()),
    ];
    let limited = examinations.into_iter().map(|(about, examination)| async move {
        let examined = tokio::time::timeout(LIMIT, examination).await;
        examined.unwrap_or_else(|_| {
            let message = format!("it has not been examined within {} s", LIMIT.as_secs());
            (vec![Finding::error(about, message, "try again, and look whether it is overloaded")], None)
        })
    });
    let examined = futures::future::join_all(limited).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs().cast_signed());
    let clock = clock(now, examined.iter().filter_map(|(_, time)| *time));
    examined.into_iter().flat_map(|(findings, _)| findings).chain([clock]).collect()
}

/// What our clock is, beside those of others.
pub fn clock(now: i64, others: impl Iterator<Item = i64>) -> Finding {
    const ABOUT: &str = "clock";
    match others.map(|other| now - other).max_by_key(|skew| skew.abs()) {
        None => Finding::ok(ABOUT, "there is no other clock to compare it with"),
        Some(skew) if skew.abs() > SKEW => {
            let side = if skew > 0 { "ahead" } else { "behind" };
            let message = format!("this machine's clock is {} s {side}", skew.abs());
            Finding::error(ABOUT, message, "set it by NTP: GitHub refuses what an App signs with a wrong time")
        }
        Some(_) => Finding::ok(ABOUT, "this machine's clock agrees with the others"),
    }
}

async fn cluster(settings: &Settings) -> Examined {
    match app::chosen(settings).await {
        Chosen::Kubernetes(with) => kubernetes::examine(&with).await,
        Chosen::Docker(with) => (docker::examine(&with).await, None),
        Chosen::Process => {
            let advice = "for anything but trying out, set CONTAINEROPS_EXECUTOR=kubernetes, or docker";
            (
                vec![Finding::warning("executor", "jobs are processes of this machine: nothing isolates them", advice)],
                None,
            )
        }
    }
}

async fn github(settings: &Settings) -> Examined {
    match app::github(settings) {
        None => (Vec::new(), None),
        Some(Err(error)) => {
            let advice = "correct the CONTAINEROPS_GITHUB_* settings";
            (vec![Finding::error("GitHub", format!("{error:#}"), advice)], None)
        }
        Some(Ok(github)) => github.examine(&format!("{}/hooks/github", urls::public(settings))).await,
    }
}

async fn gitlab(settings: &Settings) -> Examined {
    match app::gitlab(settings) {
        None => (Vec::new(), None),
        Some(Err(error)) => {
            let advice = "correct the CONTAINEROPS_GITLAB_* settings";
            (vec![Finding::error("GitLab", format!("{error:#}"), advice)], None)
        }
        Some(Ok(gitlab)) => gitlab.examine(&format!("{}/hooks/gitlab", urls::public(settings))).await,
    }
}

async fn gitea(settings: &Settings) -> Examined {
    match app::gitea(settings) {
        None => (Vec::new(), None),
        Some(Err(error)) => {
            let advice = "correct the CONTAINEROPS_GITEA_* settings";
            (vec![Finding::error("Gitea", format!("{error:#}"), advice)], None)
        }
        Some(Ok(gitea)) => gitea.examine().await,
    }
}

/// A finding for people: a word before a colour, for those who see none.
pub fn line(finding: &Finding, colours: bool) -> String {
    let (word, colour) = match finding.health {
        Health::Ok => ("ok", "32"),
        Health::Warning => ("warning", "33"),
        Health::Error => ("error", "31"),
    };
    let word = if colours { format!("\u{1b}[{colour}m{word:<7}\u{1b}[0m") } else { format!("{word:<7}") };
    let advice = if finding.advice.is_empty() { String::new() } else { format!("        → {}\n", finding.advice) };
    // what others say is shown, and does nothing to a terminal
    let message: String = finding.message.chars().filter(|c| !c.is_control()).collect();
    format!("{word} {}: {message}\n{advice}", finding.about)
}
