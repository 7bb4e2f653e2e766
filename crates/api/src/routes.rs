//! The routes, a file each.

pub mod confirm;
pub mod deliveries;
pub mod health;
pub mod messages;
pub mod path;
pub mod root;
pub mod submit;
pub mod users;
