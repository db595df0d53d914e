//! The address under which a cluster may reach this machine.

use std::net::{IpAddr, UdpSocket};

use super::{ExecutorError, KubernetesSettings, access, refused};

/// The address of this machine that faces the cluster's API server: what is near to the one is mostly near to its pods.
///
/// # Errors
/// [`ExecutorError::Refused`] if there is no access to a cluster, or its API server is this very machine's loopback,
/// which no pod can reach.
pub async fn our_address(settings: &KubernetesSettings) -> Result<IpAddr, ExecutorError> {
    let url = access(settings).await.map_err(|message| refused(&message))?.cluster_url;
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_u16().unwrap_or(443);
    let wrong = |error: std::io::Error| refused(&format!("the API server {host}: {error}"));
    let found = tokio::net::lookup_host((host.as_str(), port)).await.map_err(wrong)?.next();
    let server = found.ok_or_else(|| refused(&format!("the API server {host} has no address")))?;
    let unspecified: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    // a datagram's socket is bound to a route by this, and nothing is sent
    let socket = UdpSocket::bind((unspecified, 0)).map_err(wrong)?;
    socket.connect(server).map_err(wrong)?;
    let ours = socket.local_addr().map_err(wrong)?.ip();
    if ours.is_loopback() {
        let words = "the API server is on this machine's loopback, and pods cannot reach that: set CONTAINEROPS_LISTEN \
                     to an address that they can reach";
        return Err(refused(words));
    }
    Ok(ours)
}
