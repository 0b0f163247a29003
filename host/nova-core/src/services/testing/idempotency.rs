//! Repeated requests of the datastore in memory.

use super::datastore::State;
use crate::domain::{KeyId, Timestamp};
use crate::error::Result;
use crate::ports::{IdempotencyReads, IdempotencyRecord, IdempotencyWrites};

impl IdempotencyReads for State {
    fn idempotency(&self, key: KeyId, name: &str) -> Result<Option<IdempotencyRecord>> {
        Ok(self.repeated.get(&(key, name.to_owned())).cloned())
    }
}

impl IdempotencyWrites for State {
    fn put_idempotency(&mut self, record: &IdempotencyRecord) -> Result<()> {
        let place = (record.key_id, record.name.clone());
        self.repeated.insert(place, record.clone());
        Ok(())
    }

    fn prune_idempotency(&mut self, before: Timestamp, limit: usize) -> Result<u64> {
        let old = self.repeated.iter().filter(|(_, r)| r.at <= before);
        let old: Vec<_> = old.map(|(place, _)| place.clone()).take(limit).collect();
        for place in &old {
            self.repeated.remove(place);
        }
        Ok(old.len() as u64)
    }
}
