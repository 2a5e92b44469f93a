//! What well-known mail providers ask for: servers, ports, how to sign in, what to switch on there.
//!
//! Source: seed 000 (Gmail, Yahoo! Mail, MSN, Outlook.com and Windows Live by POP3), seed 003 (FIPS), and
//! what the providers' own help pages say today.

use super::{AuthenticationProtocol, FieldError, ProfileKind, ServerProfile};

/// A server of a preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresetServer {
    /// Its name.
    pub host: &'static str,
    /// Its port. TLS comes first, except on 110, 143 and 587, where the connection is upgraded.
    pub port: u16,
}

/// How accounts of a provider sign in from a program today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignInWith {
    /// The password of the account.
    Password,
    /// A password that the provider makes for one program.
    AppPassword,
    /// OAuth 2.0; passwords are refused.
    OAuth,
}

impl SignInWith {
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::AppPassword => "app password",
            Self::OAuth => "OAuth 2.0",
        }
    }

    const fn protocol(self) -> AuthenticationProtocol {
        match self {
            Self::Password | Self::AppPassword => AuthenticationProtocol::Basic,
            Self::OAuth => AuthenticationProtocol::OAuth,
        }
    }
}

/// What a well-known mail provider asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preset {
    /// Its name on the command line: `gmail`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Domains of its addresses.
    pub domains: &'static [&'static str],
    /// Domains of the servers that take in mail for it, also for domains of its customers.
    pub mail_exchangers: &'static [&'static str],
    /// IMAP, where it has it.
    pub imap: Option<PresetServer>,
    /// POP3, where it has it.
    pub pop3: Option<PresetServer>,
    /// Submission.
    pub smtp: PresetServer,
    /// How to sign in.
    pub sign_in: SignInWith,
    /// What is to be done at the provider before it works, in whole sentences.
    pub preparation: &'static str,
    /// Whether it may be used where the deployment asks for FIPS 140-2. Source: seed 003.
    pub fips: bool,
}

const fn server(host: &'static str, port: u16) -> PresetServer {
    PresetServer { host, port }
}

const OUTLOOK: Option<PresetServer> = Some(server("outlook.office365.com", 995));
const OUTLOOK_IMAP: Option<PresetServer> = Some(server("outlook.office365.com", 993));
const OUTLOOK_SMTP: PresetServer = server("smtp-mail.outlook.com", 587);
const OUTLOOK_PREPARATION: &str = "Passwords are refused since September 2024: register an application that may \
    use POP3, IMAP and SMTP. Let devices and apps use POP in the mailbox's settings, under Mail, Forwarding and IMAP.";

/// The presets, the reference's five first.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "gmail",
        title: "Gmail",
        domains: &["gmail.com", "googlemail.com"],
        mail_exchangers: &["google.com", "googlemail.com"],
        imap: Some(server("imap.gmail.com", 993)),
        pop3: Some(server("pop.gmail.com", 995)),
        smtp: server("smtp.gmail.com", 465),
        sign_in: SignInWith::AppPassword,
        preparation: "Switch on 2-step verification and make an app password, or use OAuth 2.0. For POP3, \
            switch it on in the mailbox's settings, under Forwarding and POP/IMAP, and keep Gmail's copy there.",
        fips: true,
    },
    Preset {
        name: "yahoo",
        title: "Yahoo! Mail",
        domains: &[
            "yahoo.com",
            "ymail.com",
            "rocketmail.com",
            "yahoo.co.uk",
            "yahoo.de",
            "yahoo.fr",
        ],
        mail_exchangers: &["yahoodns.net"],
        imap: Some(server("imap.mail.yahoo.com", 993)),
        pop3: Some(server("pop.mail.yahoo.com", 995)),
        smtp: server("smtp.mail.yahoo.com", 465),
        sign_in: SignInWith::AppPassword,
        preparation: "Make an app password in the account's security settings.",
        fips: true,
    },
    Preset {
        name: "outlook-com",
        title: "Outlook.com",
        domains: &[
            "outlook.com",
            "hotmail.com",
            "outlook.de",
            "outlook.fr",
            "hotmail.co.uk",
        ],
        mail_exchangers: &["olc.protection.outlook.com"],
        imap: OUTLOOK_IMAP,
        pop3: OUTLOOK,
        smtp: OUTLOOK_SMTP,
        sign_in: SignInWith::OAuth,
        preparation: OUTLOOK_PREPARATION,
        fips: false,
    },
    Preset {
        name: "msn",
        title: "MSN",
        domains: &["msn.com"],
        mail_exchangers: &[],
        imap: OUTLOOK_IMAP,
        pop3: OUTLOOK,
        smtp: OUTLOOK_SMTP,
        sign_in: SignInWith::OAuth,
        preparation: OUTLOOK_PREPARATION,
        fips: false,
    },
    Preset {
        name: "windows-live",
        title: "Windows Live Mail",
        domains: &["live.com", "windowslive.com", "live.co.uk", "live.de"],
        mail_exchangers: &[],
        imap: OUTLOOK_IMAP,
        pop3: OUTLOOK,
        smtp: OUTLOOK_SMTP,
        sign_in: SignInWith::OAuth,
        preparation: OUTLOOK_PREPARATION,
        fips: false,
    },
    Preset {
        name: "aol",
        title: "AOL Mail",
        domains: &["aol.com", "aim.com"],
        mail_exchangers: &[],
        imap: Some(server("imap.aol.com", 993)),
        pop3: Some(server("pop.aol.com", 995)),
        smtp: server("smtp.aol.com", 465),
        sign_in: SignInWith::AppPassword,
        preparation: "Make an app password in the account's security settings.",
        fips: true,
    },
    Preset {
        name: "fastmail",
        title: "Fastmail",
        domains: &["fastmail.com", "fastmail.fm"],
        mail_exchangers: &["messagingengine.com"],
        imap: Some(server("imap.fastmail.com", 993)),
        pop3: Some(server("pop.fastmail.com", 995)),
        smtp: server("smtp.fastmail.com", 465),
        sign_in: SignInWith::AppPassword,
        preparation: "Make an app password with access to mail, under Privacy and Security.",
        fips: true,
    },
    Preset {
        name: "gmx",
        title: "GMX",
        domains: &["gmx.net", "gmx.de", "gmx.at", "gmx.ch"],
        mail_exchangers: &["gmx.net"],
        imap: Some(server("imap.gmx.net", 993)),
        pop3: Some(server("pop.gmx.net", 995)),
        smtp: server("mail.gmx.net", 465),
        sign_in: SignInWith::Password,
        preparation: "Allow POP3 and IMAP in the mailbox's settings; with two-factor authentication, make a password \
            for the application.",
        fips: true,
    },
    Preset {
        name: "web-de",
        title: "WEB.DE",
        domains: &["web.de"],
        mail_exchangers: &["web.de"],
        imap: Some(server("imap.web.de", 993)),
        pop3: Some(server("pop3.web.de", 995)),
        smtp: server("smtp.web.de", 587),
        sign_in: SignInWith::Password,
        preparation: "Allow POP3 and IMAP in the mailbox's settings; with two-factor authentication, make a password \
            for the application.",
        fips: true,
    },
    Preset {
        name: "icloud",
        title: "iCloud Mail",
        domains: &["icloud.com", "me.com", "mac.com"],
        mail_exchangers: &["mail.icloud.com"],
        imap: Some(server("imap.mail.me.com", 993)),
        pop3: None,
        smtp: server("smtp.mail.me.com", 587),
        sign_in: SignInWith::AppPassword,
        preparation: "Switch on two-factor authentication and make an app-specific password.",
        fips: true,
    },
    Preset {
        name: "zoho",
        title: "Zoho Mail",
        domains: &["zoho.com", "zohomail.com"],
        mail_exchangers: &["zoho.com"],
        imap: Some(server("imap.zoho.com", 993)),
        pop3: Some(server("pop.zoho.com", 995)),
        smtp: server("smtp.zoho.com", 465),
        sign_in: SignInWith::AppPassword,
        preparation: "Allow IMAP or POP in the mailbox's settings; with two-factor authentication, make an \
            application-specific password. Organizations in other regions have servers of their own, such as imap.zoho.eu.",
        fips: true,
    },
];

impl Preset {
    /// The preset of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS
            .iter()
            .find(|preset| preset.name.eq_ignore_ascii_case(name))
    }

    /// The preset for addresses of a domain.
    #[must_use]
    pub fn of_domain(domain: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| {
            let mut domains = preset.domains.iter();
            domains.any(|own| own.eq_ignore_ascii_case(domain))
        })
    }

    /// The preset of the provider whose server takes in mail for a domain: `aspmx.l.google.com` is Gmail's.
    #[must_use]
    pub fn of_mail_exchanger(host: &str) -> Option<&'static Self> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        PRESETS.iter().find(|preset| {
            preset.mail_exchangers.iter().any(|own| {
                host.strip_suffix(own)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
        })
    }

    /// The kind that is taken where nobody asks for one: IMAP, which can do more.
    #[must_use]
    pub const fn default_kind(&self) -> ProfileKind {
        if self.imap.is_some() {
            ProfileKind::ImapSmtp
        } else {
            ProfileKind::Pop3Smtp
        }
    }

    /// Fills in servers and how to sign in: each mailbox with its own credentials.
    ///
    /// # Errors
    /// Where the provider has nothing for the profile's kind.
    ///
    /// ```
    /// use postroom_core::profile::{Preset, ProfileKind, ServerProfile};
    /// use postroom_core::ProfileId;
    /// let gmail = Preset::find("gmail").ok_or("missing")?;
    /// let mut profile = ServerProfile::new(ProfileId::from_random([1; 16]), "Gmail", ProfileKind::Pop3Smtp);
    /// gmail.apply(&mut profile)?;
    /// assert_eq!(profile.incoming.location.as_deref(), Some("pop.gmail.com"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&self, profile: &mut ServerProfile) -> Result<(), FieldError> {
        let incoming = match profile.kind {
            ProfileKind::ImapSmtp => self.imap,
            ProfileKind::Pop3Smtp => self.pop3,
            ProfileKind::ExchangeServer | ProfileKind::ExchangeOnline | ProfileKind::Custom(_) => {
                None
            }
        };
        let incoming = incoming.ok_or_else(|| {
            FieldError::new(
                "kind",
                format!(
                    "must be one that {} has, such as {}",
                    self.title,
                    self.default_kind().provider_name()
                ),
            )
        })?;
        profile.use_internet_servers(
            (incoming.host, Some(incoming.port)),
            (self.smtp.host, Some(self.smtp.port)),
            self.sign_in.protocol(),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ProfileId;
    use crate::profile::CredentialSource;
    use crate::support::MailSystem;
    use std::collections::BTreeSet;

    fn profile(kind: ProfileKind) -> ServerProfile {
        ServerProfile::new(ProfileId::from_random([1; 16]), "p", kind)
    }

    #[test]
    fn every_preset_makes_a_valid_profile_of_each_kind_it_has() {
        for preset in PRESETS {
            let kinds = [
                (ProfileKind::ImapSmtp, preset.imap),
                (ProfileKind::Pop3Smtp, preset.pop3),
            ];
            for (kind, server) in kinds {
                let mut profile = profile(kind);
                let applied = preset.apply(&mut profile);
                assert_eq!(applied.is_ok(), server.is_some(), "{}", preset.name);
                if let Some(server) = server {
                    assert_eq!(profile.validate(), Ok(()), "{}", preset.name);
                    assert_eq!(profile.incoming.port, Some(server.port));
                    let outgoing = profile.effective_outgoing();
                    assert_eq!(outgoing.location.as_deref(), Some(preset.smtp.host));
                    assert_eq!(outgoing.credentials, CredentialSource::Mailbox);
                    assert!(profile.incoming.ssl && outgoing.ssl);
                }
            }
            assert!(preset.preparation.ends_with('.'), "{}", preset.name);
        }
    }

    #[test]
    fn names_and_domains_belong_to_one_preset() {
        let mut seen = BTreeSet::new();
        for preset in PRESETS {
            assert!(seen.insert(preset.name), "{}", preset.name);
            for domain in preset.domains {
                assert!(seen.insert(*domain), "{domain}");
                let found = Preset::of_domain(&domain.to_ascii_uppercase());
                assert_eq!(found.map(|found| found.name), Some(preset.name));
            }
        }
        assert_eq!(Preset::of_domain("example.org"), None);
    }

    #[test]
    fn customers_of_a_provider_are_known_by_who_takes_in_their_mail() {
        for (host, name) in [
            ("ASPMX.L.GOOGLE.COM.", Some("gmail")),
            ("in1-smtp.messagingengine.com", Some("fastmail")),
            ("notgoogle.com", None),
            ("example-org.mail.protection.outlook.com", None),
            ("eur.olc.protection.outlook.com", Some("outlook-com")),
        ] {
            let found = Preset::of_mail_exchanger(host).map(|preset| preset.name);
            assert_eq!(found, name, "{host}");
        }
    }

    #[test]
    fn the_support_check_knows_the_references_five_and_who_is_not_fips_compliant() {
        for (name, system) in [
            ("gmail", MailSystem::Gmail),
            ("yahoo", MailSystem::Yahoo),
            ("outlook-com", MailSystem::OutlookCom),
            // The same servers: nothing tells them apart.
            ("msn", MailSystem::OutlookCom),
            ("windows-live", MailSystem::OutlookCom),
        ] {
            let preset = Preset::find(name).unwrap();
            let mut profile = profile(ProfileKind::Pop3Smtp);
            preset.apply(&mut profile).unwrap();
            assert_eq!(MailSystem::of(&profile), system, "{name}");
            assert_eq!(preset.fips, system != MailSystem::OutlookCom, "{name}");
        }
    }

    #[test]
    fn a_kind_that_the_provider_lacks_is_refused_by_its_field() {
        let icloud = Preset::find("ICLOUD").unwrap();
        for kind in [ProfileKind::Pop3Smtp, ProfileKind::ExchangeServer] {
            let error = icloud.apply(&mut profile(kind)).unwrap_err();
            assert_eq!(error.field, "kind");
            assert!(error.message.contains("imap-smtp"), "{error}");
        }
    }
}
