//! Where the service is, as people, forges and pods see it.

use std::{net::IpAddr, time::Duration};

use crate::{
    app::{self, Chosen, is_here_alone},
    model::Finding,
    settings::Settings,
    web::VERSION_HEADER,
};

const ABOUT: &str = "addresses";
/// For one answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What links show.
pub(super) fn public(settings: &Settings) -> String {
    settings.public_url.clone().unwrap_or_else(|| format!("http://{}", settings.listen))
}

/// What is to be said of our own addresses.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let public = public(settings);
    let agent = app::agent_url(settings, &public);
    let mut findings = Vec::new();
    if let Some((who, advice)) = who_is_misled(settings).await.filter(|_| is_here_alone(&agent)) {
        let message = format!("{who} are told to reach us at {agent}, which is themselves");
        findings.push(Finding::error(ABOUT, message, advice));
    }
    // a forge of this very machine reaches us here
    let gitea = settings.gitea.as_ref().is_some_and(|gitea| !is_here_alone(&gitea.url));
    let url_of_gitlab = |url: &Option<String>| url.as_deref().is_some_and(is_here_alone);
    let gitlab = settings.gitlab.as_ref().is_some_and(|gitlab| !url_of_gitlab(&gitlab.url));
    let told = [("GitHub", settings.github.is_some()), ("GitLab", gitlab), ("Gitea", gitea)];
    for (forge, _) in told.into_iter().filter(|(_, is_told)| *is_told && is_here_alone(&public)) {
        let message = format!("{forge} is told that we are at {public}, which nobody else reaches");
        findings.push(Finding::error(ABOUT, message, "set CONTAINEROPS_PUBLIC_URL"));
    }
    findings.extend(agents(settings, &agent).await);
    let here = format!("http://{}", reachable(settings));
    let (here_answer, public_answer) = futures::join!(asked(&here), asked(&public));
    findings.push(match &here_answer {
        Ok(Some(version)) if version == env!("CARGO_PKG_VERSION") => {
            Finding::ok(ABOUT, format!("the service runs at {here}, release {version}"))
        }
        Ok(Some(version)) => {
            let message =
                format!("the service at {here} is release {version}, and this is {}", env!("CARGO_PKG_VERSION"));
            Finding::warning(ABOUT, message, "use the doctor of the same release, or restart the service")
        }
        Ok(None) => Finding::error(ABOUT, format!("something else answers at {here}"), "set CONTAINEROPS_LISTEN"),
        Err(_) => Finding::warning(ABOUT, format!("the service does not run at {here}"), "`containerops serve`"),
    });
    if let (Ok(Some(_)), Ok(None) | Err(_)) = (&here_answer, &public_answer) {
        let message = format!("the service runs, but does not answer at {public}");
        let advice = "check CONTAINEROPS_PUBLIC_URL, DNS and the proxy before it; from here it need not be reached";
        findings.push(Finding::warning(ABOUT, message, advice));
    }
    findings
}

/// Whether agents are answered where they come, and what else is.
async fn agents(settings: &Settings, agent: &str) -> Option<Finding> {
    if settings.agent_listen.is_some() {
        // only what answers people says which release it is
        let is_peoples = matches!(asked(agent).await, Ok(Some(_)));
        return is_peoples.then(|| {
            let message = format!("agents are told to come to {agent}, where people are answered, and not they");
            Finding::error(ABOUT, message, "let CONTAINEROPS_AGENT_URL lead to CONTAINEROPS_AGENT_LISTEN")
        });
    }
    match app::chosen(settings).await {
        Chosen::Kubernetes(_) => {
            app::Exposure::of(settings).words().map(|(message, advice)| Finding::warning(ABOUT, message, advice))
        }
        Chosen::Docker(_) | Chosen::Process => None,
    }
}

/// Who has a network of its own, and would look for us in it; and what helps.
async fn who_is_misled(settings: &Settings) -> Option<(&'static str, &'static str)> {
    match app::chosen(settings).await {
        Chosen::Kubernetes(_) => Some(("pods", "set CONTAINEROPS_AGENT_URL to what pods can reach")),
        Chosen::Docker(with) if with.network != "host" => Some((
            "containers",
            "set CONTAINEROPS_AGENT_URL to what containers can reach, such as http://host.docker.internal:8080",
        )),
        Chosen::Docker(_) | Chosen::Process => None,
    }
}

/// Where the listener can be asked: not at the address that stands for all.
fn reachable(settings: &Settings) -> String {
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::from([127, 0, 0, 1]));
    }
    address.to_string()
}

/// The release that answers there; `None`: something answers, and it is not ours.
async fn asked(url: &str) -> Result<Option<String>, reqwest::Error> {
    let answer = reqwest::Client::builder().timeout(LIMIT).build()?.get(format!("{url}/readyz")).send().await?;
    Ok(answer.headers().get(VERSION_HEADER).and_then(|version| version.to_str().ok()).map(str::to_owned))
}
