//! One message: envelope, content, and what is known at each moment.

use std::sync::atomic::{AtomicBool, Ordering};

use lettre::transport::smtp::commands::{Data, Rset};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter};
use postroom_core::{EmailAddress, RawMessage};
use postroom_net::line::ascii_domain;
use postroom_provider::OpContext;

use crate::proto::content::{Content, Needs};
use crate::proto::reply::Reply;
use crate::session::{Session, SessionError, Step};

/// Most recipients whose commands are written before their replies are read: what both sides hold in their buffers
/// must not wait for each other.
const IN_FLIGHT: usize = 100;

/// Whether the last byte of a message may have been written: from then on nobody can tell what becomes of it, until
/// the answer is read. Shared with whoever may give the operation up.
#[derive(Debug, Default)]
pub(crate) struct HandedOver(AtomicBool);

impl HandedOver {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, value: bool) {
        self.0.store(value, Ordering::Release);
    }
}

/// What is to be sent, and to whom.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) from: &'a EmailAddress,
    pub(crate) raw: &'a RawMessage,
    pub(crate) needs: Needs,
}

/// A recipient that was not taken.
#[derive(Debug)]
pub(crate) struct NotTaken {
    pub(crate) address: EmailAddress,
    /// `None`: it cannot be written into an envelope for this server.
    pub(crate) reply: Option<Reply>,
}

/// How a transaction that the server accepted went.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Those it was refused for, for good.
    pub(crate) refused: Vec<NotTaken>,
    /// Those that were too many for one transaction; nothing was sent to them.
    pub(crate) left: Vec<EmailAddress>,
}

/// Why nothing was sent, or nobody knows.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: SessionError,
    /// The server had answered nothing yet: a connection that was kept may have been closed long ago.
    pub(crate) unheard: bool,
    /// The connection can be used for something else.
    pub(crate) alive: bool,
}

fn dead(error: impl Into<SessionError>) -> Failed {
    Failed {
        error: error.into(),
        unheard: false,
        alive: false,
    }
}

fn alive(error: impl Into<SessionError>) -> Failed {
    Failed {
        error: error.into(),
        unheard: false,
        alive: true,
    }
}

/// The address as it stands in an envelope, and whether it goes beyond ASCII there.
fn enveloped(address: &EmailAddress, utf8: bool) -> Option<(String, bool)> {
    if address.as_str().is_ascii() {
        return Some((address.as_str().to_owned(), false));
    }
    if utf8 {
        return Some((address.as_str().to_owned(), true));
    }
    // The domain has another spelling, the local part has none.
    if !address.local_part().is_ascii() {
        return None;
    }
    let domain = ascii_domain(address.domain())?;
    Some((format!("{}@{domain}", address.local_part()), false))
}

impl Session {
    /// Hands a message over for those recipients.
    pub(crate) async fn transact(
        &mut self,
        ctx: &OpContext,
        letter: &Letter<'_>,
        recipients: &[EmailAddress],
        handed_over: &HandedOver,
    ) -> Result<Taken, Failed> {
        let mut taken = Taken::default();
        let mut reachable = Vec::new();
        let (from, mut utf8) = enveloped(letter.from, self.offers.utf8)
            .ok_or_else(|| alive(SessionError::Utf8NotOffered))?;
        for address in recipients {
            match enveloped(address, self.offers.utf8) {
                Some((text, beyond)) => {
                    utf8 |= beyond;
                    reachable.push((address, text));
                }
                None => taken.refused.push(NotTaken {
                    address: address.clone(),
                    reply: None,
                }),
            }
        }
        if reachable.is_empty() {
            return Err(alive(SessionError::NoRecipients));
        }
        let mail = self.mail_command(&from, utf8, letter)?;
        let (replies, data) = self.envelope(ctx, mail, &reachable).await?;
        let mut accepted = 0_usize;
        let mut deferred = None;
        for ((address, _), reply) in reachable.into_iter().zip(replies) {
            if reply.is_done() {
                accepted += 1;
            } else if accepted > 0 && too_many(&reply) {
                taken.left.push(address.clone());
            } else if reply.is_transient() {
                deferred = deferred.or(Some(reply));
            } else {
                taken.refused.push(NotTaken {
                    address: address.clone(),
                    reply: Some(reply),
                });
            }
        }
        let step = Step::Recipients;
        if accepted == 0 || deferred.is_some() {
            let refusal = deferred.or_else(|| {
                let mut refusals = taken.refused.iter().filter_map(|r| r.reply.clone());
                refusals.next()
            });
            let error = match refusal {
                Some(reply) => SessionError::Refused { step, reply },
                None => SessionError::NoRecipients,
            };
            let usable = self.call_off(ctx, accepted, data).await;
            return Err(Failed {
                error,
                unheard: false,
                alive: usable,
            });
        }
        let data = match data {
            Some(data) => data,
            None => self
                .ask(ctx, Data.to_string().as_bytes())
                .await
                .map_err(dead)?,
        };
        if data.code() != 354 {
            let step = Step::Content;
            let error = if data.is_negative() {
                SessionError::Refused { step, reply: data }
            } else {
                SessionError::Odd("it does not wait for the message")
            };
            let usable = data_refused_cleanly(&error);
            return Err(Failed {
                error,
                unheard: false,
                alive: usable,
            });
        }
        self.content(ctx, letter.raw, handed_over).await?;
        self.dirty = false;
        Ok(taken)
    }

    fn mail_command(&self, from: &str, utf8: bool, letter: &Letter<'_>) -> Result<String, Failed> {
        let offers = &self.offers;
        if let Some(max) = offers.size_max.filter(|max| letter.raw.len() > *max) {
            return Err(alive(SessionError::TooLarge { max }));
        }
        let utf8 = utf8 || letter.needs.utf8_header;
        if utf8 && !offers.utf8 {
            return Err(alive(SessionError::Utf8NotOffered));
        }
        let eight_bit = letter.needs.eight_bit;
        if eight_bit && !offers.eight_bit {
            return Err(alive(SessionError::EightBitNotOffered));
        }
        let mut parameters = Vec::new();
        if offers.size {
            let size = usize::try_from(letter.raw.len()).unwrap_or(usize::MAX);
            parameters.push(MailParameter::Size(size));
        }
        if eight_bit {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        if utf8 {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let mut command = format!("MAIL FROM:<{from}>");
        for parameter in parameters {
            command.push(' ');
            command.push_str(&parameter.to_string());
        }
        command.push_str("\r\n");
        Ok(command)
    }

    /// Sender and recipients; in one go where the server takes that, and then DATA with them. Answers one reply for
    /// each recipient, and that to DATA where it was sent.
    async fn envelope(
        &mut self,
        ctx: &OpContext,
        mail: String,
        recipients: &[(&EmailAddress, String)],
    ) -> Result<(Vec<Reply>, Option<Reply>), Failed> {
        let unheard = |error: SessionError| Failed {
            error,
            unheard: true,
            alive: false,
        };
        let reset = std::mem::replace(&mut self.dirty, true);
        let mut replies = Vec::with_capacity(recipients.len());
        if !self.offers.pipelining {
            if reset {
                self.ask(ctx, Rset.to_string().as_bytes())
                    .await
                    .map_err(unheard)?;
            }
            let reply = self.ask(ctx, mail.as_bytes()).await.map_err(unheard)?;
            sender_taken(reply)?;
            for (_, address) in recipients {
                let line = format!("RCPT TO:<{address}>\r\n");
                let reply = self.ask(ctx, line.as_bytes()).await.map_err(dead)?;
                replies.push(gone_or(reply)?);
            }
            return Ok((replies, None));
        }
        let mut sender = None;
        let chunks = recipients.chunks(IN_FLIGHT);
        let last = chunks.len().saturating_sub(1);
        let mut data = None;
        for (at, chunk) in chunks.enumerate() {
            let mut commands = String::new();
            if at == 0 {
                if reset {
                    commands.push_str(&Rset.to_string());
                }
                commands.push_str(&mail);
            }
            for (_, address) in chunk {
                commands.push_str("RCPT TO:<");
                commands.push_str(address);
                commands.push_str(">\r\n");
            }
            if at == last {
                commands.push_str(&Data.to_string());
            }
            let sent = self.connection.send(ctx, commands.as_bytes()).await;
            sent.map_err(|error| {
                if at == 0 {
                    unheard(error.into())
                } else {
                    dead(error)
                }
            })?;
            if at == 0 {
                if reset {
                    self.reply(ctx).await.map_err(unheard)?;
                }
                let reply = self.reply(ctx).await.map_err(unheard)?;
                if reply.code() == 421 {
                    return Err(sender_taken(reply)
                        .err()
                        .unwrap_or_else(|| dead(SessionError::Odd("it is no reply"))));
                }
                sender = Some(reply);
            }
            for _ in chunk {
                let reply = self.reply(ctx).await.map_err(dead)?;
                replies.push(gone_or(reply)?);
            }
            if at == last {
                data = Some(self.reply(ctx).await.map_err(dead)?);
            } else if let Some(reply) = sender.take_if(|reply| !reply.is_done()) {
                sender_taken(reply)?;
            }
        }
        if let Some(reply) = sender
            && let Err(mut failed) = sender_taken(reply)
        {
            if data.as_ref().is_some_and(|data| data.code() == 354) {
                // It takes a message without a sender: nothing is given to it.
                failed.alive = false;
            }
            return Err(failed);
        }
        Ok((replies, data))
    }

    /// Ends a transaction that is not to be. Answers whether the connection can be used further.
    async fn call_off(&mut self, ctx: &OpContext, accepted: usize, data: Option<Reply>) -> bool {
        let waits = data.is_some_and(|data| data.code() == 354);
        if !waits {
            return true;
        }
        if accepted > 0 {
            // Only silence keeps the message from those who were accepted: the connection is given up.
            return false;
        }
        // Nobody is to get it, and it is empty (RFC 2920 section 3.1).
        self.ask(ctx, b".\r\n").await.is_ok()
    }

    async fn content(
        &mut self,
        ctx: &OpContext,
        raw: &RawMessage,
        handed_over: &HandedOver,
    ) -> Result<(), Failed> {
        let mut content = Content::new(raw);
        loop {
            let piece = content
                .next()
                .map_err(|error| dead(SessionError::Local(error)))?;
            let Some((piece, last)) = piece else { break };
            if last {
                handed_over.set(true);
            }
            self.connection.send(ctx, &piece).await.map_err(dead)?;
        }
        let reply = self.reply(ctx).await.map_err(dead)?;
        if reply.is_done() {
            // What is handed over from here on is another transaction's.
            handed_over.set(false);
            return Ok(());
        }
        if reply.is_negative() {
            handed_over.set(false);
            self.dirty = false;
            let closing = reply.code() == 421;
            let step = Step::Content;
            let error = SessionError::Refused { step, reply };
            return Err(if closing { dead(error) } else { alive(error) });
        }
        Err(dead(SessionError::Odd("it is no answer to a message")))
    }
}

fn data_refused_cleanly(error: &SessionError) -> bool {
    matches!(error, SessionError::Refused { reply, .. } if reply.code() != 421)
}

fn sender_taken(reply: Reply) -> Result<(), Failed> {
    if reply.is_done() {
        return Ok(());
    }
    if !reply.is_negative() {
        return Err(dead(SessionError::Odd("it is no answer to a sender")));
    }
    let closing = reply.code() == 421;
    let step = Step::Sender;
    Err(Failed {
        error: SessionError::Refused { step, reply },
        // A kept connection is told so when the server has had enough of it.
        unheard: closing,
        alive: !closing,
    })
}

/// A server that closes says so instead of an answer.
fn gone_or(reply: Reply) -> Result<Reply, Failed> {
    if reply.code() == 421 {
        let step = Step::Recipients;
        return Err(dead(SessionError::Refused { step, reply }));
    }
    Ok(reply)
}

/// The recipient is one too many for this transaction (RFC 5321 section 4.5.3.1.10).
fn too_many(reply: &Reply) -> bool {
    let enhanced = reply.enhanced();
    match reply.code() {
        452 => enhanced.is_none_or(|code| (code.subject, code.detail) == (5, 3)),
        // Its older number.
        552 => enhanced.is_some_and(|code| (code.subject, code.detail) == (5, 3)),
        _ => false,
    }
}
