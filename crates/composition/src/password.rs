//! argon2id on its own small pool of threads: a crowd of registrations queues up here, bounded, and neither the request
//! threads nor the runtime's blocking pool notice it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, TrySendError},
    },
    thread,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};
use async_trait::async_trait;
use posthaste_domain::password::{HashError, Password, PasswordHash, PasswordHasher};
use tokio::sync::oneshot;
use tracing::error;

/// Memory of one hash, in KiB: 19 MiB, with two passes and one lane (OWASP's first choice for argon2id).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

type Reply<T> = oneshot::Sender<Result<T, HashError>>;

enum Task {
    Hash(Password, Reply<PasswordHash>),
    Verify(Password, Option<PasswordHash>, Reply<bool>),
}

/// Hashes passwords; its threads end when it is dropped.
pub struct Argon2Pool {
    tasks: mpsc::SyncSender<Task>,
}

/// A thread of the pool could not be started, or the parameters of argon2 are refused.
#[derive(Debug, thiserror::Error)]
#[error("the password hasher cannot be started")]
pub struct PoolError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Argon2Pool {
    /// A pool of `threads` threads (at least one) for which at most `waiting` passwords wait.
    ///
    /// # Errors
    /// [`PoolError`] if the system gives no threads.
    pub fn start(threads: usize, waiting: usize) -> Result<Self, PoolError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
            .map_err(|error| PoolError(error.to_string().into()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let (tasks, waiting) = mpsc::sync_channel::<Task>(waiting.max(1));
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads.max(1) {
            let (waiting, argon2) = (Arc::clone(&waiting), argon2.clone());
            let thread = thread::Builder::new().name(format!("argon2-{number}"));
            thread
                .spawn(move || work(&waiting, &argon2))
                .map_err(|error| PoolError(error.into()))?;
        }
        Ok(Self { tasks })
    }
}

impl Argon2Pool {
    async fn ask<T>(&self, task: impl FnOnce(Reply<T>) -> Task) -> Result<T, HashError> {
        let (reply, answer) = oneshot::channel();
        self.tasks
            .try_send(task(reply))
            .map_err(|error| match error {
                TrySendError::Full(_) => HashError::Overloaded,
                TrySendError::Disconnected(_) => HashError::Failed,
            })?;
        answer.await.unwrap_or(Err(HashError::Failed))
    }
}

impl fmt::Debug for Argon2Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Argon2Pool")
    }
}

#[async_trait]
impl PasswordHasher for Argon2Pool {
    async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        self.ask(|reply| Task::Hash(password, reply)).await
    }

    async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, HashError> {
        self.ask(|reply| Task::Verify(password, hash, reply)).await
    }
}

/// Takes passwords until the pool is dropped. The lock is held while waiting, which makes the threads take turns.
fn work(waiting: &Mutex<mpsc::Receiver<Task>>, argon2: &Argon2<'_>) {
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(task) = next else { return };
        // Whoever asked may have gone meanwhile: then the work is not worth doing.
        match task {
            Task::Hash(password, reply) if !reply.is_closed() => {
                reply.send(hash(argon2, &password)).ok();
            }
            Task::Verify(password, known, reply) if !reply.is_closed() => {
                reply.send(verify(argon2, &password, known.as_ref())).ok();
            }
            Task::Hash(..) | Task::Verify(..) => {}
        }
    }
}

fn hash(argon2: &Argon2<'_>, password: &Password) -> Result<PasswordHash, HashError> {
    let hashed = argon2.hash_password(password.reveal().as_bytes());
    let hashed = hashed.map_err(|error| {
        error!(%error, "a password could not be hashed");
        HashError::Failed
    })?;
    Ok(PasswordHash::from_phc(hashed.to_string()))
}

/// A hash takes as long as a comparison: one is made, and thrown away, where there is none to compare with.
fn verify(
    argon2: &Argon2<'_>,
    password: &Password,
    known: Option<&PasswordHash>,
) -> Result<bool, HashError> {
    let Some(known) = known else {
        return hash(argon2, password).map(|_| false);
    };
    let parsed = argon2::PasswordHash::new(known.as_phc()).map_err(|error| {
        error!(%error, "a stored password hash cannot be read");
        HashError::Failed
    })?;
    match argon2.verify_password(password.reveal().as_bytes(), &parsed) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => {
            error!(%error, "a password could not be verified");
            Err(HashError::Failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::present(text).unwrap()
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_with_the_stated_cost_and_a_fresh_salt() {
        let pool = Argon2Pool::start(1, 4).unwrap();
        let one = pool.hash(password("correct horse battery")).await.unwrap();
        let two = pool.hash(password("correct horse battery")).await.unwrap();
        assert!(
            one.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            one.as_phc()
        );
        assert_ne!(one, two);
    }

    #[tokio::test]
    async fn a_password_is_verified_to_its_last_character_and_against_nobody_it_is_wrong() {
        let pool = Argon2Pool::start(1, 4).unwrap();
        let long = "x".repeat(255);
        let stored = pool.hash(password(&format!("{long}a"))).await.unwrap();
        for (text, hash, expected) in [
            (format!("{long}a"), Some(stored.clone()), true),
            (format!("{long}b"), Some(stored), false),
            (format!("{long}a"), None, false),
        ] {
            assert_eq!(pool.verify(password(&text), hash).await, Ok(expected));
        }
        let broken = Some(PasswordHash::from_phc("nonsense".into()));
        assert_eq!(
            pool.verify(password("any"), broken).await,
            Err(HashError::Failed)
        );
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let pool = Argon2Pool::start(1, 1).unwrap();
        let mut hashes = tokio::task::JoinSet::new();
        let pool = Arc::new(pool);
        for _ in 0..16 {
            let pool = Arc::clone(&pool);
            hashes.spawn(async move { pool.hash(password("correct horse battery")).await });
        }
        let results = hashes.join_all().await;
        assert!(results.contains(&Err(HashError::Overloaded)), "{results:?}");
        assert!(results.iter().any(Result::is_ok), "{results:?}");
    }
}
