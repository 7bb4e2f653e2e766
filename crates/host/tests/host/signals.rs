//! Signals that the system brings, sent by this process to itself.

use std::time::Duration;

use posthaste_host::{
    Cause, Host, HostBuilder, ProcessSignals, ServiceError, Signals, Stopped, service_fn,
};
use rustix::process::{Signal, getpid, kill_process};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::timeout,
};

/// Where tests share a process they share its signals.
static ALONE: Mutex<()> = Mutex::const_new(());

fn raise(signal: Signal) {
    kill_process(getpid(), signal).expect("a process may signal itself");
}

/// A host whose only service ends when it is told to, and says so when it is started.
fn patient(started: mpsc::Sender<()>) -> HostBuilder {
    let waits = service_fn("patient", |ready, stop| async move {
        ready.ready();
        stop.requested().await;
        Ok(())
    });
    Host::builder().service(waits).on_started(move || {
        started.try_send(()).expect("there is room for all");
    })
}

async fn ended(hosts: &mut JoinSet<Stopped>) -> Stopped {
    let ended = timeout(Duration::from_secs(20), hosts.join_next()).await;
    let ended = ended.expect("the signal is heard");
    ended.expect("a host runs").expect("it does not panic")
}

#[tokio::test]
async fn two_hosts_hear_the_same_signal_and_one_may_have_failed_before() {
    let _alone = ALONE.lock().await;
    let (started, mut starts) = mpsc::channel(2);
    let broken = service_fn("broken", |_, _| async {
        Err::<(), _>(ServiceError::from("no luck"))
    });
    let failed = Host::builder().service(broken).build().run().await;
    assert!(failed.is_err());
    let mut hosts = JoinSet::new();
    for host in [patient(started.clone()), patient(started)] {
        hosts.spawn(async { host.build().run().await.unwrap() });
        starts.recv().await.expect("the host starts");
    }
    raise(Signal::TERM);
    for _ in 0..2 {
        let stopped = ended(&mut hosts).await;
        assert_eq!(stopped.cause, Cause::Signal("SIGTERM"));
        assert_eq!(stopped.exit_code(), 0);
    }
}

#[tokio::test]
async fn a_signal_that_comes_before_the_host_runs_is_kept_for_it() {
    let _alone = ALONE.lock().await;
    let signals = ProcessSignals::listen().unwrap();
    let mut witness = signal(SignalKind::interrupt()).unwrap();
    raise(Signal::INT);
    let arrived = timeout(Duration::from_secs(20), witness.recv()).await;
    arrived.expect("the signal arrives");
    let (started, mut starts) = mpsc::channel(1);
    let host = patient(started).signals(Signals::Listening(signals));
    let stopped = timeout(Duration::from_secs(20), host.build().run()).await;
    assert_eq!(stopped.unwrap().unwrap().cause, Cause::Signal("SIGINT"));
    assert!(
        starts.recv().await.is_none(),
        "nothing was started any more"
    );
}
