//! The matrix: which mail systems each deployment is supported with, and by which protocol.

use serde::{Deserialize, Serialize};

use crate::organization::DeploymentKind;
use crate::profile::{ProfileKind, ServerProfile};

/// The version of an Exchange server, as the administrator states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExchangeVersion {
    /// Exchange Server 2003.
    #[serde(rename = "2003")]
    V2003,
    /// Exchange Server 2007, any service pack.
    #[serde(rename = "2007")]
    V2007,
    /// Exchange Server 2010 before Service Pack 3.
    #[serde(rename = "2010")]
    V2010,
    /// Exchange Server 2010 Service Pack 3.
    #[serde(rename = "2010-sp3")]
    V2010Sp3,
    /// Exchange Server 2013 before Service Pack 1.
    #[serde(rename = "2013")]
    V2013,
    /// Exchange Server 2013 Service Pack 1.
    #[serde(rename = "2013-sp1")]
    V2013Sp1,
    /// Exchange Server 2016.
    #[serde(rename = "2016")]
    V2016,
    /// Exchange Server 2019.
    #[serde(rename = "2019")]
    V2019,
    /// Exchange Server Subscription Edition.
    #[serde(rename = "se")]
    SubscriptionEdition,
}

impl ExchangeVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 9] = [
        Self::V2003,
        Self::V2007,
        Self::V2010,
        Self::V2010Sp3,
        Self::V2013,
        Self::V2013Sp1,
        Self::V2016,
        Self::V2019,
        Self::SubscriptionEdition,
    ];

    /// The text form, such as `2013-sp1`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2003 => "2003",
            Self::V2007 => "2007",
            Self::V2010 => "2010",
            Self::V2010Sp3 => "2010-sp3",
            Self::V2013 => "2013",
            Self::V2013Sp1 => "2013-sp1",
            Self::V2016 => "2016",
            Self::V2019 => "2019",
            Self::SubscriptionEdition => "se",
        }
    }

    /// The release without its service pack.
    const fn release(self) -> Self {
        match self {
            Self::V2010Sp3 => Self::V2010,
            Self::V2013Sp1 => Self::V2013,
            other => other,
        }
    }
}

/// A mail system, as the matrix tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MailSystem {
    /// Exchange Online.
    ExchangeOnline,
    /// Exchange Server, of that version where it is stated.
    ExchangeServer(Option<ExchangeVersion>),
    /// Gmail.
    Gmail,
    /// Yahoo! Mail.
    Yahoo,
    /// MSN.
    Msn,
    /// Outlook.com.
    OutlookCom,
    /// Windows Live Mail.
    WindowsLive,
    /// Another server that speaks POP3, IMAP or SMTP.
    OtherInternet,
    /// A provider of the integrator.
    Custom,
}

impl MailSystem {
    /// The mail system of a profile: by its kind, and for Internet mail by the name of its server.
    #[must_use]
    pub fn of(profile: &ServerProfile) -> Self {
        match &profile.kind {
            ProfileKind::ExchangeOnline => Self::ExchangeOnline,
            ProfileKind::ExchangeServer => Self::ExchangeServer(profile.server_version),
            ProfileKind::Custom(_) => Self::Custom,
            ProfileKind::Pop3Smtp | ProfileKind::ImapSmtp => {
                let of = |location: Option<&str>| {
                    location.map_or(Self::OtherInternet, |location| {
                        Self::of_host(host(location))
                    })
                };
                let outgoing = of(profile.outgoing.location.as_deref());
                match of(profile.incoming.location.as_deref()) {
                    // Outlook.com is read at Exchange Online's servers, and sends at its own.
                    Self::ExchangeOnline if outgoing == Self::OutlookCom => outgoing,
                    incoming => incoming,
                }
            }
        }
    }

    /// The Internet mail system that a host belongs to.
    fn of_host(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        let within = |domain: &str| {
            host == domain
                || host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.'))
        };
        if within("gmail.com") || within("googlemail.com") {
            Self::Gmail
        } else if host.split('.').any(|label| label == "yahoo") {
            Self::Yahoo
        } else if within("msn.com") {
            Self::Msn
        } else if within("live.com") {
            Self::WindowsLive
        } else if within("outlook.com") || within("hotmail.com") {
            Self::OutlookCom
        } else if within("office365.com") {
            Self::ExchangeOnline
        } else {
            Self::OtherInternet
        }
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::ExchangeOnline => "Exchange Online".to_owned(),
            Self::ExchangeServer(None) => "Exchange Server".to_owned(),
            Self::ExchangeServer(Some(version)) => format!("Exchange Server {}", version.as_str()),
            Self::Gmail => "Gmail".to_owned(),
            Self::Yahoo => "Yahoo! Mail".to_owned(),
            Self::Msn => "MSN".to_owned(),
            Self::OutlookCom => "Outlook.com".to_owned(),
            Self::WindowsLive => "Windows Live Mail".to_owned(),
            Self::OtherInternet => "another mail server".to_owned(),
            Self::Custom => "a custom provider".to_owned(),
        }
    }
}

/// The host of a location: a URL, or a host with or without a port.
pub(super) fn host(location: &str) -> &str {
    let rest = location
        .split_once("://")
        .map_or(location, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if let Some(bracketed) = authority.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default().trim()
}

/// How a mail system is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "one for each kind of profile, matched in full"
)]
pub enum Protocol {
    /// Exchange Web Services.
    Ews,
    /// POP3 in, SMTP out.
    Pop3Smtp,
    /// IMAP in, SMTP out.
    ImapSmtp,
    /// An integrator's own.
    Custom,
}

impl Protocol {
    /// The protocol of a kind of profile.
    #[must_use]
    pub const fn of(kind: &ProfileKind) -> Self {
        match kind {
            ProfileKind::ExchangeServer | ProfileKind::ExchangeOnline => Self::Ews,
            ProfileKind::Pop3Smtp => Self::Pop3Smtp,
            ProfileKind::ImapSmtp => Self::ImapSmtp,
            ProfileKind::Custom(_) => Self::Custom,
        }
    }

    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ews => "Exchange Web Services",
            Self::Pop3Smtp => "POP3/SMTP",
            Self::ImapSmtp => "IMAP/SMTP",
            Self::Custom => "custom",
        }
    }
}

/// One line of the matrix: email is supported for every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatrixRow {
    /// Where the application runs.
    pub deployment: DeploymentKind,
    /// The mail system. A version without a service pack stands for all its service packs.
    pub system: MailSystem,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Whether appointments, contacts and tasks are supported, too.
    pub items: bool,
    /// Whether it may be used where only FIPS-validated systems may.
    pub fips: bool,
    /// Where the line comes from.
    pub source: &'static str,
}

const fn row(
    deployment: DeploymentKind,
    system: MailSystem,
    protocol: Protocol,
    items: bool,
    fips: bool,
    source: &'static str,
) -> MatrixRow {
    MatrixRow {
        deployment,
        system,
        protocol,
        items,
        fips,
        source,
    }
}

const S3: &str = "seed 003, table of supported systems";
const S2: &str = "seed 002, prerequisites";
const LATER_OWN: &str = "domain section 11, own servers 9.x";
const LATER_ONLINE: &str = "domain section 11, online 9.x";

/// The matrix. Seed 003's table, and what later editions of it add; where seed 002 and those
/// disagree (Exchange 2010 online), the line stays and a rule warns.
pub const MATRIX: &[MatrixRow] = {
    use DeploymentKind::{OnPremises, Online};
    use ExchangeVersion::{V2010, V2010Sp3, V2013, V2013Sp1, V2016, V2019};
    use MailSystem::{ExchangeOnline, ExchangeServer, Gmail, Msn, OutlookCom, WindowsLive, Yahoo};
    use Protocol::{Ews, ImapSmtp, Pop3Smtp};
    &[
        row(OnPremises, ExchangeOnline, Ews, true, true, S3),
        row(OnPremises, ExchangeServer(Some(V2013)), Ews, true, true, S3),
        row(OnPremises, ExchangeServer(Some(V2016)), Ews, true, true, S3),
        row(
            OnPremises,
            ExchangeServer(Some(V2010)),
            Ews,
            true,
            true,
            LATER_OWN,
        ),
        row(
            OnPremises,
            ExchangeServer(Some(V2019)),
            Ews,
            true,
            true,
            LATER_OWN,
        ),
        row(OnPremises, Gmail, Pop3Smtp, false, true, S3),
        row(OnPremises, Yahoo, Pop3Smtp, false, true, S3),
        row(OnPremises, Msn, Pop3Smtp, false, false, S3),
        row(OnPremises, OutlookCom, Pop3Smtp, false, false, S3),
        row(OnPremises, WindowsLive, Pop3Smtp, false, false, S3),
        row(Online, ExchangeOnline, Ews, true, true, S3),
        row(Online, ExchangeServer(Some(V2013Sp1)), Ews, true, true, S3),
        row(Online, ExchangeServer(Some(V2016)), Ews, true, true, S3),
        row(Online, ExchangeServer(Some(V2010Sp3)), Ews, true, true, S2),
        row(
            Online,
            ExchangeServer(Some(V2019)),
            Ews,
            true,
            true,
            LATER_ONLINE,
        ),
        row(Online, Gmail, Pop3Smtp, false, true, S3),
        row(Online, Yahoo, Pop3Smtp, false, true, S3),
        row(Online, Gmail, ImapSmtp, false, true, LATER_ONLINE),
        row(Online, Yahoo, ImapSmtp, false, true, LATER_ONLINE),
    ]
};

/// The line for a mail system. An Exchange server whose version is not stated takes the benefit of
/// the doubt: it matches any line for Exchange servers.
#[must_use]
pub fn find_row(
    deployment: DeploymentKind,
    system: MailSystem,
    protocol: Protocol,
) -> Option<&'static MatrixRow> {
    MATRIX.iter().find(|row| {
        row.deployment == deployment
            && row.protocol == protocol
            && match (row.system, system) {
                (MailSystem::ExchangeServer(_), MailSystem::ExchangeServer(None)) => true,
                (
                    MailSystem::ExchangeServer(Some(listed)),
                    MailSystem::ExchangeServer(Some(stated)),
                ) => listed == stated || listed == stated.release(),
                (listed, asked) => listed == asked,
            }
    })
}
