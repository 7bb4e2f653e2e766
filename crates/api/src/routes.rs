//! The routes, a file each.

pub mod batch;
pub mod cancel;
pub mod confirm;
pub mod dead;
pub mod decide;
pub mod deliveries;
pub mod files;
pub mod form;
pub mod health;
pub mod keys;
pub mod list;
pub mod messages;
pub mod page;
pub mod password;
pub mod path;
pub mod queue;
pub mod resend;
pub mod root;
pub mod sessions;
pub mod submit;
pub mod users;
