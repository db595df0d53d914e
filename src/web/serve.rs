//! Connections, before there is a request: how many there may be, of one source and in all, how long somebody may take
//! to say what they want, and how they end when the service does.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower_service::Service as _;

use crate::meters::Meters;

/// So long somebody may take for the head of a request.
pub const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// So many headers a request may have.
pub const HEADERS_MAX: usize = 100;
/// So many bytes its head may have.
pub const HEAD_MAX: usize = 64 << 10;
/// So many requests of one connection may be under way at once, where it can have several.
pub const STREAMS_MAX: u32 = 128;
/// A connection is refused within this time, or dropped.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// What is refused by a limit of the machine's own is tried again after this.
const TROUBLE: Duration = Duration::from_millis(100);

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// In all.
    pub connections: usize,
    /// Of one source that is out on the internet.
    pub of_source: usize,
    /// Of one source that is near: a proxy speaks for many.
    pub of_neighbour: usize,
    /// How long somebody may take for the head of a request.
    pub head_within: Duration,
}

/// Those that there are.
#[derive(Debug, Clone, Default)]
struct Present(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, as long as it lasts.
#[derive(Debug)]
struct Place {
    present: Present,
    source: IpAddr,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    Everywhere,
    ForSource,
}

impl Present {
    fn enter(&self, source: IpAddr, bounds: Bounds) -> Result<Place, Full> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if crate::model::is_public(source) { bounds.of_source } else { bounds.of_neighbour };
        if all.values().sum::<usize>() >= bounds.connections {
            return Err(Full::Everywhere);
        }
        let of_source = all.entry(source).or_default();
        if *of_source >= most {
            return Err(Full::ForSource);
        }
        *of_source += 1;
        Ok(Place { present: self.clone(), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.present.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.source);
            }
        }
    }
}

impl Full {
    const fn limit(self) -> &'static str {
        match self {
            Self::Everywhere => "connections",
            Self::ForSource => "connections_of_source",
        }
    }

    const fn words(self) -> &'static [u8] {
        match self {
            Self::Everywhere => {
                b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            }
            Self::ForSource => {
                b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            }
        }
    }
}

/// Answers whoever comes until `stop` is over; then whatever is under way gets `grace` to end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    (bounds, meters): (Bounds, Meters),
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    let (present, graceful, mut under_way) = (Present::default(), GracefulShutdown::new(), JoinSet::new());
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
            Some(_) = under_way.join_next() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // it is of one connection, or nobody has a file left: either way the next one may do
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(TROUBLE).await;
                continue;
            }
        };
        match present.enter(peer.ip(), bounds) {
            Ok(place) => {
                let answered = answered(stream, peer, (router.clone(), bounds.head_within), &graceful);
                under_way.spawn(async move {
                    answered.await;
                    drop(place);
                });
            }
            Err(full) => {
                meters.limited(full.limit());
                under_way.spawn(refuse(stream, full));
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::info!("some requests did not end in time");
    }
    under_way.shutdown().await;
}

/// One connection, to its end.
fn answered(
    stream: TcpStream,
    peer: SocketAddr,
    (router, head_within): (Router, Duration),
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // small answers are not to wait for more
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = builder(head_within).serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%peer, error, "a connection broke off");
        }
    }
}

fn builder(head_within: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let http1 = &mut builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(head_within).max_headers(HEADERS_MAX).max_buf_size(HEAD_MAX);
    let http2 = &mut builder.http2();
    http2.timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX).max_header_list_size(HEAD_MAX as u32);
    http2.keep_alive_interval(HEAD_WITHIN).keep_alive_timeout(HEAD_WITHIN);
    builder
}

async fn refuse(mut stream: TcpStream, full: Full) {
    let said = async {
        stream.write_all(full.words()).await?;
        stream.shutdown().await
    };
    // whoever does not listen is dropped
    let _ = tokio::time::timeout(REFUSED_WITHIN, said).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn nobody_has_more_than_their_part_and_a_place_is_free_again_when_it_is_left() {
        let bounds = Bounds { connections: 4, of_source: 2, of_neighbour: 3, head_within: HEAD_WITHIN };
        let (present, far, near) = (Present::default(), [8, 8, 8, 8].into(), [127, 0, 0, 1].into());
        let first = present.enter(far, bounds).expect("there is room");
        let _second = present.enter(far, bounds).expect("there is room");
        assert_eq!(present.enter(far, bounds).err(), Some(Full::ForSource));
        let _near = [present.enter(near, bounds).ok(), present.enter(near, bounds).ok()];
        assert_eq!(present.enter([9, 9, 9, 9].into(), bounds).err(), Some(Full::Everywhere));
        drop(first);
        assert!(present.enter(far, bounds).is_ok());
    }

    #[tokio::test]
    async fn a_head_that_comes_slowly_is_given_up() {
        let bounds = Bounds { connections: 9, of_source: 9, of_neighbour: 9, head_within: Duration::from_millis(50) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let stop = async move { drop(ended.await) };
        let serving = tokio::spawn(serve(listener, Router::new(), (bounds, Meters::new()), REFUSED_WITHIN, stop));
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.expect("it takes that");
        let mut said = Vec::new();
        let closed = stream.read_to_end(&mut said);
        tokio::time::timeout(Duration::from_secs(5), closed).await.expect("it is closed").expect("nothing is wrong");
        drop(end);
        serving.await.expect("it ends");
    }
}
