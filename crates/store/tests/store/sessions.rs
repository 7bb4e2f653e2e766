//! Log-ins: rotation, reuse, and what ends a session.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    clock::{Clock, later},
    id::{MessageId, SessionId, UserId},
    password::PasswordHash,
    stores::{
        LinkRequest, MailAllowance, MessageStore, NewSession, NewToken, NewTokens, PasswordChange,
        PasswordReset, Requested, Rotated, Rotation, SessionStore, UserStore,
    },
    token::{TokenHash, TokenPurpose, TokenSecret},
    user::UserStatus,
};
use tokio::task::JoinSet;

use crate::{
    accounts::registration,
    support::{Bench, owner},
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// A pair as it was stored.
#[derive(Debug, Clone, Copy)]
struct Pair {
    access: TokenHash,
    refresh: TokenHash,
}

fn password() -> PasswordHash {
    // What `registration` stores.
    PasswordHash::from_phc("$argon2id$…".into())
}

fn secret() -> TokenHash {
    TokenSecret::generate().expect("random bytes").hash()
}

fn tokens(bench: &Bench) -> (NewTokens, Pair) {
    let pair = Pair {
        access: secret(),
        refresh: secret(),
    };
    let now = bench.clock.now();
    let tokens = NewTokens {
        access: pair.access,
        access_expires_at: later(now, 15 * MINUTE),
        refresh: pair.refresh,
        refresh_expires_at: later(now, 30 * DAY),
    };
    (tokens, pair)
}

/// An active account.
async fn account(bench: &Bench) -> UserId {
    let (account, confirms) = registration(bench, "ada@example.com");
    let id = account.id;
    bench
        .store
        .register(account)
        .await
        .expect("the store answers");
    let now = bench.clock.now();
    bench
        .store
        .confirm(confirms.hash(), now)
        .await
        .expect("the store answers");
    id
}

async fn log_in(bench: &Bench, user: UserId, password: PasswordHash) -> Option<Pair> {
    let (tokens, pair) = tokens(bench);
    let at = bench.clock.now();
    let session = NewSession {
        id: SessionId::new(at),
        user,
        password,
        tokens,
        at,
    };
    bench
        .store
        .open(session)
        .await
        .expect("the store answers")
        .then_some(pair)
}

fn rotation(bench: &Bench, presented: TokenHash) -> (Rotation, Pair, MessageId) {
    let (tokens, pair) = tokens(bench);
    let notice = bench.message(&["ada@example.com"]);
    let notice_id = notice.id;
    let rotation = Rotation {
        presented,
        tokens,
        at: bench.clock.now(),
        grace: Duration::from_secs(5),
        notice,
    };
    (rotation, pair, notice_id)
}

async fn refresh(bench: &Bench, presented: TokenHash) -> (Rotated, Pair, bool) {
    let (rotation, pair, notice) = rotation(bench, presented);
    let rotated = bench
        .store
        .rotate(rotation)
        .await
        .expect("the store answers");
    let told = bench
        .store
        .message(&owner(), notice)
        .await
        .expect("the store answers");
    (rotated, pair, told.is_some())
}

async fn works(bench: &Bench, pair: Pair) -> bool {
    let now = bench.clock.now();
    let holder = bench.store.access_holder(pair.access, now).await;
    holder.expect("the store answers").is_some()
}

/// S10.
#[tokio::test]
async fn a_refresh_spends_its_token_and_replaces_both() {
    let bench = Bench::new().await;
    let user = account(&bench).await;
    let first = log_in(&bench, user, password()).await.unwrap();
    assert!(works(&bench, first).await);
    let (rotated, second, told) = refresh(&bench, first.refresh).await;
    assert_eq!((rotated, told), (Rotated::Renewed(user), false));
    assert!(works(&bench, second).await);
    assert!(!works(&bench, first).await, "one access token at a time");
    let holder = bench.store.refresh_holder(second.refresh).await.unwrap();
    assert_eq!(holder.map(|user| user.id), Some(user));
}

/// S10.
#[tokio::test]
async fn a_token_that_is_used_again_ends_its_session_and_the_owner_is_told_once() {
    let bench = Bench::new().await;
    let user = account(&bench).await;
    let other = log_in(&bench, user, password()).await.unwrap();
    let first = log_in(&bench, user, password()).await.unwrap();
    let (_, second, _) = refresh(&bench, first.refresh).await;
    bench.clock.advance(Duration::from_secs(6));
    let (rotated, stolen, told) = refresh(&bench, first.refresh).await;
    assert!(
        matches!(rotated, Rotated::Reused { user: of, .. } if of == user),
        "{rotated:?}"
    );
    assert!(told);
    for pair in [first, second, stolen] {
        assert!(!works(&bench, pair).await);
        let (rotated, _, told) = refresh(&bench, pair.refresh).await;
        assert_eq!((rotated, told), (Rotated::Invalid, false));
    }
    assert!(works(&bench, other).await, "other sessions go on");
}

/// S10. The stated rule for two requests at the same instant: one has the new pair, the others nothing, and the session
/// goes on.
#[tokio::test]
async fn of_many_refreshes_at_once_one_wins_and_the_session_goes_on() {
    let bench = Bench::new().await;
    let user = account(&bench).await;
    let first = log_in(&bench, user, password()).await.unwrap();
    let mut requests = JoinSet::new();
    for _ in 0..32 {
        let (rotation, pair, _) = rotation(&bench, first.refresh);
        let store = Arc::clone(&bench.store);
        requests.spawn(async move { (store.rotate(rotation).await.unwrap(), pair) });
    }
    let answers = requests.join_all().await;
    let won: Vec<_> = answers
        .iter()
        .filter(|(rotated, _)| *rotated == Rotated::Renewed(user))
        .collect();
    let raced = answers
        .iter()
        .filter(|(rotated, _)| *rotated == Rotated::Raced);
    assert_eq!((won.len(), raced.count()), (1, 31));
    for (rotated, pair) in &answers {
        assert_eq!(
            works(&bench, *pair).await,
            *rotated == Rotated::Renewed(user)
        );
    }
}

/// S10.
#[tokio::test]
async fn tokens_end_with_their_time_and_with_a_log_out() {
    let bench = Bench::new().await;
    let user = account(&bench).await;
    let one = log_in(&bench, user, password()).await.unwrap();
    let two = log_in(&bench, user, password()).await.unwrap();
    bench
        .store
        .end(one.refresh, bench.clock.now())
        .await
        .unwrap();
    bench.store.end(secret(), bench.clock.now()).await.unwrap();
    assert!(!works(&bench, one).await);
    assert_eq!(refresh(&bench, one.refresh).await.0, Rotated::Invalid);
    assert!(works(&bench, two).await);
    bench.clock.advance(15 * MINUTE);
    assert!(!works(&bench, two).await, "the access token has expired");
    bench.clock.advance(30 * DAY - 15 * MINUTE);
    assert_eq!(refresh(&bench, two.refresh).await.0, Rotated::Invalid);
}

/// S10.
#[tokio::test]
async fn a_new_password_ends_every_session_and_the_old_one_opens_none() {
    let bench = Bench::new().await;
    let user = account(&bench).await;
    let pair = log_in(&bench, user, password()).await.unwrap();
    let change = |old: PasswordHash| PasswordChange {
        user,
        old,
        new: PasswordHash::from_phc("new".into()),
        at: bench.clock.now(),
        notice: bench.message(&["ada@example.com"]),
    };
    let wrong = change(PasswordHash::from_phc("other".into()));
    let notice = wrong.notice.id;
    assert!(!bench.store.change_password(wrong).await.unwrap());
    assert!(works(&bench, pair).await, "nothing was changed");
    assert_eq!(bench.store.message(&owner(), notice).await.unwrap(), None);
    let right = change(password());
    let notice = right.notice.id;
    assert!(bench.store.change_password(right).await.unwrap());
    assert!(!works(&bench, pair).await);
    let told = bench.store.message(&owner(), notice).await.unwrap();
    assert!(told.is_some());
    assert!(log_in(&bench, user, password()).await.is_none());
    let new = PasswordHash::from_phc("new".into());
    assert!(log_in(&bench, user, new).await.is_some());
}

/// S10. All links to choose a password die with the first one that is used; whoever holds one reads the mailbox, so the
/// account is confirmed by it too.
#[tokio::test]
async fn a_reset_link_works_once_and_takes_the_others_with_it() {
    let bench = Bench::new().await;
    let (waiting, _) = registration(&bench, "ada@example.com");
    let user = waiting.id;
    bench.store.register(waiting).await.unwrap();
    assert!(log_in(&bench, user, password()).await.is_none(), "pending");
    let mut links = Vec::new();
    for _ in 0..2 {
        let token = secret();
        let request = LinkRequest {
            email: "ada@example.com".parse().unwrap(),
            token: NewToken {
                purpose: TokenPurpose::ResetPassword,
                hash: token,
                expires_at: later(bench.clock.now(), 30 * MINUTE),
            },
            mail: bench.message(&["ada@example.com"]),
            at: bench.clock.now(),
            allowance: MailAllowance {
                requests: 10,
                window: 60 * MINUTE,
            },
        };
        assert_eq!(
            bench.store.request_link(request).await.unwrap(),
            Requested::Taken
        );
        links.push(token);
    }
    let reset = async |token| {
        let reset = PasswordReset {
            token,
            password: PasswordHash::from_phc("new".into()),
            at: bench.clock.now(),
            notice: bench.message(&["ada@example.com"]),
        };
        let notice = reset.notice.id;
        let done = bench.store.reset_password(reset).await.unwrap();
        let told = bench.store.message(&owner(), notice).await.unwrap();
        (done, told.is_some())
    };
    assert_eq!(reset(secret()).await, (None, false));
    assert_eq!(reset(links[0]).await, (Some(user), true));
    assert_eq!(reset(links[0]).await, (None, false));
    assert_eq!(reset(links[1]).await, (None, false));
    let account = bench.store.user(user).await.unwrap().unwrap();
    assert_eq!(account.status, UserStatus::Active);
    let new = PasswordHash::from_phc("new".into());
    assert!(log_in(&bench, user, new).await.is_some());
}
