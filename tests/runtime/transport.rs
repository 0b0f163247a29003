//! What the configuration makes of the listener: TLS, limits of connections, origins, compression.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::support::{Daemon, Options, eventually};

fn with(env: &[(&str, &str)]) -> Daemon {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Daemon::with(Options {
        env: env.collect(),
        ..Options::default()
    })
}

/// Sends a request as bytes and reads what comes until the end.
fn raw(address: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn certify(certificate: &Path, key: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(certificate, made.cert.pem()).unwrap();
    std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
}

#[test]
fn a_certificate_makes_it_https_and_is_read_again() {
    let home = tempfile::tempdir().unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| home.path().join(name));
    certify(&certificate, &key);
    let daemon = with(&[
        (
            "NOVA_SERVER__TLS__CERTIFICATE",
            certificate.to_str().unwrap(),
        ),
        ("NOVA_SERVER__TLS__KEY", key.to_str().unwrap()),
        ("NOVA_SERVER__TLS__SCAN_INTERVAL_MS", "20"),
    ]);
    let address = daemon.url.strip_prefix("https://").unwrap();
    let plain = raw(address, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!plain.contains("200 OK"), "{plain}");
    certify(&certificate, &key);
    eventually("the changed certificate is taken over", || {
        let log = daemon.log();
        log.contains("the certificate has changed and was read again")
            .then_some(())
    });
    daemon.signal("HUP");
    eventually("it is read again at SIGHUP", || {
        daemon
            .log()
            .contains("the certificate was read again")
            .then_some(())
    });
    std::fs::write(&key, "no key").unwrap();
    eventually("a broken one is refused", || {
        daemon
            .log()
            .contains("the certificate is not taken over")
            .then_some(())
    });
}

#[test]
fn health_is_answered_whoever_holds_the_connections() {
    let daemon = with(&[("NOVA_SERVER__CONNECTIONS_MAX", "3")]);
    let address = daemon.url.strip_prefix("http://").unwrap();
    let held: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for _ in 0..10 {
        daemon.get("/health").expect(200);
    }
    let refused = daemon.get("/api/plugins");
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    drop(held);
    eventually("there is room again", || {
        (daemon.get("/api/plugins").status == 200).then_some(())
    });
}

#[test]
fn one_peer_keeps_to_its_share_of_the_connections() {
    let daemon = with(&[("NOVA_SERVER__CONNECTIONS_PER_PEER_MAX", "5")]);
    let address = daemon.url.strip_prefix("http://").unwrap();
    let held: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for socket in &held {
        socket.set_nonblocking(true).unwrap();
    }
    // One that was let in says nothing.
    let closed = |mut socket: &TcpStream| matches!(socket.read(&mut [0]), Ok(0));
    eventually("all but its share are closed", || {
        let open = held.iter().filter(|socket| !closed(socket)).count();
        (open <= 5).then_some(())
    });
    drop(held);
    eventually("there is room again", || {
        let answer = raw(
            address,
            "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        answer.contains("200 OK").then_some(())
    });
}

#[test]
fn a_client_that_says_too_much_or_nothing_is_let_go() {
    let daemon = with(&[
        ("NOVA_SERVER__HEADER_TIMEOUT_MS", "100"),
        ("NOVA_SERVER__BODY_TIMEOUT_MS", "100"),
        ("NOVA_SERVER__HEADER_MAX_BYTES", "8192"),
    ]);
    let address = daemon.url.strip_prefix("http://").unwrap();
    assert_eq!(raw(address, ""), "", "half open");
    let slow_head = raw(address, "GET /health HTTP/1.1\r\nHost:");
    assert!(!slow_head.contains("200 OK"), "{slow_head}");
    let key = crate::support::ADMIN_KEY;
    let head = format!(
        "POST /api/orchestration/tasks HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    );
    let slow_body = raw(address, &format!("{head}Content-Length: 100\r\n\r\n{{"));
    assert!(slow_body.starts_with("HTTP/1.1 4"), "{slow_body}");
    let long = "x".repeat(20_000);
    let long_head = raw(
        address,
        &format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"),
    );
    assert!(long_head.starts_with("HTTP/1.1 431"), "{long_head}");
    daemon.get("/health").expect(200);
}

#[test]
fn origins_and_compression_are_as_configured() {
    let daemon = with(&[
        ("NOVA_SERVER__CORS_ORIGINS", "[\"https://console.example\"]"),
        ("NOVA_SERVER__COMPRESS_MIN_BYTES", "4000"),
    ]);
    let address = daemon.url.strip_prefix("http://").unwrap();
    let ask = |path: &str, headers: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        raw(address, &head).to_ascii_lowercase()
    };
    let allowed = ask("/health", "Origin: https://console.example\r\n");
    let header = "access-control-allow-origin: https://console.example";
    assert!(allowed.contains(header), "{allowed}");
    let other = ask("/health", "Origin: https://elsewhere.example\r\n");
    assert!(!other.contains("access-control-allow-origin"), "{other}");
    let gzip = "Accept-Encoding: gzip\r\n";
    assert!(ask("/openapi.json", gzip).contains("content-encoding: gzip"));
    assert!(
        !ask("/health", gzip).contains("content-encoding"),
        "too short"
    );
    assert!(
        !ask("/openapi.json", "").contains("content-encoding"),
        "not asked for"
    );
}
