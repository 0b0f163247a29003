//! Outgoing calls: notices to webhooks. The only crate of the daemon that connects to where a client or an
//! operator says.
//!
//! Owns the signature, which addresses may be called, and the retries. Knows no alert: it sends the text that
//! the core has written.
//!
//! Invariants: a name is resolved once for a connection, and the connection goes to an address that was
//! checked; redirects are not followed, proxies of the environment not used.

mod address;
mod sender;
mod signature;

pub use address::Addresses;
pub use sender::{Webhook, WebhookConfig, Webhooks, describe_metrics};
pub use signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
