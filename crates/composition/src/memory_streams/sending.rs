//! The way out of streams in memory: each has one owner that takes mail out, and permits for what is in hand.
//!
//! At a stop nothing more is let in, what has not begun is spilled or dropped, and what is in hand is finished. Once the
//! stop is forced, a mail in hand whose dot is not out is spilled too, and a moment later spilling ends: what is left
//! then is dropped and counted (I38).

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use posthaste_domain::{
    delivery::{Class, DeliveryReport, DeliveryState},
    message::NewMessage,
    stores::{MessageStore, OpenDelivery, OutgoingMessage, StoreError},
};
use posthaste_host::Stop;
use posthaste_mail::{DataGate, Deliver, Delivered, GateShut, Passing};
use posthaste_queue::{Controls, Lane as QueueLane};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{error, warn};

use super::{
    Unsent,
    lane::{Lane, Waiting},
};
use crate::jobs::tell;

/// How long spilling goes on after the stop is forced.
const LAST_CALL: Duration = Duration::from_millis(500);
/// Mails that are spilled at the same time: many are one commit.
const SPILLED_AT_ONCE: usize = 64;
/// How long a mail waits in the queue that could not be tried, or ran out of time before its dot.
const NOT_TRIED_WAIT: Duration = Duration::from_secs(30);
/// How often a paused stream is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The pause between two tries to spill.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends the mail of all streams in memory, until a stop.
#[derive(Debug)]
pub struct MemorySenders {
    lanes: Vec<Arc<Lane>>,
    way: Arc<Way>,
}

/// What every mail needs on its way out.
#[derive(Debug)]
struct Way {
    store: Arc<dyn MessageStore>,
    deliver: Arc<Deliver>,
    controls: Controls,
    deadline: Duration,
}

/// What is left of a mail after its attempt.
enum Left {
    /// Nothing: every delivery has ended.
    Nothing,
    /// It may have arrived.
    Unknown,
    /// It is open for these recipients, and to be tried after this wait.
    Open(Box<NewMessage>, Duration),
}

impl MemorySenders {
    pub(super) fn new(
        lanes: Vec<Arc<Lane>>,
        store: Arc<dyn MessageStore>,
        deliver: Arc<Deliver>,
        controls: Controls,
        deadline: Duration,
    ) -> Self {
        let way = Way {
            store,
            deliver,
            controls,
            deadline,
        };
        Self {
            lanes,
            way: Arc::new(way),
        }
    }

    /// Sends until a stop is requested, and returns when nothing is in memory any more.
    pub async fn run(self, stop: &Stop) {
        let mut owners = JoinSet::new();
        for lane in self.lanes {
            let (way, stop) = (Arc::clone(&self.way), stop.clone());
            owners.spawn(async move { own(lane, way, stop).await });
        }
        while let Some(ended) = owners.join_next().await {
            if let Err(error) = ended {
                error!(%error, "a stream in memory ended in disorder");
            }
        }
    }
}

/// Takes the mail of one stream out: nobody else does.
async fn own(lane: Arc<Lane>, way: Arc<Way>, stop: Stop) {
    let permits = Arc::new(Semaphore::new(lane.bounds.permits));
    let mut in_hand = JoinSet::new();
    loop {
        let permit = tokio::select! {
            biased;
            () = stop.requested() => break,
            permit = Arc::clone(&permits).acquire_owned() => permit.expect("permits are never closed"),
        };
        tokio::select! {
            biased;
            () = stop.requested() => break,
            () = way.resumed(&lane) => {}
        }
        let Some(Waiting { message, .. }) = lane.receiver().recv_until(&stop).await else {
            break;
        };
        while let Some(ended) = in_hand.try_join_next() {
            watch(&lane, ended);
        }
        let (lane, way, stop) = (Arc::clone(&lane), Arc::clone(&way), stop.child());
        in_hand.spawn(async move {
            way.send(&lane, message, &stop).await;
            drop(permit);
        });
    }
    lane.close();
    match lane.bounds.unsent {
        Unsent::Spill => spill_rest(&lane, &way, &stop).await,
        Unsent::Drop => drop_rest(&lane, "the node stops"),
    }
    while let Some(ended) = in_hand.join_next().await {
        watch(&lane, ended);
    }
    lane.tally.tell();
}

fn watch(lane: &Lane, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(stream = %lane.stream, %error, "sending a mail ended in disorder; it is lost");
    }
}

/// Stores what has not begun, until a moment after the stop is forced.
async fn spill_rest(lane: &Arc<Lane>, way: &Arc<Way>, stop: &Stop) {
    let mut spilling = JoinSet::new();
    loop {
        while spilling.len() < SPILLED_AT_ONCE
            && let Some(Waiting { message, .. }) = lane.receiver().try_recv()
        {
            let (lane, way, stop) = (Arc::clone(lane), Arc::clone(way), stop.clone());
            spilling.spawn(async move { way.spill(&lane, message, Duration::ZERO, &stop).await });
        }
        if spilling.join_next().await.is_none() {
            return;
        }
    }
}

fn drop_rest(lane: &Lane, why: &str) {
    while let Some(left) = lane.receiver().try_recv() {
        lane.tally.dropped(left.message.id, why);
    }
}

impl Way {
    /// Waits while operators have paused the stream; what comes meanwhile is held up, and the channel may be full of it.
    async fn resumed(&self, lane: &Lane) {
        while self.controls.is_paused(&lane.lane) {
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn send(&self, lane: &Lane, message: NewMessage, stop: &Stop) {
        match self.attempt(lane, message, stop).await {
            (_, Left::Nothing) => lane.tally.ended(),
            (id, Left::Unknown) => lane.tally.uncertain(id),
            (id, Left::Open(message, after)) => match lane.bounds.unsent {
                Unsent::Spill => self.spill(lane, *message, after, stop).await,
                Unsent::Drop => lane.tally.dropped(id, "not delivered at the first attempt"),
            },
        }
    }

    async fn attempt(
        &self,
        lane: &Lane,
        message: NewMessage,
        stop: &Stop,
    ) -> (posthaste_domain::id::MessageId, Left) {
        let id = message.id;
        let open: Vec<_> = message
            .deliveries
            .iter()
            .map(|delivery| OpenDelivery {
                id: delivery.id,
                recipient: delivery.recipient.clone(),
                state: DeliveryState::Queued,
                tries: 0,
                doubt: None,
            })
            .collect();
        let outgoing = OutgoingMessage {
            message: message.clone(),
            open: open.clone(),
            expires_at: message.expires_at,
        };
        let gate = NodeGate {
            stop: stop.clone(),
            paused: (self.controls.clone(), lane.lane.clone()),
            passed: AtomicBool::new(false),
        };
        let delivered = tokio::select! {
            biased;
            delivered = self.deliver.deliver(outgoing, &gate) => delivered,
            () = stop.forced() => Ok(Delivered::NotSent),
            () = sleep(self.deadline) => {
                error!(message.id = %id, "an attempt ran longer than its deadline");
                Ok(Delivered::NotSent)
            }
        };
        let left = match delivered {
            Ok(Delivered::Ended { report, .. }) => {
                tell(&open, &report);
                left_open(message, &report)
            }
            // Cut short behind the gate: the dot may be out.
            Ok(Delivered::NotSent) if gate.passed.load(Ordering::Acquire) => Left::Unknown,
            Ok(Delivered::NotSent) if stop.is_forced() => {
                Left::Open(Box::new(message), Duration::ZERO)
            }
            Ok(Delivered::NotSent | Delivered::NoRoom) => {
                Left::Open(Box::new(message), NOT_TRIED_WAIT)
            }
            Err(error) => {
                warn!(message.id = %id, error = &error as &dyn std::error::Error, "mail could not be tried");
                Left::Open(Box::new(message), NOT_TRIED_WAIT)
            }
        };
        (id, left)
    }

    /// Stores a mail, again and again until it is stored or a moment after the stop is forced.
    async fn spill(&self, lane: &Lane, message: NewMessage, after: Duration, stop: &Stop) {
        let id = message.id;
        let last_call = async {
            stop.forced().await;
            sleep(LAST_CALL).await;
        };
        let mut last_call = pin!(last_call);
        loop {
            let stored = tokio::select! {
                biased;
                stored = self.store.spill(message.clone(), after) => stored,
                () = &mut last_call => return lane.tally.dropped(id, "the stop left no time"),
            };
            let Err(error) = stored else {
                return lane.tally.spilled();
            };
            warn!(message.id = %id, error = &error as &dyn std::error::Error, "mail cannot be stored; trying again");
            if matches!(error, StoreError::OutcomeUnknown(_)) && self.is_stored(id).await {
                return lane.tally.spilled();
            }
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = &mut last_call => return lane.tally.dropped(id, "the stop left no time"),
            }
        }
    }

    async fn is_stored(&self, id: posthaste_domain::id::MessageId) -> bool {
        let found = timeout(PAUSE, self.store.outgoing(id)).await;
        matches!(found, Ok(Ok(Some(_))))
    }
}

/// What a report leaves to be done: nothing for a recipient whose outcome is unknown.
fn left_open(mut message: NewMessage, report: &DeliveryReport) -> Left {
    let is_unknown = |reply: &Option<posthaste_domain::delivery::Reply>| {
        reply
            .as_ref()
            .is_some_and(|reply| reply.class == Class::Uncertain)
    };
    let waits: Vec<_> = report
        .results
        .iter()
        .filter(|result| !is_unknown(&result.reply))
        .filter_map(|result| Some((result.delivery, result.next_attempt?)))
        .collect();
    match waits.iter().map(|(_, wait)| *wait).min() {
        Some(after) => {
            let is_open = |id| waits.iter().any(|(open, _)| *open == id);
            message.deliveries.retain(|delivery| is_open(delivery.id));
            Left::Open(Box::new(message), after)
        }
        None if report
            .results
            .iter()
            .any(|result| is_unknown(&result.reply)) =>
        {
            Left::Unknown
        }
        None => Left::Nothing,
    }
}

/// Shut once the stop is forced, and while the stream is paused; remembers whether it let the mail out.
struct NodeGate {
    stop: Stop,
    paused: (Controls, QueueLane),
    passed: AtomicBool,
}

#[async_trait]
impl DataGate for NodeGate {
    async fn open(&self, _passing: Passing<'_>) -> Result<(), GateShut> {
        let (controls, lane) = &self.paused;
        if self.stop.is_forced() || controls.is_paused(lane) {
            return Err(GateShut);
        }
        self.passed.store(true, Ordering::Release);
        Ok(())
    }
}
