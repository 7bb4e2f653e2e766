//! The database schema, in steps. A released step is never changed: the next one adds to it (expand), and only a later
//! release takes away what nobody uses any more (contract), so that two releases can run side by side.
//!
//! A step that was cut short is run again from its beginning: everything in it is made only if it is not there.
//!
//! Instants are stored as `bigint` microseconds since 1970, ids as UUIDs, states as the words of `posthaste-store`'s
//! conversions, structured values as JSON text exactly as accepted.

#![expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own signature elides it, and async_trait then tells them apart"
)]

mod m0001_accounts;
mod m0002_messages;
mod m0003_queue;
mod m0004_sessions;
mod m0005_sealed;
mod m0006_beats;
mod m0007_order;
mod m0008_controls;
mod m0010_stored_answers;
mod m0011_upkeep;
mod m0012_weeks;
mod m0013_doubt;
mod m0014_transcripts;
mod m0015_rates;
mod m0016_scheduling;
mod m0017_attachments;
mod m0018_lists;
mod m0019_api_keys;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

/// All steps, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_accounts::Migration),
            Box::new(m0002_messages::Migration),
            Box::new(m0003_queue::Migration),
            Box::new(m0004_sessions::Migration),
            Box::new(m0005_sealed::Migration),
            Box::new(m0006_beats::Migration),
            Box::new(m0007_order::Migration),
            Box::new(m0008_controls::Migration),
            Box::new(m0010_stored_answers::Migration),
            Box::new(m0011_upkeep::Migration),
            Box::new(m0012_weeks::Migration),
            Box::new(m0013_doubt::Migration),
            Box::new(m0014_transcripts::Migration),
            Box::new(m0015_rates::Migration),
            Box::new(m0016_scheduling::Migration),
            Box::new(m0017_attachments::Migration),
            Box::new(m0018_lists::Migration),
            Box::new(m0019_api_keys::Migration),
        ]
    }
}
