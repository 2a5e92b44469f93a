//! Servers of well-known providers, and those that a domain names.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use crate::api::{
    Discovered, Discoverer, Discovery, EmailAddress, FoundBy, MailServer, MailService, OpContext,
    PRESETS, Preset, ProfileKind, ReqwestTransport, Security, ServerProfile, SystemDns,
    TransportSettings, UserName, nearest,
};
use crate::confirm::Consent;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// Where a new profile takes its servers from.
#[derive(Args, Debug)]
pub(crate) struct Servers {
    /// Take the servers of a well-known provider: see `postroom profile presets`.
    #[arg(long, value_name = "NAME", conflicts_with = "discover")]
    preset: Option<String>,
    /// Take the servers that the domain of this address names; the password is not sent anywhere.
    #[arg(long, value_name = "ADDRESS")]
    discover: Option<EmailAddress>,
    #[command(flatten)]
    consent: Consent,
}

impl Servers {
    /// Finds the servers, and makes the profile: of the kind asked for, or the one that suits them.
    pub(crate) async fn profile(
        &self,
        output: &Output,
        kind: Option<&str>,
        new: impl FnOnce(ProfileKind) -> ServerProfile,
    ) -> Result<ServerProfile> {
        let kind = kind.map(ProfileKind::from_name);
        if let Some(name) = &self.preset {
            let preset = preset(name)?;
            let mut profile = new(kind.unwrap_or_else(|| preset.default_kind()));
            preset
                .apply(&mut profile)
                .map_err(|error| Failure::usage(error.to_string()))?;
            output.note(format!("{}: {}", preset.title, preset.preparation));
            return Ok(profile);
        }
        let Some(address) = &self.discover else {
            return Ok(new(kind.unwrap_or(ProfileKind::ExchangeServer)));
        };
        let found = find(output, address).await?;
        let suits = || Failure::usage("the servers that were found do not make a profile");
        let wanted = kind.or_else(|| found.kind()).ok_or_else(suits)?;
        let mut profile = new(wanted);
        if !found.apply(&mut profile) {
            return Err(Failure::usage(format!(
                "no server was found for the kind {}",
                profile.kind.provider_name()
            ))
            .hint("Leave --kind out to take what there is."));
        }
        if !found.needs_confirmation.is_empty() {
            self.consent.obtain(&format!(
                "{} lies outside of {}, and nothing but the domain name system says that it is right. Use it?",
                found.needs_confirmation.join(", "),
                address.domain()
            ))?;
        }
        Ok(profile)
    }
}

fn preset(name: &str) -> Result<&'static Preset> {
    Preset::find(name).ok_or_else(|| {
        let names = PRESETS.iter().map(|preset| preset.name);
        let hint = match nearest(name, names) {
            Some(meant) => format!("Did you mean {meant}?"),
            None => "List them: postroom profile presets.".to_owned(),
        };
        Failure::not_found(format!("there is no preset {name}")).hint(hint)
    })
}

/// `profile presets`.
pub(crate) fn presets(output: &Output) {
    let place = |server: Option<_>| {
        server.map_or_else(
            || "-".to_owned(),
            |server: crate::api::PresetServer| format!("{}:{}", server.host, server.port),
        )
    };
    let rows = PRESETS.iter().map(|preset| {
        [
            preset.name.to_owned(),
            place(preset.imap),
            place(preset.pop3),
            place(Some(preset.smtp)),
            preset.sign_in.name().to_owned(),
            (if preset.fips { "" } else { "no" }).to_owned(),
        ]
    });
    output.table(
        ["Preset", "IMAP", "POP3", "SMTP", "Signs in with", "FIPS"],
        rows,
    );
    output.note("What to switch on at the provider is said when a profile is created.");
    let documents: Vec<_> = PRESETS
        .iter()
        .map(|preset| {
            json!({
                "name": preset.name,
                "title": preset.title,
                "domains": preset.domains,
                "imap": preset.imap.map(|s| json!({ "host": s.host, "port": s.port })),
                "pop3": preset.pop3.map(|s| json!({ "host": s.host, "port": s.port })),
                "smtp": { "host": preset.smtp.host, "port": preset.smtp.port },
                "sign_in": preset.sign_in.name(),
                "preparation": preset.preparation,
                "fips": preset.fips,
            })
        })
        .collect();
    output.json(&json!({ "presets": documents }));
}

/// The servers of a domain.
#[derive(Args, Debug)]
pub(crate) struct Discover {
    /// An address of the domain.
    address: EmailAddress,
}

impl Discover {
    pub(crate) async fn run(&self, output: &Output) -> Result {
        let found = find(output, &self.address).await?;
        output.table(
            ["For", "Server", "TLS", "Account", "Signs in with"],
            found.servers.iter().map(row),
        );
        output.line(format!("Found by {}.", by(&found.by)));
        if let FoundBy::Preset(name) = found.by
            && let Some(preset) = Preset::find(name)
        {
            output.line(preset.preparation);
        }
        if !found.needs_confirmation.is_empty() {
            output.line(format!(
                "Outside of {}, so see that they are right: {}.",
                self.address.domain(),
                found.needs_confirmation.join(", ")
            ));
        }
        output.note(format!(
            "Next: postroom profile create NAME --discover {}",
            self.address
        ));
        output.json(&json!({ "found": document(&found) }));
        Ok(())
    }
}

async fn find(output: &Output, address: &EmailAddress) -> Result<Discovered> {
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::of(Exit::Failure, crate::api::Code::ConfigurationInvalid)
            .message(format!("the network cannot be used: {error}"))
    };
    let ctx = OpContext::system().map_err(|error| unusable(&error))?;
    let transport =
        ReqwestTransport::new(TransportSettings::default()).map_err(|error| unusable(&error))?;
    let dns = SystemDns::new().map_err(|error| unusable(&error))?;
    output.progress(format!("looking for the servers of {}", address.domain()));
    let discoverer = Discoverer::new(Arc::new(transport), Arc::new(dns));
    let Discovery {
        found, attempts, ..
    } = discoverer.find(&ctx, address).await;
    found.ok_or_else(|| {
        for attempt in &attempts {
            output.progress(format!("  {}: {}", attempt.place, attempt.outcome));
        }
        Failure::of(Exit::NotFound, crate::api::Code::NotFound)
            .message(format!("no servers were found for {}", address.domain()))
            .hint("Ask who runs the mail, and name the servers: --url HOST --outgoing-url HOST.")
    })
}

const fn service(service: MailService) -> &'static str {
    match service {
        MailService::Imap => "imap",
        MailService::Pop3 => "pop3",
        MailService::Submission => "smtp",
    }
}

const fn security(security: Security) -> &'static str {
    match security {
        Security::Tls => "at once",
        Security::Upgrade => "after the greeting",
        Security::Plain => "never",
    }
}

fn user_name(server: &MailServer) -> String {
    match &server.user_name {
        Some(UserName::Address) => "the address".to_owned(),
        Some(UserName::LocalPart) => "what stands before the @".to_owned(),
        Some(UserName::Other(text)) => text.clone(),
        _ => "-".to_owned(),
    }
}

fn signs_in(server: &MailServer) -> &'static str {
    match (server.password, server.oauth) {
        (true, true) => "password, OAuth 2.0",
        (false, true) => "OAuth 2.0",
        (true, false) => "password",
        (false, false) => "another way",
    }
}

fn row(server: &MailServer) -> [String; 5] {
    [
        service(server.service).to_owned(),
        server.address.to_string(),
        security(server.security).to_owned(),
        user_name(server),
        signs_in(server).to_owned(),
    ]
}

fn by(by: &FoundBy) -> String {
    match by {
        FoundBy::Document(url) => format!("the document {url}"),
        FoundBy::ServiceRecords => "the domain's service records".to_owned(),
        FoundBy::Preset(name) => format!("the preset {name}"),
        _ => "another way".to_owned(),
    }
}

fn document(found: &Discovered) -> Value {
    let servers: Vec<_> = found
        .servers
        .iter()
        .map(|server| {
            json!({
                "service": service(server.service),
                "host": server.address.host,
                "port": server.address.port,
                "tls": match server.security {
                    Security::Tls => "at_once",
                    Security::Upgrade => "upgrade",
                    Security::Plain => "never",
                },
                "password": server.password,
                "oauth": server.oauth,
            })
        })
        .collect();
    json!({
        "by": by(&found.by),
        "servers": servers,
        "needs_confirmation": found.needs_confirmation,
    })
}
