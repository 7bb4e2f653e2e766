//! Postfix, as a relay with a queue of its own between the transport and a server that keeps what arrives.

use std::{fs, path::Path, process::Command};

use async_trait::async_trait;
use tempfile::TempDir;

use super::{Arrived, Real, SECOND, await_listener, free_port};
use crate::{server::Server, support::tools};

/// An instance of its own: configuration, queue and ports.
pub(super) struct Postfix {
    program: &'static str,
    folder: TempDir,
    port: u16,
    behind: Server,
}

impl Postfix {
    pub(super) fn is_there() -> bool {
        tools::postfix().is_some()
    }

    pub(super) async fn start() -> Self {
        let postfix = Self {
            program: tools::postfix().expect("it is there"),
            folder: TempDir::with_prefix("postfix-").expect("a temporary folder"),
            port: free_port(),
            behind: Server::start().await,
        };
        postfix.configure();
        postfix.control("start");
        await_listener(postfix.port).await;
        postfix
    }

    fn configure(&self) {
        let folder = self.folder.path();
        let at = folder.to_str().expect("temporary paths are UTF-8");
        for part in ["etc", "spool", "data"] {
            fs::create_dir(folder.join(part)).expect("the folder is ours");
        }
        let chown = |path: &Path| Command::new("chown").arg("postfix").arg(path).status();
        assert!(chown(&folder.join("data")).is_ok_and(|status| status.success()));
        // The folder of the test is closed to others; Postfix's processes are others.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder, everybody).expect("it is ours");
        let relay = self.behind.address.port();
        let settings = format!(
            "compatibility_level = 3.6\nqueue_directory = {at}/spool\ndata_directory = {at}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\nmyhostname = relay.example.test\nmydestination =\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             relayhost = [127.0.0.1]:{relay}\nsmtp_dns_support_level = disabled\nlocal_recipient_maps =\n\
             alias_maps =\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
             smtpd_client_connection_count_limit = 0\nlocal_header_rewrite_clients =\n\
             smtp_tls_security_level = none\nmessage_size_limit = 50000000\nsmtp_line_length_limit = 0\n\
             minimal_backoff_time = 1s\nqueue_run_delay = 1s\nmaillog_file = {at}/log\n\
             maillog_file_prefixes = {at}\n"
        );
        fs::write(folder.join("etc/main.cf"), settings).expect("the folder is ours");
        let shipped = fs::read_to_string("/usr/share/postfix/master.cf.dist");
        let services = shipped.expect("Debian ships it");
        let services = services.lines().map(|line| self.service(line));
        let services: Vec<_> = services.collect();
        fs::write(folder.join("etc/master.cf"), services.join("\n") + "\n")
            .expect("the folder is ours");
    }

    /// A line of `master.cf`: on our port, and nothing in a root of its own, for which files would have to be copied.
    fn service(&self, line: &str) -> String {
        let mut words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let is_service = !line.starts_with(['#', ' ', '\t']) && words.len() >= 8;
        if !is_service {
            return line.to_owned();
        }
        if words[0] == "smtp" && words[1] == "inet" {
            words[0] = format!("127.0.0.1:{}", self.port);
        }
        words[4] = "n".to_owned();
        words.join(" ")
    }

    fn control(&self, command: &str) {
        let output = Command::new(self.program)
            .arg("-c")
            .arg(self.folder.path().join("etc"))
            .arg(command)
            .output();
        let output = output.expect("it was asked for before");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "postfix {command}: {told}");
    }

    /// Mails that it took and has not passed on.
    fn queued(&self) -> usize {
        let files = |part: &str| {
            let spool = self.folder.path().join("spool").join(part);
            fs::read_dir(spool).map_or(0, Iterator::count)
        };
        ["maildrop", "incoming", "active"]
            .into_iter()
            .map(files)
            .sum()
    }
}

#[async_trait]
impl Real for Postfix {
    fn port(&self) -> u16 {
        self.port
    }

    async fn arrived(&self) -> Vec<Arrived> {
        for _ in 0..600 {
            if self.queued() == 0 {
                let mails = self.behind.arrived().into_iter();
                return mails.map(|(to, mail)| (to, without_trace(mail))).collect();
            }
            tokio::time::sleep(SECOND / 20).await;
        }
        panic!("Postfix keeps mail back");
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.control("abort");
    }
}

/// A mail without the `Received` that a relay puts in front of it.
fn without_trace(mail: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(mail).expect("the cases are ASCII");
    let mut rest = text.as_str();
    while rest.starts_with("Received:") || rest.starts_with([' ', '\t']) {
        let Some((_, after)) = rest.split_once("\r\n") else {
            break;
        };
        rest = after;
    }
    rest.as_bytes().to_vec()
}
