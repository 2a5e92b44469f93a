use super::*;
use crate::id::{MailboxId, OrganizationId, PartyId, ProfileId};
use crate::mailbox::{DeliveryMethod, MailboxOwner};
use crate::organization::Deployment;
use crate::profile::{AuthenticationProtocol, CredentialSource, ProfileKind};
use DeploymentKind::{OnPremises, Online};

fn organization(kind: DeploymentKind) -> Organization {
    let id = OrganizationId::from_random([1; 16]);
    Organization::new(id, "Contoso", Deployment::new(kind))
}

fn profile(kind: ProfileKind, location: &str) -> ServerProfile {
    let mut profile = ServerProfile::new(ProfileId::from_random([2; 16]), "Office", kind);
    profile.incoming.location = Some(location.to_owned());
    profile
}

fn own_exchange(version: ExchangeVersion) -> ServerProfile {
    let mut profile = profile(
        ProfileKind::ExchangeServer,
        "https://mail.contoso.example/EWS/Exchange.asmx",
    );
    profile.server_version = Some(version);
    profile
}

fn pop3(host: &str) -> ServerProfile {
    profile(ProfileKind::Pop3Smtp, host)
}

fn mailbox() -> Mailbox {
    let owner = MailboxOwner::User(PartyId::from_random([3; 16]));
    Mailbox::new(MailboxId::from_random([4; 16]), "Ada", owner, None)
}

fn found(
    deployment: DeploymentKind,
    profile: &ServerProfile,
    mailbox: Option<&Mailbox>,
    policy: SupportPolicy,
) -> Vec<(&'static str, Severity)> {
    check(&organization(deployment), profile, mailbox, policy)
        .into_iter()
        .map(|finding| (finding.rule, finding.severity))
        .collect()
}

fn refused(deployment: DeploymentKind, profile: &ServerProfile) -> Vec<&'static str> {
    found(deployment, profile, None, SupportPolicy::Strict)
        .into_iter()
        .filter(|(_, severity)| *severity == Severity::Refused)
        .map(|(rule, _)| rule)
        .collect()
}

/// The table of seed 003 written out a second time: system, the profile that reaches it, and what
/// the two deployments say about email and items ("-": not in the table, "e": email, "ei": both).
#[test]
fn the_matrix_row_by_row() {
    use ExchangeVersion as V;
    let online = || {
        let mut profile = ServerProfile::exchange_online(ProfileId::from_random([2; 16]));
        profile.tenant = None;
        profile
    };
    let imap = |host| profile(ProfileKind::ImapSmtp, host);
    for (name, profile, own, service) in [
        ("Exchange Online", online(), "ei", "ei"),
        ("Exchange 2003", own_exchange(V::V2003), "-", "-"),
        ("Exchange 2007", own_exchange(V::V2007), "-", "-"),
        ("Exchange 2010", own_exchange(V::V2010), "ei", "-"),
        ("Exchange 2010 SP3", own_exchange(V::V2010Sp3), "ei", "ei"),
        ("Exchange 2013", own_exchange(V::V2013), "ei", "-"),
        ("Exchange 2013 SP1", own_exchange(V::V2013Sp1), "ei", "ei"),
        ("Exchange 2016", own_exchange(V::V2016), "ei", "ei"),
        ("Exchange 2019", own_exchange(V::V2019), "ei", "ei"),
        (
            "Exchange SE",
            own_exchange(V::SubscriptionEdition),
            "-",
            "-",
        ),
        ("Gmail POP3", pop3("pop.gmail.com"), "e", "e"),
        ("Yahoo POP3", pop3("pop.mail.yahoo.com"), "e", "e"),
        ("MSN POP3", pop3("pop3.email.msn.com"), "e", "-"),
        ("Outlook.com POP3", pop3("pop-mail.outlook.com"), "e", "-"),
        ("Windows Live POP3", pop3("pop3.live.com"), "e", "-"),
        ("other POP3", pop3("pop.fabrikam.example"), "-", "-"),
        ("Gmail IMAP", imap("imap.gmail.com"), "-", "e"),
        ("Yahoo IMAP", imap("imap.mail.yahoo.com"), "-", "e"),
        ("other IMAP", imap("imap.fabrikam.example"), "-", "-"),
    ] {
        for (deployment, expected) in [(OnPremises, own), (Online, service)] {
            let row = find_row(
                deployment,
                MailSystem::of(&profile),
                Protocol::of(&profile.kind),
            );
            let got = match row {
                None => "-",
                Some(row) if row.items => "ei",
                Some(_) => "e",
            };
            assert_eq!(got, expected, "{name} {deployment:?}");
            assert_eq!(
                refused(deployment, &profile).contains(&"matrix.email"),
                expected == "-",
                "{name} {deployment:?}"
            );
            let mut mailbox = mailbox();
            mailbox.items.method = DeliveryMethod::ServerSide;
            let items = found(deployment, &profile, Some(&mailbox), SupportPolicy::Strict);
            assert_eq!(
                items.contains(&("matrix.items", Severity::Refused)),
                expected == "e",
                "{name} {deployment:?}"
            );
        }
    }
}

#[test]
fn every_line_of_the_matrix_is_found_by_itself() {
    for line in MATRIX {
        assert_eq!(
            find_row(line.deployment, line.system, line.protocol),
            Some(line),
            "{line:?}"
        );
        assert_eq!(line.items, line.protocol == Protocol::Ews, "{line:?}");
    }
}

#[test]
fn a_version_that_is_not_stated_takes_the_benefit_of_the_doubt() {
    let mut profile = own_exchange(ExchangeVersion::V2003);
    profile.server_version = None;
    assert_eq!(refused(OnPremises, &profile), Vec::<&str>::new());
}

#[test]
fn fips_rules_out_the_systems_of_the_footnote() {
    for (host, compliant) in [
        ("pop.gmail.com", true),
        ("pop.mail.yahoo.com", true),
        ("pop3.email.msn.com", false),
        ("pop-mail.outlook.com", false),
        ("pop3.live.com", false),
    ] {
        let profile = pop3(host);
        let mut organization = organization(OnPremises);
        let fips = |organization: &Organization, policy| {
            check(organization, &profile, None, policy)
                .into_iter()
                .filter(|finding| finding.rule.starts_with("fips."))
                .map(|finding| (finding.rule, finding.severity))
                .collect::<Vec<_>>()
        };
        assert_eq!(fips(&organization, SupportPolicy::Strict), [], "{host}");
        organization.deployment.fips = true;
        let advice = ("fips.internet-mail", Severity::Note);
        let expected = |severity| {
            if compliant {
                vec![advice]
            } else {
                vec![("fips.mail-system", severity), advice]
            }
        };
        assert_eq!(
            fips(&organization, SupportPolicy::Strict),
            expected(Severity::Refused),
            "{host}"
        );
        assert_eq!(
            fips(&organization, SupportPolicy::Extended),
            expected(Severity::Warning),
            "{host}"
        );
    }
    // The online service counts as configured so.
    assert!(refused(Online, &pop3("pop3.live.com")).contains(&"fips.mail-system"));
    let row = find_row(OnPremises, MailSystem::Msn, Protocol::Pop3Smtp);
    assert!(row.is_some_and(|row| !row.fips));
}

/// What differs from the profile that appears by itself.
type Change = fn(&mut ServerProfile);

#[test]
fn exchange_online_with_the_online_service_takes_one_shape_only() {
    let standard = ServerProfile::exchange_online(ProfileId::from_random([2; 16]));
    assert_eq!(standard.validate(), Ok(()));
    assert_eq!(refused(Online, &standard), Vec::<&str>::new());
    let changes: [(Change, &str); 7] = [
        (
            |p| p.incoming.credentials = CredentialSource::Mailbox,
            "online.mailbox-credentials",
        ),
        (
            |p| p.incoming.credentials = CredentialSource::Profile,
            "online.profile-credentials",
        ),
        (|p| p.incoming.impersonation = true, "online.impersonation"),
        (|p| p.auto_discover = false, "online.auto-discover-off"),
        (|p| p.name = "Other".to_owned(), "online.other-profile"),
        (|p| p.incoming.port = Some(8443), "online.other-port"),
        (
            |p| p.tenant = Some("fabrikam.example".to_owned()),
            "online.other-tenant",
        ),
    ];
    for (change, rule) in changes {
        let mut profile = standard.clone();
        change(&mut profile);
        assert_eq!(refused(Online, &profile), [rule]);
        assert!(
            !refused(OnPremises, &profile).contains(&rule),
            "{rule} holds for the online service only"
        );
    }
}

#[test]
fn the_hybrid_pair_has_its_prerequisites() {
    let mut standard = own_exchange(ExchangeVersion::V2016);
    standard.auto_discover = true;
    standard.incoming.location = None;
    assert_eq!(refused(Online, &standard), Vec::<&str>::new());
    let changes: [(Change, &str); 6] = [
        (|p| p.incoming.ssl = false, "hybrid.secured"),
        (
            |p| p.incoming.authentication = AuthenticationProtocol::Negotiate,
            "hybrid.authentication",
        ),
        (|p| p.incoming.impersonation = false, "hybrid.impersonation"),
        (
            |p| p.incoming.credentials = CredentialSource::WindowsIntegrated,
            "online.windows-integrated",
        ),
        (
            |p| p.incoming.authentication = AuthenticationProtocol::OAuth,
            "hybrid.multi-factor",
        ),
        (
            |p| p.server_version = Some(ExchangeVersion::V2007),
            "exchange.too-old",
        ),
    ];
    for (change, rule) in changes {
        let mut profile = standard.clone();
        change(&mut profile);
        assert!(refused(Online, &profile).contains(&rule), "{rule}");
    }
    let mut ntlm = standard.clone();
    ntlm.incoming.authentication = AuthenticationProtocol::Ntlm;
    let notes = found(Online, &ntlm, None, SupportPolicy::Extended);
    assert!(notes.contains(&("hybrid.ntlm-alone", Severity::Note)));
    assert!(notes.contains(&("hybrid.two-profiles", Severity::Note)));
    let advice = ("hybrid.auto-discover", Severity::Note);
    assert!(!notes.contains(&advice));
    let mut located = standard;
    located.auto_discover = false;
    located.incoming.location = Some("https://mail.example.com/EWS/Exchange.asmx".to_owned());
    assert!(found(Online, &located, None, SupportPolicy::Extended).contains(&advice));
}

#[test]
fn directions_with_different_systems_are_one_of_the_unsupported_cases() {
    let mut exchange = own_exchange(ExchangeVersion::V2016);
    exchange.same_settings_for_outgoing = false;
    exchange.outgoing = exchange.incoming.clone();
    assert_eq!(refused(OnPremises, &exchange), Vec::<&str>::new());
    exchange.outgoing.location = Some("smtp.fabrikam.example".to_owned());
    assert_eq!(refused(OnPremises, &exchange), ["directions.mixed"]);
    let mut internet = pop3("pop.gmail.com");
    internet.same_settings_for_outgoing = false;
    internet.outgoing.location = Some("smtp.gmail.com".to_owned());
    assert_eq!(refused(OnPremises, &internet), Vec::<&str>::new());
    internet.outgoing.location = Some("https://mail.contoso.example/EWS/Exchange.asmx".to_owned());
    assert_eq!(refused(OnPremises, &internet), ["directions.mixed"]);
}

#[test]
fn rules_about_mailboxes_need_one() {
    let mut profile = own_exchange(ExchangeVersion::V2016);
    profile.incoming.impersonation = false;
    let mut mailbox = mailbox();
    mailbox.items.method = DeliveryMethod::ServerSide;
    mailbox.incoming.method = DeliveryMethod::ForwardMailbox;
    let with = found(
        OnPremises,
        &profile,
        Some(&mailbox),
        SupportPolicy::Extended,
    );
    assert!(with.contains(&("mailbox.delegated-items", Severity::Warning)));
    assert!(with.contains(&("mailbox.forward", Severity::Note)));
    let without = found(OnPremises, &profile, None, SupportPolicy::Extended);
    assert!(
        without
            .iter()
            .all(|(rule, _)| !rule.starts_with("mailbox."))
    );

    let mut organization = organization(OnPremises);
    organization.settings.mailbox_defaults.items = DeliveryMethod::ServerSide;
    mailbox.items.method = DeliveryMethod::Other;
    let findings = check(
        &organization,
        &profile,
        Some(&mailbox),
        SupportPolicy::Strict,
    );
    assert!(
        findings
            .iter()
            .any(|f| f.rule == "mailbox.mixed-clients" && f.severity == Severity::Warning)
    );
    let pop = found(
        OnPremises,
        &pop3("pop.gmail.com"),
        Some(&mailbox),
        SupportPolicy::Extended,
    );
    assert!(pop.contains(&("mailbox.manual-tracking", Severity::Note)));
}

#[test]
fn the_rest_of_the_rules() {
    let custom = ServerProfile::new(
        ProfileId::from_random([2; 16]),
        "Own",
        ProfileKind::Custom("notes".to_owned()),
    );
    assert_eq!(refused(OnPremises, &custom), ["custom.provider"]);
    let imap = profile(ProfileKind::ImapSmtp, "imap.fabrikam.example");
    assert_eq!(
        refused(OnPremises, &imap),
        ["matrix.email", "protocol.imap"]
    );
    let mut discovered = own_exchange(ExchangeVersion::V2016);
    discovered.auto_discover = true;
    discovered.incoming.location = None;
    let notes = found(OnPremises, &discovered, None, SupportPolicy::Extended);
    assert_eq!(notes, [("own.auto-discover", Severity::Note)]);
    let online = ServerProfile::exchange_online(ProfileId::from_random([2; 16]));
    let notes = found(OnPremises, &online, None, SupportPolicy::Extended);
    assert!(notes.contains(&("exchange-online.web-services-end", Severity::Warning)));
    assert!(notes.contains(&("hybrid.outlook-on-the-web", Severity::Note)));
    let mut plain = own_exchange(ExchangeVersion::V2016);
    plain.incoming.location = Some("http://mail.contoso.example/EWS/Exchange.asmx".to_owned());
    let notes = found(OnPremises, &plain, None, SupportPolicy::Strict);
    assert_eq!(notes, [("connection.plain", Severity::Warning)]);
    let old = own_exchange(ExchangeVersion::V2010Sp3);
    assert!(
        found(Online, &old, None, SupportPolicy::Strict)
            .contains(&("exchange.2010-online", Severity::Warning))
    );
    assert!(
        found(Online, &old, None, SupportPolicy::Strict)
            .contains(&("hybrid.reachable", Severity::Note))
    );
}

#[test]
fn the_extended_policy_refuses_nothing() {
    for rule in RULES {
        assert!(
            rule.severity(SupportPolicy::Extended) < Severity::Refused,
            "{}",
            rule.id
        );
    }
}

#[test]
fn every_rule_has_an_id_of_its_own_a_sentence_and_a_source() {
    let mut ids = std::collections::BTreeSet::new();
    for rule in RULES {
        assert!(ids.insert(rule.id), "{} twice", rule.id);
        for text in [rule.text, rule.here] {
            assert!(text.ends_with('.'), "{}: {text}", rule.id);
        }
        assert!(
            rule.source.contains("seed 00") || rule.source.contains("domain section"),
            "{}",
            rule.id
        );
    }
}

#[test]
fn hosts_are_read_out_of_locations() {
    for (location, expected) in [
        (
            "https://mail.contoso.example:8443/EWS/Exchange.asmx",
            "mail.contoso.example",
        ),
        ("pop.gmail.com:995", "pop.gmail.com"),
        ("http://user@host/path", "host"),
        ("https://[::1]:444/x", "::1"),
        ("", ""),
    ] {
        assert_eq!(matrix::host(location), expected, "{location}");
    }
    assert_eq!(
        MailSystem::of(&pop3("notgmail.com")),
        MailSystem::OtherInternet
    );
}
