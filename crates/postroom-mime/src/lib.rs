//! Raw RFC 5322 messages to and from the email of the domain.
