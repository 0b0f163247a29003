//! Work that is done on another runtime than the one that waits for it.

use std::panic::resume_unwind;

use axum::response::Response;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// Does the work there, for as long as somebody waits for it here. A panic goes on here.
pub(super) async fn moved<W>(runtime: Handle, work: W) -> Response
where
    W: Future<Output = Response> + Send + 'static,
{
    match AbortOnDropHandle::new(runtime.spawn(work)).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime has ended, and the process is about to.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::panic::AssertUnwindSafe;
    use std::thread;

    use axum::body::Body;
    use axum::response::IntoResponse;
    use futures_util::FutureExt;
    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::oneshot;

    use super::*;

    fn elsewhere() -> Runtime {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("elsewhere");
        builder.build().unwrap()
    }

    #[test]
    fn the_work_is_done_there_and_its_answer_and_panic_come_here() {
        let there = elsewhere();
        let here = Builder::new_current_thread().build().unwrap();
        let name = || thread::current().name().unwrap_or_default().to_owned();
        let work = async move { name().into_response() };
        let response = here.block_on(moved(there.handle().clone(), work));
        let body = axum::body::to_bytes(response.into_body(), 100);
        assert_eq!(here.block_on(body).unwrap(), "elsewhere");
        let work = async { panic!("on purpose") };
        let caught = AssertUnwindSafe(moved(there.handle().clone(), work)).catch_unwind();
        let panic = here.block_on(caught).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
    }

    #[tokio::test]
    async fn it_is_given_up_with_who_waits_for_it() {
        let there = elsewhere();
        let (begun, begins) = oneshot::channel();
        let (held, ended) = oneshot::channel::<()>();
        let work = async move {
            begun.send(()).unwrap();
            let _held = held;
            std::future::pending::<()>().await;
            Response::new(Body::empty())
        };
        let waiting = tokio::spawn(moved(there.handle().clone(), work));
        begins.await.unwrap();
        waiting.abort();
        assert!(ended.await.is_err(), "the work was dropped");
        there.shutdown_background();
    }
}
