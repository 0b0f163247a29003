//! Connections: both protocols, the header time-out, the drain.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Extension, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::serve::Peer;
use crate::{Drained, Lanes, ServeConfig, Tls, TlsFiles, serve};

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
        .route("/long", get(|| async { "long ".repeat(1000) }))
        .route("/huge", get(|| async { vec![b'x'; 64 << 20] }))
        .route("/place", get(place))
        .route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(async {
        let lanes = Lanes::start(2).unwrap();
        let stopped = async {
            let _ = stopped.await;
        };
        serve(listener, &lanes, app, config, stopped).await
    });
    Server {
        address,
        stop,
        ended,
        begun,
        go_on,
    }
}

async fn place(Extension(peer): Extension<Peer>) -> &'static str {
    if peer.in_reserve {
        "reserve"
    } else {
        "regular"
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
    let mut idle = ask(server.address, "/fast").await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"fast") {
        assert!(idle.read_buf(&mut answer).await.unwrap() > 0);
    }
    let slow = ask(server.address, "/slow").await;
    server.begun.notified().await;
    server.stop.send(()).unwrap();
    // The idle connection ends at once; new ones are refused.
    assert_eq!(read(idle).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.ended.is_finished());
    server.go_on.notify_one();
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
    // A socket that says nothing, or stops in the middle of what HTTP/2 begins with.
    for silent in [&b""[..], b"PRI * HT"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(silent).await.unwrap();
        assert_eq!(read(stream).await, "");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn connections_past_the_limit_get_a_place_in_the_reserve() {
    let server = start(ServeConfig {
        connections_max: 1,
        ..ServeConfig::default()
    })
    .await;
    let slow = ask(server.address, "/slow").await;
    server.begun.notified().await;
    // It says so, and the connection ends with the answer.
    assert!(
        read(ask(server.address, "/place").await)
            .await
            .ends_with("reserve")
    );
    // Idle connections, however many, keep none of it: the newest is served.
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert!(
        read(ask(server.address, "/place").await)
            .await
            .ends_with("reserve")
    );
    server.go_on.notify_one();
    drop((slow, idle));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut stream = ask(server.address, "/place").await;
        let mut answer = [0; 512];
        let n = stream.read(&mut answer).await.unwrap();
        if String::from_utf8_lossy(&answer[..n]).ends_with("regular") {
            break;
        }
        assert!(Instant::now() < deadline, "the place is never free again");
    }
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_not_waited_for() {
    let server = start(ServeConfig {
        write_timeout: Duration::from_millis(50),
        ..ServeConfig::default()
    })
    .await;
    let mut never_reads = ask(server.address, "/huge").await;
    // It is being answered; then the drain does not have to cut anything off.
    assert_eq!(never_reads.peek(&mut [0]).await.unwrap(), 1);
    server.stop.send(()).unwrap();
    let drained = tokio::time::timeout(Duration::from_secs(10), server.ended).await;
    assert_eq!(drained.unwrap().unwrap(), Drained { aborted: 0 });
    let mut sink = Vec::new();
    let _ = never_reads.read_to_end(&mut sink).await;
    assert!(sink.len() < 64 << 20, "the answer was cut short");
}

#[tokio::test]
async fn one_peer_has_a_bounded_number_of_connections() {
    let server = start(ServeConfig {
        connections_per_peer_max: 1,
        ..ServeConfig::default()
    })
    .await;
    let slow = ask(server.address, "/slow").await;
    server.begun.notified().await;
    assert_eq!(read(ask(server.address, "/fast").await).await, "");
    server.go_on.notify_one();
    drop(slow);
}

#[tokio::test]
async fn a_head_past_its_limit_is_refused() {
    let server = start(ServeConfig {
        header_max_bytes: 8192,
        ..ServeConfig::default()
    })
    .await;
    let long = |bytes: usize| format!("/fast?{}", "x".repeat(bytes));
    let mut fits = ask(server.address, &long(4000)).await;
    let mut answer = [0; 12];
    fits.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let answer = read(ask(server.address, &long(20_000)).await).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
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

async fn with_headers(address: SocketAddr, method: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read(stream).await.to_ascii_lowercase()
}

#[tokio::test]
async fn origins_are_refused_unless_they_are_listed() {
    let closed = start(ServeConfig::default()).await;
    let origin = "Origin: https://pages.example\r\n";
    let preflight = format!("{origin}Access-Control-Request-Method: GET\r\n");
    let answer = with_headers(closed.address, "GET", "/fast", origin).await;
    assert!(!answer.contains("access-control"), "{answer}");
    let listed = start(ServeConfig {
        cors_origins: vec!["https://pages.example".parse().unwrap()],
        ..ServeConfig::default()
    })
    .await;
    let answer = with_headers(listed.address, "OPTIONS", "/fast", &preflight).await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    let allowed = "access-control-allow-origin: https://pages.example";
    assert!(
        answer.contains(allowed) && answer.contains("x-api-key"),
        "{answer}"
    );
    let other = "Origin: https://elsewhere.example\r\n";
    let answer = with_headers(listed.address, "GET", "/fast", other).await;
    assert!(!answer.contains("access-control-allow-origin"), "{answer}");
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_takes_it() {
    let server = start(ServeConfig::default()).await;
    let gzip = "Accept-Encoding: gzip\r\n";
    let cases = [
        ("/long", gzip, true),
        ("/fast", gzip, false),
        ("/long", "", false),
    ];
    for (path, headers, compressed) in cases {
        let answer = with_headers(server.address, "GET", path, headers).await;
        assert_eq!(
            answer.contains("content-encoding: gzip"),
            compressed,
            "{path}"
        );
    }
}

/// Writes a certificate for `localhost` and its key; gives the certificate.
fn certify(files: &TlsFiles) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().to_vec()
}

/// Which protocol is agreed on with a client that trusts this certificate alone.
async fn agreed(address: SocketAddr, certificate: &[u8], offer: &[&str]) -> Option<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = offer.iter().map(|p| p.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, stream).await.ok()?;
    let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    if protocol.as_deref() == Some(b"http/1.1") {
        let head = b"GET /fast HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        assert!(
            text.ends_with(b"fast"),
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
    protocol
}

#[tokio::test]
async fn tls_serves_both_protocols_and_takes_over_a_new_certificate() {
    let home = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: home.path().join("cert.pem"),
        key: home.path().join("key.pem"),
    };
    let missing = Tls::open(files.clone()).err().unwrap().to_string();
    assert!(missing.contains("cert.pem"), "{missing}");
    let first = certify(&files);
    let tls = Arc::new(Tls::open(files.clone()).unwrap());
    let server = start(ServeConfig {
        tls: Some(Arc::clone(&tls)),
        ..ServeConfig::default()
    })
    .await;
    let both = ["h2", "http/1.1"];
    assert_eq!(agreed(server.address, &first, &both).await.unwrap(), b"h2");
    let old = agreed(server.address, &first, &both[1..]).await;
    assert_eq!(old.unwrap(), b"http/1.1");

    // A broken pair is refused and the one in use stays.
    let good = std::fs::read(&files.key).unwrap();
    std::fs::write(&files.key, "no key").unwrap();
    assert!(tls.reload_if_changed().is_err());
    assert!(agreed(server.address, &first, &both).await.is_some());
    std::fs::write(&files.key, good).unwrap();
    let second = certify(&files);
    assert!(tls.reload_if_changed().unwrap());
    assert!(!tls.reload_if_changed().unwrap());
    assert!(agreed(server.address, &second, &both).await.is_some());
    assert!(agreed(server.address, &first, &both).await.is_none());
    // Plain HTTP gets no answer there.
    assert!(
        !read(ask(server.address, "/fast").await)
            .await
            .contains("200 OK")
    );
}
