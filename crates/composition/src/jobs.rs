//! What is done for each kind of job, and again and again.

mod clean_up;
mod send_email;

pub use clean_up::CleanUp;
pub use send_email::SendEmailHandler;
pub(crate) use send_email::tell;
