//! Several nodes on one PostgreSQL database: who lives, who dies, and what becomes of the jobs.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use posthaste_domain::{
    clock::{Clock, SystemClock},
    stores::{MailAllowance, Requested, UserStore},
};
use posthaste_migrations::{Migrator, MigratorTrait};
use posthaste_queue::{
    BootId, ClaimRequest, ClaimedJob, JobId, LaneDemand, NewJob, Operate, Pulse, Queue, Settled,
    Settlement, SharedLimits, Swept, Verdict,
};
use posthaste_store::{Migrate, Store};
use sea_orm::ConnectionTrait;
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};
use uuid::Uuid;

use crate::{
    support::{config, message},
    town::Town,
};

const SECOND: Duration = Duration::from_secs(1);

fn jobs(count: u128) -> Vec<NewJob> {
    let job = |number| NewJob {
        id: JobId::from_uuid(Uuid::from_u128(number)),
        lane: "a".parse().expect("a lane"),
        kind: "case".into(),
        payload: "{}".into(),
        delay: Duration::ZERO,
        tenant: String::new(),
        expires_in: None,
        unique: None,
    };
    (1..=count).map(job).collect()
}

async fn claim(node: &Store, boot: BootId, limit: usize) -> Vec<ClaimedJob> {
    let lane = "a".parse().expect("a lane");
    let request = ClaimRequest {
        boot,
        lanes: vec![LaneDemand {
            lane,
            limit,
            shared: SharedLimits::default(),
        }],
    };
    node.claim(request)
        .await
        .expect("the queue gives jobs out")
        .jobs
}

async fn joined(node: &Store) -> (BootId, Pulse) {
    let boot = BootId::random();
    let pulse = node.join(boot).await.expect("a node can join");
    (boot, pulse)
}

fn done(job: ClaimedJob) -> Arc<[Settlement<posthaste_domain::delivery::DeliveryReport>]> {
    Arc::new([Settlement {
        lease: job.lease,
        verdict: Verdict::Done,
        effects: None,
    }])
}

/// P4, I1, I5. A node that beats no more is judged by the others' own watches: by then it has started nothing for two
/// seconds; its jobs are ready again within ten, with a crash counted; what it says of them later changes nothing. A node
/// that beats keeps its own.
#[tokio::test]
async fn the_jobs_of_a_dead_node_are_taken_back_within_ten_seconds_and_a_live_ones_are_not() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (dying, judge) = (town.node().await, town.node().await);
    judge.push(jobs(3)).await.unwrap();
    let (dead, pulse) = joined(&dying).await;
    let (alive, alive_pulse) = joined(&judge).await;
    let mut held = claim(&dying, dead, 2).await;
    let kept = claim(&judge, alive, 1).await;
    assert_eq!((held.len(), kept.len()), (2, 1));
    // Looks are made every second, as the worker does.
    let mut looks = interval(SECOND);
    for _ in 0..2 {
        looks.tick().await;
        assert_eq!(judge.sweep().await.unwrap(), Swept::default());
    }
    assert!(pulse.is_fresh());
    dying.stop_beating();
    let died = Instant::now();
    let swept = loop {
        looks.tick().await;
        let fresh = pulse.is_fresh();
        let swept = judge.sweep().await.unwrap();
        if swept != Swept::default() {
            assert!(!fresh, "it may let nothing out before others take its jobs");
            break swept;
        }
        assert!(died.elapsed() < 10 * SECOND, "nobody took the jobs back");
    };
    assert_eq!(swept, Swept { nodes: 1, jobs: 2 });
    assert!(alive_pulse.is_fresh());
    let again = claim(&judge, alive, 9).await;
    let counted: Vec<_> = again
        .iter()
        .map(|job| (job.meta.attempt, job.meta.crashes))
        .collect();
    assert_eq!(
        counted,
        [(1, 1), (1, 1)],
        "the live node's job is not among them"
    );
    let late = held.remove(0);
    assert_eq!(dying.settle(done(late)).await.unwrap(), [Settled::Stale]);
    for job in again.into_iter().chain(kept) {
        assert_eq!(judge.settle(done(job)).await.unwrap(), [Settled::Applied]);
    }
}

/// I3, I4. A beat that finds no live row tells the node that it is dead; what it claimed all the same is taken back
/// without a crash, for it lets nothing out.
#[tokio::test]
async fn a_node_that_was_declared_dead_learns_it_and_its_late_claims_are_taken_back() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (node, judge) = (town.node().await, town.node().await);
    judge.push(jobs(1)).await.unwrap();
    let (boot, pulse) = joined(&node).await;
    let outside = town.outside().await;
    let declare = format!("UPDATE nodes SET left_at = 1 WHERE boot_id = '{boot}'");
    outside.execute_unprepared(&declare).await.unwrap();
    // The claim is committed behind the death.
    assert_eq!(claim(&node, boot, 1).await.len(), 1);
    tokio::time::timeout(5 * SECOND, pulse.died())
        .await
        .expect("the next beat tells it");
    assert!(!pulse.is_fresh());
    assert_eq!(judge.sweep().await.unwrap(), Swept { nodes: 0, jobs: 1 });
    let (alive, _) = joined(&judge).await;
    let again = claim(&judge, alive, 1).await;
    assert_eq!((again[0].meta.attempt, again[0].meta.crashes), (1, 0));
}

/// P3. Claims of two nodes pass each other by.
#[tokio::test]
async fn claimers_on_two_nodes_never_share_a_job() {
    let Some(town) = Town::new().await else {
        return;
    };
    let nodes = [town.node().await, town.node().await];
    nodes[0].push(jobs(400)).await.unwrap();
    let mut claimers = JoinSet::new();
    for node in nodes {
        for _ in 0..4 {
            let node = Arc::clone(&node);
            claimers.spawn(async move {
                let (boot, _) = joined(&node).await;
                let mut mine = Vec::new();
                loop {
                    let claimed = claim(&node, boot, 7).await;
                    if claimed.is_empty() {
                        break mine;
                    }
                    mine.extend(claimed.into_iter().map(|job| job.meta.id));
                }
            });
        }
    }
    let all: Vec<_> = claimers.join_all().await.concat();
    assert_eq!(all.len(), 400);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 400);
}

/// I18. A node shows what was switched with its beats, wherever that was; one that does not beat is named.
#[tokio::test]
async fn a_switch_names_the_nodes_that_do_not_act_by_it_yet() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (office, live, silent) = (town.node().await, town.node().await, town.node().await);
    let (_, (dumb, _)) = (joined(&live).await, joined(&silent).await);
    let lane = "a".parse().expect("a lane");
    let names = async |version, expected: &[BootId]| {
        let within = Instant::now() + Duration::from_secs(5);
        while office.lagging(version).await.expect("an answer") != expected {
            assert!(Instant::now() < within, "{expected:?} should lag");
            tokio::task::yield_now().await;
        }
    };
    let paused = office.pause(&lane).await.unwrap();
    names(paused, &[]).await;
    assert!(live.controls().is_paused(&lane) && silent.controls().is_paused(&lane));
    // It has just beaten, so no beat of it is under way.
    silent.stop_beating();
    let resumed = office.resume(&lane).await.unwrap();
    names(resumed, &[dumb]).await;
    assert!(!live.controls().is_paused(&lane) && silent.controls().is_paused(&lane));
}

/// Nodes that start together bring the schema up to date once.
#[tokio::test]
async fn nodes_that_start_at_once_migrate_one_behind_the_other() {
    let Some(town) = Town::new().await else {
        return;
    };
    let open = async || {
        let mut config = config(town.folder.path());
        config.database = town.place.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opened = Store::open::<Migrator>(config, clock, Migrate::Apply).await;
        opened.expect("the database opens").1.migrations
    };
    let (a, b, c) = tokio::join!(open(), open(), open());
    let mut applied = [a, b, c];
    applied.sort_unstable();
    assert_eq!(applied, [0, 0, Migrator::migrations().len()]);
}

/// S16. Two nodes that are asked at once do not each find room under the limit.
#[tokio::test]
async fn the_limit_on_mails_to_an_address_holds_over_nodes() {
    let Some(town) = Town::new().await else {
        return;
    };
    let nodes = [town.node().await, town.node().await];
    let mut requests = JoinSet::new();
    for turn in 0..20 {
        let node = Arc::clone(&nodes[turn % 2]);
        requests.spawn(async move {
            let now = SystemClock.now();
            let request = posthaste_domain::stores::LinkRequest {
                email: "ada@example.com".parse().unwrap(),
                token: posthaste_domain::stores::NewToken {
                    purpose: posthaste_domain::token::TokenPurpose::ResetPassword,
                    hash: posthaste_domain::token::TokenSecret::generate()
                        .unwrap()
                        .hash(),
                    expires_at: now,
                },
                mail: message(now, &["ada@example.com"]),
                at: now,
                allowance: MailAllowance {
                    requests: 3,
                    window: 3600 * SECOND,
                },
            };
            node.request_link(request).await.unwrap()
        });
    }
    let answers = requests.join_all().await;
    let taken = answers
        .iter()
        .filter(|answer| **answer == Requested::Taken)
        .count();
    assert_eq!(taken, 3);
}
