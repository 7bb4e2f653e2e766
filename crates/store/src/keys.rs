//! [`ApiKeyStore`] on the database.

use async_trait::async_trait;
use posthaste_domain::{
    clock::{Timestamp, later},
    id::KeyId,
    key::{ApiKey, KeyHash},
    owner::{Owner, Scope},
    stores::{ApiKeyStore, NewApiKey, NextApiKey, StoreError, StoredApiKey},
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, Set,
};

use crate::{
    Store,
    convert::{
        message::{from_json, json},
        micros, read, timestamp, unreadable,
    },
    entity::api_keys::{ActiveModel, Column, Entity, Model},
    messages::read_failed,
    writer::{AsyncWork, Unit},
};

#[async_trait]
impl ApiKeyStore for Store {
    async fn add(&self, key: NewApiKey) -> Result<(), StoreError> {
        Ok(self.writer.write(Add(key)).await?)
    }

    async fn find(&self, hash: KeyHash) -> Result<Option<StoredApiKey>, StoreError> {
        let found = Entity::find()
            .filter(Column::Hash.eq(hash.as_bytes().to_vec()))
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        found.map(stored).transpose()
    }

    async fn keys(&self, owner: Option<Owner>) -> Result<Vec<StoredApiKey>, StoreError> {
        let mut all = Entity::find().order_by_desc(Column::Id);
        if let Some(owner) = owner {
            all = all.filter(Column::Owner.eq(owner.as_str()));
        }
        let rows = all.all(&self.reader).await.map_err(read_failed)?;
        rows.into_iter().map(stored).collect()
    }

    async fn rename(&self, owner: &Owner, id: KeyId, name: String) -> Result<bool, StoreError> {
        let owner = owner.clone();
        Ok(self.writer.write(Rename { owner, id, name }).await?)
    }

    async fn remove(&self, owner: &Owner, id: KeyId) -> Result<bool, StoreError> {
        let owner = owner.clone();
        Ok(self.writer.write(Remove { owner, id }).await?)
    }

    async fn replace(
        &self,
        owner: &Owner,
        id: KeyId,
        next: NextApiKey,
    ) -> Result<Option<Timestamp>, StoreError> {
        let owner = owner.clone();
        let ends = self.writer.write(Replace { owner, id, next }).await?;
        ends.map(timestamp).transpose()
    }

    async fn used(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError> {
        Ok(self.writer.write(Used { id, at }).await?)
    }
}

struct Add(NewApiKey);

#[async_trait]
impl AsyncWork<()> for Add {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        let row = row(&self.0);
        Entity::insert(row).exec_without_returning(unit.txn).await?;
        Ok(())
    }
}

struct Rename {
    owner: Owner,
    id: KeyId,
    name: String,
}

#[async_trait]
impl AsyncWork<bool> for Rename {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<bool, DbErr> {
        let values = [
            self.name.as_str().into(),
            self.id.as_uuid().into(),
            self.owner.as_str().into(),
        ];
        let rename = "UPDATE api_keys SET name = ? WHERE id = ? AND owner = ?";
        let renamed = unit.txn.execute_raw(unit.statement(rename, values)).await?;
        Ok(renamed.rows_affected() > 0)
    }
}

struct Remove {
    owner: Owner,
    id: KeyId,
}

#[async_trait]
impl AsyncWork<bool> for Remove {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<bool, DbErr> {
        let removed = Entity::delete_many()
            .filter(Column::Id.eq(self.id.as_uuid()))
            .filter(Column::Owner.eq(self.owner.as_str()))
            .exec(unit.txn)
            .await?;
        Ok(removed.rows_affected > 0)
    }
}

struct Replace {
    owner: Owner,
    id: KeyId,
    next: NextApiKey,
}

#[async_trait]
impl AsyncWork<Option<i64>> for Replace {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Option<i64>, DbErr> {
        let at = micros(self.next.at);
        let old = Entity::find_by_id(self.id.as_uuid())
            .filter(Column::Owner.eq(self.owner.as_str()))
            .one(unit.txn)
            .await?;
        let Some(old) = old.filter(|old| old.expires_at.is_none_or(|ends| ends > at)) else {
            return Ok(None);
        };
        let overlap = micros(later(self.next.at, self.next.overlap));
        let ends = old.expires_at.map_or(overlap, |ends| ends.min(overlap));
        let mut new = ActiveModel {
            id: Set(self.next.id.as_uuid()),
            hash: Set(self.next.hash.as_bytes().to_vec()),
            beginning: Set(self.next.beginning.clone()),
            created_at: Set(at),
            last_used_at: Set(None),
            ..old.clone().into_active_model().reset_all()
        };
        new.expires_at = Set(old.expires_at);
        Entity::insert(new).exec_without_returning(unit.txn).await?;
        let end = "UPDATE api_keys SET expires_at = ? WHERE id = ?";
        let end = unit.statement(end, [ends.into(), old.id.into()]);
        unit.txn.execute_raw(end).await?;
        Ok(Some(ends))
    }
}

struct Used {
    id: KeyId,
    at: Timestamp,
}

#[async_trait]
impl AsyncWork<()> for Used {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        let values = [micros(self.at).into(), self.id.as_uuid().into()];
        let used = unit.statement("UPDATE api_keys SET last_used_at = ? WHERE id = ?", values);
        unit.txn.execute_raw(used).await.map(drop)
    }
}

fn row(new: &NewApiKey) -> ActiveModel {
    let scopes: Vec<_> = new.key.scopes.iter().map(|scope| scope.word()).collect();
    let streams = new.key.streams.as_ref().map(|streams| {
        let names: Vec<_> = streams.iter().map(|name| name.as_str()).collect();
        json(&names)
    });
    ActiveModel {
        id: Set(new.id.as_uuid()),
        owner: Set(new.key.owner.to_string()),
        name: Set(new.key.name.clone()),
        hash: Set(new.hash.as_bytes().to_vec()),
        beginning: Set(new.beginning.clone()),
        scopes: Set(json(&scopes)),
        streams: Set(streams),
        from_domains: Set(new.key.from_domains.as_ref().map(json)),
        created_at: Set(micros(new.created_at)),
        expires_at: Set(new.expires_at.map(micros)),
        last_used_at: Set(None),
    }
}

fn stored(row: Model) -> Result<StoredApiKey, StoreError> {
    let scopes: Vec<String> = from_json("api_keys.scopes", &row.scopes)?;
    let streams = row.streams.map(|streams| {
        let names: Vec<String> = from_json("api_keys.streams", &streams)?;
        names
            .iter()
            .map(|name| read("api_keys.streams", name))
            .collect::<Result<_, StoreError>>()
    });
    let from_domains = row
        .from_domains
        .map(|domains| from_json("api_keys.from_domains", &domains));
    if row.hash.len() != 32 {
        return Err(unreadable("api_keys.hash"));
    }
    Ok(StoredApiKey {
        id: KeyId::from_uuid(row.id),
        key: ApiKey {
            name: row.name,
            owner: read("api_keys.owner", &row.owner)?,
            scopes: scopes
                .iter()
                .map(|scope| read::<Scope>("api_keys.scopes", scope))
                .collect::<Result<_, _>>()?,
            streams: streams.transpose()?,
            from_domains: from_domains.transpose()?,
        },
        beginning: row.beginning,
        created_at: timestamp(row.created_at)?,
        expires_at: row.expires_at.map(timestamp).transpose()?,
        last_used_at: row.last_used_at.map(timestamp).transpose()?,
    })
}
