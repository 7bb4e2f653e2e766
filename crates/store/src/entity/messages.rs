//! Messages as accepted; only their times are ever updated.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) owner: String,
    pub(crate) stream: String,
    pub(crate) message_id: String,
    pub(crate) sender: String,
    pub(crate) sender_address: Option<String>,
    pub(crate) recipients: String,
    pub(crate) reply_to: String,
    pub(crate) subject: Option<String>,
    pub(crate) template_name: Option<String>,
    pub(crate) template_version: Option<String>,
    pub(crate) headers: String,
    pub(crate) tags: String,
    pub(crate) metadata: String,
    pub(crate) attachments: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) scheduled_at: Option<i64>,
    pub(crate) expires_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
