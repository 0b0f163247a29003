//! The records and their rules. Pure data: no I/O, no clock of its own.

pub mod agent;
pub mod alert;
pub mod backoff;
pub mod coordination;
pub mod event;
pub mod flow;
pub mod graph;
pub mod id;
pub mod key;
pub mod lease;
pub mod memory;
pub mod memory_filter;
pub mod metric;
pub mod resource;
pub mod role;
pub mod spec;
pub mod task;
pub mod time;

pub use agent::{Agent, NewAgent};
pub use alert::{Alert, AlertRule, AlertState, Comparison};
pub use backoff::Backoff;
pub use event::{DETAIL_MAX_BYTES, Event, EventKind, NewEvent};
pub use flow::{Communication, Edge, Flow, FlowStatus, NewFlow, NewFlowTask};
pub use id::{
    AgentId, AlertId, AllocationId, DecisionId, DeliveryId, Domain, FlowId, KeyId, LeaseId,
    MemoryId, ResourceId, RoleName, RuleId, TaskId,
};
pub use key::{ApiKey, Caller, DomainSet, FormerSecret, Grant, Permission, RateLimit};
pub use lease::{Lease, LeaseState};
pub use memory::{Memory, MemoryLayer, NewMemory};
pub use memory_filter::MetadataFilter;
pub use metric::{MetricName, USER_METRIC_PREFIX};
pub use resource::{Allocation, AllocationItem, AllocationStatus, Resource};
pub use role::Role;
pub use task::{Estimate, NewTask, Planned, Priority, RetryPolicy, Task, TaskStatus, Transition};
pub use time::{Clock, SystemClock, Timestamp};
