//! What is found out of a file when something else was ordered meanwhile.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::*;
use crate::events::Events;
use crate::files::scan;
use crate::invoke::Invoker;
use crate::kept::Kept;
use crate::loader::{Loader, Outcome};
use crate::orders::RollBack;
use crate::processor::Processors;
use crate::registry::Registry;
use crate::watch::{Known, Loads, Look, Watch};

fn watch(config: RuntimeConfig) -> Watch {
    let invoker = Arc::new(Invoker::new(&config).unwrap());
    let (defaults, limit) = (config.defaults.clone(), config.kept_revisions);
    Watch {
        registry: Arc::new(Registry::new(defaults, limit, config.breaker)),
        loader: Arc::new(Loader::new(config.clone(), invoker, None)),
        kept: Arc::new(Kept::open(config.revision_dir(), limit).unwrap()),
        processors: Arc::new(Processors::new(4)),
        events: Arc::new(Events::new()),
        orders: mpsc::unbounded_channel().1,
        gate: None,
        ignored: 0,
        config,
    }
}

/// Puts a version down and looks at it, as far as it may serve.
async fn look(bench: &Bench, watch: &Watch, version: &str) -> (Box<Look>, Outcome) {
    bench.put("guest.wasm", &allocator(version));
    let (source, stamp) = scan(&bench.plugins()).unwrap().remove("guest").unwrap();
    let outcome = watch.loader.load(&source, None, &[]).await;
    assert!(matches!(outcome, Outcome::Loaded(_)));
    let look = Look {
        source,
        stamp,
        against: watch.serving("guest"),
    };
    (Box::new(look), outcome)
}

#[tokio::test]
async fn a_look_that_ends_late_leaves_what_was_ordered_meanwhile() {
    let bench = Bench::new();
    let watch = watch(bench.config());
    let (mut known, mut loads) = (HashMap::new(), Loads::new());
    for version in ["1.0.0", "2.0.0"] {
        let ended = look(&bench, &watch, version).await;
        let seen = Known::new(ended.0.stamp);
        known.insert("guest".to_owned(), seen);
        watch.looked_at(Some(ended), &mut known, &mut loads);
    }
    assert_eq!(watch.serving("guest"), Some(2));
    let late = look(&bench, &watch, "3.0.0").await;
    let order = RollBack {
        plugin: "guest".to_owned(),
        to: None,
        from: None,
        reason: "ordered".to_owned(),
        by: None,
        reply: None,
    };
    watch.roll_back(order, &mut loads);
    assert_eq!(watch.serving("guest"), Some(1));
    watch.looked_at(Some(late), &mut known, &mut loads);
    assert_eq!(watch.serving("guest"), Some(1), "it is looked at again");
    let again = look(&bench, &watch, "3.0.0").await;
    watch.looked_at(Some(again), &mut known, &mut loads);
    assert_eq!(watch.serving("guest"), Some(3));
}
