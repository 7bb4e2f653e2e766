//! A mail in parts, one for each domain of its recipients: a transaction each, with an outcome of its own.

use futures_util::future::join_all;
use posthaste_domain::{
    address::EmailAddress,
    delivery::{Class, Reply, Stage},
};

use crate::{
    envelope::Envelope,
    transport::{Receipt, Scope, SendError},
};

/// Sends each part by `send`, all at the same time, and tells what became of each recipient.
pub(crate) async fn send_each<Sent>(
    envelope: &Envelope,
    send: impl Fn(String, Envelope) -> Sent,
) -> Result<Receipt, SendError>
where
    Sent: Future<Output = Result<Receipt, SendError>>,
{
    let groups = by_domain(&envelope.recipients);
    let sends = groups.iter().map(|(domain, numbers)| {
        let recipients = numbers.iter().map(|&n| envelope.recipients[n].clone());
        let part = Envelope {
            recipients: recipients.collect(),
            ..envelope.clone()
        };
        send(domain.clone(), part)
    });
    let mut sent = join_all(sends).await;
    if sent.len() == 1 {
        return sent.remove(0);
    }
    together(&groups, sent, envelope.recipients.len())
}

/// The domain of an address, as domains are compared.
pub(crate) fn domain_of(address: &EmailAddress) -> String {
    address.domain().to_ascii_lowercase()
}

/// The numbers of the recipients of each domain.
fn by_domain(recipients: &[EmailAddress]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (number, recipient) in recipients.iter().enumerate() {
        let domain = domain_of(recipient);
        match groups.iter_mut().find(|(known, _)| *known == domain) {
            Some((_, numbers)) => numbers.push(number),
            None => groups.push((domain, vec![number])),
        }
    }
    groups
}

/// What became of each recipient. One error for all is told only where all failed in the same way: where a part was
/// answered, the others have replies of their own.
fn together(
    groups: &[(String, Vec<usize>)],
    sent: Vec<Result<Receipt, SendError>>,
    recipients: usize,
) -> Result<Receipt, SendError> {
    for scope in [Scope::Gate, Scope::Transport] {
        let all = |sent: &Result<_, SendError>| matches!(sent, Err(error) if error.scope == scope);
        if sent.iter().all(all) {
            let soonest = sent
                .iter()
                .filter_map(|sent| sent.as_ref().err()?.reply.retry_after)
                .min();
            let first = sent.into_iter().next();
            let mut error = first.and_then(Result::err).expect("all of them failed");
            error.reply.retry_after = soonest;
            return Err(error);
        }
    }
    let mut replies = vec![None; recipients];
    let (mut remotes, mut trail) = (Vec::new(), None);
    for ((_, numbers), sent) in groups.iter().zip(sent) {
        let (told, remote) = match sent {
            Ok(receipt) => {
                trail = trail.or(receipt.trail);
                (receipt.replies, receipt.remote)
            }
            Err(error) => {
                let remote = error.remote.clone();
                (vec![of_one(error); numbers.len()], remote)
            }
        };
        remotes.extend(remote);
        for (number, reply) in numbers.iter().zip(told) {
            replies[*number] = Some(reply);
        }
    }
    let missing = || Reply::new(Stage::Connect, Class::Transient, "there was no answer");
    Ok(Receipt {
        replies: replies
            .into_iter()
            .map(|reply| reply.unwrap_or_else(missing))
            .collect(),
        remote: (!remotes.is_empty()).then(|| remotes.join(", ")),
        trail,
    })
}

/// The reply to each recipient of a part that failed: the way out never condemns a mail, and what a gate kept back comes
/// again.
fn of_one(error: SendError) -> Reply {
    let mut reply = error.reply;
    if matches!(error.scope, Scope::Transport | Scope::Gate) {
        reply.stage = match error.scope {
            Scope::Gate => Stage::Connect,
            _ => reply.stage,
        };
        if reply.class == Class::Permanent {
            reply.class = Class::Transient;
        }
    }
    reply
}
