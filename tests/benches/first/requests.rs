//! Requests per CPU-second of the server: an authenticated GET and an optimize of the daemon, against a bare axum handler
//! that answers the same request with the same bytes, and against the same GET in FastAPI. Each server is a process.
//!
//! Measured twice: with as many requests as are answered, and at a steady rate that leaves the machine half idle. In the
//! first the faster server also spares the kernel work: its client has not gone to sleep yet when the answer
//! comes. In the second every answer wakes its client, whoever serves, so that the servers' own work is compared.
//!
//! The daemon runs in the production profile: request ids, limits, metrics, and JSON lines of what went well for one
//! request in a hundred.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::bare::Bare;
use crate::daemon::{Daemon, KEY};
use crate::fastapi::{self, Program};

const SECONDS: f64 = 4.0;
const CONNECTIONS: usize = 4;
/// The steady rate, in requests per second.
const RATE: u32 = 8000;
/// Each is measured this often, in turn, so that a noisy moment does not hit one of them alone.
const ROUNDS: usize = 3;

/// Prints the table.
pub(crate) fn run(home: &Path) {
    let log = std::fs::File::create(home.join("nova.log")).unwrap();
    let nova = Daemon::start("production", log.into());
    prepare(&nova);
    let get_resource = request("GET", "resources/cpu", KEY, "");
    let get_agent = request("GET", "agents/a0", KEY, "");
    let optimize = request("POST", "flows/f/optimize", KEY, "{}");
    let bare = Bare::start(&answer_body(&nova.address, &get_resource));
    let of_nova = || nova.cpu_s();
    let of_bare = || bare.cpu_s();
    let cases: [(&str, &str, &str, &dyn Fn() -> f64); 4] = [
        (
            "bare axum, the same bytes",
            &bare.address,
            &get_resource,
            &of_bare,
        ),
        (
            "GET of a resource, one row",
            &nova.address,
            &get_resource,
            &of_nova,
        ),
        (
            "GET of an agent with its load",
            &nova.address,
            &get_agent,
            &of_nova,
        ),
        (
            "optimize, 10 tasks, 2 agents",
            &nova.address,
            &optimize,
            &of_nova,
        ),
    ];
    println!(
        "\nrequests per CPU-second of the server, {CONNECTIONS} connections, best of {ROUNDS}"
    );
    println!("{:<32} {:>10} {:>8}", "", "requests", "ratio");
    let program = Program::start(home);
    let theirs = request("GET", "resources/cpu", fastapi::KEY, "");
    let mut best = [0.0_f64; 4];
    let mut fastapi = 0.0_f64;
    let mut steady = [0.0_f64; 3];
    for _ in 0..ROUNDS {
        for (best, (_, address, request, cpu_s)) in best.iter_mut().zip(&cases) {
            *best = best.max(measure(address, request, 0, cpu_s));
        }
        for (best, (_, address, request, cpu_s)) in steady.iter_mut().zip(&cases) {
            *best = best.max(measure(address, request, RATE, cpu_s));
        }
        if let Ok(program) = &program {
            let rate = measure(&program.address, &theirs, 0, || program.cpu_s());
            fastapi = fastapi.max(rate);
        }
    }
    for (rate, (name, ..)) in best.iter().zip(&cases) {
        println!("{name:<32} {rate:>10.0} {:>8.2}", rate / best[0]);
    }
    match program {
        Ok(_) => {
            let name = "GET of a resource in FastAPI";
            println!("{name:<32} {fastapi:>10.0} {:>8.2}", fastapi / best[0]);
            println!("Nova answers it {:.1} times as often", best[1] / fastapi);
        }
        Err(why) => println!("FastAPI is not measured: {why}"),
    }
    println!("\nthe same at {RATE} requests a second");
    println!("{:<32} {:>10} {:>8}", "", "requests", "ratio");
    for (rate, (name, ..)) in steady.iter().zip(&cases) {
        println!("{name:<32} {rate:>10.0} {:>8.2}", rate / steady[0]);
    }
}

/// Two agents, a resource, a flow of ten tasks.
fn prepare(nova: &Daemon) {
    let post = |path: &str, body: Value| nova.post(&format!("/api/orchestration/{path}"), &body);
    for (id, speed) in [("a0", 1.0), ("a1", 2.0)] {
        post(
            "agents",
            json!({"agent_id": id, "name": id, "speed": speed}),
        );
    }
    post(
        "resources",
        json!({"resource_id": "cpu", "capacity": 8.0, "unit": "cores"}),
    );
    let tasks = (0..10).map(|i| {
        let before = (i > 1).then(|| (i - 2).to_string());
        json!({"key": i.to_string(), "type": "work", "depends_on": Vec::from_iter(before)})
    });
    post(
        "flows",
        json!({"flow_id": "f", "name": "ten", "tasks": tasks.collect::<Vec<Value>>()}),
    );
}

fn request(method: &str, path: &str, key: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} /api/orchestration/{path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// What the server answers now.
fn answer_body(address: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let once = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    socket.write_all(once.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Requests per second of the server's CPU time, which `cpu_s` tells; see [`crate::load`] for the rate.
fn measure(address: &str, request: &str, rate: u32, cpu_s: impl Fn() -> f64) -> f64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), request).unwrap();
    let (seconds, connections) = (SECONDS.to_string(), CONNECTIONS.to_string());
    let mut load = Command::new(std::env::current_exe().unwrap());
    load.args(["load", address, &seconds, &connections, &rate.to_string()])
        .arg(file.path());
    let begun = cpu_s();
    let output = load.output().unwrap();
    let spent = cpu_s() - begun;
    assert!(output.status.success());
    let answers = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse::<f64>();
    answers.unwrap() / spent
}
