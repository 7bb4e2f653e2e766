//! Registering and confirming.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    clock::{Clock, later},
    id::UserId,
    password::PasswordHash,
    stores::{
        LinkRequest, MailAllowance, MessageStore, NewToken, Registration, Requested, UserStore,
    },
    token::{TokenPurpose, TokenSecret},
    user::UserStatus,
};
use tokio::task::JoinSet;

use crate::support::{Bench, owner};

pub(crate) fn registration(bench: &Bench, email: &str) -> (Registration, TokenSecret) {
    let secret = TokenSecret::generate().expect("random bytes");
    let now = bench.clock.now();
    let registration = Registration {
        id: UserId::new(now),
        email: email.parse().expect("a valid address"),
        display_name: Some("Ada".parse().expect("a valid name")),
        password: PasswordHash::from_phc("$argon2id$…".into()),
        created_at: now,
        token: NewToken {
            purpose: TokenPurpose::ConfirmAccount,
            hash: secret.hash(),
            expires_at: later(now, Duration::from_secs(3600)),
        },
        confirmation: bench.message(&[email]),
        notice: bench.message(&[email]),
        allowance: MailAllowance {
            requests: 100,
            window: Duration::from_secs(3600),
        },
    };
    (registration, secret)
}

#[tokio::test]
async fn a_registration_stores_account_token_and_mail_together() {
    let bench = Bench::new().await;
    let (registration, secret) = registration(&bench, "Ada@example.com");
    let (id, mail, notice) = (
        registration.id,
        registration.confirmation.id,
        registration.notice.id,
    );
    assert_eq!(
        bench.store.register(registration).await.unwrap(),
        Requested::Taken
    );
    let user = bench.store.user(id).await.unwrap().unwrap();
    assert_eq!(
        (user.email.expose(), user.status),
        ("Ada@example.com", UserStatus::Pending)
    );
    assert!(bench.store.message(&owner(), mail).await.unwrap().is_some());
    assert!(
        bench
            .store
            .message(&owner(), notice)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        bench
            .store
            .confirm(secret.hash(), bench.clock.now())
            .await
            .unwrap(),
        Some(id)
    );
    assert_eq!(
        bench.store.user(id).await.unwrap().unwrap().status,
        UserStatus::Active
    );
}

#[tokio::test]
async fn a_known_address_gets_the_notice_and_nothing_else_changes() {
    let bench = Bench::new().await;
    let (first, secret) = registration(&bench, "ada@example.com");
    let id = first.id;
    bench.store.register(first).await.unwrap();
    let (second, other_secret) = registration(&bench, "ADA@Example.com");
    let (second_id, mail, notice) = (second.id, second.confirmation.id, second.notice.id);
    bench.store.register(second).await.unwrap();
    assert_eq!(bench.store.user(second_id).await.unwrap(), None);
    assert!(bench.store.message(&owner(), mail).await.unwrap().is_none());
    assert!(
        bench
            .store
            .message(&owner(), notice)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        bench
            .store
            .confirm(other_secret.hash(), bench.clock.now())
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        bench
            .store
            .confirm(secret.hash(), bench.clock.now())
            .await
            .unwrap(),
        Some(id)
    );
}

#[tokio::test]
async fn of_many_registrations_of_one_address_at_once_one_account_is_made() {
    let bench = Bench::new().await;
    let mut registrations = JoinSet::new();
    let mut ids = Vec::new();
    for _ in 0..20 {
        let (registration, _) = registration(&bench, "ada@example.com");
        ids.push((
            registration.id,
            registration.confirmation.id,
            registration.notice.id,
        ));
        let store = Arc::clone(&bench.store);
        registrations.spawn(async move { store.register(registration).await.unwrap() });
    }
    registrations.join_all().await;
    let (mut users, mut mails, mut notices) = (0, 0, 0);
    for (user, mail, notice) in ids {
        users += u32::from(bench.store.user(user).await.unwrap().is_some());
        mails += u32::from(bench.store.message(&owner(), mail).await.unwrap().is_some());
        notices += u32::from(
            bench
                .store
                .message(&owner(), notice)
                .await
                .unwrap()
                .is_some(),
        );
    }
    assert_eq!((users, mails, notices), (1, 1, 19));
}

#[tokio::test]
async fn a_token_works_once_and_before_its_expiry() {
    let bench = Bench::new().await;
    let (one, used) = registration(&bench, "ada@example.com");
    let (two, late) = registration(&bench, "bob@example.com");
    bench.store.register(one).await.unwrap();
    bench.store.register(two).await.unwrap();
    assert!(
        bench
            .store
            .confirm(used.hash(), bench.clock.now())
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        bench
            .store
            .confirm(used.hash(), bench.clock.now())
            .await
            .unwrap(),
        None
    );
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(
        bench
            .store
            .confirm(late.hash(), bench.clock.now())
            .await
            .unwrap(),
        None
    );
}

/// S16. Every request counts, whoever makes it and whether or not the address has an account; the refused ones do not.
#[tokio::test]
async fn an_address_sees_as_many_mail_requests_in_an_hour_as_are_allowed() {
    let bench = Bench::new().await;
    let ask = async |email: &str| {
        let (mut registration, _) = registration(&bench, email);
        registration.allowance.requests = 3;
        bench.store.register(registration).await.unwrap()
    };
    for minute in [0, 10, 20] {
        assert_eq!(
            ask("ada@example.com").await,
            Requested::Taken,
            "minute {minute}"
        );
        bench.clock.advance(Duration::from_secs(600));
    }
    for _ in 0..3 {
        let retry_after = Duration::from_secs(1800);
        let limited = Requested::Limited { retry_after };
        assert_eq!(ask("ADA@Example.com").await, limited);
    }
    assert_eq!(ask("bob@example.com").await, Requested::Taken);
    bench.clock.advance(Duration::from_secs(1800));
    assert_eq!(ask("ada@example.com").await, Requested::Taken);
    assert!(matches!(
        ask("ada@example.com").await,
        Requested::Limited { .. }
    ));
}

#[tokio::test]
async fn a_link_is_stored_for_an_account_that_it_is_for_and_for_nobody_else() {
    let bench = Bench::new().await;
    let (account, confirms) = registration(&bench, "Ada@example.com");
    let id = account.id;
    bench.store.register(account).await.unwrap();
    let ask = async |email: &str, purpose| {
        let secret = TokenSecret::generate().expect("random bytes");
        let mail = bench.message(&[email]);
        let mail_id = mail.id;
        let request = LinkRequest {
            email: email.parse().expect("a valid address"),
            token: NewToken {
                purpose,
                hash: secret.hash(),
                expires_at: later(bench.clock.now(), Duration::from_secs(1800)),
            },
            mail,
            at: bench.clock.now(),
            allowance: MailAllowance {
                requests: 100,
                window: Duration::from_secs(3600),
            },
        };
        let requested = bench.store.request_link(request).await.unwrap();
        assert_eq!(requested, Requested::Taken);
        let mailed = bench.store.message(&owner(), mail_id).await.unwrap();
        (secret, mailed.is_some())
    };
    let holder = async |secret: &TokenSecret, purpose| {
        let now = bench.clock.now();
        let holder = bench.store.holder(secret.hash(), purpose, now).await;
        holder.unwrap().map(|user| user.id)
    };
    let (confirm, reset) = (TokenPurpose::ConfirmAccount, TokenPurpose::ResetPassword);

    let (again, mailed) = ask("ada@EXAMPLE.com", confirm).await;
    assert!(mailed, "the account waits for it");
    assert_eq!(holder(&again, confirm).await, Some(id));
    assert_eq!(holder(&again, reset).await, None, "for its purpose only");
    let (link, mailed) = ask("ada@example.com", reset).await;
    assert!(mailed);
    assert_eq!(holder(&link, reset).await, Some(id));
    let (nobodys, mailed) = ask("bob@example.com", reset).await;
    assert!(!mailed);
    assert_eq!(holder(&nobodys, reset).await, None);

    let now = bench.clock.now();
    bench.store.confirm(confirms.hash(), now).await.unwrap();
    let (late, mailed) = ask("ada@example.com", confirm).await;
    assert!(!mailed, "an active account has nothing to confirm");
    assert_eq!(holder(&late, confirm).await, None);
    bench.clock.advance(Duration::from_secs(1800));
    assert_eq!(holder(&link, reset).await, None, "expired");
}
