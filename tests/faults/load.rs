//! Clients that submit without a pause and write down what was acknowledged.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use serde_json::json;

use crate::support::http::Client;

/// What the clients know.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Recipients whose submit was answered with 200, with the id of their message.
    pub(crate) acknowledged: BTreeSet<(String, String)>,
    /// Recipients whose submit was sent; more than were acknowledged.
    pub(crate) submitted: BTreeSet<String>,
    /// Submits that were refused in order.
    pub(crate) refused: u64,
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
    let to = format!("user{number}@example.com");
    let body = json!({"from": "app@example.com", "to": to, "subject": format!("number {number}"), "text": "x"});
    history
        .lock()
        .expect("no client panicked")
        .submitted
        .insert(to.clone());
    // No reply leaves open what the server did.
    let Ok(reply) = client.try_post("/emails", &body) else {
        return;
    };
    let mut history = history.lock().expect("no client panicked");
    if reply.status == 200 {
        let id = reply.json()["id"].as_str().expect("an id").to_owned();
        history.acknowledged.insert((to, id));
    } else {
        history.refused += 1;
    }
}
