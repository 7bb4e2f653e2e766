//! One message to one recipient.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) message_id: Uuid,
    pub(crate) position: i32,
    pub(crate) recipient: String,
    pub(crate) state: String,
    pub(crate) tries: i32,
    pub(crate) next_attempt_at: Option<i64>,
    pub(crate) updated_at: i64,
    pub(crate) doubt_hash: Option<Vec<u8>>,
    pub(crate) doubt_transport: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
