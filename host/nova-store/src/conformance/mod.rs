//! What every backend must do, as checks over `dyn Datastore`.
//!
//! A backend's tests call [`conformance!`](crate::conformance!) with a function that makes a
//! fresh, empty datastore; each check becomes a test. Checks know the port and nothing else; a
//! new method of the port gets its check here, once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the suite is test code, behind a feature"
)]

pub mod agents;
pub mod alerts;
pub mod allocations;
pub mod events;
pub mod flows;
pub mod idempotency;
pub mod jobs;
pub mod keys;
pub mod memories;
pub mod resources;
pub mod samples;
pub mod strategies;
pub mod task_life;
pub mod tasks;

use std::any::Any;
use std::sync::Arc;

use nova_core::ports::{Datastore, Page, PageRequest};
use nova_core::{Error, Result};

/// A datastore of its own for one check.
pub struct Fresh {
    /// Empty and open.
    pub datastore: Arc<dyn Datastore>,
    /// What must live as long (a temporary folder, a database to be dropped).
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Makes a test of every check. `$fresh` is the absolute path (`crate::…`) of an
/// `async fn() -> Fresh`.
#[macro_export]
macro_rules! conformance {
    ($fresh:path) => {
        $crate::conformance!(@areas $fresh;
            jobs: an_answered_write_is_seen, a_failed_job_leaves_nothing, jobs_run_in_order,
                a_failed_job_does_not_hurt_its_neighbours, a_job_sees_its_own_writes,
                readers_see_only_what_is_committed, a_read_sees_one_state, a_panic_undoes_its_job,
                a_closed_datastore_refuses, closing_commits_what_is_queued;
            tasks: every_field_is_kept, an_update_replaces_every_field, filters_combine, lists_are_stable,
                domains_are_apart, an_id_exists_once, an_update_needs_its_record;
            task_life: transitions_are_in_order, transitions_of_one_job_are_in_order, dependents_follow_updates, statuses_are_in_the_order_asked,
                load_is_what_holds_a_slot;
            flows: every_field_is_kept, edges_follow_updates, counts_follow_tasks, tasks_are_in_order,
                filters_and_lists, domains_are_apart, an_id_exists_once_in_a_domain;
            agents: every_field_is_kept, capabilities_are_found, lists_are_stable, domains_are_apart,
                an_id_exists_once_in_a_domain;
            resources: every_field_is_kept, lists_are_stable, a_deleted_one_is_gone,
                an_id_exists_once_in_a_domain;
            allocations: every_field_is_kept, filters_combine, lists_are_stable, the_overdue_are_found,
                domains_are_apart;
            alerts: rules_are_kept_by_name, alerts_are_listed_and_pruned, notices_wait_in_order;
            events: every_field_is_kept, each_domain_sees_its_own, reading_continues_where_it_stopped,
                the_daemons_own_are_in_no_domain, the_feed_follows_the_commits,
                who_follows_before_the_commit_is_told;
            strategies: every_field_is_kept;
            memories: every_field_is_kept, words_find_what_passes, vectors_come_and_go, usage_follows, parts_are_read_in_order,
                episodes_wait_for_consolidation, episodes_wait_for_the_summarizer, the_same_content_is_known, the_overdue_are_found;
            idempotency: every_field_is_kept, the_newest_replaces, the_old_are_pruned;
            keys: every_field_is_kept, an_update_needs_its_record, a_use_is_kept_apart, roles_are_kept;
        );
    };
    (@areas $fresh:path; $($area:ident: $($check:ident),+;)+) => {$(
        mod $area {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let fresh = $fresh().await;
                $crate::conformance::$area::$check(&fresh.datastore).await;
                fresh.datastore.close().await.expect("it closes");
            }
        )+}
    )+};
}

/// A part of a list from its beginning.
fn first(limit: usize) -> PageRequest {
    PageRequest {
        limit,
        before: None,
    }
}

/// All parts of a list, `limit` at a time, with `between` called after each part.
async fn walk<T, P, B>(
    limit: usize,
    mut part: impl FnMut(PageRequest) -> P,
    mut between: impl FnMut() -> B,
) -> Vec<T>
where
    P: Future<Output = Result<Page<T>>>,
    B: Future<Output = ()>,
{
    let (mut all, mut request) = (Vec::new(), first(limit));
    loop {
        let page = part(request).await.unwrap();
        assert!(
            page.items.len() <= limit,
            "{} of at most {limit}",
            page.items.len()
        );
        all.extend(page.items);
        between().await;
        match page.next {
            Some(before) => request.before = Some(before),
            None => return all,
        }
    }
}

/// The error of a caller's bug.
fn assert_service<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(Error::Service(_))), "{result:?}");
}
