//! Setting a password: with it end all sessions and all reset links of the account, and its owner is told, all in one
//! transaction.

use async_trait::async_trait;
use posthaste_domain::{
    clock::Timestamp,
    message::NewMessage,
    password::PasswordHash,
    stores::{PasswordChange, PasswordReset},
    token::TokenPurpose,
};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use crate::{
    accept,
    convert::{micros, word::Word},
    entity::{one_time_tokens, users},
    sessions::end_all,
    users::{activate, spend},
    writer::{AsyncWork, Unit},
};

/// A new password for the holder of a reset link.
pub(crate) struct ResetPassword(pub(crate) PasswordReset);

#[async_trait]
impl AsyncWork<Option<Uuid>> for ResetPassword {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Option<Uuid>, DbErr> {
        let PasswordReset {
            token,
            password,
            at,
            notice,
        } = &self.0;
        let Some(user) = spend(unit, *token, TokenPurpose::ResetPassword, *at).await? else {
            return Ok(None);
        };
        set(unit, user, None, password).await?;
        activate(unit, user, *at).await?;
        follow(unit, user, *at, notice).await?;
        Ok(Some(user))
    }
}

/// A new password for whoever knows the old one.
pub(crate) struct ChangePassword(pub(crate) PasswordChange);

#[async_trait]
impl AsyncWork<bool> for ChangePassword {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<bool, DbErr> {
        let PasswordChange {
            user,
            old,
            new,
            at,
            notice,
        } = &self.0;
        let changed = set(unit, user.as_uuid(), Some(old), new).await?;
        if changed {
            follow(unit, user.as_uuid(), *at, notice).await?;
        }
        Ok(changed)
    }
}

/// Sets the password, if the account's is still `old`, where that is given.
async fn set(
    unit: &Unit<'_>,
    user: Uuid,
    old: Option<&PasswordHash>,
    new: &PasswordHash,
) -> Result<bool, DbErr> {
    let mut update = users::Entity::update_many()
        .col_expr(users::Column::PasswordHash, Expr::val(new.as_phc()))
        .filter(users::Column::Id.eq(user));
    if let Some(old) = old {
        update = update.filter(users::Column::PasswordHash.eq(old.as_phc()));
    }
    Ok(update.exec(unit.txn).await?.rows_affected == 1)
}

async fn follow(
    unit: &mut Unit<'_>,
    user: Uuid,
    at: Timestamp,
    notice: &NewMessage,
) -> Result<(), DbErr> {
    let now = micros(at);
    one_time_tokens::Entity::update_many()
        .col_expr(one_time_tokens::Column::SpentAt, Expr::val(now))
        .filter(one_time_tokens::Column::UserId.eq(user))
        .filter(one_time_tokens::Column::Purpose.eq(TokenPurpose::ResetPassword.word()))
        .filter(one_time_tokens::Column::SpentAt.is_null())
        .exec(unit.txn)
        .await?;
    end_all(unit, user, now).await?;
    accept::insert(unit, &[notice]).await
}
