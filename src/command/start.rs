//! `containerops start`: starts flows by hand, through the API of a server.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::serve;

/// For each call.
const LIMIT: Duration = Duration::from_secs(15);
/// How long what comes of it is waited for; a forge that is away may take longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Start the flows of a repository that have `on: manual`, and print the addresses of their runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops start acme/shop
  containerops start acme/shop --branch release/2 --flow deploy --input level=debug --input dry=yes

Exit code: 0 if a run was started, 1 if not.")]
pub struct Args {
    /// owner/name
    #[arg(value_name = "REPO")]
    repository: String,
    /// Its forge, if several have one of that name
    #[arg(long)]
    forge: Option<String>,
    /// The branch whose newest commit is built [default: the default branch]
    #[arg(long)]
    branch: Option<String>,
    /// Only the flow of this name
    #[arg(long)]
    flow: Option<String>,
    /// An input of the flow
    #[arg(long = "input", value_name = "NAME=TEXT", value_parser = pair)]
    inputs: Vec<(String, String)>,
    /// The server's address
    #[arg(long, env = "CONTAINEROPS_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// What it lets in, if it asks
    #[arg(long, env = "CONTAINEROPS_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// `NAME=TEXT`, split at the first `=`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=TEXT is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Starts, waits and prints.
///
/// # Errors
/// If the server does not answer, or refuses.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::runtime()?.block_on(start(&args))
}

async fn start(args: &Args) -> Result<ExitCode> {
    let client = reqwest::Client::builder().timeout(LIMIT).build().context("setting up HTTP")?;
    let server = Server { client, url: args.server.trim_end_matches('/').to_owned(), token: args.token.clone() };
    let inputs: BTreeMap<&String, &String> = args.inputs.iter().map(|(name, value)| (name, value)).collect();
    let mut body = json!({"repository": args.repository, "inputs": inputs});
    for (key, value) in [("forge", &args.forge), ("branch", &args.branch), ("flow", &args.flow)] {
        if let Some(value) = value {
            body[key] = json!(value);
        }
    }
    let started = server.asks(server.client.post(format!("{}/api/v1/starts", server.url)).json(&body)).await;
    let started = started.with_context(|| format!("starting flows of {}", args.repository))?;
    let id =
        started["delivery"].as_str().map(str::to_owned).or_else(|| Some(started["delivery"].as_i64()?.to_string()));
    told(&server, &id.context("the server named no delivery")?).await
}

/// Waits until it is known what comes of it.
async fn told(server: &Server, id: &str) -> Result<ExitCode> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let url = format!("{}/api/v1/deliveries/{id}", server.url);
        let delivery = server.asks(server.client.get(url)).await?;
        match delivery["state"]["state"].as_str() {
            Some("started") => return runs(server, &delivery),
            Some("pending") if tokio::time::Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Some("pending") => {
                let trouble = delivery["trouble"].as_str().unwrap_or_default();
                bail!("nothing has come of it yet: {trouble}; see {}/deliveries/{id}", server.url)
            }
            _ => {
                let reason = delivery["state"]["reason"].as_str().unwrap_or("the server does not say why");
                writeln!(io::stderr(), "nothing was started: {reason}")?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
}

fn runs(server: &Server, delivery: &Value) -> Result<ExitCode> {
    for run in delivery["runs"].as_array().into_iter().flatten() {
        let (flow, number) = (run["flow"].as_str().unwrap_or_default(), &run["number"]);
        writeln!(io::stdout(), "{flow} #{number}: {}{}", server.url, run["url"].as_str().unwrap_or_default())?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Server {
    client: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Server {
    /// The answer to a call; a refusal in the server's own words.
    async fn asks(&self, call: reqwest::RequestBuilder) -> Result<Value> {
        let call = match &self.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        };
        let answer = call.send().await.with_context(|| format!("{} does not answer", self.url))?;
        let status = answer.status();
        let value: Value =
            answer.json().await.with_context(|| format!("{} answered {status}, and no JSON", self.url))?;
        if !status.is_success() {
            bail!("{}: {}", status, value["detail"].as_str().or(value["title"].as_str()).unwrap_or("refused"));
        }
        Ok(value)
    }
}
