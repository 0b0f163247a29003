//! The datastore's part for strategies: the routes.

use crate::error::Result;
use crate::strategy::route::StoredRoute;

/// Reads of routes.
pub trait RouteReads {
    /// The routes of every kind of which something was said, by kind.
    fn strategy_routes(&self) -> Result<Vec<StoredRoute>>;
}

/// Writes of routes.
pub trait RouteWrites: RouteReads {
    /// Puts the routes of a kind in the place of its former ones.
    fn put_strategy_route(&mut self, route: &StoredRoute) -> Result<()>;
}
