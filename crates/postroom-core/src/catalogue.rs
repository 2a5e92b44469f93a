//! The catalogue of conditions: every failure and event that somebody may have to know about.
//!
//! A [`Code`] is the one name of a condition, in errors, alerts, logs and the command line's JSON.
//! Its [`Spec`] says how serious it is, whom it concerns, what causes it and what to do about it.
//! Codes are stable: they are added, never renamed or given another meaning.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How serious a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three levels of seed 000's alerts wall"
)]
pub enum Level {
    /// Good to know; nothing to do.
    Information,
    /// Something is retried or was set aside; it may need somebody soon.
    Warning,
    /// Work has stopped somewhere until somebody acts or the cause goes away.
    Error,
}

/// What a failure means for trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "health decisions match every class"
)]
pub enum Class {
    /// No failure at all.
    Event,
    /// Goes away by itself: retried, never disables anything.
    Transient,
    /// Only a person can mend it: the workload is disabled until then.
    Permanent,
    /// Concerns one message or item; the rest goes on.
    Item,
}

/// How far a condition reaches: decides what stops and who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "scopes are matched in full across crates"
)]
pub enum Scope {
    /// One message or item.
    Item,
    /// One mailbox.
    Mailbox,
    /// All mailboxes of a server profile.
    Profile,
    /// The whole organization.
    Organization,
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "audiences are matched in full across crates"
)]
pub enum Audience {
    /// The owner of the mailbox.
    MailboxOwner,
    /// The owner of the server profile; affected mailbox owners are informed where the
    /// organization says so.
    ProfileOwner,
    /// Both must know.
    MailboxAndProfileOwner,
    /// Whoever administers the organization.
    Administrator,
}

/// What the catalogue says about a [`Code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spec {
    /// The stable text form, such as `credentials-rejected`.
    pub text: &'static str,
    /// How serious.
    pub level: Level,
    /// What it means for trying again.
    pub class: Class,
    /// How far it usually reaches.
    pub scope: Scope,
    /// Who is told.
    pub audience: Audience,
    /// The condition in one sentence.
    pub summary: &'static str,
    /// What usually causes it.
    pub cause: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $level:ident, $class:ident, $scope:ident, $audience:ident,
        $summary:literal, $cause:literal, $remedy:literal;)*) => {
        /// The stable name of a condition.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $summary] $(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What the catalogue says about it.
            #[must_use]
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$name => &Spec {
                        text: $text, level: Level::$level, class: Class::$class, scope: Scope::$scope,
                        audience: Audience::$audience, summary: $summary, cause: $cause, remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

catalogue! {
    // Reaching the server.
    NameNotResolved = "name-not-resolved", Error, Transient, Profile, ProfileOwner,
        "The server's name does not resolve.",
        "The location is misspelled, or the name server has no answer.",
        "Check the server location of the profile and that this machine can resolve the name.";
    ConnectionRefused = "connection-refused", Error, Transient, Profile, ProfileOwner,
        "The server refuses the connection.",
        "The port is wrong, the service is down, or a firewall rejects the connection.",
        "Check host and port of the profile, that the service runs, and the firewall between.";
    ConnectionTimedOut = "connection-timed-out", Error, Transient, Profile, ProfileOwner,
        "The server does not answer in time.",
        "A firewall drops packets, the port is wrong, or the server is overloaded.",
        "Check host and port of the profile and the firewall; Postroom goes on trying.";
    ConnectionLost = "connection-lost", Warning, Transient, Mailbox, MailboxOwner,
        "The connection broke before the answer was complete.",
        "The server or a device between closed the connection.",
        "Nothing, unless it persists: then look at proxies and load balancers between.";
    CertificateUntrusted = "certificate-untrusted", Error, Permanent, Profile, ProfileOwner,
        "The server's certificate is not trusted.",
        "It is self-signed, or from an authority that this machine does not know.",
        "Give the profile the authority's certificate, or the server one of an authority that everybody knows.";
    CertificateExpired = "certificate-expired", Error, Transient, Profile, ProfileOwner,
        "The server's certificate is not valid today.",
        "It has expired, or is not valid yet; or the clock of this machine is wrong.",
        "Renew the server's certificate, and check the clock of this machine; Postroom then resumes by itself.";
    CertificateWrongName = "certificate-wrong-name", Error, Permanent, Profile, ProfileOwner,
        "The server's certificate is for another name.",
        "The location names the server by an alias or address that the certificate does not hold, or leads to another server.",
        "Use a name that the certificate holds as location, or get a certificate for this one.";
    TlsExpected = "tls-expected", Error, Permanent, Profile, ProfileOwner,
        "The server speaks TLS only, and was spoken to in clear text.",
        "The location begins with http, and the port is one for https.",
        "Let the location begin with https.";
    TlsFailed = "tls-failed", Error, Permanent, Profile, ProfileOwner,
        "No secure connection could be made.",
        "The port does not speak TLS, or the two sides share no version or cipher.",
        "Check the port and whether the location should begin with https.";
    InsecureConnectionRefused = "insecure-connection-refused", Error, Permanent, Profile, ProfileOwner,
        "Credentials would cross the network in clear text.",
        "The location begins with http, not https.",
        "Use https, or allow insecure connections for this profile in a laboratory.";
    // What the server says.
    CredentialsRejected = "credentials-rejected", Error, Permanent, Mailbox, MailboxAndProfileOwner,
        "The server rejects the user name or password.",
        "The password is wrong or expired, the account is locked, or this kind of sign-in is switched off.",
        "Set the credentials anew and run Test & Enable.";
    AccountUnavailable = "account-unavailable", Error, Permanent, Mailbox, MailboxOwner,
        "The account is disabled, expired or without licence.",
        "The directory no longer lets this account use its mailbox.",
        "Ask the administrator of the mail system to enable the account.";
    ImpersonationDenied = "impersonation-denied", Error, Permanent, Profile, MailboxAndProfileOwner,
        "The account may not impersonate the mailbox.",
        "The ApplicationImpersonation role is missing or does not cover this mailbox.",
        "Assign the ApplicationImpersonation role to the profile's account, for a scope that holds the mailbox.";
    MailboxNotFound = "mailbox-not-found", Error, Permanent, Mailbox, MailboxOwner,
        "The mail system knows no such mailbox.",
        "The address is misspelled, an alias, or the mailbox was removed.",
        "Check that the address is the mailbox's primary address in the mail system.";
    EwsDisabled = "ews-disabled", Error, Permanent, Mailbox, MailboxAndProfileOwner,
        "Exchange Web Services is switched off for this mailbox or organization.",
        "EwsEnabled is false, an application policy blocks the caller, or Exchange Online no longer admits it.",
        "Ask the Exchange administrator to allow EWS for the mailbox and this application.";
    AccessDenied = "access-denied", Error, Permanent, Mailbox, MailboxOwner,
        "The server denies access.",
        "The account lacks a right on the mailbox or folder.",
        "Grant the account access to the mailbox.";
    MailboxInUse = "mailbox-in-use", Warning, Transient, Mailbox, MailboxOwner,
        "Another program has the mailbox open and keeps everybody else out.",
        "A mail client reads it by POP3, or an earlier session was cut off and its lock is not released yet.",
        "Nothing, unless it persists: then let no other program read the mailbox by POP3.";
    NotAMailServer = "not-a-mail-server", Error, Permanent, Profile, ProfileOwner,
        "The answer does not come from the expected service.",
        "The location points to a web page, a sign-in gateway or another program.",
        "Check the location; for Exchange it usually ends in /EWS/Exchange.asmx.";
    ProtocolViolation = "protocol-violation", Warning, Transient, Mailbox, MailboxOwner,
        "The server's answer cannot be understood.",
        "A fault of the server, or of a device that alters the traffic.",
        "If it persists, keep a capture and report it.";
    ServerBusy = "server-busy", Warning, Transient, Profile, ProfileOwner,
        "The server asks to slow down.",
        "Its throttling policy is exceeded, by Postroom or by others.",
        "Nothing: the wait that it asks for is kept. If it persists, lower the connection limit or raise the policy.";
    ServerUnavailable = "server-unavailable", Error, Transient, Profile, ProfileOwner,
        "The server is temporarily unavailable.",
        "It is being restarted, maintained, or is overloaded.",
        "Nothing: Postroom probes and resumes by itself.";
    ServerFault = "server-fault", Warning, Transient, Mailbox, MailboxOwner,
        "The server reports an internal error.",
        "A fault inside the mail system.",
        "Nothing, unless it persists: then look at the server's own log.";
    VersionUnsupported = "version-unsupported", Error, Permanent, Profile, ProfileOwner,
        "The server speaks no version that Postroom knows.",
        "It is older than Exchange 2007 SP1, or something else altogether.",
        "Use a supported version.";
    QuotaExceeded = "quota-exceeded", Error, Permanent, Mailbox, MailboxOwner,
        "The mailbox is full.",
        "Its storage quota is used up.",
        "Make room or raise the quota, then run Test & Enable.";
    SendingLimitReached = "sending-limit-reached", Warning, Transient, Mailbox, MailboxOwner,
        "The server accepts no more messages from this mailbox for now.",
        "A sending limit of the mail system is reached.",
        "Nothing: sending resumes later. Do not use it for mass mailings.";
    SendAsDenied = "send-as-denied", Error, Item, Item, MailboxOwner,
        "The mailbox may not send in this name.",
        "The account lacks the Send As right for the address in From.",
        "Grant Send As, or send from the mailbox's own address.";
    RecipientsRefused = "recipients-refused", Error, Item, Item, MailboxOwner,
        "The server refuses the recipients.",
        "An address is invalid, or a policy forbids it.",
        "Correct the recipients and send again.";
    RequestRefused = "request-refused", Error, Item, Item, MailboxOwner,
        "The server refuses the request.",
        "It does not support it, or not with these values.",
        "Report it with the server's product and version.";
    TooLarge = "too-large", Error, Item, Item, MailboxOwner,
        "The message is larger than the limit.",
        "The size limit of the server or of the organization's settings.",
        "Send it smaller, or raise the limit.";
    ItemNotFound = "item-not-found", Information, Item, Item, MailboxOwner,
        "The message is no longer there.",
        "Somebody moved or deleted it after it was listed.",
        "Nothing.";
    ItemCorrupt = "item-corrupt", Warning, Item, Item, MailboxOwner,
        "The server cannot deliver the message's content.",
        "The stored item is damaged, or its conversion fails.",
        "Open the message in a mail client; if it is readable, forward it to the mailbox.";
    ItemChanged = "item-changed", Information, Item, Item, MailboxOwner,
        "The message was changed meanwhile.",
        "Another client or the server itself touched it.",
        "Nothing: it is read again.";
    FolderNotFound = "folder-not-found", Error, Permanent, Mailbox, MailboxOwner,
        "The folder does not exist.",
        "It was deleted or renamed.",
        "Create the folder again, or choose another.";
    CursorInvalid = "cursor-invalid", Information, Transient, Mailbox, MailboxOwner,
        "The server no longer knows the place where reading stopped.",
        "The server was restored or moved, or dropped its state.",
        "Nothing: the folder is compared with the ledger; nothing is recorded twice.";
    AutomaticAnswerWithheld = "automatic-answer-withheld", Information, Item, Item, MailboxOwner,
        "An automatic answer to automatic email was not sent.",
        "Two programs that answer each other never stop (RFC 3834).",
        "Nothing. Whoever wants to answer writes an email that is not marked as automatic.";
    DeliveryFailed = "delivery-failed", Warning, Item, Item, MailboxOwner,
        "A recipient did not get the email.",
        "A mail system on the way, or the recipient's own, has given it up.",
        "See postroom email show ID for the recipient and the reason; correct the address, or tell the recipient otherwise.";
    OutcomeUnknown = "outcome-unknown", Error, Item, Item, MailboxOwner,
        "It is not known whether the message was sent.",
        "The connection broke between the message and the answer, and no sent copy was found.",
        "Look for the message at the recipient or in Sent Items, then decide: postroom email decide ID sent|resend|failed.";
    Unsupported = "unsupported", Error, Permanent, Mailbox, MailboxOwner,
        "The provider does not support this.",
        "The protocol or the server lacks the capability.",
        "Choose a setting that the provider supports.";
    // Messages.
    MessageMalformed = "message-malformed", Warning, Item, Item, MailboxOwner,
        "The message cannot be read as an email.",
        "It breaks RFC 5322 beyond repair, or is empty.",
        "The raw message is kept: look at it with postroom explain, and replay it once the cause is mended.";
    MessageWithoutSender = "message-without-sender", Warning, Item, Item, MailboxOwner,
        "The message has no usable sender.",
        "From is missing or holds no address.",
        "Nothing: it is set aside with its raw form.";
    MessageQuarantined = "message-quarantined", Warning, Item, Item, MailboxOwner,
        "A message failed three times and was set aside.",
        "See the evidence of the last attempt.",
        "Mend the cause, then replay it: postroom email replay ID.";
    CrmRejected = "crm-rejected", Warning, Item, Item, MailboxOwner,
        "The application refused the record.",
        "A rule or extension of the application failed.",
        "See the application's message; mend it and replay the email.";
    CrmUnavailable = "crm-unavailable", Error, Transient, Organization, Administrator,
        "The application does not answer.",
        "Its database or service is down.",
        "Nothing is lost: Postroom goes on when it is back.";
    // Configuration and gates.
    NoProfile = "no-profile", Error, Permanent, Mailbox, MailboxOwner,
        "The mailbox has no active server profile.",
        "None was set, or the profile is inactive.",
        "Assign an active server profile and run Test & Enable.";
    NotApproved = "not-approved", Error, Permanent, Mailbox, MailboxAndProfileOwner,
        "The mailbox's address is not approved.",
        "The organization processes only approved users and queues.",
        "Approve the address: postroom approve ADDRESS.";
    NoAddress = "no-address", Error, Permanent, Mailbox, MailboxOwner,
        "The mailbox has no email address.",
        "None was set, or it was cleared.",
        "Set the address, have it approved, and run Test & Enable.";
    MethodNone = "method-none", Information, Permanent, Mailbox, MailboxOwner,
        "The workload is not delivered by Postroom.",
        "Its delivery method is None, a forward mailbox, or another program.",
        "Nothing, or set the delivery method to server-side and run Test & Enable.";
    NotEnabled = "not-enabled", Error, Permanent, Mailbox, MailboxOwner,
        "The workload is not enabled.",
        "Test & Enable has not succeeded since the settings that matter were changed.",
        "Run Test & Enable: postroom test ADDRESS.";
    MailboxInactive = "mailbox-inactive", Error, Permanent, Mailbox, MailboxOwner,
        "The mailbox is deactivated.",
        "It was deactivated, or its user was.",
        "Activate the mailbox and run Test & Enable.";
    NoCredentials = "no-credentials", Error, Permanent, Mailbox, MailboxAndProfileOwner,
        "There are no credentials to sign in with.",
        "The profile takes them from the mailbox or from itself, and none are stored there.",
        "Set user name and password, then run Test & Enable.";
    MethodNotSupported = "method-not-supported", Error, Permanent, Mailbox, MailboxOwner,
        "The profile cannot carry this workload.",
        "Its kind of mail system does not offer it.",
        "Choose another profile or set the delivery method to None.";
    ConfigurationInvalid = "configuration-invalid", Error, Permanent, Profile, ProfileOwner,
        "The configuration contradicts itself.",
        "A required field is missing or has a value that does not fit the others.",
        "Correct the named field.";
    ConfigurationUnsupported = "configuration-unsupported", Error, Permanent, Profile, ProfileOwner,
        "The reference does not support the configuration, and the support policy is strict.",
        "A rule of the support check applies; its id is named.",
        "Change what the rule is about, or set support_policy to extended: postroom support check lists all findings.";
    PermissionDenied = "permission-denied", Error, Permanent, Organization, Administrator,
        "The caller lacks the right for this.",
        "The principal's roles and privileges do not include it.",
        "Ask an administrator, or for the privilege that is named.";
    InvalidInput = "invalid-input", Error, Permanent, Organization, Administrator,
        "A value cannot be used.",
        "It is out of range, of the wrong shape, or names something that does not exist.",
        "Correct the named value.";
    NotFound = "not-found", Error, Permanent, Organization, Administrator,
        "There is nothing of that name.",
        "It is misspelled, or was deleted.",
        "List what there is and try again.";
    AlreadyExists = "already-exists", Error, Permanent, Organization, Administrator,
        "There is one of that name already.",
        "Names and addresses are unique in an organization.",
        "Choose another name, or change the existing one.";
    // The store.
    StoreUnavailable = "store-unavailable", Error, Transient, Organization, Administrator,
        "The store cannot be read or written.",
        "The disk is full, read-only or failing, or another program holds the file.",
        "Make room or mend the disk; nothing that was acknowledged is lost.";
    StoreTooNew = "store-too-new", Error, Permanent, Organization, Administrator,
        "The store was written by a newer version of Postroom.",
        "A newer version ran on this file before.",
        "Use that version or a newer one; going back is not possible.";
    StoreCorrupt = "store-corrupt", Error, Permanent, Organization, Administrator,
        "The file is no Postroom store, or is damaged.",
        "It is another kind of file, or the disk failed.",
        "Check the path; otherwise restore the last backup.";
    StoreLocked = "store-locked", Error, Permanent, Organization, Administrator,
        "Another engine runs on this store.",
        "Only one engine may run on one store at a time.",
        "Stop the other engine first, or use the command line beside it.";
    KeyWrong = "key-wrong", Error, Permanent, Organization, Administrator,
        "The key does not open the stored secrets.",
        "It is the key of another store, or the key file was replaced or damaged.",
        "Give the key file that was made with this store, or set the passwords anew with a new key.";
    KeyMissing = "key-missing", Error, Permanent, Organization, Administrator,
        "There is no key to seal secrets with.",
        "The key file or environment variable is not there.",
        "Give the key file that was made with this store.";
    LeaseLost = "lease-lost", Warning, Transient, Mailbox, Administrator,
        "Another worker has taken over the mailbox.",
        "This worker was paused for longer than its lease lasts.",
        "Nothing: the other worker goes on.";
    Cancelled = "cancelled", Information, Transient, Mailbox, Administrator,
        "The work was stopped before it was done.",
        "The engine is stopping, or the caller gave up.",
        "Nothing: it goes on at the next start.";
    Internal = "internal", Error, Transient, Mailbox, Administrator,
        "Postroom met a state that it does not expect.",
        "A defect of Postroom or of a provider.",
        "Report it with the code and the context.";
    // Events.
    IncomingTestSucceeded = "incoming-test-succeeded", Information, Event, Mailbox, MailboxOwner,
        "Incoming email was tested and is enabled.",
        "Test & Enable ran.",
        "Nothing.";
    OutgoingTestSucceeded = "outgoing-test-succeeded", Information, Event, Mailbox, MailboxOwner,
        "Outgoing email was tested and is enabled.",
        "Test & Enable ran.",
        "Nothing.";
    ProfileFailing = "profile-failing", Error, Transient, Profile, ProfileOwner,
        "More than half of the profile's mailboxes fail.",
        "The server, or the account that serves them all, is in trouble.",
        "See the cause named in the alert; the mailboxes resume by themselves unless it needs a person.";
    DeletionHeld = "deletion-held", Error, Permanent, Mailbox, MailboxOwner,
        "A cycle would delete unusually much, and stopped.",
        "A folder was emptied, reset or restored.",
        "Look at the folder, then allow or refuse the deletion.";
}

impl Code {
    /// The stable text form, such as `credentials-rejected`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.spec().text
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no code of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such code in the catalogue")]
#[non_exhaustive]
pub struct UnknownCode;

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or(UnknownCode)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        let mut seen = std::collections::BTreeSet::new();
        for &code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            assert_eq!(code.as_str().parse(), Ok(code));
            assert!(
                code.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{code}"
            );
        }
    }

    #[test]
    fn every_text_is_a_sentence() {
        for &code in Code::ALL {
            let spec = code.spec();
            for text in [spec.summary, spec.cause, spec.remedy] {
                assert!(text.ends_with('.'), "{code}: {text:?}");
            }
        }
    }
}
