//! Recurring tasks inside one process: by interval or by cron expression, as a hosted service.
//!
//! A failing run never ends a schedule, no two runs of a task overlap, and a stop in the middle of a wait is immediate.
//! Only this crate names the cron parser.

pub mod cron;
pub mod schedule;
pub mod service;

pub use crate::{
    cron::{Cron, InvalidCron},
    schedule::{First, InvalidInterval, Schedule},
    service::{RecurringTask, Scheduler, TaskError},
};
