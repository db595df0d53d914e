//! The disk is full: nobody is told that something is kept which is not, and when there is room again all goes on by itself.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use containerops::store::{DeliveryFilter, Store};
use reqwest::StatusCode;

use crate::harness::{
    github::{WEBHOOK_SECRET, signed},
    service::Service,
    small_disk::SmallDisk,
};

/// Small enough to be filled at once, and large enough for a server.
const MEGABYTES: u32 = 24;
/// Of a delivery: a few of them need more than SQLite has in hand.
const BODY: usize = 64 << 10;
/// The longest that it may take until room that is there is found.
const LIMIT: Duration = Duration::from_secs(30);

async fn send(service: &Service, id: &str) -> StatusCode {
    let mut body = b"{\"zen\": \"".to_vec();
    body.resize(BODY, b'x');
    body.extend_from_slice(b"\"}");
    let delivery = signed("ping", id, body);
    let request = reqwest::Client::new().post(service.url("/hooks/github")).headers(delivery.headers);
    request.body(delivery.body).send().await.expect("an answer").status()
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_promised_and_all_goes_on_when_there_is_room() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path(), MEGABYTES) else { return };
    let data = disk.path().join("data");
    let database = format!("sqlite:{}", data.join("containerops.db").display());
    let settings = [
        ("CONTAINEROPS_GITHUB_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
        ("CONTAINEROPS_DATABASE_URL", database.clone()),
    ];
    let service = Service::start_with(&data, &settings).await;
    assert_eq!(send(&service, "before").await, StatusCode::ACCEPTED);
    disk.fill();
    let (mut taken, mut refused) = (BTreeSet::from(["before".to_owned()]), Vec::new());
    for n in 0..400 {
        let id = format!("full-{n}");
        match send(&service, &id).await {
            StatusCode::ACCEPTED => drop(taken.insert(id)),
            StatusCode::SERVICE_UNAVAILABLE => refused.push(id),
            other => panic!("{other}"),
        }
        if refused.len() == 5 {
            break;
        }
    }
    assert_eq!(refused.len(), 5, "the disk is full, and {} were taken", taken.len());
    assert_eq!(service.status("/deliveries").await, StatusCode::OK, "who only looks is answered");
    disk.empty();
    let (room_since, first) = (Instant::now(), refused[0].clone());
    while send(&service, &first).await != StatusCode::ACCEPTED {
        assert!(room_since.elapsed() < LIMIT, "there is room, and nobody finds it");
    }
    for id in &refused[1..] {
        assert_eq!(send(&service, id).await, StatusCode::ACCEPTED, "{id}");
    }
    taken.extend(refused);
    // as a crash would leave it
    drop(service);
    let store = Store::open_to_read(&database).await.expect("the database opens");
    let all = DeliveryFilter { limit: i64::MAX, ..DeliveryFilter::default() };
    let rows = store.read().await.expect("a view").deliveries(&all).await.expect("deliveries");
    let ids: BTreeSet<String> = rows.iter().map(|row| row.delivery.clone()).collect();
    assert_eq!((rows.len(), ids), (taken.len(), taken), "each that was taken is there once, and no other");
}
