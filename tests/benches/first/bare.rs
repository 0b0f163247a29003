//! The baseline of the requests: an axum handler that answers given bytes, and nothing around it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::daemon::cpu_s;

/// `bare BODY`: serves it on a free port, which it prints.
pub(crate) fn run(body: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let body = body.to_owned();
        let answer = move || async move { ([(CONTENT_TYPE, "application/json")], body.clone()) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let path = "/api/orchestration/resources/{resource_id}";
        axum::serve(listener, Router::new().route(path, get(answer)))
            .await
            .unwrap();
    });
}

/// It as a process; killed when dropped.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: String,
}

impl Bare {
    /// Starts it.
    pub(crate) fn start(body: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["bare", body])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next().unwrap().unwrap();
        Self { child, address }
    }

    /// CPU time so far, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        cpu_s(&self.child)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
