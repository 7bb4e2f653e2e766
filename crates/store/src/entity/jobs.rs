//! Live jobs: ready, scheduled or leased.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) lane: String,
    pub(crate) kind: String,
    pub(crate) payload: String,
    pub(crate) state: String,
    pub(crate) run_at: i64,
    pub(crate) attempts: i32,
    pub(crate) crashes: i32,
    pub(crate) fence: i64,
    pub(crate) boot_id: Option<Uuid>,
    pub(crate) last_error: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) rank: i64,
    pub(crate) tenant: String,
    pub(crate) unique_key: Option<String>,
    pub(crate) expires_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
