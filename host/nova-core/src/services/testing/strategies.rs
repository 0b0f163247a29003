//! Routes of the datastore in memory.

use super::datastore::State;
use crate::error::Result;
use crate::ports::{RouteReads, RouteWrites};
use crate::strategy::route::StoredRoute;

impl RouteReads for State {
    fn strategy_routes(&self) -> Result<Vec<StoredRoute>> {
        Ok(self.routes.clone())
    }
}

impl RouteWrites for State {
    fn put_strategy_route(&mut self, route: &StoredRoute) -> Result<()> {
        self.routes.retain(|r| r.kind != route.kind);
        self.routes.push(route.clone());
        self.routes.sort_by_key(|r| r.kind.as_str());
        Ok(())
    }
}
