//! The streams that are kept in memory.

use std::sync::Arc;

use posthaste_domain::stores::MessageStore;
use posthaste_store::Store;
use tracing::info;

use crate::{
    memory_streams::MemoryStreams,
    settings::{Role, Settings},
};

/// The store, with the streams that this node keeps in memory before it. A node that sends nothing stores their mail for
/// those that do.
pub(super) fn streams(settings: &Settings, store: &Arc<Store>) -> Arc<MemoryStreams> {
    let sends = settings.roles.contains(&Role::Worker);
    let streams = settings.streams.iter();
    let mut streams: Vec<_> = streams
        .filter_map(|stream| Some((stream.name.clone(), stream.in_memory()?)))
        .collect();
    if !sends {
        for (stream, _) in streams.drain(..) {
            info!(%stream, "this node has no worker; mail of the stream is stored, not kept in memory");
        }
    }
    let store: Arc<dyn MessageStore> = Arc::<Store>::clone(store);
    Arc::new(MemoryStreams::new(store, streams))
}
