//! Kills among several nodes on one PostgreSQL database, with three accounts compared: the clients', the sink's, and the
//! database's own of who began what and when, written by triggers of the test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;

use crate::{
    account::{drained, drawn_below, node, tell},
    load::{Doors, History, Load},
    support::{
        desk::Desk,
        eventually::eventually,
        figures::figure,
        http::Client,
        postgres::{ask, new_database},
        process::Process,
        sink::{Answer, Sink, Stage},
    },
};

const SECOND: Duration = Duration::from_secs(1);
const ROLES: [&str; 5] = ["worker", "api,scheduler", "worker", "api", "worker"];
/// Between two submits: less than the workers could send, so that the load lasts as long as the kills do.
const PACE: Duration = Duration::from_millis(30);
/// Between the taking of a mail and the reply that says so: kills fall there, and make the copies that P2 speaks of.
const REPLY: Answer = Answer::Late(Duration::from_millis(200), "250 2.0.0 ok");

/// `runs`: each lease as it was given; `crashes`: each lease that was taken from its holder; `orphans`: for each lease
/// of a killed node, when its job was given out again. A job with two crashes waits longer on purpose (I10).
const WATCH: &str = "
    CREATE TABLE kills (boot uuid, at timestamptz DEFAULT clock_timestamp());
    CREATE TABLE runs (job uuid, boot uuid, fence bigint, crashes int, at timestamptz DEFAULT clock_timestamp());
    CREATE TABLE crashes (job uuid, boot uuid, at timestamptz DEFAULT clock_timestamp());
    CREATE FUNCTION note_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO runs VALUES (NEW.id, NEW.boot_id, NEW.fence, NEW.crashes);
        RETURN NULL;
    END $$;
    CREATE FUNCTION note_crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO crashes VALUES (OLD.id, OLD.boot_id);
        RETURN NULL;
    END $$;
    CREATE TRIGGER handed_over AFTER INSERT ON jobs FOR EACH ROW WHEN (NEW.state = 'leased')
        EXECUTE FUNCTION note_run();
    CREATE TRIGGER claimed AFTER UPDATE ON jobs FOR EACH ROW WHEN (NEW.state = 'leased' AND NEW.fence > OLD.fence)
        EXECUTE FUNCTION note_run();
    CREATE TRIGGER crashed AFTER UPDATE ON jobs FOR EACH ROW WHEN (NEW.crashes > OLD.crashes)
        EXECUTE FUNCTION note_crash();
    CREATE VIEW orphans AS SELECT again - kills.at AS waited, crashes FROM kills JOIN (
        SELECT boot, lead(at) OVER job AS again, lead(crashes) OVER job AS crashes FROM runs
        WINDOW job AS (PARTITION BY job ORDER BY fence)) turns USING (boot) WHERE again > kills.at";
const ORPHANS: &str = "SELECT count(*) || ' orphans, ' || count(*) FILTER (WHERE crashes > 1) || ' of them suspects, \
     slowest after ' || coalesce(extract(epoch FROM max(waited) FILTER (WHERE crashes < 2)), 0)::numeric(9, 2) || ' s' \
     FROM orphans";
const LATE: &str = "SELECT count(*) FROM orphans WHERE crashes < 2 AND waited > interval '10 s'";
/// Leases taken from a node that was alive: two might run the job then.
const WRONGED: &str = "SELECT count(*) FROM crashes \
     WHERE NOT EXISTS (SELECT 1 FROM kills WHERE kills.boot = crashes.boot AND kills.at < crashes.at)";
const CRASHES: &str = "SELECT job, count(*) FROM crashes GROUP BY job";

/// The nodes, of which at most one is down at a time.
struct Cluster {
    database: String,
    doors: Doors,
    nodes: Vec<(Desk, Option<Process>)>,
    /// The boot id of each worker's start, with its place; the newest last.
    boots: Vec<(String, usize)>,
}

impl Cluster {
    fn start(database: String, sink: &Sink) -> Self {
        let nodes = ROLES.map(|roles| (node(&database, sink, roles), None));
        let mut cluster = Self {
            database,
            doors: Doors::default(),
            nodes: nodes.into(),
            boots: Vec::new(),
        };
        // The first one that listens has made the tables.
        for place in [1, 0, 2, 3, 4] {
            cluster.resume(place);
        }
        ask(&cluster.database, WATCH);
        cluster
    }

    fn resume(&mut self, place: usize) {
        let (desk, process) = &mut self.nodes[place];
        if ROLES[place] != "worker" {
            let started = process.insert(desk.start());
            self.doors
                .open(place, started.client().with_key("re_ph_dev"));
            return;
        }
        *process = Some(desk.launch());
        // Nobody else joins meanwhile: nodes without workers hold no leases and do not join.
        let boot = eventually("the node joins", 30 * SECOND, || {
            let boots = ask(&self.database, "SELECT boot_id FROM nodes");
            let is_known = |boot: &str| self.boots.iter().any(|(known, _)| known == boot);
            let new = boots.lines().find(|boot| !is_known(boot));
            new.map(str::to_owned)
        });
        self.boots.push((boot, place));
    }

    fn kill(&mut self, place: usize) {
        let newest = self.boots.iter().rfind(|(_, of)| *of == place);
        if let Some((boot, _)) = newest {
            // Before the kill, so that no orphan seems to be faster than it is.
            let note = format!("INSERT INTO kills VALUES ('{boot}')");
            ask(&self.database, &note);
        }
        let process = self.nodes[place].1.take();
        process.expect("it runs").kill();
    }

    fn client(&self) -> Client {
        let api = self.nodes[1].1.as_ref().expect("it runs");
        api.client().with_key("re_ph_dev")
    }

    fn count(&self, sql: &str) -> usize {
        ask(&self.database, sql).parse().expect("a number")
    }

    /// How often the lease of each job was taken from a dead node, by the id of the job, which is the message's.
    fn crashes(&self) -> BTreeMap<String, usize> {
        let told = ask(&self.database, CRASHES);
        let row = |line: &str| {
            let (job, count) = line.split_once('|').expect("two columns");
            (job.to_owned(), count.parse().expect("a number"))
        };
        told.lines().map(row).collect()
    }
}

/// A suspect is quarantined when a kill meets it a third time, as it must be (I10); a person puts it back.
fn put_back(client: &Client) -> usize {
    let dead = client.get("/queue/dead").expect(200).json();
    let dead = dead["data"].as_array().expect("a list");
    for job in dead {
        let shown = (&job["cause"], &job["crashes"]);
        assert_eq!(shown, (&json!("quarantined"), &json!(3)), "{job}");
        let id = job["id"].as_str().expect("an id");
        let retry = format!("/queue/dead/{id}/retry");
        client.post(&retry, &json!(null)).expect(200);
    }
    dead.len()
}

/// R2, P1, P2, P3, P4, I3. Two API nodes and three workers are killed one at a time, at random moments, while mails are
/// submitted and sent. Every mail arrives; none more often than once and once for each time that its lease was taken
/// from a killed node, with the same `Message-ID` and bytes; no lease is taken from a living node; and what a killed
/// node held is given out again within ten seconds.
#[test]
fn kills_of_one_node_after_the_other_lose_nothing_and_others_take_over() {
    let (Some(mut sink), Some(database)) = (Sink::start(), new_database()) else {
        return;
    };
    sink.answer(Stage::Taken, "*", &[REPLY]);
    let mut cluster = Cluster::start(database, &sink);
    let (mails, kills) = (figure(800, 20_000), figure(8, 200));
    let history = Arc::new(Mutex::new(History::default()));
    let load = Load::paced(&cluster.doors, PACE, &history);
    let accepted = |moment: usize| {
        eventually("mails are accepted", 120 * SECOND, || {
            (load.acknowledged() >= moment).then_some(())
        });
    };
    let first = drawn_below(ROLES.len());
    let turn = mails / kills;
    for kill in 0..kills {
        // Each node in turn, so that one that has looked on for long enough to judge is up; the moment is drawn in
        // submits, as is that of the next start.
        let place = (first + kill) % ROLES.len();
        accepted(kill * turn + drawn_below(turn / 2));
        cluster.kill(place);
        accepted(load.acknowledged() + drawn_below(turn / 4));
        cluster.resume(place);
    }
    accepted(mails);
    load.finish();
    let (mut quarantined, client) = (0, cluster.client());
    eventually("every end is recorded", figure(60, 600) * SECOND, || {
        // Looked at here, for work that is taken from the living may never end.
        assert_eq!(cluster.count(WRONGED), 0, "leases taken from living nodes");
        quarantined += put_back(&client);
        (cluster.count("SELECT count(*) FROM jobs") == 0).then_some(())
    });
    let account = drained(&history, &sink, SECOND);
    let history = history.lock().expect("no client panicked");
    tell(&format!(
        "{} mails, {kills} kills, {} duplicates, {}, {quarantined} quarantined, answers {:?}",
        history.acknowledged.len(),
        account.duplicates(),
        ask(&cluster.database, ORPHANS),
        history.statuses,
    ));
    assert_eq!(account.unexpected, Vec::<String>::new());
    assert_eq!(history.acknowledged.len(), history.submitted.len());
    let crashes = cluster.crashes();
    for (recipient, id) in &history.acknowledged {
        let (copies, crashed) = (account.copies[recipient], crashes.get(id).unwrap_or(&0));
        assert!(
            copies <= 1 + crashed,
            "{recipient} got {copies} copies, and its lease was taken {crashed} times"
        );
    }
    assert_eq!(cluster.count(LATE), 0, "jobs given out again too late");
    for (_, process) in &mut cluster.nodes {
        let process = process.as_mut().expect("it runs");
        process.terminate();
        let status = process.wait(30 * SECOND);
        assert_eq!(status.code(), Some(0), "{}", process.stderr());
    }
}
