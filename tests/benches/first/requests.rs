//! Requests per CPU-second of the server: an authenticated GET and an optimize, against a bare axum handler
//! that answers the same bytes, and against the same GET in FastAPI.
//!
//! Measured twice: with as many requests as are answered, and at a steady rate that leaves the machine half idle. In the
//! first the faster server also spares the kernel work: its client has not gone to sleep yet when the answer
//! comes. In the second every answer wakes its client, whoever serves, so that the servers' own work is compared.
//!
//! Request ids, metrics and the logs of the production profile are on: JSON lines, of what went well one in a hundred.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use cpu_time::ProcessTime;
use nova_api::{AccessSample, ApiConfig, ApiState, ServeConfig, SocketConfig, Sockets};
use nova_core::services::{NewKey, NewResource, Services};
use nova_core::{
    Domain, NewAgent, NewFlow, NewFlowTask, NewTask, Permission, RateLimit, SystemClock,
};

use crate::fastapi::{self, Program};

#[path = "../../../host/nova/src/telemetry/json_fields.rs"]
mod json_fields;

use json_fields::JsonFields;

const SECONDS: f64 = 4.0;
const CONNECTIONS: usize = 4;
/// The steady rate, in requests per second.
const RATE: u32 = 8000;
/// Each is measured this often, in turn, so that a noisy moment does not hit one of them alone.
const ROUNDS: usize = 3;

/// Prints the table.
pub(crate) async fn run(home: &Path, services: &Services) {
    log_as_in_production();
    let secret = prepare(services).await;
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .unwrap();
    let clock = Arc::new(SystemClock);
    let sockets = Sockets::start(services, clock, SocketConfig::default())
        .await
        .unwrap();
    let app = nova_api::router(ApiState {
        services: services.clone(),
        config: ApiConfig {
            access_sample: AccessSample::new(0.01),
            ..ApiConfig::default()
        },
        metrics,
        clock: Arc::new(SystemClock),
        sockets,
    });
    let nova = spawn(app).await;
    let key = format!("X-API-Key: {secret}\r\n");
    let get_resource = request("GET", "/api/orchestration/resources/cpu", &key, "");
    let get_agent = request("GET", "/api/orchestration/agents/a0", &key, "");
    let body = answer_body(&nova, &get_resource);
    let bare = spawn(Router::new().route(
        "/resources/{id}",
        get(move || async move { ([(CONTENT_TYPE, "application/json")], body.clone()) }),
    ))
    .await;
    let cases = [
        (
            "bare axum, the same bytes",
            &bare,
            request("GET", "/resources/cpu", "", ""),
        ),
        ("GET of a resource, one row", &nova, get_resource),
        ("GET of an agent with its load", &nova, get_agent),
        (
            "optimize, 10 tasks, 2 agents",
            &nova,
            request("POST", "/api/orchestration/flows/f/optimize", &key, "{}"),
        ),
    ];
    println!(
        "\nrequests per CPU-second of the server, {CONNECTIONS} connections, best of {ROUNDS}"
    );
    println!("{:<32} {:>10} {:>8}", "", "requests", "ratio");
    let program = tokio::task::block_in_place(|| Program::start(home));
    let theirs = request(
        "GET",
        "/api/orchestration/resources/cpu",
        &format!("X-API-Key: {}\r\n", fastapi::KEY),
        "",
    );
    let own = || ProcessTime::now().as_duration().as_secs_f64();
    let mut best = [0.0_f64; 4];
    let mut fastapi = 0.0_f64;
    let mut steady = [0.0_f64; 3];
    for _ in 0..ROUNDS {
        for (best, (_, address, request)) in best.iter_mut().zip(&cases) {
            *best = best.max(measure(address, request, 0, own).await);
        }
        for (best, (_, address, request)) in steady.iter_mut().zip(&cases) {
            *best = best.max(measure(address, request, RATE, own).await);
        }
        if let Ok(program) = &program {
            let rate = measure(&program.address, &theirs, 0, || program.cpu_s()).await;
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

/// Lines as the production profile writes them, to a file that takes all.
fn log_as_in_production() {
    let nowhere = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .unwrap();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .fmt_fields(JsonFields)
        .with_env_filter("info")
        .with_writer(std::sync::Mutex::new(nowhere))
        .init();
}

/// A key, two agents, a resource, a flow of ten tasks.
async fn prepare(services: &Services) -> String {
    let domain = Domain::default();
    for (id, speed) in [("a0", 1.0), ("a1", 2.0)] {
        let agent = NewAgent {
            agent_id: Some(id.parse().unwrap()),
            name: id.to_owned(),
            capabilities: Default::default(),
            max_concurrency: 1,
            speed,
            cost_per_s: 0.0,
            supply: Default::default(),
            spec: None,
            metadata: Default::default(),
        };
        services.agents.register(&domain, agent).await.unwrap();
    }
    let resource = NewResource {
        resource_id: Some("cpu".parse().unwrap()),
        capacity: 8.0,
        unit: "cores".to_owned(),
        cost_per_unit: 0.0,
    };
    services.resources.create(&domain, resource).await.unwrap();
    let task = |i: usize| NewFlowTask {
        key: i.to_string(),
        task: NewTask {
            kind: "work".to_owned(),
            ..NewTask::default()
        },
        depends_on: if i > 1 {
            vec![(i - 2).to_string()]
        } else {
            vec![]
        },
        agent_id: None,
    };
    let flow = NewFlow {
        flow_id: Some("f".parse().unwrap()),
        name: "ten".to_owned(),
        tasks: (0..10).map(task).collect(),
        ..NewFlow::default()
    };
    services.flows.create(&domain, flow).await.unwrap();
    let key = NewKey {
        permissions: Permission::ALL.into(),
        rate_limit: Some(RateLimit {
            requests: RateLimit::REQUESTS_MAX,
            window_ms: 1000,
        }),
        ..NewKey::default()
    };
    services.keys.create(None, key).await.unwrap().1
}

async fn spawn(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(nova_api::serve(
        listener,
        app,
        ServeConfig::default(),
        std::future::pending(),
    ));
    address
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// What the server answers now.
fn answer_body(address: &str, request: &str) -> String {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket
        .write_all(
            request
                .replacen("\r\n", "\r\nConnection: close\r\n", 1)
                .as_bytes(),
        )
        .unwrap();
    let mut answer = String::new();
    tokio::task::block_in_place(|| socket.read_to_string(&mut answer)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Requests per second of the server's CPU time, which `cpu_s` tells; see [`crate::load`] for the rate.
async fn measure(address: &str, request: &str, rate: u32, cpu_s: impl Fn() -> f64) -> f64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), request).unwrap();
    let mut load = tokio::process::Command::new(std::env::current_exe().unwrap());
    load.args([
        "load",
        address,
        &SECONDS.to_string(),
        &CONNECTIONS.to_string(),
        &rate.to_string(),
    ])
    .arg(file.path());
    let begun = cpu_s();
    let output = tokio::time::timeout(Duration::from_secs(60), load.output())
        .await
        .unwrap()
        .unwrap();
    let spent = cpu_s() - begun;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    answers / spent
}
