//! The load generator: keeps connections busy with one request, over and over, for a time, as fast as it is
//! answered or at a steady rate.
//!
//! Speaks just enough HTTP/1.1 to cost little: it sends prepared bytes and reads answers of known length.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// `load ADDRESS SECONDS CONNECTIONS RATE REQUEST-FILE`: prints how many answers of status 200 came. The rate is in
/// requests per second over all connections; 0 = as many as are answered.
pub(crate) fn run(args: &[String]) {
    let [address, seconds, connections, rate, file] = args else {
        panic!("load ADDRESS SECONDS CONNECTIONS RATE FILE")
    };
    let request = std::fs::read(file).unwrap();
    let end = Instant::now() + Duration::from_secs_f64(seconds.parse().unwrap());
    let connections: u32 = connections.parse().unwrap();
    let rate: f64 = rate.parse().unwrap();
    let gap = (rate > 0.0).then(|| Duration::from_secs_f64(f64::from(connections) / rate));
    let workers: Vec<_> = (0..connections)
        .map(|i| {
            let (address, request) = (address.clone(), request.clone());
            // Their turns do not fall together.
            let wait = gap.map(|gap| (gap, gap * i / connections));
            std::thread::spawn(move || one(&address, &request, wait, end))
        })
        .collect();
    let answers: u64 = workers.into_iter().map(|w| w.join().unwrap()).sum();
    println!("{answers}");
}

fn one(address: &str, request: &[u8], wait: Option<(Duration, Duration)>, end: Instant) -> u64 {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut answers = 0;
    let begun = Instant::now();
    let mut turn = begun + wait.map_or(Duration::ZERO, |(_, first)| first);
    while Instant::now() < end {
        if let Some((gap, _)) = wait {
            std::thread::sleep(turn.saturating_duration_since(Instant::now()));
            turn += gap;
        }
        socket.write_all(request).unwrap();
        let mut have = 0;
        let mut need = usize::MAX;
        while have < need {
            let n = socket.read(&mut buffer[have..]).unwrap();
            assert!(n > 0, "the server hung up");
            have += n;
            if need == usize::MAX {
                need = total_length(&buffer[..have]).unwrap_or(usize::MAX);
            }
        }
        assert!(
            buffer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&buffer[..have])
        );
        answers += 1;
    }
    answers
}

/// Head and body together, once the head is there.
fn total_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head])
        .unwrap()
        .to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|l| l.strip_prefix("content-length:"))
        .unwrap();
    Some(head + length.trim().parse::<usize>().unwrap())
}
