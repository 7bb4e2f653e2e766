//! [`UserStore`] on the database.

use async_trait::async_trait;
use posthaste_domain::{
    clock::Timestamp,
    id::UserId,
    stores::{Registration, StoreError, UserStore},
    token::{TokenHash, TokenPurpose},
    user::{User, UserStatus},
};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set, sea_query::OnConflict};
use uuid::Uuid;

use crate::{
    Store, accept,
    convert::{micros, read, timestamp, word::Word},
    entity::{one_time_tokens, users},
    messages::read_failed,
    queue::sqlite::statement,
    writer::{AsyncWork, Unit},
};

#[async_trait]
impl UserStore for Store {
    async fn register(&self, registration: Registration) -> Result<(), StoreError> {
        let size = registration.confirmation.size() + registration.notice.size();
        self.writer.submit_write(size, Register(registration)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let found = users::Entity::find_by_id(id.as_uuid())
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        found.as_ref().map(user).transpose()
    }

    async fn confirm(
        &self,
        token: TokenHash,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        Ok(self
            .writer
            .write(Confirm { token, now })
            .await?
            .map(UserId::from_uuid))
    }
}

fn user(row: &users::Model) -> Result<User, StoreError> {
    Ok(User {
        id: UserId::from_uuid(row.id),
        email: read("users.email", &row.email)?,
        display_name: row
            .display_name
            .as_deref()
            .map(|name| read("users.display_name", name))
            .transpose()?,
        status: UserStatus::read(&row.status)?,
        created_at: timestamp(row.created_at)?,
    })
}

struct Register(Registration);

#[async_trait]
impl AsyncWork<()> for Register {
    /// The unique key decides, not a look before: two registrations of one address in one batch are told apart too.
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        let Registration {
            id,
            email,
            display_name,
            password,
            created_at,
            token,
            confirmation,
            notice,
        } = &self.0;
        let row = users::ActiveModel {
            id: Set(id.as_uuid()),
            email: Set(email.expose().to_owned()),
            email_key: Set(email.canonical().expose().to_owned()),
            display_name: Set(display_name.as_ref().map(|name| name.as_str().to_owned())),
            password_hash: Set(password.as_phc().to_owned()),
            status: Set(UserStatus::Pending.word().to_owned()),
            created_at: Set(micros(*created_at)),
            confirmed_at: Set(None),
        };
        let insert =
            users::Entity::insert(row).on_conflict(OnConflict::new().do_nothing().to_owned());
        if insert.exec_without_returning(unit.txn).await? == 0 {
            return accept::insert(unit, &[notice]).await;
        }
        let token = one_time_tokens::ActiveModel {
            hash: Set(token.hash.0.to_vec()),
            user_id: Set(id.as_uuid()),
            purpose: Set(token.purpose.word().to_owned()),
            expires_at: Set(micros(token.expires_at)),
            spent_at: Set(None),
        };
        one_time_tokens::Entity::insert(token)
            .exec_without_returning(unit.txn)
            .await?;
        accept::insert(unit, &[confirmation]).await
    }
}

struct Confirm {
    token: TokenHash,
    now: Timestamp,
}

#[async_trait]
impl AsyncWork<Option<Uuid>> for Confirm {
    /// One conditional update decides who spends the token, by its row count.
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Option<Uuid>, DbErr> {
        let now = micros(self.now);
        let spend = statement(
            "UPDATE one_time_tokens SET spent_at = ? \
             WHERE hash = ? AND purpose = ? AND spent_at IS NULL AND expires_at > ? RETURNING user_id",
            [
                now.into(),
                self.token.0.to_vec().into(),
                TokenPurpose::ConfirmAccount.word().into(),
                now.into(),
            ],
        );
        let Some(row) = unit.txn.query_one_raw(spend).await? else {
            return Ok(None);
        };
        let user: Uuid = row.try_get_by_index(0)?;
        let activate = statement(
            "UPDATE users SET status = ?, confirmed_at = ? WHERE id = ?",
            [UserStatus::Active.word().into(), now.into(), user.into()],
        );
        unit.txn.execute_raw(activate).await?;
        Ok(Some(user))
    }
}
