//! A server that takes its time.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{desk::Desk, eventually::eventually, figures::figure, tools};

const SECOND: Duration = Duration::from_secs(1);

/// Postfix's test server on a socket, which keeps each mail in a file and answers its end late.
struct Slow {
    child: Child,
    folder: TempDir,
}

impl Slow {
    fn start(program: &str, late: Duration) -> Self {
        let folder = TempDir::with_prefix("slow-").expect("a temporary folder");
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), everybody).expect("it is ours");
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let (late, socket) = (late.as_secs(), folder.path().join("socket"));
        command
            .args(["-t", "700", "-W", &format!(".:{late}"), "-d", "%s."])
            .args([format!("unix:{}", socket.display()), "10".to_owned()])
            .current_dir(folder.path())
            .stdin(Stdio::null());
        let child = command.spawn().expect("it was asked for before");
        eventually("the server listens", 20 * SECOND, || {
            socket.exists().then_some(())
        });
        Self { child, folder }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }

    /// Mails whose end arrived.
    fn copies(&self) -> usize {
        let entries = fs::read_dir(self.folder.path()).expect("the folder is there");
        let files = entries.map(|entry| entry.expect("it can be read").path());
        let is_mail = |path: &Path| path.is_file();
        files.filter(|path| is_mail(path)).count()
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

/// P2, R12. The reply to the final dot comes seconds late, and in the long run minutes: there is one attempt, and one copy.
#[test]
fn a_late_reply_to_the_final_dot_makes_one_copy() {
    let Some(program) = tools::smtp_sink() else {
        return;
    };
    for late in figure(vec![3], vec![3, 120, 540]) {
        let slow = Slow::start(program, late * SECOND);
        let desk = Desk::new()
            .set("transports.relay.kind", "smtp")
            .set("transports.relay.socket", slow.socket())
            .set("transports.relay.tls", "none")
            .set("streams.transactional.transport", "relay");
        let server = desk.start();
        let client = server.client().with_key("re_ph_dev");
        let began = Instant::now();
        let mail = json!({"from": "app@example.com", "to": "ada@example.com", "subject": "hi", "text": "x"});
        let id = client.post("/emails", &mail).expect(200).json()["id"].clone();
        let path = format!("/emails/{}", id.as_str().expect("an id"));
        eventually("the mail is delivered", (late + 20) * SECOND, || {
            let shown = client.get(&path).expect(200).json();
            (shown["status"] == "delivered").then_some(())
        });
        assert!(began.elapsed() >= late * SECOND, "it was waited for");
        let told = client.get(&format!("{path}/deliveries")).expect(200).json();
        assert_eq!(told["data"][0]["tries"], 1, "{told}");
        assert_eq!(slow.copies(), 1);
    }
}
