//! `containerops github setup`: registers a GitHub App by a manifest, in the browser.
//!
//! A page on this machine alone shows what the App will be and sends it to GitHub; GitHub asks, makes it, and sends the
//! browser back here with a code; the code is exchanged for the App's key and secret, which are written to files and
//! shown nowhere. The addresses here hold a word that nobody can guess, and what comes back must bring it along.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use axum::{
    Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::oneshot};

use super::keep::{self, Keeper};
use crate::forge::github::manifest::{self, LONGEST_NAME, MadeApp, Manifest};

/// GitHub's own limit for the whole way.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// So long a browser may still read its last page.
const LAST_PAGE: Duration = Duration::from_secs(5);

/// Registers a GitHub App in your browser, and writes its key and settings.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops github setup --public-url https://ci.example.com
  containerops github setup --public-url https://ci.example.com --organization acme
  containerops github setup --public-url https://ci.example.com --github-url https://github.example.com

It prints an address of this machine. Open it in a browser that is signed in to GitHub and press the
button there; GitHub asks for a name and makes the App. On a machine without a browser, forward the port:
  ssh -L 8081:127.0.0.1:8081 HOST containerops github setup --port 8081 …")]
pub(super) struct SetupArgs {
    /// Where GitHub and people reach the service [default: `public_url` of the settings].
    #[arg(long, env = "CONTAINEROPS_PUBLIC_URL")]
    public_url: Option<String>,
    /// Make the App this organisation's [default: your own].
    #[arg(long)]
    organization: Option<String>,
    /// What to call the App; unique on its GitHub [default: ContainerOps and the service's host].
    #[arg(long)]
    name: Option<String>,
    /// GitHub's pages, where it is your own [default: https://github.com].
    #[arg(long, env = "CONTAINEROPS_GITHUB_URL")]
    github_url: Option<String>,
    /// Its API [default: https://api.github.com, or `/api/v3` of its pages].
    #[arg(long, env = "CONTAINEROPS_GITHUB_API_URL")]
    github_api_url: Option<String>,
    /// Also answer comments below commits, for which GitHub wants the right to write to repositories.
    #[arg(long)]
    commit_comments: bool,
    /// The file of settings that is added to.
    #[arg(long, env = "CONTAINEROPS_CONFIG", default_value = "containerops.toml")]
    config: PathBuf,
    /// The App's private key [default: `github-app-ID.pem` beside the file of settings].
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// Take the place of an App or a token that is set up already.
    #[arg(long)]
    replace: bool,
    /// The port of this machine that the browser is shown [default: any that is free].
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// What the pages need.
struct Page {
    /// What nobody can guess.
    state: String,
    /// The form's address.
    address: String,
    manifest: Manifest,
    api_url: String,
    /// Taken by the first who brings the state and a code.
    done: Mutex<Option<oneshot::Sender<Result<MadeApp>>>>,
}

/// What GitHub sends a browser back with.
#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
}

pub(super) fn run(args: SetupArgs) -> Result<ExitCode> {
    let keeper = Keeper::read(args.config.clone())?;
    may_replace(&keeper, args.replace)?;
    keeper.is_writable()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let made = runtime.block_on(make(&args, &keeper))?;
    keep_it(&args, &keeper, &made)?;
    Ok(ExitCode::SUCCESS)
}

/// What is set up already stays, unless somebody says otherwise.
fn may_replace(keeper: &Keeper, replace: bool) -> Result<()> {
    let others = keeper.others();
    if others.is_empty() || replace {
        return Ok(());
    }
    let there = format!("{} has {} already", keeper.path().display(), others.join(", "));
    if !io::stdin().is_terminal() {
        bail!("{there}: with --replace, a new App takes its place");
    }
    say(&format!("{there}. Shall a new App take its place? [y/N] "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim().eq_ignore_ascii_case("y") { Ok(()) } else { bail!("nothing was changed") }
}

async fn make(args: &SetupArgs, keeper: &Keeper) -> Result<MadeApp> {
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await.context("listening on this machine")?;
    let here = format!("http://{}", listener.local_addr()?);
    let (done, made) = oneshot::channel();
    let page = Arc::new(page(args, keeper, &here, done)?);
    say(&format!(
        "1. Open this address in a browser that is signed in to GitHub:\n\n   {here}/{}\n\n2. Press the button there. GitHub \
         shows what the App may do, asks for its name, and makes it.\n\nWaiting for GitHub… (Ctrl-C ends it, and changes \
         nothing)\n",
        page.state
    ));
    let router = Router::new().route("/{state}", get(first)).route("/{state}/made", get(back)).with_state(page);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = axum::serve(listener, router).with_graceful_shutdown(async move { drop(stopped.await) });
    let served = tokio::spawn(async move { served.await });
    let made = tokio::time::timeout(PATIENCE, made).await.context("nobody came back from GitHub within an hour")?;
    drop(stop);
    // the last page goes out before the program does
    let _ = tokio::time::timeout(LAST_PAGE, served).await;
    made.context("the page is gone")?
}

fn page(args: &SetupArgs, keeper: &Keeper, here: &str, done: oneshot::Sender<Result<MadeApp>>) -> Result<Page> {
    let given = |value: &Option<String>, name: &str| {
        let value = value.clone().or_else(|| keeper.get(name));
        value.map(|url| checked(&url, name)).transpose()
    };
    let public_url = given(&args.public_url, "public_url")?
        .context("where will GitHub reach the service? Say so by --public-url https://ci.example.com")?;
    let url = given(&args.github_url, "github_url")?;
    let api_url = given(&args.github_api_url, "github_api_url")?.unwrap_or_else(|| match &url {
        Some(url) => format!("{url}/api/v3"),
        None => "https://api.github.com".to_owned(),
    });
    let url = url.unwrap_or_else(|| "https://github.com".to_owned());
    let organization = args.organization.as_deref();
    if let Some(name) = organization.filter(|name| !is_login(name)) {
        bail!("`{name}` is no name of an organisation");
    }
    let mut state = [0; 24];
    getrandom::fill(&mut state).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let state = hex::encode(state);
    let host = url::Url::parse(&public_url)?.host_str().unwrap_or_default().to_owned();
    let name = args.name.clone().unwrap_or_else(|| format!("ContainerOps {host}"));
    let manifest = Manifest {
        name: name.chars().take(LONGEST_NAME).collect(),
        public_url,
        redirect_url: format!("{here}/{state}/made"),
        commit_comments: args.commit_comments,
    };
    let address = manifest::address(&url, organization, &state);
    Ok(Page { state, address, manifest, api_url, done: Mutex::new(Some(done)) })
}

fn checked(url: &str, name: &str) -> Result<String> {
    let read = url::Url::parse(url).with_context(|| format!("{name} is no URL: {url}"))?;
    if !matches!(read.scheme(), "http" | "https") || read.host_str().is_none() {
        bail!("{name} is an http or https URL, and not {url}");
    }
    Ok(read.as_str().trim_end_matches('/').to_owned())
}

fn is_login(name: &str) -> bool {
    (1..=39).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// The page with the button.
async fn first(State(page): State<Arc<Page>>, Path(state): Path<String>) -> Response {
    if state != page.state {
        return StatusCode::NOT_FOUND.into_response();
    }
    let manifest = page.manifest.value();
    let list = |value: &serde_json::Value| value.to_string().replace(['{', '}', '[', ']', '"'], "").replace(',', ", ");
    let words = format!(
        "<h1>Make the GitHub App</h1><p>GitHub will deliver to <code>{}</code>.</p><p>The App may: {}.<br>It hears of: \
         {}.</p><form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"manifest\" value=\"{}\"><button>Make it on \
         GitHub</button></form><p>GitHub asks for the name, and then leads back here.</p>",
        escaped(manifest["hook_attributes"]["url"].as_str().unwrap_or_default()),
        escaped(&list(&manifest["default_permissions"])),
        escaped(&list(&manifest["default_events"])),
        escaped(&page.address),
        escaped(&manifest.to_string()),
    );
    html(StatusCode::OK, &words)
}

/// Where GitHub leads back to.
async fn back(State(page): State<Arc<Page>>, Path(state): Path<String>, Query(back): Query<Back>) -> Response {
    if state != page.state || back.state != page.state {
        return StatusCode::NOT_FOUND.into_response();
    }
    let done = page.done.lock().ok().and_then(|mut done| done.take());
    let Some(done) = done else { return html(StatusCode::CONFLICT, "<h1>This was used already</h1>") };
    let made = manifest::convert(&page.api_url, &back.code).await;
    let answer = match &made {
        Ok(app) => {
            let words = format!(
                "<h1>The App is made</h1><p>Its key and its settings are written by the command that you have started; it \
                 says what to do next.</p><p><a href=\"{}/installations/new\">Install it on repositories</a></p>",
                escaped(&app.html_url)
            );
            html(StatusCode::OK, &words)
        }
        Err(error) => {
            html(StatusCode::BAD_GATEWAY, &format!("<h1>It failed</h1><p>{}</p>", escaped(&error.to_string())))
        }
    };
    let _ = done.send(made.map_err(anyhow::Error::from));
    answer
}

fn html(status: StatusCode, words: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>ContainerOps</title><style>body{{font:16px/1.5 \
         system-ui;max-width:42rem;margin:4rem auto;padding:0 1rem}}button{{font:inherit;padding:.5rem \
         1rem}}</style>{words}</html>"
    );
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "no-referrer")];
    (status, headers, Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Writes down what GitHub has given, and says what is next.
fn keep_it(args: &SetupArgs, keeper: &Keeper, made: &MadeApp) -> Result<()> {
    let beside = || keeper.path().with_file_name(format!("github-app-{}.pem", made.id));
    let path = args.key_file.clone().unwrap_or_else(beside);
    let lost = "the App is made, but what GitHub gave for it is not kept: make a new key on its page";
    keep::key(&path, made.pem.expose_secret()).with_context(|| format!("{lost}, {}", made.html_url))?;
    let secret = made.webhook_secret.expose_secret();
    if secret.is_empty() {
        bail!("GitHub gave no webhook secret: set one on the App's page, {}", made.html_url);
    }
    let path = std::path::absolute(&path)?;
    let mut settings = vec![
        ("github_app_id", made.id.to_string()),
        ("github_private_key_file", path.display().to_string()),
        ("github_webhook_secret", secret.to_owned()),
    ];
    let named =
        [("public_url", &args.public_url), ("github_url", &args.github_url), ("github_api_url", &args.github_api_url)];
    for (name, value) in named {
        if let (Some(value), None) = (value, keeper.get(name)) {
            settings.push((name, value.clone()));
        }
    }
    keeper.write(&settings).with_context(|| format!("the App's key is in {}", path.display()))?;
    say(&format!(
        "\nThe App is made: {}\n  its key        {}\n  its settings   {}\n\nWhat is next:\n  1. Start the service: containerops \
         serve\n  2. Install the App on repositories: {}/installations/new\n  3. Push a commit with a .containerops.yml\n\
         `containerops doctor` says whether all is well.\n",
        made.html_url,
        path.display(),
        keeper.path().display(),
        made.html_url,
    ));
    Ok(())
}

fn say(words: &str) {
    let _ = io::stdout().write_all(words.as_bytes()).and_then(|()| io::stdout().flush());
}
