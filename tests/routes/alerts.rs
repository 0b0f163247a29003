//! Alerts: rules, states, the topic, and webhooks that are signed and go to public addresses only.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{FLOWS, TASKS, is_time, text};
use crate::support::{Daemon, Options, Socket, eventually};

const RULES: &str = "/api/alerts/rules";
const ALERTS: &str = "/api/alerts";
const SECRET: &str = "the secret of the receiver";

/// A request that a receiver got.
#[derive(Clone)]
struct Notice {
    headers: Vec<(String, String)>,
    body: String,
}

impl Notice {
    fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        let found = headers.find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    fn alert(&self) -> Value {
        serde_json::from_str::<Value>(&self.body).unwrap()["alert"].clone()
    }

    /// As a receiver verifies it, by the documentation and not by our own code.
    fn verify(&self, secret: &str) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{}.{}", self.header("x-nova-timestamp"), self.body).as_bytes());
        let signature: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        self.header("x-nova-signature") == format!("v1={signature}")
    }
}

/// Answers 503 to the first request and 200 to those after it.
fn receiver() -> (u16, Arc<Mutex<Vec<Notice>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let notices = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&notices);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
            let notice = loop {
                let read = stream.read(&mut part).unwrap();
                bytes.extend(&part[..read]);
                if let Some(notice) = parse(&String::from_utf8_lossy(&bytes)) {
                    break notice;
                }
                assert!(read > 0, "ended early");
            };
            let is_first = kept.lock().unwrap().is_empty();
            let status = if is_first { "503 Busy" } else { "200 Good" };
            kept.lock().unwrap().push(notice);
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, notices)
}

/// The request, once it is whole.
fn parse(text: &str) -> Option<Notice> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let headers: Vec<_> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let notice = Notice {
        headers,
        body: body.to_owned(),
    };
    let length: usize = notice.header("content-length").parse().unwrap();
    (body.len() == length).then_some(notice)
}

/// A daemon that evaluates often and tells this port.
fn daemon(port: u16, allowed: &str) -> Daemon {
    let env = [
        ("NOVA_ALERTS__INTERVAL_MS", "50".to_owned()),
        ("NOVA_RETRY__FIRST_MS", "10".to_owned()),
        ("NOVA_ALERTS__ALLOWED_NETWORKS", format!("[{allowed}]")),
        (
            "NOVA_ALERTS__WEBHOOKS",
            format!(
                "[{{name=\"ops\", url=\"http://127.0.0.1:{port}/nova\", secret=\"{SECRET}\"}}]"
            ),
        ),
    ];
    Daemon::with(Options {
        env: env.map(|(key, value)| (key.to_owned(), value)).into(),
        ..Options::default()
    })
}

/// Too many open tasks.
fn open_tasks() -> Value {
    json!({"metric": "tasks-open", "scope": "flows", "comparison": "above", "threshold": 0.5, "for_s": 0.1, "severity": "critical"})
}

/// Makes a flow of one task, and gives the task.
fn new_flow(daemon: &Daemon, id: &str) -> String {
    let flow = json!({"flow_id": id, "tasks": [{"key": "a", "type": "t"}]});
    let flow = daemon.post(FLOWS, flow).expect(201);
    text(&flow["orchestration"]["tasks"][0], "task_id")
}

fn metric(daemon: &Daemon, line: &str) -> Option<f64> {
    let text = daemon.get("/metrics").text;
    let found = text.lines().find_map(|l| l.strip_prefix(line))?;
    found.trim().parse().ok()
}

#[test]
fn an_alert_fires_and_resolves_on_a_driven_metric_and_the_receiver_verifies_it() {
    let (port, notices) = receiver();
    let daemon = daemon(port, "\"127.0.0.0/8\"");
    let mut socket = Socket::open(&daemon, "");
    let answer = socket.ask(json!({"type": "subscribe", "topics": ["alerts"]}));
    assert_eq!(answer["type"], "subscribed");
    let made = daemon.put(&format!("{RULES}/open"), open_tasks());
    assert_eq!(super::header(&made, "location"), format!("{RULES}/open"));
    made.expect(201);

    let task = new_flow(&daemon, "driven");
    let mut states = Vec::new();
    while states.last() != Some(&json!("firing")) {
        let event = socket.recv_type("event");
        assert_eq!(
            (&event["topic"], &event["kind"]),
            (&json!("alerts"), &json!("alert_changed"))
        );
        states.push(event["detail"]["state"].clone());
    }
    assert_eq!(states, ["pending", "firing"]);
    let firing = daemon.get(&format!("{ALERTS}?state=firing")).expect(200)["items"].clone();
    assert_eq!(firing.as_array().unwrap().len(), 1, "{firing}");
    assert_eq!(
        (&firing[0]["rule_id"], &firing[0]["value"]),
        (&json!("open"), &json!(1.0))
    );
    is_time(&firing[0]["fired_at"]);
    eventually("it is counted", || {
        metric(&daemon, "nova_alerts_firing").filter(|n| *n == 1.0)
    });

    daemon.delete(&format!("{TASKS}/{task}")).expect(200);
    let event = socket.recv_type("event");
    assert_eq!(event["detail"]["state"], "resolved", "{event}");
    let alerts = daemon.get(ALERTS).expect(200)["items"].clone();
    assert_eq!(
        (&alerts[0]["state"], &alerts[0]["alert_id"]),
        (&json!("resolved"), &firing[0]["alert_id"])
    );

    // Busy at first: the same notice again, signed again.
    let got = eventually("the receiver was told of both", || {
        let got = notices.lock().unwrap().clone();
        (got.len() >= 3).then_some(got)
    });
    let told: Vec<_> = got.iter().map(|n| n.alert()["state"].clone()).collect();
    assert_eq!(told, ["firing", "firing", "resolved"]);
    for notice in &got {
        assert!(notice.verify(SECRET), "{:?}", notice.headers);
        assert!(!notice.verify("another secret of a receiver"));
        assert_eq!(notice.alert()["alert_id"], alerts[0]["alert_id"]);
        assert_eq!(notice.alert()["severity"], "critical");
    }
    assert_eq!(
        got[0].header("x-nova-delivery"),
        got[1].header("x-nova-delivery")
    );
    assert_ne!(
        got[1].header("x-nova-delivery"),
        got[2].header("x-nova-delivery")
    );
    let delivered = "nova_webhook_deliveries_total{outcome=\"delivered\"}";
    eventually("both are counted", || {
        metric(&daemon, delivered).filter(|n| *n == 2.0)
    });
    assert_eq!(
        metric(&daemon, "nova_retries_total{of=\"webhook\"}"),
        Some(1.0)
    );
}

#[test]
fn a_private_address_is_refused_unless_allowed() {
    let (port, notices) = receiver();
    let daemon = daemon(port, "\"10.0.0.0/8\"");
    daemon
        .put(&format!("{RULES}/open"), open_tasks())
        .expect(201);
    new_flow(&daemon, "driven");
    let refused = "nova_webhook_deliveries_total{outcome=\"refused\"}";
    eventually("the notice is refused", || {
        metric(&daemon, refused).filter(|n| *n == 1.0)
    });
    assert!(notices.lock().unwrap().is_empty(), "somebody has called");
    assert!(
        daemon.log().contains("alerts.allowed_networks"),
        "{}",
        daemon.log()
    );
    let firing = daemon.get(&format!("{ALERTS}?state=firing")).expect(200);
    assert_eq!(
        firing["items"].as_array().unwrap().len(),
        1,
        "it fires all the same"
    );
}

#[test]
fn rules_are_made_changed_listed_and_removed() {
    let daemon = Daemon::start();
    let path = format!("{RULES}/open");
    daemon.put(&path, open_tasks()).expect(201);
    let changed = json!({"metric": "load", "comparison": "at_least", "threshold": 2});
    let answer = daemon.put(&path, changed).expect(200);
    let rule = &answer["rule"];
    assert_eq!(
        (&rule["metric"], &rule["scope"], &rule["severity"]),
        (&json!("load"), &Value::Null, &json!("warning"))
    );
    daemon
        .put(&format!("{RULES}/other?domain=team-b"), open_tasks())
        .expect(201);
    let rules = daemon.get(RULES).expect(200);
    assert_eq!(rules["items"].as_array().unwrap(), &vec![rule.clone()]);
    assert_eq!(daemon.get(&path).expect(200)["rule"], *rule);
    daemon
        .get(&format!("{path}?domain=team-b"))
        .expect_error(404, "RESOURCE_NOT_FOUND");
    // They survive.
    let daemon = daemon.kill_and_restart();
    assert_eq!(daemon.get(&path).expect(200)["rule"], *rule);
    assert_eq!(daemon.delete(&path).expect(200)["status"], "deleted");
    daemon.delete(&path).expect_error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(daemon.get(RULES).expect(200)["items"], json!([]));

    let cases = [
        (json!({}), "metric"),
        (
            json!({"metric": "m", "comparison": "near", "threshold": 1}),
            "comparison",
        ),
        (
            json!({"metric": "m", "comparison": "above", "threshold": "x"}),
            "threshold",
        ),
        (
            json!({"metric": "m", "comparison": "above", "threshold": 1, "for_s": -1}),
            "for_s",
        ),
        (
            json!({"metric": "m", "comparison": "above", "threshold": 1, "scope": "tasks"}),
            "scope",
        ),
        (
            json!({"metric": "m", "comparison": "above", "threshold": 1, "subject": "a"}),
            "scope",
        ),
        (
            json!({"metric": "m m", "comparison": "above", "threshold": 1}),
            "metric",
        ),
        (
            json!({"metric": "m", "comparison": "above", "threshold": 1, "quantile": 2}),
            "quantile",
        ),
        (
            json!({"metric": "m", "comparison": "above", "threshold": 1, "window_s": 0}),
            "window_s",
        ),
        (
            json!({"metric": "m", "comparison": "above", "threshold": 1, "webhook": "http://x/"}),
            "webhook",
        ),
    ];
    for (body, field) in cases {
        let error = daemon
            .put(&path, body.clone())
            .expect_error(400, "VALIDATION_ERROR");
        assert_eq!(error["details"]["field"], field, "{body}: {error}");
    }
    daemon
        .put(&format!("{RULES}/two%20words"), open_tasks())
        .expect_error(400, "VALIDATION_ERROR");
    daemon
        .get(&format!("{ALERTS}?state=burning"))
        .expect_error(400, "VALIDATION_ERROR");
}

#[test]
fn rules_of_the_configuration_are_evaluated_and_cannot_be_changed() {
    let env = [
        ("NOVA_ALERTS__INTERVAL_MS", "50"),
        (
            "NOVA_ALERTS__RULES",
            "[{rule_id=\"open\", metric=\"tasks-open\", comparison=\"above\", threshold=0.5}]",
        ),
    ];
    let daemon = Daemon::with(Options {
        env: env
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Options::default()
    });
    let rules = daemon.get(RULES).expect(200)["items"].clone();
    assert_eq!(
        (&rules[0]["rule_id"], &rules[0]["configured"]),
        (&json!("open"), &json!(true))
    );
    for answer in [
        daemon.put(&format!("{RULES}/open"), open_tasks()),
        daemon.delete(&format!("{RULES}/open")),
    ] {
        answer.expect_error(409, "CONFLICT");
    }
    new_flow(&daemon, "driven");
    eventually("it fires", || {
        let firing = daemon.get(&format!("{ALERTS}?state=firing")).expect(200);
        (firing["items"].as_array().unwrap().len() == 1).then_some(())
    });
}
