//! The connections of one transport: never more than allowed, those that are being opened included, and first come, first
//! served.
//!
//! Whoever finds no connection free and may not open another one waits in line. A connection that is done with its mail
//! goes to the first in the line; over one that pipelines, the first in the line may have its commands written behind the
//! mail in front, and gets the connection with them already out. What is dropped on the way frees its place, whoever
//! holds it at that moment.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinSet, time::timeout};

use super::session::{Begun, Opening, Session};

/// Longest wait behind one mail whose server does not answer; then another connection may be quicker.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for the answer to QUIT; nobody waits for it.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long connections live.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) mails: u32,
    pub(super) age: Duration,
    pub(super) idle: Duration,
}

/// The right to one open connection.
pub(super) struct Place {
    pool: Arc<Pool>,
    given_on: bool,
}

/// A connection and its place.
pub(super) struct Held {
    pub(super) session: Session,
    place: Place,
}

impl Held {
    pub(super) fn new(session: Session, place: Place) -> Self {
        Self { session, place }
    }
}

/// What somebody in the line gets.
pub(super) enum Turn {
    /// A connection, and how far the mail is.
    Connection(Box<Held>, Begun),
    /// The right to open one.
    Place(Place),
}

/// Somebody in the line.
pub(super) struct Waiting {
    number: u64,
    pub(super) opening: Arc<Opening>,
    turn: oneshot::Sender<Turn>,
}

#[derive(Default)]
struct State {
    idle: Vec<Held>,
    places: usize,
    line: VecDeque<Waiting>,
    numbers: u64,
    sweeping: bool,
}

/// The connections of one transport.
pub(super) struct Pool {
    limits: Limits,
    state: Mutex<State>,
    /// Connections that are saying goodbye, and the sweep of those nobody uses.
    leaving: Mutex<JoinSet<()>>,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
            leaving: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for this mail, or the right to open one, as soon as there is one.
    pub(super) async fn turn(self: &Arc<Self>, opening: &Arc<Opening>) -> Turn {
        let mut first = false;
        loop {
            let (number, mut waiting) = match self.stand_in_line(opening, first) {
                Ok(turn) => return turn,
                Err(in_line) => in_line,
            };
            loop {
                match timeout(PATIENCE, &mut waiting).await {
                    Ok(Ok(turn)) => return turn,
                    // Whoever had written our commands lost the connection: nothing was sent.
                    Ok(Err(_lost)) => break,
                    Err(_elapsed) if self.is_in_line(number) => {}
                    // Bound to a mail that is not answered.
                    Err(_elapsed) => {
                        waiting.close();
                        match waiting.try_recv() {
                            Ok(turn) => return turn,
                            Err(_none) => break,
                        }
                    }
                }
            }
            first = true;
        }
    }

    /// What is to be had at once, or a place in the line.
    fn stand_in_line(
        self: &Arc<Self>,
        opening: &Arc<Opening>,
        first: bool,
    ) -> Result<Turn, (u64, oneshot::Receiver<Turn>)> {
        loop {
            let mut state = self.state();
            if let Some(held) = state.idle.pop() {
                drop(state);
                if self.may_be_used(&held.session) {
                    return Ok(Turn::Connection(Box::new(held), Begun::No));
                }
                self.say_goodbye(held);
                continue;
            }
            if state.places < self.limits.connections {
                state.places += 1;
                return Ok(Turn::Place(self.place()));
            }
            let (turn, waiting) = oneshot::channel();
            state.numbers += 1;
            let number = state.numbers;
            let entry = Waiting {
                number,
                opening: Arc::clone(opening),
                turn,
            };
            if first {
                state.line.push_front(entry);
            } else {
                state.line.push_back(entry);
            }
            return Err((number, waiting));
        }
    }

    fn is_in_line(&self, number: u64) -> bool {
        self.state()
            .line
            .iter()
            .any(|waiting| waiting.number == number)
    }

    /// Takes the first out of the line whose mail can travel behind the one that `session` is sending.
    pub(super) fn follower(&self, session: &Session) -> Option<Waiting> {
        if session.mails() >= self.limits.mails || session.age() >= self.limits.age {
            return None;
        }
        let mut state = self.state();
        while state.line.front()?.turn.is_closed() {
            state.line.pop_front();
        }
        let first = state.line.front()?;
        session
            .can_follow(&first.opening)
            .then(|| state.line.pop_front())?
    }

    /// Gives the connection to whoever had commands written over it. If that one is gone it is closed, for its answers
    /// would be read by somebody else.
    pub(super) fn hand_on(follower: Waiting, held: Held) {
        let turn = Turn::Connection(Box::new(held), Begun::Yes);
        drop(follower.turn.send(turn));
    }

    /// Takes a connection back: for the first in the line, or until somebody comes.
    pub(super) fn give_back(self: &Arc<Self>, mut held: Held) {
        if !held.session.is_sound() {
            return;
        }
        if !self.may_be_used(&held.session) {
            self.say_goodbye(held);
            return;
        }
        loop {
            let mut state = self.state();
            let Some(first) = state.line.pop_front() else {
                state.idle.push(held);
                let begins = !std::mem::replace(&mut state.sweeping, true);
                drop(state);
                if begins {
                    self.sweep();
                }
                return;
            };
            drop(state);
            let turn = Turn::Connection(Box::new(held), Begun::No);
            match first.turn.send(turn) {
                Err(Turn::Connection(back, _)) => held = *back,
                Ok(()) | Err(Turn::Place(_)) => return,
            }
        }
    }

    /// Closes what nobody uses, for nobody will.
    pub(super) fn close(&self) {
        let unused = std::mem::take(&mut self.state().idle);
        drop(unused);
    }

    fn may_be_used(&self, session: &Session) -> bool {
        session.is_sound()
            && session.mails() < self.limits.mails
            && session.age() < self.limits.age
            && session.idle() < self.limits.idle
    }

    fn say_goodbye(&self, held: Held) {
        let Held { session, place } = held;
        self.spawn(async move {
            // Whatever the server answers, the connection is closed then.
            timeout(GOODBYE, session.quit()).await.ok();
            drop(place);
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        while leaving.try_join_next().is_some() {}
        leaving.spawn(task);
    }

    /// Closes what nobody has used for as long as a connection may be idle, until none is left: an open connection costs
    /// the server too.
    fn sweep(self: &Arc<Self>) {
        let pool = Arc::downgrade(self);
        let wait = self.limits.idle;
        self.spawn(async move {
            loop {
                tokio::time::sleep(wait).await;
                let Some(pool) = pool.upgrade() else { return };
                if pool.close_unused() {
                    return;
                }
            }
        });
    }

    /// Tells whether no idle connection is left.
    fn close_unused(&self) -> bool {
        let mut state = self.state();
        let all = std::mem::take(&mut state.idle);
        let (kept, unused) = all
            .into_iter()
            .partition(|held: &Held| self.may_be_used(&held.session));
        state.idle = kept;
        let ended = state.idle.is_empty();
        state.sweeping = !ended;
        drop(state);
        for held in unused {
            self.say_goodbye(held);
        }
        ended
    }

    fn place(self: &Arc<Self>) -> Place {
        Place {
            pool: Arc::clone(self),
            given_on: false,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.given_on {
            return;
        }
        let pool = Arc::clone(&self.pool);
        loop {
            let mut state = pool.state();
            let Some(first) = state.line.pop_front() else {
                state.places -= 1;
                return;
            };
            drop(state);
            match first.turn.send(Turn::Place(pool.place())) {
                Err(Turn::Place(mut back)) => back.given_on = true,
                Ok(()) | Err(Turn::Connection(..)) => return,
            }
        }
    }
}
