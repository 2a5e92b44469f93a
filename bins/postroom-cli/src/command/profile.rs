//! `profile`.

mod fields;
mod servers;

use clap::Subcommand;
use serde_json::json;

use crate::api::{
    Channel, CredentialSource, EmailAddress, ErrorKind, MailboxFilter, ProfileDirection,
    SavedProfile, ServerProfile,
};
use crate::app::App;
use crate::command::connection;
use crate::command::profile::fields::Fields;
use crate::command::profile::servers::{Discover, Servers};
use crate::command::support;
use crate::confirm::Consent;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::secret::PasswordSource;
use crate::view;

/// Server profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// Create a profile.
    Create {
        /// Its name, unique in the organization.
        name: String,
        /// The kind of mail system: exchange-server, exchange-online, pop3-smtp, imap-smtp, or the
        /// name of another provider; without it what suits the servers that were found, or
        /// exchange-server. It cannot be changed later.
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        servers: Servers,
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
    /// List the well-known providers whose servers need not be typed in.
    Presets,
    /// Look for the servers of a domain: its configuration document, its service records, who takes in
    /// its mail. Nothing is stored, and no store is needed.
    Discover(Discover),
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
        #[command(flatten)]
        consent: Consent,
    },
    /// Make a profile the default of new mailboxes.
    SetDefault {
        /// Its name or id.
        profile: String,
    },
    /// Delete a profile that no mailbox uses.
    Delete {
        /// Its name or id.
        profile: String,
        #[command(flatten)]
        consent: Consent,
    },
}

impl Profile {
    /// Runs what needs no store; gives the rest back.
    pub(crate) async fn run_alone(self, output: &Output) -> std::result::Result<Result, Self> {
        match self {
            Self::Presets => {
                servers::presets(output);
                Ok(Ok(()))
            }
            Self::Discover(discover) => Ok(discover.run(output).await),
            other => Err(other),
        }
    }

    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let (admin, principal) = (&app.admin, &app.principal);
        match self {
            Self::Create {
                name,
                kind,
                servers,
                fields,
                password,
                default,
            } => {
                let new = |kind| app.admin.new_profile(name, kind);
                let profile = servers.profile(app.output, kind.as_deref(), new).await?;
                create(app, profile, &fields, &password, default).await
            }
            alone @ (Self::Presets | Self::Discover(_)) => {
                alone.run_alone(app.output).await.unwrap_or(Ok(()))
            }
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
                if let Some(name) = name {
                    profile.name = name;
                }
                fields.apply(app, &mut profile).await?;
                let saved = admin.update_profile(principal, &profile).await?;
                show_saved(app, &saved.profile, &saved);
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
            Self::Deactivate { profile, consent } => {
                let id = app.profile(&profile).await?.id;
                let mut filter = MailboxFilter::default();
                filter.profile = Some(id);
                filter.active = Some(true);
                let stopped = app.every_mailbox(&filter).await?.len();
                if stopped > 0 {
                    consent.obtain(&format!(
                        "This stops the traffic of {stopped} mailboxes. Do it?"
                    ))?;
                }
                show(app, &admin.deactivate_profile(principal, id).await?);
                Ok(())
            }
            Self::SetDefault { profile } => {
                let profile = app.profile(&profile).await?;
                admin.set_default_profile(principal, profile.id).await?;
                app.output
                    .line(format!("{} is the default of new mailboxes", profile.name));
                app.output
                    .json(&json!({ "profile": view::profile(&profile) }));
                Ok(())
            }
            Self::Delete { profile, consent } => {
                let profile = app.profile(&profile).await?;
                let mut filter = MailboxFilter::default();
                filter.profile = Some(profile.id);
                // While a mailbox has it, it is not deleted: then there is nothing to ask.
                if app.every_mailbox(&filter).await?.is_empty() {
                    consent.obtain(&format!(
                        "The settings and passwords of {} are lost. Delete it?",
                        profile.name
                    ))?;
                }
                if let Err(error) = admin.delete_profile(principal, profile.id).await {
                    let used = error.kind() == ErrorKind::Conflict;
                    let failure = Failure::from(error);
                    if !used {
                        return Err(failure);
                    }
                    let name = &profile.name;
                    return Err(failure
                        .message(format!("mailboxes use the profile {name}"))
                        .cause("A profile is deleted only once no mailbox has it.")
                        .hint(format!(
                            "Give them another one first: postroom mailbox edit --in-profile {name:?} --profile OTHER"
                        )));
                }
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
    mut profile: ServerProfile,
    fields: &Fields,
    password: &PasswordSource,
    default: bool,
) -> Result {
    fields.apply(app, &mut profile).await?;
    // Asked for before anything is stored, so that an empty answer leaves nothing behind.
    let secret = match (
        profile.incoming.user_name.clone(),
        profile.incoming.credentials,
    ) {
        (Some(user), CredentialSource::Profile) => {
            let secret = password.read(&format!("Password of {user}"))?;
            Some((user, secret))
        }
        _ => None,
    };
    let saved = app.admin.create_profile(&app.principal, &profile).await?;
    profile.clone_from(&saved.profile);
    if let Some((user, secret)) = secret {
        let outcome = app
            .admin
            .set_profile_credentials(
                &app.principal,
                profile.id,
                ProfileDirection::Incoming,
                &user,
                &secret,
                Channel::Local,
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
        app.admin
            .set_default_profile(&app.principal, profile.id)
            .await?;
        app.output.note("It is the default of new mailboxes.");
    }
    show_saved(app, &profile, &saved);
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

/// A profile as it is now, with what the support check said when it was saved.
fn show_saved(app: &App<'_>, profile: &ServerProfile, saved: &SavedProfile) {
    app.output
        .table(["Profile", ""], view::profile_rows(profile));
    for finding in &saved.findings {
        app.output.note(support::line(app.output, finding, ""));
    }
    let findings: Vec<_> = saved.findings.iter().map(support::document).collect();
    app.output
        .json(&json!({ "profile": view::profile(profile), "findings": findings }));
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
            Channel::Local,
        )
        .await?;
    app.output.line(format!("the password of {user} is set"));
    app.output
        .json(&json!({ "profile": view::profile(&profile) }));
    Ok(())
}
