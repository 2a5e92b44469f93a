use super::*;
use crate::id::ProfileId;
use crate::support::ExchangeVersion;

fn exchange() -> ServerProfile {
    let id = ProfileId::from_random([1; 16]);
    let mut profile = ServerProfile::new(id, "Office", ProfileKind::ExchangeServer);
    profile.incoming.location = Some("https://mail.example.org/EWS/Exchange.asmx".to_owned());
    profile
}

fn internet(kind: ProfileKind) -> ServerProfile {
    let mut profile = ServerProfile::new(ProfileId::from_random([1; 16]), "Post", kind);
    profile.incoming.location = Some("pop.example.org".to_owned());
    profile.outgoing.location = Some("smtp.example.org".to_owned());
    profile
}

fn fields(profile: &ServerProfile) -> Vec<&'static str> {
    match profile.validate() {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.field).collect(),
    }
}

type Change = fn(&mut ServerProfile);

#[test]
fn every_range_has_two_ends() {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let mut profile = exchange();
    for (interval, valid) in [(0, true), (1440, true), (1441, false)] {
        profile.polling_interval_min = minutes(interval);
        assert_eq!(profile.validate().is_ok(), valid, "{interval}");
    }
    let mut profile = exchange();
    for (connections, valid) in [(0, false), (1, true), (300, true), (301, false)] {
        profile.connections_max = connections;
        assert_eq!(profile.validate().is_ok(), valid, "{connections}");
    }
    let mut profile = exchange();
    for (seconds, valid) in [(0, false), (1, true), (100, true), (101, false)] {
        profile.request_timeout = Duration::from_secs(seconds);
        assert_eq!(profile.validate().is_ok(), valid, "{seconds}");
    }
    let mut profile = exchange();
    for (length, valid) in [(0, false), (1, true), (100, true), (101, false)] {
        profile.name = "ä".repeat(length);
        assert_eq!(profile.validate().is_ok(), valid, "name {length}");
    }
    let mut profile = exchange();
    for (length, valid) in [(0, true), (2000, true), (2001, false)] {
        profile.description = "ä".repeat(length);
        assert_eq!(profile.validate().is_ok(), valid, "description {length}");
    }
    let mut profile = exchange();
    for (length, valid) in [(1, true), (250, true), (251, false)] {
        profile.incoming.user_name = Some("u".repeat(length));
        assert_eq!(profile.validate().is_ok(), valid, "user {length}");
    }
    let mut profile = exchange();
    let start = "https://m/";
    for (length, valid) in [(2084, true), (2085, false)] {
        profile.incoming.location = Some(format!("{start}{}", "x".repeat(length - start.len())));
        assert_eq!(profile.validate().is_ok(), valid, "location {length}");
    }
    let mut profile = internet(ProfileKind::ImapSmtp);
    for (port, valid) in [(0, false), (1, true), (65535, true)] {
        profile.outgoing.port = Some(port);
        assert_eq!(profile.validate().is_ok(), valid, "port {port}");
    }
}

#[test]
fn the_defaults_are_the_forms() {
    let profile = exchange();
    assert_eq!(profile.validate(), Ok(()));
    assert!(!profile.auto_discover && profile.same_settings_for_outgoing && profile.active);
    assert_eq!(profile.connections_max, 10);
    assert!(profile.incoming.ssl && profile.outgoing.ssl);
    assert!(!profile.move_undelivered && !profile.email_alert_to_owner);
    assert_eq!(internet(ProfileKind::Pop3Smtp).validate(), Ok(()));
    assert_eq!(
        ServerProfile::exchange_online(ProfileId::from_random([1; 16])).validate(),
        Ok(())
    );
}

#[test]
fn contradictions_of_exchange_profiles_name_their_field() {
    let cases: &[(Change, &str)] = &[
        (
            |p| p.incoming.credentials = CredentialSource::Anonymous,
            "incoming.credentials",
        ),
        (|p| p.auto_discover = true, "incoming.location"),
        (|p| p.incoming.location = None, "incoming.location"),
        (
            |p| p.incoming.location = Some("mail.example.org".to_owned()),
            "incoming.location",
        ),
        (
            |p| p.incoming.location = Some("https:// mail/".to_owned()),
            "incoming.location",
        ),
        (
            |p| {
                p.incoming.location = Some("https://mail:444/EWS".to_owned());
                p.incoming.port = Some(443);
            },
            "incoming.port",
        ),
        (
            |p| {
                p.auto_discover = true;
                p.incoming.location = None;
                p.incoming.port = Some(443);
            },
            "incoming.port",
        ),
        (
            |p| p.incoming.credentials = CredentialSource::Mailbox,
            "incoming.impersonation",
        ),
        (
            |p| {
                p.incoming.credentials = CredentialSource::WindowsIntegrated;
                p.incoming.authentication = AuthenticationProtocol::Basic;
            },
            "incoming.authentication",
        ),
        (
            |p| {
                p.incoming.credentials = CredentialSource::ServerToServer;
                p.incoming.authentication = AuthenticationProtocol::Ntlm;
            },
            "incoming.authentication",
        ),
        (
            |p| {
                p.incoming.credentials = CredentialSource::WindowsIntegrated;
                p.incoming.user_name = Some("service".to_owned());
            },
            "incoming.user_name",
        ),
        (
            |p| {
                p.kind = ProfileKind::ExchangeOnline;
                p.incoming.authentication = AuthenticationProtocol::Ntlm;
            },
            "incoming.authentication",
        ),
        (
            |p| {
                p.kind = ProfileKind::ExchangeOnline;
                p.server_version = Some(ExchangeVersion::V2016);
            },
            "server_version",
        ),
        (|p| p.tenant = Some("contoso".to_owned()), "tenant"),
        (|p| p.email_alert_to_owner = true, "owner_address"),
        (
            |p| p.extra_authorities_pem = Some("no certificate".to_owned()),
            "extra_authorities_pem",
        ),
        (
            |p| {
                p.same_settings_for_outgoing = false;
                p.outgoing.location = p.incoming.location.clone();
                p.outgoing.credentials = CredentialSource::Anonymous;
            },
            "outgoing.credentials",
        ),
        (
            |p| p.same_settings_for_outgoing = false,
            "outgoing.location",
        ),
    ];
    for (change, field) in cases {
        let mut profile = exchange();
        change(&mut profile);
        assert_eq!(fields(&profile), [*field]);
    }
    for location in [
        "https://user:password@mail.example.org/EWS",
        "https://mail.example.org:99999/EWS",
        "https://mail..example.org/",
        "https://",
        "https://[::1",
        "ftp://mail.example.org/",
    ] {
        let mut profile = exchange();
        profile.incoming.location = Some(location.to_owned());
        let refused = fields(&profile);
        assert_eq!(refused, ["incoming.location"], "{location}");
    }
    for location in [
        "https://[::1]:8443/EWS",
        "http://127.0.0.1:80",
        "https://mail?x=a@b",
    ] {
        let mut profile = exchange();
        profile.incoming.location = Some(location.to_owned());
        assert_eq!(profile.validate(), Ok(()), "{location}");
    }
    let mut same = exchange();
    same.incoming.location = Some("https://mail:444/EWS".to_owned());
    same.incoming.port = Some(444);
    assert_eq!(same.validate(), Ok(()), "said twice, but the same");
}

#[test]
fn contradictions_of_internet_profiles_name_their_field() {
    let cases: &[(Change, &str)] = &[
        (
            |p| p.incoming.authentication = AuthenticationProtocol::Ntlm,
            "incoming.authentication",
        ),
        (
            |p| p.incoming.authentication = AuthenticationProtocol::Negotiate,
            "incoming.authentication",
        ),
        (
            |p| p.incoming.credentials = CredentialSource::Anonymous,
            "incoming.credentials",
        ),
        (
            |p| p.incoming.credentials = CredentialSource::WindowsIntegrated,
            "incoming.credentials",
        ),
        (
            |p| p.incoming.credentials = CredentialSource::ServerToServer,
            "incoming.credentials",
        ),
        (|p| p.move_undelivered = true, "move_undelivered"),
        (
            |p| p.incoming.location = Some("https://pop.example.org/".to_owned()),
            "incoming.location",
        ),
        (
            |p| p.incoming.location = Some("pop.example.org:995".to_owned()),
            "incoming.location",
        ),
        (
            |p| p.outgoing.location = Some("smtp.example.org/mail".to_owned()),
            "outgoing.location",
        ),
        (
            |p| p.incoming.location = Some("pop3s://pop.example.org:0".to_owned()),
            "incoming.location",
        ),
        (
            |p| {
                p.incoming.location = Some("pop3s://pop.example.org:995".to_owned());
                p.incoming.port = Some(110);
            },
            "incoming.port",
        ),
        (
            |p| {
                p.auto_discover = true;
                p.incoming.location = None;
                p.outgoing.location = None;
            },
            "auto_discover",
        ),
    ];
    for kind in [ProfileKind::Pop3Smtp, ProfileKind::ImapSmtp] {
        for (change, field) in cases {
            let mut profile = internet(kind.clone());
            change(&mut profile);
            assert_eq!(fields(&profile), [*field], "{kind:?}");
        }
        let mut incoming_only = internet(kind.clone());
        incoming_only.outgoing.location = None;
        incoming_only.incoming.location = Some("pop3s://pop.example.org:995".to_owned());
        assert_eq!(incoming_only.validate(), Ok(()));
        let mut relay = internet(kind);
        relay.same_settings_for_outgoing = false;
        relay.outgoing.credentials = CredentialSource::Anonymous;
        assert_eq!(
            relay.validate(),
            Ok(()),
            "a relay may take email without signing in"
        );
    }
}

#[test]
fn the_same_settings_are_the_credentials_and_not_the_server() {
    let mut profile = internet(ProfileKind::Pop3Smtp);
    profile.incoming.user_name = Some("post".to_owned());
    profile.outgoing.port = Some(587);
    let outgoing = profile.effective_outgoing();
    assert_eq!(outgoing.location.as_deref(), Some("smtp.example.org"));
    assert_eq!(outgoing.port, Some(587));
    assert_eq!(outgoing.user_name.as_deref(), Some("post"));
    profile.same_settings_for_outgoing = false;
    assert_eq!(profile.effective_outgoing().user_name, None);
    let exchange = exchange();
    assert_eq!(exchange.effective_outgoing(), exchange.incoming);
}

#[test]
fn several_errors_are_told_at_once() {
    let mut profile = exchange();
    profile.name = String::new();
    profile.connections_max = 0;
    profile.incoming.location = None;
    assert_eq!(
        fields(&profile),
        ["name", "connections_max", "incoming.location"]
    );
}

#[test]
fn a_mixed_profile_has_a_server_for_each_direction() {
    let mut into_exchange = exchange();
    into_exchange.incoming.credentials = CredentialSource::Profile;
    into_exchange.outgoing_protocol = Some(OutgoingProtocol::Smtp);
    assert!(into_exchange.is_mixed() && into_exchange.is_combined());
    assert_eq!(fields(&into_exchange), ["outgoing.location"]);
    into_exchange.outgoing.location = Some("https://mail.example.org/ews".to_owned());
    assert_eq!(fields(&into_exchange), ["outgoing.location"]);
    into_exchange.outgoing.location = Some("smtp.example.org".to_owned());
    assert_eq!(into_exchange.validate(), Ok(()));
    into_exchange.incoming.authentication = AuthenticationProtocol::Ntlm;
    assert_eq!(
        fields(&into_exchange),
        ["outgoing.authentication"],
        "what the same settings mean elsewhere"
    );

    let mut out_of_exchange = internet(ProfileKind::Pop3Smtp);
    out_of_exchange.outgoing_protocol = Some(OutgoingProtocol::Ews);
    assert_eq!(fields(&out_of_exchange), ["outgoing.location"]);
    out_of_exchange.outgoing.location = Some("https://mail.example.org/ews".to_owned());
    assert_eq!(out_of_exchange.validate(), Ok(()));
    out_of_exchange.same_settings_for_outgoing = false;
    out_of_exchange.outgoing.authentication = AuthenticationProtocol::Ntlm;
    assert_eq!(out_of_exchange.validate(), Ok(()));
    out_of_exchange.outgoing_protocol = Some(OutgoingProtocol::Smtp);
    assert!(!out_of_exchange.is_mixed(), "its kind's own");
}
