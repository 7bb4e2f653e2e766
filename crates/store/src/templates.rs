//! [`TemplateVersions`] on the database.

use std::collections::BTreeMap;

use async_trait::async_trait;
use posthaste_domain::{
    stores::{StoreError, TemplateVersions},
    template::{TemplateRef, TemplateVersion, TemplateVersionId},
};
use sea_orm::{DbErr, EntityTrait, Set, sea_query::OnConflict};

use crate::{
    Store,
    convert::{
        message::{from_json, json},
        micros, read,
    },
    entity::template_versions,
    messages::read_failed,
    writer::{AsyncWork, Unit},
};

#[async_trait]
impl TemplateVersions for Store {
    async fn keep(&self, versions: Vec<TemplateVersion>) -> Result<(), StoreError> {
        Ok(self.writer.write(Keep(versions)).await?)
    }

    async fn version(&self, id: &TemplateVersionId) -> Result<Option<TemplateVersion>, StoreError> {
        let found = template_versions::Entity::find_by_id(id.as_str())
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        let Some(row) = found else { return Ok(None) };
        let files: BTreeMap<String, String> = from_json("template_versions.files", &row.files)?;
        let reference = TemplateRef {
            name: read("template_versions.name", &row.name)?,
            version: id.clone(),
        };
        Ok(Some(TemplateVersion { reference, files }))
    }
}

struct Keep(Vec<TemplateVersion>);

#[async_trait]
impl AsyncWork<()> for Keep {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        for version in &self.0 {
            let row = template_versions::ActiveModel {
                id: Set(version.reference.version.to_string()),
                name: Set(version.reference.name.to_string()),
                files: Set(json(&version.files)),
                created_at: Set(micros(unit.now)),
            };
            template_versions::Entity::insert(row)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(unit.txn)
                .await?;
        }
        Ok(())
    }
}
