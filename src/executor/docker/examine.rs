//! Looks at an engine: whether it answers, what it is, and whether containers get their agent.

use super::{DockerSettings, agent::Agent, connection::Connection};
use crate::model::Finding;

const ABOUT: &str = "engine";

/// What is to be said of the engine.
pub async fn examine(settings: &DockerSettings) -> Vec<Finding> {
    let host = &settings.host;
    let connection = match Connection::new(host) {
        Ok(connection) => connection,
        Err(message) => return vec![away(&message)],
    };
    let info = match connection.call(async |docker| docker.info().await).await {
        Ok(info) => info,
        Err(fault) => return vec![away(&format!("{host}: {}", fault.message()))],
    };
    let version = info.server_version.unwrap_or_default();
    let system = info.operating_system.unwrap_or_default();
    let mut findings = vec![Finding::ok(ABOUT, format!("{host} answers: release {version} on {system}"))];
    if info.memory_limit == Some(false) {
        let advice = "let its machine's kernel count memory (cgroups), or jobs may use all of it";
        findings.push(Finding::warning(ABOUT, "it cannot limit memory", advice));
    }
    findings.push(agent(settings, &connection).await);
    findings
}

async fn agent(settings: &DockerSettings, connection: &Connection) -> Finding {
    let found = match Agent::find(settings) {
        Ok(agent) => agent.look(connection).await.map(|()| agent.to_string()),
        Err(message) => Err(message),
    };
    match found {
        Ok(from) => Finding::ok(ABOUT, format!("containers get their agent from {from}")),
        Err(message) => {
            Finding::error(ABOUT, message, "name a static `containerops-agent` by CONTAINEROPS_DOCKER_AGENT")
        }
    }
}

fn away(message: &str) -> Finding {
    Finding::error(ABOUT, message, "start it, or check CONTAINEROPS_DOCKER_HOST and who may use its socket")
}
