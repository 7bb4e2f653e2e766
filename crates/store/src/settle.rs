//! Ending leases, with what has to be committed together: outcomes of deliveries and attempt rows.

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_domain::{
    clock::later,
    delivery::{AttemptRun, DeliveryReport, DeliveryResult, Reply},
    id::MessageId,
};
use posthaste_queue::{Settled, Settlement};
use sea_orm::{ConnectionTrait, DbErr, Set};
use tokio::sync::oneshot;

use crate::{
    convert::{micros, word::Word},
    entity::attempts,
    queue::statements::end_leases,
    rows::{Insert, Kind, Piece, Rows},
    writer::{Failure, Unit, Write},
};

type Batch = Arc<[Settlement<DeliveryReport>]>;
type Answer = Result<Vec<Settled>, Failure>;

/// One call of `settle` on its way to the disk.
pub(crate) struct Settle {
    batch: Batch,
    reply: oneshot::Sender<Answer>,
}

impl Settle {
    pub(crate) fn new(batch: Batch) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (Self { batch, reply }, answer)
    }
}

/// Whether reply texts are written. They come from strangers; everything else is ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Texts {
    Kept,
    LeftOut,
}

/// Calls that are written together.
pub(crate) struct SettleGroup {
    settles: Vec<Settle>,
    answers: Vec<Settled>,
    texts: Texts,
}

impl SettleGroup {
    pub(crate) fn new(settles: Vec<Settle>) -> Self {
        Self {
            settles,
            answers: Vec::new(),
            texts: Texts::Kept,
        }
    }
}

#[async_trait]
impl Write for SettleGroup {
    async fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        let all: Vec<_> = self
            .settles
            .iter()
            .flat_map(|settle| settle.batch.iter())
            .collect();
        let answers = end_leases(unit, &all).await?;
        write_effects(unit, &all, &answers, self.texts).await?;
        self.answers = answers;
        Ok(())
    }

    fn committed(self: Box<Self>) {
        let mut answers = self.answers.into_iter();
        for settle in self.settles {
            let mine = answers.by_ref().take(settle.batch.len()).collect();
            // The worker repeats a call whose answer it missed; it is then found stale.
            settle.reply.send(Ok(mine)).ok();
        }
    }

    fn failed(self: Box<Self>, failure: Failure) {
        for settle in self.settles {
            settle.reply.send(Err(failure.clone())).ok();
        }
    }

    /// The end of a job is written whether or not anybody still waits for the answer.
    fn abandoned(&self) -> bool {
        false
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Write>> {
        self.settles
            .into_iter()
            .map(|settle| Box::new(Self::new(vec![settle])) as Box<dyn Write>)
            .collect()
    }

    fn lighten(&mut self) -> bool {
        std::mem::replace(&mut self.texts, Texts::LeftOut) == Texts::Kept
    }
}

/// Outcomes only for leases that were the newest; attempt rows for all, marked where they were not, so that a second
/// copy of a mail can be explained.
async fn write_effects(
    unit: &Unit<'_>,
    settlements: &[&Settlement<DeliveryReport>],
    answers: &[Settled],
    texts: Texts,
) -> Result<(), DbErr> {
    let mut outcomes = Vec::new();
    let mut attempts = Vec::new();
    for (settlement, answer) in settlements.iter().zip(answers) {
        let Some(report) = &settlement.effects else {
            continue;
        };
        if *answer == Settled::Applied {
            outcomes.extend(
                report
                    .results
                    .iter()
                    .map(|result| (report.message, result, report.run.is_some())),
            );
        }
        if let Some(run) = &report.run {
            let replied = report
                .results
                .iter()
                .filter_map(|result| Some((result, result.reply.as_ref()?)));
            let fence = settlement.lease.fence.0;
            let row =
                |(result, reply)| attempt_row(report, run, result, reply, fence, *answer, texts);
            let mut rows: Vec<_> = replied.map(row).collect();
            // One conversation, however many recipients it was about.
            if let (Some(first), Texts::Kept) = (rows.first_mut(), texts) {
                first.transcript = Set(run.transcript.clone());
            }
            attempts.extend(rows);
        }
    }
    update_deliveries(unit, &outcomes).await?;
    Insert::of(attempts).run(unit).await
}

/// Whether the attempt counts as one.
fn concerns_the_mail(result: &DeliveryResult) -> bool {
    let reply = result.reply.as_ref();
    reply.is_some_and(|reply| reply.stage.concerns_the_mail())
}

async fn update_deliveries(
    unit: &Unit<'_>,
    outcomes: &[(MessageId, &DeliveryResult, bool)],
) -> Result<(), DbErr> {
    let mut rows = Rows::of(&[
        Kind::Uuid,
        Kind::Uuid,
        Kind::Text,
        Kind::Int,
        Kind::BigInt,
        Kind::Bytes,
        Kind::Text,
    ]);
    for (message, result, tried) in outcomes {
        let next = result
            .next_attempt
            .map(|after| micros(later(unit.now, after)));
        let doubt = result.doubt.as_ref();
        rows.push([
            result.delivery.as_uuid().into(),
            message.as_uuid().into(),
            result.state.word().into(),
            i32::from(*tried && concerns_the_mail(result)).into(),
            next.into(),
            doubt.map(|doubt| doubt.body_hash.0.to_vec()).into(),
            doubt.and_then(|doubt| doubt.transport.clone()).into(),
        ]);
    }
    for Piece { rows, mut values } in rows.pieces(unit.backend) {
        let sql = format!(
            "WITH v (id, message_id, state, tries, next, doubt_hash, doubt_transport) AS ({rows}) \
             UPDATE deliveries SET state = v.state, tries = deliveries.tries + v.tries, next_attempt_at = v.next, \
             doubt_hash = v.doubt_hash, doubt_transport = v.doubt_transport, updated_at = ? FROM v WHERE deliveries.id = v.id AND deliveries.message_id = v.message_id"
        );
        values.push(micros(unit.now).into());
        unit.txn.execute_raw(unit.statement(&sql, values)).await?;
    }
    Ok(())
}

fn attempt_row(
    report: &DeliveryReport,
    run: &AttemptRun,
    result: &DeliveryResult,
    reply: &Reply,
    fence: i64,
    answer: Settled,
    texts: Texts,
) -> attempts::ActiveModel {
    attempts::ActiveModel {
        message_id: Set(report.message.as_uuid()),
        delivery_id: Set(result.delivery.as_uuid()),
        fence: Set(fence),
        stale: Set(answer == Settled::Stale),
        started_at: Set(micros(run.started_at)),
        duration_us: Set(i64::try_from(run.duration.as_micros()).unwrap_or(i64::MAX)),
        transport: Set(run.transport.clone()),
        remote: Set(run.remote.clone()),
        body_hash: Set(run.body_hash.map(|hash| hash.0.to_vec())),
        stage: Set(reply.stage.word().to_owned()),
        class: Set(reply.class.word().to_owned()),
        code: Set(reply.code.map(i32::from)),
        enhanced: Set(reply.enhanced.map(|code| code.to_string())),
        text: Set(match texts {
            Texts::Kept => reply.text.clone(),
            Texts::LeftOut => String::new(),
        }),
        transcript: Set(None),
        ..attempts::ActiveModel::default()
    }
}
