//! Lists of messages, page by page. Whatever is asked for stands in an index that ends with the message's id, or in few rows
//! that do; so a page costs what it shows, not what is stored.
//!
//! What a message is as a whole follows from its deliveries and its job. The database finds those that may be in a state,
//! by what only they can have; the rule itself stands in one place, in the domain.

mod query;

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use posthaste_domain::{
    delivery::DeliveryState,
    id::MessageId,
    owner::Owner,
    stores::{MessageFilter, MessageLists, Page, PageAt, StoreError, StoredMessage},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use self::query::Query;
use crate::{
    Store,
    convert::word::Word,
    entity::{deliveries, jobs, messages},
    messages::read_failed,
    queue::State,
    sql::statement,
};

/// Messages that are looked at together, at least, where not all of them may be wanted.
const LOOKED_AT: usize = 100;

#[async_trait]
impl MessageLists for Store {
    async fn list(
        &self,
        owner: &Owner,
        filter: &MessageFilter,
        at: PageAt,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let (mut at, mut found) = (at, Vec::new());
        // One more than is shown tells whether there is more.
        let wanted = limit + 1;
        loop {
            let many = if filter.status.is_some() {
                wanted.max(LOOKED_AT)
            } else {
                wanted
            };
            let ids = self.ids(&Query::of(owner, filter, at), many).await?;
            let last = ids.last().copied();
            let is_all = ids.len() < many;
            found.extend(
                self.listed(ids)
                    .await?
                    .into_iter()
                    .filter(|stored| filter.status.is_none_or(|wanted| stored.status() == wanted)),
            );
            match last {
                Some(last) if found.len() < wanted && !is_all => at = further(at, last),
                _ => break,
            }
        }
        let has_more = found.len() > limit;
        found.truncate(limit);
        if matches!(at, PageAt::Before(_)) {
            found.reverse();
        }
        Ok(Page {
            messages: found,
            has_more,
        })
    }
}

fn further(at: PageAt, last: Uuid) -> PageAt {
    let last = MessageId::from_uuid(last);
    match at {
        PageAt::Newest | PageAt::After(_) => PageAt::After(last),
        PageAt::Before(_) => PageAt::Before(last),
    }
}

impl Store {
    async fn ids(&self, query: &Query, many: usize) -> Result<Vec<Uuid>, StoreError> {
        let (sql, values) = query.written(self.backend, many);
        let asked = statement(self.backend, &sql, values);
        let rows = self
            .reader
            .query_all_raw(asked)
            .await
            .map_err(read_failed)?;
        let ids = rows.iter().map(|row| row.try_get_by_index(0));
        ids.collect::<Result<_, _>>().map_err(read_failed)
    }

    /// The messages of these ids, in their order. One that is gone meanwhile is left out.
    async fn listed(&self, ids: Vec<Uuid>) -> Result<Vec<StoredMessage>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = messages::Entity::find()
            .filter(messages::Column::Id.is_in(ids.iter().copied()))
            .all(&self.reader)
            .await
            .map_err(read_failed)?;
        let mut deliveries: HashMap<Uuid, Vec<deliveries::Model>> = HashMap::new();
        let found = deliveries::Entity::find()
            .filter(deliveries::Column::MessageId.is_in(ids.iter().copied()))
            .all(&self.reader)
            .await
            .map_err(read_failed)?;
        for row in found {
            deliveries.entry(row.message_id).or_default().push(row);
        }
        let jobs = jobs::Entity::find()
            .filter(jobs::Column::Id.is_in(ids.iter().copied()))
            .all(&self.reader)
            .await
            .map_err(read_failed)?;
        let in_state = |state: State| -> HashSet<Uuid> {
            let jobs = jobs.iter().filter(|job| job.state == state.word());
            jobs.map(|job| job.id).collect()
        };
        let (leased, waiting) = (in_state(State::Leased), in_state(State::Scheduled));
        let mut stored = HashMap::new();
        for row in rows {
            let id = row.id;
            let mut deliveries = deliveries.remove(&id).unwrap_or_default();
            deliveries.sort_by_key(|row| row.position);
            let states = deliveries
                .iter()
                .map(|row| DeliveryState::read(&row.state))
                .collect::<Result<_, _>>()?;
            let message = self.whole(row, None, &deliveries)?;
            let listed = StoredMessage {
                leased: leased.contains(&id),
                scheduled: message.scheduled_at.is_some() && waiting.contains(&id),
                // What it says was not looked for.
                removed: false,
                message,
                states,
            };
            stored.insert(id, listed);
        }
        Ok(ids.iter().filter_map(|id| stored.remove(id)).collect())
    }
}
