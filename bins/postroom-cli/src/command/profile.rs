//! `profile`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::api::{
    AuthenticationProtocol, CredentialEntry, CredentialSource, EmailAddress, Endpoint,
    ProfileDirection, ProfileKind, ServerProfile, Timestamp,
};
use crate::app::App;
use crate::command::connection;
use crate::failure::{Failure, Result};
use crate::secret::PasswordSource;
use crate::view;

/// Server profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// Create a profile.
    Create {
        /// Its name, unique in the organization.
        name: String,
        /// The kind of mail system: exchange-server or exchange-online.
        #[arg(long, default_value = "exchange-server")]
        kind: String,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        password: PasswordSource,
        /// Make it the default of new mailboxes.
        #[arg(long)]
        default: bool,
    },
    /// List the profiles.
    List,
    /// Show a profile.
    Show {
        /// Its name or id.
        profile: String,
    },
    /// Change a profile.
    Update {
        /// Its name or id.
        profile: String,
        /// A new name.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Set the password of the profile's account.
    SetPassword {
        /// Its name or id.
        profile: String,
        /// The account, where it is another one than before.
        #[arg(long)]
        user: Option<String>,
        /// For outgoing connections, where their settings are separate.
        #[arg(long)]
        outgoing: bool,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Try to reach the server, step by step ("Test connection").
    Test {
        /// Its name or id.
        profile: String,
        /// A mailbox to open; without it the first approved one that has this profile, and where
        /// there is none, only whether the account can sign in.
        address: Option<EmailAddress>,
    },
    /// Let the profile's mailboxes be processed.
    Activate {
        /// Its name or id.
        profile: String,
    },
    /// Stop all traffic of the profile's mailboxes.
    Deactivate {
        /// Its name or id.
        profile: String,
    },
    /// Delete a profile that no mailbox uses.
    Delete {
        /// Its name or id.
        profile: String,
    },
}

/// Whose credentials open the connection.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Credentials {
    /// The profile's; it then impersonates the mailboxes.
    Profile,
    /// Each mailbox's own.
    Mailbox,
}

/// How to authenticate.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Authentication {
    /// The strongest that both sides offer.
    Auto,
    /// User name and password over TLS.
    Basic,
}

/// What can be set of a profile.
#[derive(Args, Debug)]
pub(crate) struct Fields {
    /// Where the server is: its URL, which for Exchange ends in /EWS/Exchange.asmx.
    #[arg(long)]
    url: Option<String>,
    /// The account that opens the mailboxes; its password is asked for.
    #[arg(long)]
    user: Option<String>,
    /// Whose credentials are used.
    #[arg(long, value_enum)]
    credentials: Option<Credentials>,
    /// How to authenticate.
    #[arg(long, value_enum)]
    authentication: Option<Authentication>,
    /// Whether the account impersonates the mailboxes (true) or has delegated access (false).
    #[arg(long, value_name = "BOOL")]
    impersonation: Option<bool>,
    /// PEM file with certificates of authorities to trust beside the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// Simultaneous connections, 1 to 300.
    #[arg(long, value_name = "N")]
    connections: Option<u16>,
    /// At least so many minutes between two polls of a mailbox, 0 to 1440.
    #[arg(long, value_name = "MINUTES")]
    polling_minutes: Option<u64>,
    /// Process email received from then on, such as 2026-11-22 or 2026-11-22T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    process_from: Option<Timestamp>,
    /// Move messages that could not be recorded to the folder Undeliverable (Exchange only).
    #[arg(long, value_name = "BOOL")]
    move_undelivered: Option<bool>,
    /// Give up on a request after so many seconds, 1 to 100.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Accept http locations: for laboratories only.
    #[arg(long, value_name = "BOOL")]
    danger_allow_plain_http: Option<bool>,
}

impl Fields {
    fn apply(&self, profile: &mut ServerProfile) -> Result {
        let Endpoint {
            location,
            credentials,
            authentication,
            impersonation,
            user_name,
            ..
        } = &mut profile.incoming;
        set(location, self.url.clone().map(Some));
        set(user_name, self.user.clone().map(Some));
        set(impersonation, self.impersonation);
        set(
            credentials,
            self.credentials.map(|source| match source {
                Credentials::Profile => CredentialSource::Profile,
                Credentials::Mailbox => CredentialSource::Mailbox,
            }),
        );
        set(
            authentication,
            self.authentication.map(|protocol| match protocol {
                Authentication::Auto => AuthenticationProtocol::AutoDetect,
                Authentication::Basic => AuthenticationProtocol::Basic,
            }),
        );
        if let Some(path) = &self.ca {
            let pem = std::fs::read_to_string(path)
                .map_err(|error| Failure::file("read", path, &error))?;
            profile.extra_authorities_pem = Some(pem);
        }
        set(&mut profile.description, self.description.clone());
        set(&mut profile.connections_max, self.connections);
        set(
            &mut profile.polling_interval_min,
            self.polling_minutes
                .map(|m| Duration::from_secs(m.saturating_mul(60))),
        );
        set(&mut profile.process_email_from, self.process_from.map(Some));
        set(&mut profile.move_undelivered, self.move_undelivered);
        set(
            &mut profile.request_timeout,
            self.timeout.map(Duration::from_secs),
        );
        set(
            &mut profile.danger_allow_plain_http,
            self.danger_allow_plain_http,
        );
        Ok(())
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl Profile {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let (admin, principal) = (&app.admin, &app.principal);
        match self {
            Self::Create {
                name,
                kind,
                fields,
                password,
                default,
            } => create(app, name, &kind, &fields, &password, default).await,
            Self::List => {
                let profiles = admin.profiles(principal).await?;
                app.output.table(
                    ["Name", "Kind", "Location", "Account", "Active"],
                    profiles.iter().map(|profile| {
                        [
                            profile.name.clone(),
                            profile.kind.provider_name().to_owned(),
                            profile
                                .incoming
                                .location
                                .clone()
                                .unwrap_or_else(|| "(auto discover)".to_owned()),
                            profile.incoming.user_name.clone().unwrap_or_default(),
                            view::yes(profile.active),
                        ]
                    }),
                );
                let profiles: Vec<_> = profiles.iter().map(view::profile).collect();
                app.output.json(&json!({ "profiles": profiles }));
                Ok(())
            }
            Self::Show { profile } => connection::show(app, &app.profile(&profile).await?).await,
            Self::Update {
                profile,
                name,
                fields,
            } => {
                let mut profile = app.profile(&profile).await?;
                set(&mut profile.name, name);
                fields.apply(&mut profile)?;
                show(app, &admin.update_profile(principal, &profile).await?);
                Ok(())
            }
            Self::SetPassword {
                profile,
                user,
                outgoing,
                password,
            } => {
                let profile = app.profile(&profile).await?;
                let direction = if outgoing {
                    ProfileDirection::Outgoing
                } else {
                    ProfileDirection::Incoming
                };
                set_password(app, &profile, user, direction, &password).await
            }
            Self::Test { profile, address } => {
                let profile = app.profile(&profile).await?;
                connection::test(app, &profile, address).await
            }
            Self::Activate { profile } => {
                let id = app.profile(&profile).await?.id;
                show(app, &admin.activate_profile(principal, id).await?);
                Ok(())
            }
            Self::Deactivate { profile } => {
                let id = app.profile(&profile).await?.id;
                show(app, &admin.deactivate_profile(principal, id).await?);
                Ok(())
            }
            Self::Delete { profile } => {
                let profile = app.profile(&profile).await?;
                admin.delete_profile(principal, profile.id).await?;
                app.output
                    .line(format!("deleted the profile {}", profile.name));
                app.output
                    .json(&json!({ "deleted": profile.id.to_string() }));
                Ok(())
            }
        }
    }
}

async fn create(
    app: &App<'_>,
    name: String,
    kind: &str,
    fields: &Fields,
    password: &PasswordSource,
    default: bool,
) -> Result {
    let mut profile = app.admin.new_profile(name, ProfileKind::from_name(kind));
    fields.apply(&mut profile)?;
    // Asked for before anything is stored, so that an empty answer leaves nothing behind.
    let secret = match (&fields.user, profile.incoming.credentials) {
        (Some(user), CredentialSource::Profile) => {
            Some((user, password.read(&format!("Password of {user}"))?))
        }
        _ => None,
    };
    profile = app.admin.create_profile(&app.principal, &profile).await?;
    if let Some((user, secret)) = secret {
        let outcome = app
            .admin
            .set_profile_credentials(
                &app.principal,
                profile.id,
                ProfileDirection::Incoming,
                user,
                &secret,
                CredentialEntry::SecureChannel,
            )
            .await;
        profile = match outcome {
            Ok(profile) => profile,
            // A profile without its password is no use: take it back and say why.
            Err(error) => {
                let _ = app.admin.delete_profile(&app.principal, profile.id).await;
                return Err(error.into());
            }
        };
    }
    if default {
        let mut organization = app.admin.organization(&app.principal).await?;
        organization.settings.mailbox_defaults.profile = Some(profile.id);
        app.admin
            .update_organization(&app.principal, &organization)
            .await?;
        app.output.note("It is the default of new mailboxes.");
    }
    show(app, &profile);
    app.output
        .note(format!("Next: postroom profile test {:?}", profile.name));
    Ok(())
}

fn show(app: &App<'_>, profile: &ServerProfile) {
    app.output
        .table(["Profile", ""], view::profile_rows(profile));
    app.output
        .json(&json!({ "profile": view::profile(profile) }));
}

async fn set_password(
    app: &App<'_>,
    profile: &ServerProfile,
    user: Option<String>,
    direction: ProfileDirection,
    password: &PasswordSource,
) -> Result {
    let endpoint = match direction {
        ProfileDirection::Incoming => &profile.incoming,
        ProfileDirection::Outgoing => &profile.outgoing,
    };
    let user = user.or_else(|| endpoint.user_name.clone()).ok_or_else(|| {
        Failure::usage("the profile has no account yet").hint("Name it: --user NAME.")
    })?;
    let secret = password.read(&format!("Password of {user}"))?;
    let profile = app
        .admin
        .set_profile_credentials(
            &app.principal,
            profile.id,
            direction,
            &user,
            &secret,
            CredentialEntry::SecureChannel,
        )
        .await?;
    app.output.line(format!("the password of {user} is set"));
    app.output
        .json(&json!({ "profile": view::profile(&profile) }));
    Ok(())
}
