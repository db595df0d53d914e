//! What listens on this machine's loopback alone, reached from elsewhere.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// An address at `host` that leads to `behind` for as long as the test goes on.
pub(crate) async fn relay(host: &str, behind: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).await.expect("an address of this machine");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut there) = TcpStream::connect(behind).await else { return };
                let _ = copy_bidirectional(&mut here, &mut there).await;
            });
        }
    });
    address
}
