//! DESC_scheduler
