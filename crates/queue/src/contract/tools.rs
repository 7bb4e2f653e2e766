//! What the cases say in short.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    job::{ClaimedJob, JobId, Lane, NewJob},
    lease::{BootId, Lease},
    queue::{ClaimRequest, LaneDemand, Pushed, Queue, Settled, SharedLimits},
    verdict::{Settlement, Verdict},
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn lane(name: &str) -> Lane {
    name.parse()
        .expect("the names of the cases' lanes are valid")
}

pub(super) fn job(number: u128, lane_name: &str) -> NewJob {
    NewJob {
        id: JobId::from_uuid(Uuid::from_u128(number)),
        lane: lane(lane_name),
        kind: "case".to_owned(),
        payload: format!("{{\"number\":{number}}}"),
        delay: Duration::ZERO,
        tenant: String::new(),
        expires_in: None,
        unique: None,
    }
}

pub(super) fn of_tenant(tenant: &str, job: NewJob) -> NewJob {
    NewJob {
        tenant: tenant.to_owned(),
        ..job
    }
}

pub(super) fn demand(boot: BootId, lanes: &[(&str, usize)]) -> ClaimRequest {
    let lanes = lanes
        .iter()
        .map(|(name, limit)| LaneDemand {
            lane: lane(name),
            limit: *limit,
            shared: SharedLimits::default(),
        })
        .collect();
    ClaimRequest { boot, lanes }
}

pub(super) async fn push<Q: Queue>(queue: &Q, jobs: Vec<NewJob>) -> Vec<Pushed> {
    queue.push(jobs).await.expect("the queue takes jobs")
}

pub(super) async fn claim<Q: Queue>(queue: &Q, boot: BootId, limit: usize) -> Vec<ClaimedJob> {
    queue
        .claim(demand(boot, &[("a", limit)]))
        .await
        .expect("the queue gives jobs out")
        .jobs
}

pub(super) async fn claim_one<Q: Queue>(queue: &Q, boot: BootId) -> ClaimedJob {
    let mut claimed = claim(queue, boot, 1).await;
    assert_eq!(claimed.len(), 1, "one job is ready");
    claimed.remove(0)
}

pub(super) async fn settle<Q: Queue>(queue: &Q, lease: Lease, verdict: Verdict) -> Settled {
    let batch = [Settlement {
        lease,
        verdict,
        effects: None,
    }];
    let settled = queue
        .settle(Arc::new(batch))
        .await
        .expect("the queue settles");
    assert_eq!(settled.len(), 1, "one answer for each settlement");
    settled[0]
}

pub(super) fn numbers(claimed: &[ClaimedJob]) -> Vec<u128> {
    claimed
        .iter()
        .map(|job| job.meta.id.as_uuid().as_u128())
        .collect()
}

pub(super) async fn joined<Q: Queue>(queue: &Q) -> BootId {
    let boot = BootId::random();
    queue.join(boot).await.expect("a node can join");
    boot
}

pub(super) fn retry() -> Verdict {
    Verdict::Retry {
        after: Duration::ZERO,
        error: "no luck".to_owned(),
    }
}

pub(super) fn crashed() -> Verdict {
    Verdict::Crashed {
        after: Duration::ZERO,
        error: "too late".to_owned(),
    }
}
