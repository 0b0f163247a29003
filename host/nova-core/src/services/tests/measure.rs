//! User metrics become events, all of a batch or none.

use super::*;
use crate::domain::{EventKind, TaskId};
use crate::services::{MEASUREMENTS_MAX, Measurement};

fn measured(name: &str, value: f64) -> Measurement {
    Measurement {
        name: name.parse().unwrap(),
        value,
        task_id: None,
        flow_id: None,
        agent_id: None,
        resource_id: None,
    }
}

#[tokio::test]
async fn a_batch_is_recorded_or_refused_as_a_whole() {
    let b = Bench::default();
    let domain = Domain::default();
    let record = |batch| b.services.analytics.record(&domain, batch);
    let newest = record(vec![measured("load", 0.5), measured("temperature", -3.0)]);
    assert_eq!(newest.await.unwrap(), 2);
    let events = b.services.events.after(None, 0, 10).await.unwrap();
    let seen: Vec<_> = events
        .iter()
        .map(|e| (e.body.kind, e.body.metric.as_deref().unwrap(), e.body.value))
        .collect();
    let kind = EventKind::UserMetric;
    assert_eq!(seen, [(kind, "load", 0.5), (kind, "temperature", -3.0)]);

    let stranger = Measurement {
        agent_id: Some("nobody".parse().unwrap()),
        ..measured("load", 1.0)
    };
    let no_task = Measurement {
        task_id: Some(TaskId::generate()),
        ..measured("load", 1.0)
    };
    for (batch, text) in [
        (vec![], "metrics must list 1 to 1000"),
        (
            vec![measured("load", 1.0); MEASUREMENTS_MAX + 1],
            "got 1001",
        ),
        (
            vec![measured("load", 1.0), measured("load", f64::NAN)],
            "metrics[1].value",
        ),
        (
            vec![measured("load", 1.0), stranger],
            "agent 'nobody' does not exist",
        ),
        (vec![no_task], "does not exist"),
    ] {
        let error = record(batch).await.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(b.services.events.newest_seq().await.unwrap(), 2);
    let most = record(vec![measured("load", 1.0); MEASUREMENTS_MAX]).await;
    assert_eq!(most.unwrap(), 2 + MEASUREMENTS_MAX as u64);
}

#[test]
fn names_of_the_processor_are_not_taken() {
    for bad in ["latency", "queue", "user-metric-3", "", "two words"] {
        assert!(bad.parse::<crate::domain::MetricName>().is_err(), "{bad}");
    }
    for good in ["my-latency", "Queue", "cpu.load_1m"] {
        assert!(good.parse::<crate::domain::MetricName>().is_ok(), "{good}");
    }
}
