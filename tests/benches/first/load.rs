//! The load generator: keeps connections busy with one request, over and over, for a time.
//!
//! Speaks just enough HTTP/1.1 to cost little: it sends prepared bytes and reads answers of known length.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// `load ADDRESS SECONDS CONNECTIONS REQUEST-FILE`: prints how many answers of status 200 came.
pub(crate) fn run(args: &[String]) {
    let [address, seconds, connections, file] = args else {
        panic!("load ADDRESS SECONDS CONNECTIONS FILE")
    };
    let request = std::fs::read(file).unwrap();
    let end = Instant::now() + Duration::from_secs_f64(seconds.parse().unwrap());
    let workers: Vec<_> = (0..connections.parse::<usize>().unwrap())
        .map(|_| {
            let (address, request) = (address.clone(), request.clone());
            std::thread::spawn(move || one(&address, &request, end))
        })
        .collect();
    let answers: u64 = workers.into_iter().map(|w| w.join().unwrap()).sum();
    println!("{answers}");
}

fn one(address: &str, request: &[u8], end: Instant) -> u64 {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut answers = 0;
    while Instant::now() < end {
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
