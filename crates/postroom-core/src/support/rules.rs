//! The rules, one after the other.

use super::matrix::host;
use super::{ExchangeVersion, Facts, MailSystem, Protocol, Rule, Severity, Standing};
use crate::mailbox::DeliveryMethod;
use crate::profile::{
    AuthenticationProtocol, CredentialSource, EXCHANGE_ONLINE_PROFILE_NAME, OutgoingProtocol,
};

use Severity::{Note, Warning};
use Standing::{Advice, General, NotRecommended, Unsupported};

const fn rule(
    id: &'static str,
    (standing, extended): (Standing, Severity),
    field: &'static str,
    [text, here, source]: [&'static str; 3],
    applies: fn(&Facts<'_>) -> bool,
) -> Rule {
    Rule {
        id,
        standing,
        extended,
        field,
        text,
        here,
        source,
        applies,
    }
}

const ONLINE_SECTION: &str = "seed 003, Exchange Online with the online service";
const UNSUPPORTED_SECTION: &str = "seed 003, unsupported configurations";
const HYBRID_SECTION: &str = "seed 002, prerequisites";

const fn never(_: &Facts<'_>) -> bool {
    false
}

/// Every rule, in the order in which findings are listed.
pub const RULES: &[Rule] = &[
    // The matrix.
    rule(
        "matrix.email",
        (Unsupported, Note),
        "kind",
        [
            "The mail system is not among those that the reference was tested with for this deployment.",
            "It works here where it speaks the protocol by the book; test a mailbox before relying on it.",
            "seed 003, table and first note",
        ],
        |facts| facts.protocol != Protocol::Custom && facts.row().is_none(),
    ),
    rule(
        "matrix.items",
        (Unsupported, Warning),
        "items",
        [
            "Appointments, contacts and tasks are not synchronized with this mail system.",
            "Set the method for items to none; POP3, IMAP and SMTP carry none of them.",
            "seed 003, table",
        ],
        |facts| {
            facts
                .mailbox
                .is_some_and(|mailbox| mailbox.items.method == DeliveryMethod::ServerSide)
                && facts.row().is_some_and(|row| !row.items)
        },
    ),
    rule(
        "protocol.imap",
        (Unsupported, Note),
        "kind",
        [
            "IMAP is not spoken by the editions that this matrix describes.",
            "It is spoken here: sent copies are found again, so that nothing is sent twice.",
            "seed 003, table, which lists POP3/SMTP only; domain section 11",
        ],
        |facts| facts.protocol == Protocol::ImapSmtp && facts.row().is_none(),
    ),
    rule(
        "custom.provider",
        (Unsupported, Note),
        "kind",
        [
            "Protocols cannot be extended and providers cannot be added.",
            "Providers can be added here; the conformance suite says whether one keeps the promises.",
            UNSUPPORTED_SECTION,
        ],
        |facts| facts.protocol == Protocol::Custom,
    ),
    rule(
        "directions.mixed",
        (Unsupported, Warning),
        "outgoing.location",
        [
            "Incoming and outgoing email of one profile cannot be with different mail systems.",
            "Replies leave from another system than they come to: sent copies lie where nobody looks for them.",
            UNSUPPORTED_SECTION,
        ],
        mixed,
    ),
    rule(
        "exchange.too-old",
        (Unsupported, Warning),
        "server_version",
        [
            "Exchange Server 2003 and 2007 are not supported.",
            "Exchange 2003 has no web services; 2007 lacks requests that are used here.",
            UNSUPPORTED_SECTION,
        ],
        |facts| {
            matches!(
                facts.system,
                MailSystem::ExchangeServer(Some(ExchangeVersion::V2003 | ExchangeVersion::V2007))
            )
        },
    ),
    rule(
        "exchange.2010-online",
        (NotRecommended, Warning),
        "server_version",
        [
            "Exchange Server 2010 with the online service is listed by one source and dropped by later ones.",
            "Plan the move to a later version.",
            "seed 002, prerequisites, against domain section 11",
        ],
        |facts| {
            facts.online
                && matches!(
                    facts.system,
                    MailSystem::ExchangeServer(Some(
                        ExchangeVersion::V2010 | ExchangeVersion::V2010Sp3
                    ))
                )
        },
    ),
    // FIPS.
    rule(
        "fips.mail-system",
        (Unsupported, Warning),
        "incoming.location",
        [
            "MSN, Outlook.com and Windows Live Mail are not FIPS 140-2 compliant, and this deployment asks for that.",
            "Choose another mail system, or take the FIPS setting off the deployment if it need not hold.",
            "seed 003, unsupported configurations and footnote 1",
        ],
        |facts| {
            facts.fips
                && matches!(
                    facts.system,
                    MailSystem::Msn | MailSystem::OutlookCom | MailSystem::WindowsLive
                )
        },
    ),
    rule(
        "fips.internet-mail",
        (Advice, Note),
        "incoming.location",
        [
            "The POP3, IMAP and SMTP servers of this deployment must be FIPS 140-2 compliant themselves.",
            "Ask whoever runs them; it cannot be seen from outside.",
            UNSUPPORTED_SECTION,
        ],
        |facts| {
            let sends_by_smtp = facts.profile.sends_by() == Some(OutgoingProtocol::Smtp);
            facts.fips
                && (sends_by_smtp
                    || matches!(facts.protocol, Protocol::Pop3Smtp | Protocol::ImapSmtp))
        },
    ),
    // Online with Exchange Online.
    rule(
        "online.mailbox-credentials",
        (Unsupported, Warning),
        "incoming.credentials",
        [
            "Credentials of a user or queue are not supported for Exchange Online with the online service.",
            "Use server to server.",
            ONLINE_SECTION,
        ],
        |facts| {
            facts.online_online()
                && facts.any_endpoint(|e| e.credentials == CredentialSource::Mailbox)
        },
    ),
    rule(
        "online.profile-credentials",
        (Unsupported, Warning),
        "incoming.credentials",
        [
            "Credentials of the profile are not supported for Exchange Online with the online service.",
            "Use server to server.",
            ONLINE_SECTION,
        ],
        |facts| {
            facts.online_online()
                && facts.any_endpoint(|e| e.credentials == CredentialSource::Profile)
        },
    ),
    rule(
        "online.impersonation",
        (Unsupported, Note),
        "incoming.impersonation",
        [
            "Impersonation is not supported for Exchange Online with the online service.",
            "Server to server opens every mailbox by itself.",
            ONLINE_SECTION,
        ],
        |facts| facts.online_online() && facts.any_endpoint(|e| e.impersonation),
    ),
    rule(
        "online.auto-discover-off",
        (Unsupported, Note),
        "auto_discover",
        [
            "Auto discover must be on for Exchange Online with the online service.",
            "A location that is set by hand works as long as the mailboxes do not move.",
            ONLINE_SECTION,
        ],
        |facts| facts.online_online() && !facts.profile.auto_discover,
    ),
    rule(
        "online.other-profile",
        (Unsupported, Note),
        "name",
        [
            "Exchange Online with the online service is supported by its own profile only.",
            "Several profiles side by side are fine here.",
            ONLINE_SECTION,
        ],
        |facts| {
            facts.online_online()
                && !facts
                    .profile
                    .name
                    .trim()
                    .eq_ignore_ascii_case(EXCHANGE_ONLINE_PROFILE_NAME)
        },
    ),
    rule(
        "online.other-port",
        (Unsupported, Note),
        "incoming.port",
        [
            "Other network ports than the usual ones are not supported for Exchange Online.",
            "Leave the port empty.",
            ONLINE_SECTION,
        ],
        |facts| facts.online_online() && facts.any_endpoint(|e| e.port.is_some_and(|p| p != 443)),
    ),
    rule(
        "online.other-tenant",
        (Unsupported, Warning),
        "tenant",
        [
            "Exchange Online in another tenant than the application's is not supported.",
            "Later editions allow it with OAuth; approval is then the other tenant's business.",
            "seed 003, Exchange Online with the online service; domain section 11",
        ],
        |facts| facts.online_online() && facts.profile.tenant.is_some(),
    ),
    rule(
        "online.windows-integrated",
        (Unsupported, Warning),
        "incoming.credentials",
        [
            "The service's own Windows identity is not available to the online service.",
            "Use the profile's credentials or server to server.",
            "domain section 1, deployment switches",
        ],
        |facts| {
            facts.online
                && facts.any_endpoint(|e| e.credentials == CredentialSource::WindowsIntegrated)
        },
    ),
    // Hybrid.
    rule(
        "hybrid.secured",
        (Unsupported, Warning),
        "incoming.ssl",
        [
            "The connection from the online service to an own Exchange server must be encrypted.",
            "Switch SSL on and use an https location.",
            HYBRID_SECTION,
        ],
        |facts| facts.hybrid_in() && plain(facts),
    ),
    rule(
        "hybrid.authentication",
        (Unsupported, Warning),
        "incoming.authentication",
        [
            "From the online service to an own Exchange server, NTLM or Basic authentication is used.",
            "Choose NTLM, Basic or automatic detection.",
            HYBRID_SECTION,
        ],
        |facts| {
            facts.hybrid_in()
                && facts.any_endpoint(|e| {
                    !matches!(
                        e.authentication,
                        AuthenticationProtocol::AutoDetect
                            | AuthenticationProtocol::Ntlm
                            | AuthenticationProtocol::Basic
                    )
                })
        },
    ),
    rule(
        "hybrid.impersonation",
        (Unsupported, Note),
        "incoming.impersonation",
        [
            "An own Exchange server is opened by a service account that may impersonate the mailboxes.",
            "Delegation and the mailboxes' own credentials work here, each with its own upkeep.",
            "seed 002, prerequisites and step 1",
        ],
        |facts| {
            facts.hybrid_in()
                && facts.any_endpoint(|e| {
                    e.credentials != CredentialSource::Profile || !e.impersonation
                })
        },
    ),
    rule(
        "hybrid.ntlm-alone",
        (Advice, Note),
        "incoming.authentication",
        [
            "Where NTLM is used, Basic authentication is to be switched off on the Exchange server.",
            "Check the web services' authentication settings on the server.",
            HYBRID_SECTION,
        ],
        |facts| {
            facts.hybrid_in()
                && facts.any_endpoint(|e| e.authentication == AuthenticationProtocol::Ntlm)
        },
    ),
    rule(
        "hybrid.reachable",
        (Advice, Note),
        "incoming.location",
        [
            "The web services of the Exchange server must be reachable through the firewall.",
            "Often a reverse proxy faces the outside; postroom profile test shows how far it gets.",
            HYBRID_SECTION,
        ],
        |facts| facts.hybrid_in(),
    ),
    rule(
        "hybrid.auto-discover",
        (Advice, Note),
        "auto_discover",
        [
            "Auto discover is recommended between the online service and an own Exchange server.",
            "Nothing, if the server's location does not change.",
            "seed 002, step 1",
        ],
        |facts| facts.hybrid_in() && !facts.profile.auto_discover,
    ),
    rule(
        "hybrid.multi-factor",
        (Unsupported, Note),
        "incoming.credentials",
        [
            "Accounts that ask for a second factor are not supported between online and own servers.",
            "Use an account without one; whether it has one cannot be seen from here.",
            UNSUPPORTED_SECTION,
        ],
        |facts| {
            (facts.hybrid_in() || facts.hybrid_out())
                && facts.any_endpoint(|e| e.authentication == AuthenticationProtocol::OAuth)
        },
    ),
    rule(
        "hybrid.two-profiles",
        (Advice, Note),
        "",
        [
            "Mailboxes online and mailboxes on own servers need a profile each.",
            "Give every mailbox the profile of the system that it lies on.",
            "seed 003, notes",
        ],
        |facts| facts.hybrid_in() || facts.hybrid_out(),
    ),
    rule(
        "hybrid.outlook-on-the-web",
        (Advice, Note),
        "",
        [
            "Tracking from Outlook on the web does not work for an own application with Exchange Online.",
            "Nothing: tracking by Postroom does not depend on it.",
            "seed 003, notes",
        ],
        |facts| facts.hybrid_out(),
    ),
    rule(
        "exchange-online.web-services-end",
        (NotRecommended, Warning),
        "kind",
        [
            "Exchange Online switches its web services off, in steps from October 2026 to April 2027.",
            "Plan for another protocol; own Exchange servers keep the web services.",
            "domain section 11 (secondary sources)",
        ],
        |facts| facts.system == MailSystem::ExchangeOnline && facts.protocol == Protocol::Ews,
    ),
    // Own servers.
    rule(
        "own.auto-discover",
        (Advice, Note),
        "auto_discover",
        [
            "Auto discover costs time where the server's location never changes.",
            "Set the location by hand.",
            "seed 000, fields of the profile",
        ],
        |facts| {
            !facts.online
                && matches!(facts.system, MailSystem::ExchangeServer(_))
                && facts.profile.auto_discover
        },
    ),
    rule(
        "connection.plain",
        (NotRecommended, Warning),
        "incoming.ssl",
        [
            "The connection is not encrypted: everybody on the way can read mail and password.",
            "Switch SSL on and use an https location; plain connections are for laboratories.",
            "domain section 1, deployment switches",
        ],
        |facts| !facts.hybrid_in() && plain(facts),
    ),
    // Mailboxes.
    rule(
        "mailbox.forward",
        (NotRecommended, Note),
        "incoming",
        [
            "Incoming email by way of a forward mailbox has a single point of failure.",
            "Open the mailbox itself where that is possible.",
            "domain section 13",
        ],
        |facts| {
            facts
                .mailbox
                .is_some_and(|mailbox| mailbox.incoming.method == DeliveryMethod::ForwardMailbox)
        },
    ),
    rule(
        "mailbox.delegated-items",
        (Unsupported, Warning),
        "items",
        [
            "Appointments, contacts and tasks need impersonation: delegated access does not carry them.",
            "Switch impersonation on in the profile.",
            "domain section 1, impersonation and delegation",
        ],
        |facts| {
            facts
                .mailbox
                .is_some_and(|mailbox| mailbox.items.method == DeliveryMethod::ServerSide)
                && facts.protocol == Protocol::Ews
                && facts.profile.incoming.credentials == CredentialSource::Profile
                && !facts.profile.incoming.impersonation
        },
    ),
    rule(
        "mailbox.mixed-clients",
        (NotRecommended, Warning),
        "items",
        [
            "Items of some users by a client program and of others from the server do not mix well in one organization.",
            "Choose one way for all: attendees may otherwise not get changes.",
            "seed 003, last note",
        ],
        |facts| {
            facts
                .mailbox
                .is_some_and(|mailbox| mailbox.items.method == DeliveryMethod::Other)
                && facts.organization.settings.mailbox_defaults.items == DeliveryMethod::ServerSide
        },
    ),
    rule(
        "mailbox.manual-tracking",
        (Advice, Note),
        "",
        [
            "Tracking by hand in Outlook does not work for mailboxes that are reached by POP3 and SMTP.",
            "Use a tracking filter instead.",
            "seed 003, notes",
        ],
        |facts| facts.mailbox.is_some() && facts.protocol == Protocol::Pop3Smtp,
    ),
    // The product as a whole.
    rule(
        "general.mass-mail",
        (General, Note),
        "",
        [
            "Campaigns of mass email are not created by server-side synchronization.",
            "Not here either.",
            UNSUPPORTED_SECTION,
        ],
        never,
    ),
    rule(
        "general.network-devices",
        (General, Note),
        "",
        [
            "Devices that alter the traffic between application and mail system are not supported.",
            "A proxy is fine as long as it leaves requests and answers as they are.",
            "domain section 11",
        ],
        never,
    ),
    rule(
        "general.customer-key",
        (General, Note),
        "",
        [
            "Mailboxes that Exchange Online encrypts with a key of the customer's are supported.",
            "Nothing to set.",
            "seed 003, notes",
        ],
        never,
    ),
    rule(
        "general.conversion",
        (General, Note),
        "kind",
        [
            "A POP3 profile cannot be turned into an IMAP profile.",
            "The kind of a profile is fixed here, too: make a new one and give it to the mailboxes.",
            "domain section 11",
        ],
        never,
    ),
];

/// Whether a direction crosses the network in clear text.
fn plain(facts: &Facts<'_>) -> bool {
    facts.any_endpoint(|endpoint| {
        !endpoint.ssl
            || endpoint
                .location
                .as_deref()
                .is_some_and(|location| location.starts_with("http://"))
    })
}

/// Whether incoming and outgoing email are with different mail systems: an Exchange server in one
/// direction and an Internet mail server in the other, or two different Exchange servers.
fn mixed(facts: &Facts<'_>) -> bool {
    if facts.profile.is_mixed() {
        return true;
    }
    let (Some(incoming), Some(outgoing)) = (
        facts.profile.incoming.location.as_deref(),
        facts.outgoing.location.as_deref(),
    ) else {
        return false;
    };
    match facts.protocol {
        Protocol::Custom => false,
        Protocol::Ews => !host(incoming).eq_ignore_ascii_case(host(outgoing)),
        Protocol::Pop3Smtp | Protocol::ImapSmtp => {
            let web = |location: &str| {
                location.starts_with("http://") || location.starts_with("https://")
            };
            web(incoming) || web(outgoing)
        }
    }
}
