//! The routes, a file each.

pub mod confirm;
pub mod deliveries;
pub mod form;
pub mod health;
pub mod messages;
pub mod password;
pub mod path;
pub mod root;
pub mod sessions;
pub mod submit;
pub mod users;
