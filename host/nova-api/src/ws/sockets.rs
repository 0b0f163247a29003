//! The live side as the rest of the daemon sees it: started, drained.

use std::sync::Arc;
use std::time::Duration;

use nova_core::services::{Follower, Services};
use nova_core::{Clock, Result};
use tokio::task::JoinHandle;

use super::SocketConfig;
use super::hub::Hub;
use super::registry::Registry;

/// Pause after the datastore could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Every WebSocket, and the task that feeds them; ends when dropped.
pub struct Sockets {
    pub(super) config: SocketConfig,
    pub(super) hub: Arc<Hub>,
    pub(super) registry: Arc<Registry>,
    tasks: [JoinHandle<()>; 1],
}

impl Sockets {
    /// Begins to follow the events.
    ///
    /// # Errors
    /// When the datastore cannot be read.
    pub async fn start(
        services: &Services,
        clock: Arc<dyn Clock>,
        config: SocketConfig,
    ) -> Result<Arc<Self>> {
        let follower = services.events.follow(None).await?;
        let analytics = Arc::clone(&services.analytics);
        let hub = Hub::new(follower.last_seq(), config.clone(), analytics, clock);
        let hub = Arc::new(hub);
        let registry = Arc::new(Registry::new(&config));
        let feeding = tokio::spawn(feed(Arc::clone(&hub), follower));
        Ok(Arc::new(Self {
            config,
            hub,
            registry,
            tasks: [feeding],
        }))
    }

    /// Lets no more sockets in and closes the open ones with 1001.
    pub fn drain(&self) {
        self.registry.drain();
    }

    /// Resolves when no socket is open.
    pub async fn closed(&self) {
        self.registry.emptied().await;
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn feed(hub: Arc<Hub>, mut follower: Follower) {
    loop {
        match follower.next().await {
            Ok(events) => hub.publish(&events),
            Err(error) => {
                tracing::warn!(%error, "events cannot be followed now");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}
