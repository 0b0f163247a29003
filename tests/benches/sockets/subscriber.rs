//! A subscriber that costs little: it speaks just enough WebSocket to follow, and counts.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::daemon::KEY;

/// The buffer of one subscriber, in bytes.
const BUFFER_BYTES: usize = 4096;

/// What all subscribers got.
pub(crate) struct Counts {
    pub(crate) events: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(crate) disorder: AtomicU64,
    start: Mutex<Instant>,
    /// Samples, by milliseconds.
    latencies: Mutex<Vec<u64>>,
    ended: watch::Sender<bool>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            events: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            disorder: AtomicU64::new(0),
            start: Mutex::new(Instant::now()),
            latencies: Mutex::new(vec![0; 120_000]),
            ended: watch::Sender::new(false),
        }
    }
}

impl Counts {
    pub(crate) fn start(&self, at: Instant) {
        *self.start.lock().unwrap() = at;
    }

    /// Lets every subscriber leave.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Median, 99th percentile and maximum.
    pub(crate) fn latency_ms(&self) -> [f64; 3] {
        let latencies = self.latencies.lock().unwrap();
        let total: u64 = latencies.iter().sum();
        [0.5, 0.99, 1.0].map(|q| {
            let mut left = (total as f64 * q).ceil() as u64;
            let at = latencies.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            });
            at.unwrap_or_default() as f64
        })
    }
}

/// Follows events of flows in the background, once it is subscribed.
pub(crate) async fn follow(address: String, counts: Arc<Counts>) {
    let mut stream = subscribe(&address).await;
    let mut ended = counts.ended.subscribe();
    tokio::spawn(async move {
        let reading = read(&mut stream, &counts);
        tokio::select! {
            () = reading => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
    });
}

/// A subscriber that never reads.
pub(crate) async fn never_read(address: &str) -> TcpStream {
    subscribe(address).await
}

async fn subscribe(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/analytics/ws HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {KEY}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    let text = br#"{"type":"subscribe","topics":["flows"]}"#;
    // A final text frame, masked with zeros.
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    frame.extend(text);
    stream.write_all(&frame).await.unwrap();
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await.unwrap();
    assert!(answer[0] == 0x81 && answer[1] < 126);
    let mut text = vec![0; usize::from(answer[1])];
    stream.read_exact(&mut text).await.unwrap();
    assert!(text.starts_with(br#"{"type":"subscribed""#));
    stream
}

async fn read(stream: &mut TcpStream, counts: &Counts) {
    let start = *counts.start.lock().unwrap();
    let (mut buffer, mut have) = (vec![0; BUFFER_BYTES], 0);
    let mut last_seq = 0;
    loop {
        match stream.read(&mut buffer[have..]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => have += n,
        }
        let (mut at, mut events, mut sampled) = (0, 0, None);
        while let Some((opcode, body, end)) = frame(&buffer[at..have]) {
            let text = &buffer[at + body..at + end];
            at += end;
            if opcode == 9 {
                // A pong without a body, masked with zeros.
                stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap();
            } else if text.starts_with(br#"{"type":"event""#) {
                let seq = number(text, br#""seq":"#) as u64;
                if seq <= last_seq {
                    counts.disorder.fetch_add(1, Relaxed);
                }
                last_seq = seq;
                events += 1;
                sampled = Some(number(text, br#""value":"#));
            } else if text.starts_with(br#"{"type":"lagged""#) {
                let missed = number(text, br#""missed":"#) as u64;
                counts.missed.fetch_add(missed, Relaxed);
            }
        }
        counts.events.fetch_add(events, Relaxed);
        if let Some(value) = sampled {
            let start = (*counts.start.lock().unwrap()).max(start);
            let latency = start.elapsed().as_secs_f64() * 1000.0 - value;
            let mut latencies = counts.latencies.lock().unwrap();
            let most = latencies.len() - 1;
            latencies[(latency.max(0.0) as usize).min(most)] += 1;
        }
        buffer.copy_within(at..have, 0);
        have -= at;
    }
}

/// A whole frame at the beginning: its opcode, where its body begins, and where it ends.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let [first, second, rest @ ..] = bytes else {
        return None;
    };
    let (body, length) = match second {
        126 => (
            4,
            usize::from(u16::from_be_bytes(rest.first_chunk().copied()?)),
        ),
        127 => panic!("a message of more than 64 KiB"),
        short => (2, usize::from(*short)),
    };
    let end = body + length;
    (bytes.len() >= end).then_some((first & 0x0f, body, end))
}

/// The number after a name.
fn number(text: &[u8], name: &[u8]) -> f64 {
    let at = text.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    let end = text[at..]
        .iter()
        .position(|b| matches!(b, b',' | b'}'))
        .unwrap();
    std::str::from_utf8(&text[at..at + end])
        .unwrap()
        .parse()
        .unwrap()
}
