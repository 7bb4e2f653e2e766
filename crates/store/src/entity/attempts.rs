//! Every attempt; append only.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    pub(crate) message_id: Uuid,
    pub(crate) delivery_id: Uuid,
    pub(crate) fence: i64,
    pub(crate) stale: bool,
    pub(crate) started_at: i64,
    pub(crate) duration_us: i64,
    pub(crate) transport: String,
    pub(crate) remote: Option<String>,
    pub(crate) body_hash: Option<Vec<u8>>,
    pub(crate) stage: String,
    pub(crate) class: String,
    pub(crate) code: Option<i32>,
    pub(crate) enhanced: Option<String>,
    pub(crate) text: String,
    pub(crate) transcript: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
