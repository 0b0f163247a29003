//! Connections: both protocols, the header time-out, the drain.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::{Drained, ServeConfig, serve};

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Drained>,
    /// Told when a slow request has begun.
    begun: Arc<Notify>,
    /// Lets slow requests end.
    go_on: Arc<Notify>,
}

async fn start(config: ServeConfig) -> Server {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, awaited) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = move || async move {
        told.notify_one();
        awaited.notified().await;
        "slow"
    };
    let app = Router::new()
        .route("/fast", get(|| async { "fast" }))
        .route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve(listener, app, config, async {
        let _ = stopped.await;
    }));
    Server {
        address,
        stop,
        ended,
        begun,
        go_on,
    }
}

async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    stream
}

async fn read(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_drain_lets_requests_in_flight_finish_and_accepts_no_more() {
    let server = start(ServeConfig::default()).await;
    let idle = ask(server.address, "/fast").await;
    let slow = ask(server.address, "/slow").await;
    server.begun.notified().await;
    server.stop.send(()).unwrap();
    // The idle connection ends at once; new ones are refused.
    assert!(read(idle).await.ends_with("fast"));
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.ended.is_finished());
    server.go_on.notify_waiters();
    assert!(read(slow).await.ends_with("slow"));
    assert_eq!(server.ended.await.unwrap(), Drained { aborted: 0 });
}

#[tokio::test]
async fn what_is_still_busy_after_the_grace_period_is_cut_off() {
    let server = start(ServeConfig {
        grace: Duration::from_millis(30),
        ..ServeConfig::default()
    })
    .await;
    let slow = ask(server.address, "/slow").await;
    server.begun.notified().await;
    server.stop.send(()).unwrap();
    assert_eq!(server.ended.await.unwrap(), Drained { aborted: 1 });
    assert_eq!(read(slow).await, "");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let server = start(ServeConfig {
        header_read_timeout: Duration::from_millis(50),
        ..ServeConfig::default()
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /fast HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    let started = Instant::now();
    assert!(!read(stream).await.contains("200 OK"));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn connections_past_the_limit_wait_their_turn() {
    let server = start(ServeConfig {
        connections_max: 1,
        ..ServeConfig::default()
    })
    .await;
    let slow = ask(server.address, "/slow").await;
    server.begun.notified().await;
    let mut waiting = ask(server.address, "/fast").await;
    let early = tokio::time::timeout(Duration::from_millis(50), waiting.read_u8()).await;
    assert!(early.is_err(), "served past the limit");
    server.go_on.notify_waiters();
    drop(slow);
    assert_eq!(waiting.read_u8().await.unwrap(), b'H');
}

#[tokio::test]
async fn http2_is_spoken_too() {
    let server = start(ServeConfig::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(
        head[3], 4,
        "the first frame of an HTTP/2 server is SETTINGS"
    );
}
