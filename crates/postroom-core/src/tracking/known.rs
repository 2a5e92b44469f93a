//! Content that is on record already.

use crate::email::{ContentIdentity, Direction, EmailHeaders, KnownEmail};

/// The email on record that a message is a copy of, if any.
///
/// - A received email is recognised by its content key, which weighs the Date: some senders repeat
///   Message-IDs on messages that differ.
/// - An email of our own, met again in somebody's mailbox, is recognised by its Message-ID alone:
///   we make those, they do not repeat, and servers rewrite the Date.
///
/// A message without a Message-ID is not recognised by its headers: its content has to be read
/// first (see [`ContentIdentity::with_content`]), and then its key does it.
///
/// A received one comes first: where an email between two users is on record twice, a further copy
/// is a copy of the received one. The lowest id decides between equals.
#[must_use]
pub fn join_target<'a>(
    identity: &ContentIdentity,
    headers: &EmailHeaders,
    known: &'a [KnownEmail],
) -> Option<&'a KnownEmail> {
    if !identity.is_certain() {
        return None;
    }
    let key = identity.key();
    let received = known
        .iter()
        .filter(|email| email.direction == Direction::Incoming && email.key == Some(key))
        .min_by_key(|email| email.record);
    received.or_else(|| {
        let id = headers.message_id.as_ref()?;
        known
            .iter()
            .filter(|email| {
                email.direction == Direction::Outgoing && email.message_ids.contains(id)
            })
            .min_by_key(|email| email.record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RecordId;
    use crate::time::Timestamp;

    fn headers(id: &str, date: i64) -> EmailHeaders {
        EmailHeaders {
            message_id: Some(id.parse().unwrap()),
            sent_at: Some(Timestamp::from_seconds(date)),
            ..EmailHeaders::default()
        }
    }

    fn identity(headers: &EmailHeaders) -> ContentIdentity {
        ContentIdentity::of(headers, Timestamp::EPOCH)
    }

    fn known(n: u8, direction: Direction, headers: &EmailHeaders) -> KnownEmail {
        let mut known = KnownEmail::new(RecordId::from_random([n; 16]), direction);
        known.key = (direction == Direction::Incoming).then(|| identity(headers).key());
        known.message_ids = headers.message_id.iter().cloned().collect();
        known
    }

    #[test]
    fn our_own_email_joins_whatever_its_date() {
        let sent = known(1, Direction::Outgoing, &headers("ours@x", 100));
        let met = headers("ours@x", 107);
        assert_eq!(
            join_target(&identity(&met), &met, std::slice::from_ref(&sent)),
            Some(&sent)
        );
    }

    #[test]
    fn a_repeated_message_id_of_others_does_not_join() {
        let first = known(1, Direction::Incoming, &headers("same@x", 100));
        let other = headers("same@x", 160);
        assert_eq!(
            join_target(&identity(&other), &other, std::slice::from_ref(&first)),
            None
        );
        let copy = headers("same@x", 100);
        assert_eq!(
            join_target(&identity(&copy), &copy, std::slice::from_ref(&first)),
            Some(&first)
        );
    }

    #[test]
    fn the_received_one_of_two_activities_comes_first() {
        let headers = headers("internal@x", 100);
        let both = [
            known(1, Direction::Outgoing, &headers),
            known(2, Direction::Incoming, &headers),
        ];
        assert_eq!(
            join_target(&identity(&headers), &headers, &both),
            Some(&both[1])
        );
    }
}
