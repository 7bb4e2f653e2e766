//! A disk that is full, and then is not.

use std::{fs, process::Command, time::Duration};

use serde_json::json;

use crate::support::{desk::Desk, eventually::eventually, tools};

const SECOND: Duration = Duration::from_secs(1);

/// A small file system of its own, gone with the value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        fs::create_dir(&at).expect("the test's own folder is writable");
        tools::mount(&at, "8m").map(|()| Self(at))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let chunk = vec![0; 64 * 1024];
        let mut file = fs::File::create(self.0.join("fill")).expect("a name costs no room");
        while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.join("fill")).expect("it is ours");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a failing test may leave a process on it.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// R7, I27. On a full disk submits get 503 with `Retry-After`, nobody panics or exits, and once there is room again mail is
/// accepted within 10 s; nothing acknowledged is missing.
#[test]
fn a_full_disk_refuses_submits_and_is_survived() {
    let desk = Desk::new();
    let Some(disk) = SmallDisk::mount(desk.path("small")) else {
        return;
    };
    let desk = desk
        .set("data_dir", desk_path(&disk))
        .set("transports.capture.dir", "mail")
        // The floor would refuse sooner; here the disk itself is met.
        .set("database.disk_floor", "0 B");
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let mail = |to: &str| json!({"from": "app@example.com", "to": to, "subject": "hi", "text": "x".repeat(20_000)});
    let mut acknowledged = Vec::new();
    client
        .post("/emails", &mail("before@example.com"))
        .expect(200);
    acknowledged.push("before@example.com".to_owned());
    disk.fill();
    let refused = (0..200).find_map(|number| {
        let to = format!("full{number}@example.com");
        let reply = client.post("/emails", &mail(&to));
        match reply.status {
            200 => {
                acknowledged.push(to);
                None
            }
            _ => Some(reply),
        }
    });
    let refused = refused.expect("a full disk is met").expect(503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["name"], "service_unavailable");
    client.get("/livez").expect(200);
    disk.free();
    eventually("mail is accepted again", 10 * SECOND, || {
        (client.post("/emails", &mail("after@example.com")).status == 200).then_some(())
    });
    acknowledged.push("after@example.com".to_owned());
    let outbox = crate::support::outbox::Outbox::new(desk.path("mail"));
    for to in acknowledged {
        outbox.await_letter(&to, 30 * SECOND);
    }
    drop(server);
}

fn desk_path(disk: &SmallDisk) -> String {
    disk.0.join("data").display().to_string()
}
