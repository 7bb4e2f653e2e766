//! [`SessionStore`] on the database. Spending a refresh token is one conditional update: whose it hit has the new pair.

use async_trait::async_trait;
use posthaste_domain::{
    clock::Timestamp,
    id::{SessionId, UserId},
    stores::{NewSession, NewTokens, Rotated, Rotation, SessionStore, StoreError},
    token::TokenHash,
    user::{User, UserStatus},
};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, Set, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Store, accept,
    convert::{micros, word::Word},
    entity::{refresh_tokens, sessions, users},
    messages::read_failed,
    users::by_id,
    writer::{AsyncWork, Unit},
};

#[async_trait]
impl SessionStore for Store {
    async fn open(&self, session: NewSession) -> Result<bool, StoreError> {
        Ok(self.writer.write(Open(session)).await?)
    }

    async fn refresh_holder(&self, refresh: TokenHash) -> Result<Option<User>, StoreError> {
        let token = refresh_tokens::Entity::find_by_id(refresh.0.to_vec())
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        match token {
            Some(token) => by_id(&self.reader, token.user_id).await,
            None => Ok(None),
        }
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        Ok(self.writer.write(Rotate(rotation)).await?)
    }

    async fn access_holder(
        &self,
        access: TokenHash,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        let session = sessions::Entity::find()
            .filter(sessions::Column::AccessHash.eq(access.0.to_vec()))
            .filter(sessions::Column::AccessExpiresAt.gt(micros(now)))
            .filter(sessions::Column::EndedAt.is_null())
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        match session {
            Some(session) => by_id(&self.reader, session.user_id).await,
            None => Ok(None),
        }
    }

    async fn end(&self, refresh: TokenHash, now: Timestamp) -> Result<(), StoreError> {
        Ok(self.writer.write(End { refresh, now }).await?)
    }
}

struct Open(NewSession);

#[async_trait]
impl AsyncWork<bool> for Open {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<bool, DbErr> {
        let NewSession {
            id,
            user,
            password,
            tokens,
            at,
        } = &self.0;
        let proved = users::Entity::find_by_id(user.as_uuid())
            .filter(users::Column::PasswordHash.eq(password.as_phc()))
            .filter(users::Column::Status.eq(UserStatus::Active.word()))
            .count(unit.txn)
            .await?;
        if proved == 0 {
            return Ok(false);
        }
        let row = sessions::ActiveModel {
            id: Set(id.as_uuid()),
            user_id: Set(user.as_uuid()),
            access_hash: Set(tokens.access.0.to_vec()),
            access_expires_at: Set(micros(tokens.access_expires_at)),
            created_at: Set(micros(*at)),
            expires_at: Set(micros(tokens.refresh_expires_at)),
            ended_at: Set(None),
        };
        sessions::Entity::insert(row)
            .exec_without_returning(unit.txn)
            .await?;
        insert_refresh(unit, id.as_uuid(), user.as_uuid(), tokens, *at).await?;
        Ok(true)
    }
}

struct Rotate(Rotation);

#[async_trait]
impl AsyncWork<Rotated> for Rotate {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Rotated, DbErr> {
        let Rotation {
            presented,
            tokens,
            at,
            grace,
            notice,
        } = &self.0;
        let now = micros(*at);
        let Some(token) = refresh_tokens::Entity::find_by_id(presented.0.to_vec())
            .one(unit.txn)
            .await?
        else {
            return Ok(Rotated::Invalid);
        };
        let (family, user) = (token.family, token.user_id);
        if spend(unit, *presented, now).await? && renew(unit, family, tokens).await? {
            insert_refresh(unit, family, user, tokens, *at).await?;
            return Ok(Rotated::Renewed(UserId::from_uuid(user)));
        }
        let Some(spent_at) = token.spent_at else {
            return Ok(Rotated::Invalid);
        };
        let grace = i64::try_from(grace.as_micros()).unwrap_or(i64::MAX);
        if now.saturating_sub(spent_at) <= grace {
            return Ok(Rotated::Raced);
        }
        // Told once: a session that has ended already was told of, or ended by its owner.
        if !end(unit, family, now).await? {
            return Ok(Rotated::Invalid);
        }
        accept::insert(unit, &[notice]).await?;
        Ok(Rotated::Reused {
            session: SessionId::from_uuid(family),
            user: UserId::from_uuid(user),
        })
    }
}

struct End {
    refresh: TokenHash,
    now: Timestamp,
}

#[async_trait]
impl AsyncWork<()> for End {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        let token = refresh_tokens::Entity::find_by_id(self.refresh.0.to_vec())
            .one(unit.txn)
            .await?;
        if let Some(token) = token {
            end(unit, token.family, micros(self.now)).await?;
        }
        Ok(())
    }
}

/// Spends a refresh token that is valid now; of two callers one is told `true`.
async fn spend(unit: &Unit<'_>, refresh: TokenHash, now: i64) -> Result<bool, DbErr> {
    let spent = refresh_tokens::Entity::update_many()
        .col_expr(refresh_tokens::Column::SpentAt, Expr::val(now))
        .filter(refresh_tokens::Column::Hash.eq(refresh.0.to_vec()))
        .filter(refresh_tokens::Column::SpentAt.is_null())
        .filter(refresh_tokens::Column::ExpiresAt.gt(now))
        .exec(unit.txn)
        .await?;
    Ok(spent.rows_affected == 1)
}

/// Gives a session its next tokens; `false` if it has ended.
async fn renew(unit: &Unit<'_>, session: Uuid, tokens: &NewTokens) -> Result<bool, DbErr> {
    let access = Expr::val(tokens.access.0.to_vec());
    let renewed = sessions::Entity::update_many()
        .col_expr(sessions::Column::AccessHash, access)
        .col_expr(
            sessions::Column::AccessExpiresAt,
            Expr::val(micros(tokens.access_expires_at)),
        )
        .col_expr(
            sessions::Column::ExpiresAt,
            Expr::val(micros(tokens.refresh_expires_at)),
        )
        .filter(sessions::Column::Id.eq(session))
        .filter(sessions::Column::EndedAt.is_null())
        .exec(unit.txn)
        .await?;
    Ok(renewed.rows_affected == 1)
}

async fn insert_refresh(
    unit: &Unit<'_>,
    family: Uuid,
    user: Uuid,
    tokens: &NewTokens,
    at: Timestamp,
) -> Result<(), DbErr> {
    let row = refresh_tokens::ActiveModel {
        hash: Set(tokens.refresh.0.to_vec()),
        family: Set(family),
        user_id: Set(user),
        created_at: Set(micros(at)),
        expires_at: Set(micros(tokens.refresh_expires_at)),
        spent_at: Set(None),
    };
    refresh_tokens::Entity::insert(row)
        .exec_without_returning(unit.txn)
        .await?;
    Ok(())
}

/// Ends a session; `false` if it has ended before.
async fn end(unit: &Unit<'_>, session: Uuid, now: i64) -> Result<bool, DbErr> {
    let ended = sessions::Entity::update_many()
        .col_expr(sessions::Column::EndedAt, Expr::val(now))
        .filter(sessions::Column::Id.eq(session))
        .filter(sessions::Column::EndedAt.is_null())
        .exec(unit.txn)
        .await?;
    Ok(ended.rows_affected == 1)
}

/// Ends all sessions of an account.
pub(crate) async fn end_all(unit: &Unit<'_>, user: Uuid, now: i64) -> Result<(), DbErr> {
    sessions::Entity::update_many()
        .col_expr(sessions::Column::EndedAt, Expr::val(now))
        .filter(sessions::Column::UserId.eq(user))
        .filter(sessions::Column::EndedAt.is_null())
        .exec(unit.txn)
        .await?;
    Ok(())
}
