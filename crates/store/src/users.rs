//! [`UserStore`] on the database. Who wins where two want the same is decided by the rows that one conditional update
//! hit, never by a look before.

use async_trait::async_trait;
use posthaste_domain::{
    address::EmailAddress,
    clock::Timestamp,
    id::UserId,
    password::PasswordHash,
    stores::{
        Credentials, LinkRequest, NewToken, PasswordChange, PasswordReset, Registration, Requested,
        StoreError, UserStore,
    },
    token::{TokenHash, TokenPurpose},
    user::{User, UserStatus},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    Store, accept,
    convert::{micros, read, timestamp, word::Word},
    entity::{one_time_tokens, users},
    mail_requests,
    messages::read_failed,
    password::{ChangePassword, ResetPassword},
    writer::{AsyncWork, Unit},
};

#[async_trait]
impl UserStore for Store {
    async fn register(&self, registration: Registration) -> Result<Requested, StoreError> {
        let size = registration.confirmation.size() + registration.notice.size();
        self.writer.submit_write(size, Register(registration)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        by_id(&self.reader, id.as_uuid()).await
    }

    async fn credentials(&self, email: &EmailAddress) -> Result<Option<Credentials>, StoreError> {
        let found = by_email(&self.reader, email).await.map_err(read_failed)?;
        let read = |row: &users::Model| {
            Ok(Credentials {
                user: user(row)?,
                password: PasswordHash::from_phc(row.password_hash.clone()),
            })
        };
        found.as_ref().map(read).transpose()
    }

    async fn request_link(&self, request: LinkRequest) -> Result<Requested, StoreError> {
        let size = request.mail.size();
        self.writer.submit_write(size, RequestLink(request)).await
    }

    async fn confirm(
        &self,
        token: TokenHash,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        let confirmed = self.writer.write(Confirm { token, now }).await?;
        Ok(confirmed.map(UserId::from_uuid))
    }

    async fn holder(
        &self,
        token: TokenHash,
        purpose: TokenPurpose,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        let valid = one_time_tokens::Entity::find_by_id(token.0.to_vec())
            .filter(one_time_tokens::Column::Purpose.eq(purpose.word()))
            .filter(one_time_tokens::Column::SpentAt.is_null())
            .filter(one_time_tokens::Column::ExpiresAt.gt(micros(now)))
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        match valid {
            Some(token) => by_id(&self.reader, token.user_id).await,
            None => Ok(None),
        }
    }

    async fn reset_password(&self, reset: PasswordReset) -> Result<Option<UserId>, StoreError> {
        let changed = self.writer.write(ResetPassword(reset)).await?;
        Ok(changed.map(UserId::from_uuid))
    }

    async fn change_password(&self, change: PasswordChange) -> Result<bool, StoreError> {
        Ok(self.writer.write(ChangePassword(change)).await?)
    }
}

/// An account by its id.
pub(crate) async fn by_id(
    connection: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<User>, StoreError> {
    let found = users::Entity::find_by_id(id).one(connection).await;
    found.map_err(read_failed)?.as_ref().map(user).transpose()
}

async fn by_email(
    connection: &impl ConnectionTrait,
    email: &EmailAddress,
) -> Result<Option<users::Model>, DbErr> {
    users::Entity::find()
        .filter(users::Column::EmailKey.eq(email.canonical().expose()))
        .one(connection)
        .await
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
impl AsyncWork<Requested> for Register {
    /// The unique key decides, not a look before: two registrations of one address in one batch are told apart too.
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Requested, DbErr> {
        let Registration {
            id,
            email,
            display_name,
            password,
            created_at,
            token,
            confirmation,
            notice,
            allowance,
        } = &self.0;
        let requested = mail_requests::count(unit, email, *created_at, *allowance).await?;
        if requested != Requested::Taken {
            return Ok(requested);
        }
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
            accept::insert(unit, &[notice]).await?;
        } else {
            insert_token(unit, id.as_uuid(), token).await?;
            accept::insert(unit, &[confirmation]).await?;
        }
        Ok(Requested::Taken)
    }
}

struct RequestLink(LinkRequest);

#[async_trait]
impl AsyncWork<Requested> for RequestLink {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Requested, DbErr> {
        let LinkRequest {
            email,
            token,
            mail,
            at,
            allowance,
        } = &self.0;
        let requested = mail_requests::count(unit, email, *at, *allowance).await?;
        if requested != Requested::Taken {
            return Ok(requested);
        }
        let wanted = by_email(unit.txn, email)
            .await?
            .filter(|account| match token.purpose {
                TokenPurpose::ConfirmAccount => account.status == UserStatus::Pending.word(),
                TokenPurpose::ResetPassword => true,
            });
        if let Some(account) = wanted {
            insert_token(unit, account.id, token).await?;
            accept::insert(unit, &[mail]).await?;
        }
        Ok(Requested::Taken)
    }
}

async fn insert_token(unit: &Unit<'_>, user: Uuid, token: &NewToken) -> Result<(), DbErr> {
    let row = one_time_tokens::ActiveModel {
        hash: Set(token.hash.0.to_vec()),
        user_id: Set(user),
        purpose: Set(token.purpose.word().to_owned()),
        expires_at: Set(micros(token.expires_at)),
        spent_at: Set(None),
    };
    one_time_tokens::Entity::insert(row)
        .exec_without_returning(unit.txn)
        .await?;
    Ok(())
}

/// Spends a token that is valid now, and says whose it was. One conditional update decides who spends it.
pub(crate) async fn spend(
    unit: &Unit<'_>,
    token: TokenHash,
    purpose: TokenPurpose,
    now: Timestamp,
) -> Result<Option<Uuid>, DbErr> {
    let now = micros(now);
    let spent = one_time_tokens::Entity::update_many()
        .col_expr(one_time_tokens::Column::SpentAt, Expr::val(now))
        .filter(one_time_tokens::Column::Hash.eq(token.0.to_vec()))
        .filter(one_time_tokens::Column::Purpose.eq(purpose.word()))
        .filter(one_time_tokens::Column::SpentAt.is_null())
        .filter(one_time_tokens::Column::ExpiresAt.gt(now))
        .exec_with_returning(unit.txn)
        .await?;
    Ok(spent.first().map(|token| token.user_id))
}

/// Makes an account active; one that is stays as it is.
pub(crate) async fn activate(unit: &Unit<'_>, user: Uuid, now: Timestamp) -> Result<(), DbErr> {
    users::Entity::update_many()
        .col_expr(users::Column::Status, Expr::val(UserStatus::Active.word()))
        .col_expr(users::Column::ConfirmedAt, Expr::val(micros(now)))
        .filter(users::Column::Id.eq(user))
        .filter(users::Column::Status.eq(UserStatus::Pending.word()))
        .exec(unit.txn)
        .await?;
    Ok(())
}

struct Confirm {
    token: TokenHash,
    now: Timestamp,
}

#[async_trait]
impl AsyncWork<Option<Uuid>> for Confirm {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Option<Uuid>, DbErr> {
        let spent = spend(unit, self.token, TokenPurpose::ConfirmAccount, self.now).await?;
        if let Some(user) = spent {
            activate(unit, user, self.now).await?;
        }
        Ok(spent)
    }
}
