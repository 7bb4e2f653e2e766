//! The contract of [`Queue`](crate::Queue): cases that every backend passes. A backend's test calls [`run_all`] with a
//! way to make an empty queue.
//!
//! Cases use waits of zero or of hours, so they hold for any clock and none of them sleeps.

mod dead;
mod leases;
mod limits;
pub mod model;
mod operators;
mod order;
mod suspects;
mod tools;

use std::sync::Arc;

use crate::{operate::Operate, queue::Queue};

/// Runs every case, each on a queue of its own made by `empty`. Says how many there were.
pub async fn run_all<Q, Made>(empty: impl Fn() -> Made) -> usize
where
    Q: Queue + Operate,
    Made: Future<Output = Arc<Q>>,
{
    let mut cases = 0;
    macro_rules! run {
        ($($case:path),* $(,)?) => {$(
            // Named, so that a failure of a helper tells its case.
            tracing::info!(case = stringify!($case));
            $case(empty().await).await;
            cases += 1;
        )*};
    }
    run!(
        leases::a_job_is_stored_once,
        leases::a_claim_keeps_to_its_limits_and_lanes,
        leases::claimers_never_share_a_job,
        leases::a_delayed_job_is_not_claimed_before_its_time,
        leases::each_verdict_does_what_it_says,
        leases::a_stale_worker_cannot_settle,
        leases::a_batch_with_a_stale_lease_applies_the_others,
        leases::settling_twice_changes_nothing,
        leases::leaving_gives_everything_back_unspent,
        leases::fences_never_fall,
        leases::a_node_can_list_what_it_holds,
        order::jobs_leave_a_lane_in_the_order_they_entered,
        order::a_flood_of_one_tenant_does_not_hold_up_another,
        order::what_was_given_out_before_comes_first_again,
        order::a_key_is_shared_by_no_two_live_jobs,
        order::of_many_that_push_one_key_at_once_one_is_stored,
        suspects::a_job_with_two_crashes_runs_apart,
        suspects::the_third_crash_quarantines,
        suspects::an_end_that_is_no_crash_clears_a_job,
        limits::no_more_are_in_hand_than_all_nodes_may_have,
        limits::claimers_at_once_keep_to_what_all_nodes_may_have,
        limits::a_rate_gives_out_no_more_than_its_tokens,
        limits::a_job_whose_time_is_over_is_taken_out,
        operators::nothing_is_given_out_of_a_paused_lane,
        operators::lanes_show_where_their_jobs_stand,
        operators::a_job_is_taken_back_unless_a_worker_holds_it,
        operators::a_job_is_moved_only_before_its_first_attempt,
        operators::a_cancel_and_a_claim_never_both_get_a_job,
        dead::dead_jobs_are_shown_by_filter_and_page,
        dead::a_dead_job_lives_again_under_the_next_fence,
        dead::a_dead_job_stays_where_its_key_is_taken,
        dead::dead_jobs_are_discarded_by_filter,
    );
    cases
}
