//! The store on a real database: a SQLite file, or with `POSTHASTE_TEST_STORE=postgres` a PostgreSQL server.

mod accepting;
mod accounts;
mod apart;
mod claiming;
mod contract;
mod doubting;
mod durability;
mod enqueuing;
mod file;
mod hinting;
mod housekeeping;
mod idempotency;
mod judging;
mod jumping;
mod loading;
mod model;
mod operating;
mod planning;
mod rates;
mod scheduling;
mod sessions;
mod settling;
mod support;
mod town;
mod weeks;
mod writer;
