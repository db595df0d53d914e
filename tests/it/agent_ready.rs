//! The real agent and a service: when it is ready, how that is found out, and what is told if it never is.

use std::{net::TcpListener, time::Duration};

use containerops::{
    agent::protocol::{Cause, JOBS_ENDED, Work},
    model::{Check, Ready},
};

use crate::agent::server::{Ran, Server, script};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn service(text: &str, check: Check, within: Duration) -> Work {
    Work { ready: Some(Ready { check, within }), ..script(text) }
}

fn serving(text: &str, check: Check) -> Work {
    service(text, check, Duration::from_secs(30))
}

fn cause(ran: &Ran) -> &Cause {
    &ran.end.as_ref().expect("an end record").cause
}

/// Runs it until it says that it is ready, and tells it then that nobody needs it any more.
async fn until_ready(work: Work) -> (Server, Ran) {
    let server = Server::with(work).await;
    server.cancels_as(JOBS_ENDED);
    let dir = dir();
    let child = server.agent(dir.path()).spawn().expect("the agent starts");
    server.is_ready().await;
    server.cancel();
    let ran = server.finish(child).await;
    assert_eq!(cause(&ran), &Cause::Cancelled { by: JOBS_ENDED.to_owned() });
    let record = ran.end.as_ref().expect("an end record");
    assert!(record.ready >= record.started && record.ready <= Some(record.ended), "{record:?}");
    (server, ran)
}

/// A port that nobody has.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port()
}

#[tokio::test]
async fn without_a_check_it_is_ready_when_it_has_started() {
    let (server, _) = until_ready(serving("exec sleep 600", Check::Started)).await;
    assert_eq!(server.text(), "stopped: all jobs of its action have ended\n");
}

#[tokio::test]
async fn a_port_that_listens_is_ready() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let number = port.local_addr().expect("its address").port();
    let (server, _) = until_ready(serving("exec sleep 600", Check::Tcp(number))).await;
    assert!(server.text().contains(&format!("TCP port {number}\n")), "{}", server.text());
}

#[tokio::test]
async fn a_command_is_asked_again_until_it_goes_well() {
    let text = "touch begun; (sleep 0.3; touch up) & exec sleep 600";
    let check = Check::Script("test \"$GREETING\" = hello && test -e begun && cat up".to_owned());
    until_ready(serving(text, check)).await;
    let words = ["test", "-e", "up"].map(str::to_owned).to_vec();
    until_ready(serving("touch up; exec sleep 600", Check::Command(words))).await;
}

#[tokio::test]
async fn a_status_below_400_is_ready_and_no_other() {
    let answers = |status: &'static str| {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let number = port.local_addr().expect("its address").port();
        std::thread::spawn(move || {
            for stream in port.incoming().flatten() {
                use std::io::{Read as _, Write as _};
                let mut asked = [0; 512];
                let length = (&stream).read(&mut asked).unwrap_or(0);
                assert!(asked[..length].starts_with(b"GET /healthz HTTP/1.1\r\nHost: localhost:"));
                let _ = (&stream).write_all(status.as_bytes());
            }
        });
        Check::Http { port: number, path: "/healthz".to_owned() }
    };
    until_ready(serving("exec sleep 600", answers("HTTP/1.1 302 Found\r\n\r\n"))).await;
    for (status, words) in
        [("HTTP/1.0 503 Not now\r\n\r\n", "status 503"), ("hello\n", "what answers does not speak HTTP")]
    {
        let server = Server::with(service("exec sleep 600", answers(status), Duration::from_secs(1))).await;
        let ran = server.run(dir().path()).await;
        let Cause::NotReady { message } = cause(&ran) else { panic!("{:?}", ran.end) };
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn what_is_not_ready_in_time_is_stopped_and_what_was_said_last_is_told() {
    let port = free_port();
    let work =
        service("trap 'echo told to stop; exit 0' TERM; sleep 600 & wait", Check::Tcp(port), Duration::from_secs(1));
    let server = Server::with(work).await;
    let ran = server.run(dir().path()).await;
    let message = format!("TCP port {port} has not answered within 1 s: Connection refused");
    assert_eq!((ran.exit, cause(&ran)), (Some(1), &Cause::NotReady { message: message.clone() }));
    assert_eq!(ran.end.as_ref().and_then(|end| end.ready), None);
    assert_eq!(server.text(), format!("told to stop\nstopped: {message}\n"));
    assert_eq!(server.readies(), 0);
}

#[tokio::test]
async fn a_command_that_never_goes_well_is_told_with_its_last_words() {
    for (check, wanted) in [
        (
            Check::Script("echo no luck; exit 3".to_owned()),
            "`echo no luck; exit 3` has not succeeded within 1 s: exit code 3: no luck",
        ),
        (
            Check::Command(vec!["no-such-program".to_owned()]),
            "`no-such-program` has not succeeded within 1 s: No such file",
        ),
        (Check::Script("sleep 600".to_owned()), "`sleep 600` has not succeeded within 1 s: it was never asked"),
    ] {
        let server = Server::with(service("exec sleep 600", check, Duration::from_secs(1))).await;
        let ran = server.run(dir().path()).await;
        let Cause::NotReady { message } = cause(&ran) else { panic!("{:?}", ran.end) };
        assert!(message.starts_with(wanted), "{message}");
    }
}

#[tokio::test]
async fn a_service_that_ends_first_was_never_ready() {
    let server = Server::with(serving("echo no; exit 4", Check::Tcp(free_port()))).await;
    let ran = server.run(dir().path()).await;
    assert_eq!((ran.exit, cause(&ran)), (Some(4), &Cause::Exit { code: 4 }));
    assert_eq!(ran.end.and_then(|end| end.ready), None);
    assert_eq!(server.readies(), 0);
}
