//! Jobs on their way to the disk: calls that wait together are written together.

use async_trait::async_trait;
use posthaste_queue::{NewJob, Pushed};
use sea_orm::DbErr;
use tokio::sync::oneshot;

use super::statements;
use crate::writer::{Failure, Unit, Write};

type Answer = Result<Vec<Pushed>, Failure>;

/// One call of `push`.
pub(crate) struct Push {
    jobs: Vec<NewJob>,
    reply: oneshot::Sender<Answer>,
}

impl Push {
    pub(crate) fn new(jobs: Vec<NewJob>) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (Self { jobs, reply }, answer)
    }

    pub(crate) fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// A caller that hung up gets no answer; what it asked for is written all the same.
    fn answer(self, answer: Answer) {
        self.reply.send(answer).ok();
    }
}

/// Calls that are written together.
pub(crate) struct PushGroup {
    pushes: Vec<Push>,
    answers: Vec<Pushed>,
}

impl PushGroup {
    pub(crate) fn new(pushes: Vec<Push>) -> Self {
        Self {
            pushes,
            answers: Vec::new(),
        }
    }
}

#[async_trait]
impl Write for PushGroup {
    async fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        let jobs: Vec<_> = self.pushes.iter().flat_map(|push| &push.jobs).collect();
        self.answers = statements::push(unit, &jobs).await?;
        for job in jobs {
            unit.work_waits(job.lane.clone());
        }
        Ok(())
    }

    fn committed(self: Box<Self>) {
        let mut answers = self.answers.into_iter();
        for push in self.pushes {
            let mine = answers.by_ref().take(push.jobs.len()).collect();
            push.answer(Ok(mine));
        }
    }

    fn failed(self: Box<Self>, failure: Failure) {
        for push in self.pushes {
            push.answer(Err(failure.clone()));
        }
    }

    fn abandoned(&self) -> bool {
        self.pushes.iter().all(Push::abandoned)
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Write>> {
        self.pushes
            .into_iter()
            .map(|push| Box::new(Self::new(vec![push])) as Box<dyn Write>)
            .collect()
    }
}
