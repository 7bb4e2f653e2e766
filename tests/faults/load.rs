//! Clients that submit and write down what was answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{eventually::eventually, http::Client};

/// Clients of a paced load; most submits that may wait for an answer.
const CROWD: usize = 8;
/// Longest time until some server has acknowledged a submit that is repeated.
const PERSISTENCE: Duration = Duration::from_secs(60);

/// What the clients know.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Recipients whose submit was answered with 200, with the id of their message.
    pub(crate) acknowledged: BTreeSet<(String, String)>,
    /// Recipients whose submit was sent; more than were acknowledged.
    pub(crate) submitted: BTreeSet<String>,
    /// How often each status was answered; none where no answer came.
    pub(crate) statuses: BTreeMap<Option<u16>, u64>,
}

/// The servers that take submits, each at its place: one that starts again has another port.
#[derive(Clone, Default)]
pub(crate) struct Doors(Arc<Mutex<BTreeMap<usize, Client>>>);

impl Doors {
    /// From now on the server at this place is reached by `client`.
    pub(crate) fn open(&self, place: usize, client: Client) {
        self.0
            .lock()
            .expect("nobody panics at the doors")
            .insert(place, client);
    }

    fn turn(&self, turn: usize) -> Client {
        let doors = self.0.lock().expect("nobody panics at the doors");
        let mut open = doors.values().cycle();
        open.nth(turn % doors.len().max(1))
            .expect("one is open")
            .clone()
    }
}

/// Clients under way.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    history: Arc<Mutex<History>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `clients` clients. Each submit goes to an address of its own, counted on in `numbers`.
    pub(crate) fn start(
        client: &Client,
        clients: usize,
        numbers: &Arc<AtomicU64>,
        history: &Arc<Mutex<History>>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let run = |_| {
            let (client, stop, history, numbers) = (
                client.clone(),
                Arc::clone(&stop),
                Arc::clone(history),
                Arc::clone(numbers),
            );
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    submit(&client, numbers.fetch_add(1, Ordering::Relaxed), &history);
                }
            })
        };
        let clients = (0..clients).map(run).collect();
        Self {
            stop,
            history: Arc::clone(history),
            clients,
        }
    }

    /// Starts clients that submit a mail in each `pace`, however long the answers take. Each submit bears a key and is
    /// repeated, from door to door, until it is acknowledged.
    pub(crate) fn paced(doors: &Doors, pace: Duration, history: &Arc<Mutex<History>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (began, numbers) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let run = |_| {
            let (doors, stop, history, numbers) = (
                doors.clone(),
                Arc::clone(&stop),
                Arc::clone(history),
                Arc::clone(&numbers),
            );
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let due = pace * u32::try_from(number).expect("a test submits less");
                    eventually("a submit is due", PERSISTENCE, || {
                        (began.elapsed() >= due).then_some(())
                    });
                    submit_until_acknowledged(&doors, number, &history);
                }
            })
        };
        let clients = (0..CROWD).map(run).collect();
        Self {
            stop,
            history: Arc::clone(history),
            clients,
        }
    }

    /// How many submits were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.history
            .lock()
            .expect("no client panicked")
            .acknowledged
            .len()
    }

    /// Ends the clients.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no client panicked");
        }
    }
}

fn submit(client: &Client, number: u64, history: &Mutex<History>) {
    let (to, body) = mail(number);
    attempt(client, &to, &body, history);
}

fn submit_until_acknowledged(doors: &Doors, number: u64, history: &Mutex<History>) {
    let (to, body) = mail(number);
    // Consecutive submits begin at different doors.
    let mut turn = usize::try_from(number).expect("a test submits less");
    eventually("a submit is acknowledged", PERSISTENCE, || {
        let client = doors.turn(turn).with("Idempotency-Key", &to);
        turn += 1;
        attempt(&client, &to, &body, history).then_some(())
    });
}

fn mail(number: u64) -> (String, Value) {
    let to = format!("user{number}@example.com");
    let body = json!({"from": "app@example.com", "to": to, "subject": format!("number {number}"), "text": "x"});
    (to, body)
}

/// One submit, and whether it was acknowledged.
fn attempt(client: &Client, to: &str, body: &Value, history: &Mutex<History>) -> bool {
    let lock = || history.lock().expect("no client panicked");
    lock().submitted.insert(to.to_owned());
    // No reply leaves open what the server did.
    let reply = client.try_post("/emails", body).ok();
    let status = reply.as_ref().map(|reply| reply.status);
    let mut history = lock();
    *history.statuses.entry(status).or_default() += 1;
    let Some(reply) = reply.filter(|reply| reply.status == 200) else {
        return false;
    };
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    history.acknowledged.insert((to.to_owned(), id));
    true
}
