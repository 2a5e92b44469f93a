//! Every setting in one place: its name, type, range, default, scope, meaning and source.
//!
//! The reference keeps some two dozen switches where administrators do not find them. Here a setting
//! is a row of [`SETTINGS`]: what front ends list, check and change, and what the reference page is
//! written from.
//!
//! ```
//! use postroom_core::organization::{Deployment, DeploymentKind};
//! use postroom_core::{Organization, OrganizationId, settings};
//!
//! let deployment = Deployment::new(DeploymentKind::OnPremises);
//! let mut organization = Organization::new(OrganizationId::from_random([1; 16]), "Contoso", deployment);
//! let prefix = settings::find("correlation.token.prefix").expect("it is in the table");
//! let old = prefix.set(&mut organization, "TKT:")?;
//! assert_eq!(old.to_string(), "CRM:");
//! assert_eq!(organization.settings.correlation.token.prefix, "TKT:");
//! assert!(prefix.set(&mut organization, &"x".repeat(21)).is_err());
//! # Ok::<(), postroom_core::profile::FieldError>(())
//! ```

mod reference;
mod table;

pub use reference::{Fate, REFERENCE_SWITCHES, ReferenceSwitch};
pub use table::{MAILBOX_SETTINGS, SETTINGS};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::ProfileId;
use crate::organization::Organization;
use crate::profile::FieldError;
use crate::time::Timestamp;

/// What a setting holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the reference page has a part for each"
)]
pub enum SettingScope {
    /// The whole organization.
    Organization,
    /// One mailbox.
    Mailbox,
    /// One user, who may choose.
    User,
}

impl SettingScope {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Mailbox => "mailbox",
            Self::User => "user",
        }
    }
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingKind {
    /// On or off.
    Switch,
    /// A whole number.
    Number {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A length of time in whole seconds.
    Seconds {
        /// The shortest.
        min: u64,
        /// The longest.
        max: u64,
    },
    /// A text.
    Text {
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
    },
    /// Several texts.
    Texts {
        /// Most texts.
        max: usize,
        /// Most characters of one.
        characters: usize,
    },
    /// One of these.
    Choice(&'static [&'static str]),
    /// A server profile, or none.
    Profile,
    /// A point in time, or none.
    Time,
}

impl fmt::Display for SettingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("on or off"),
            Self::Number { min, max } => write!(f, "{min} to {max}"),
            Self::Seconds { min, max } => write!(f, "{min} to {max} seconds"),
            Self::Text { min, max } => write!(f, "{min} to {max} characters"),
            Self::Texts { max, characters } => {
                write!(
                    f,
                    "at most {max} texts of at most {characters} characters, between commas"
                )
            }
            Self::Choice(names) => f.write_str(&names.join(", ")),
            Self::Profile => f.write_str("a profile, or none"),
            Self::Time => f.write_str("a point in time, or none"),
        }
    }
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum SettingValue {
    /// On or off.
    Switch(bool),
    /// A number, or a length of time in seconds.
    Number(u64),
    /// A text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// One of several names.
    Choice(&'static str),
    /// A profile, or none.
    Profile(Option<ProfileId>),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(true) => f.write_str("on"),
            Self::Switch(false) => f.write_str("off"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Texts(texts) => f.write_str(&texts.join(", ")),
            Self::Choice(name) => f.write_str(name),
            Self::Profile(Some(id)) => id.fmt(f),
            Self::Profile(None) => f.write_str("none"),
        }
    }
}

/// How a setting is read and written.
#[derive(Clone, Copy, Debug)]
struct Access {
    kind: SettingKind,
    get: fn(&Organization) -> SettingValue,
    put: fn(&mut Organization, SettingValue),
}

/// A setting of the organization.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// Its name, such as `correlation.token.prefix`: stable.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Where it and its default come from.
    pub source: &'static str,
    access: Access,
}

/// A setting of a mailbox or user: changed with the mailbox.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MailboxSetting {
    /// Its name, as [`Mailbox`](crate::Mailbox) has it.
    pub name: &'static str,
    /// Whose it is.
    pub scope: SettingScope,
    /// What it takes.
    pub kind: SettingKind,
    /// Its default, in words.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Where it and its default come from.
    pub source: &'static str,
}

/// The setting of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Setting {
    /// What it takes.
    #[must_use]
    pub const fn kind(&self) -> SettingKind {
        self.access.kind
    }

    /// Its value.
    #[must_use]
    pub fn get(&self, organization: &Organization) -> SettingValue {
        (self.access.get)(organization)
    }

    /// Reads a text as a value of this setting.
    ///
    /// # Errors
    /// A finding that names the setting and says what it takes.
    pub fn parse(&self, text: &str) -> Result<SettingValue, FieldError> {
        let wrong = |message: String| Err(FieldError::new(self.name, message));
        let text = text.trim();
        match self.kind() {
            SettingKind::Switch => match text {
                "on" | "true" | "yes" => Ok(SettingValue::Switch(true)),
                "off" | "false" | "no" => Ok(SettingValue::Switch(false)),
                _ => wrong("must be on or off".to_owned()),
            },
            SettingKind::Number { min, max } | SettingKind::Seconds { min, max } => {
                match text.parse() {
                    Ok(number) if (min..=max).contains(&number) => Ok(SettingValue::Number(number)),
                    _ => wrong(format!("must be {}", self.kind())),
                }
            }
            SettingKind::Text { min, max } => {
                if !(min..=max).contains(&text.chars().count()) || text.contains(char::is_control) {
                    return wrong(format!("must have {}", self.kind()));
                }
                Ok(SettingValue::Text(text.to_owned()))
            }
            SettingKind::Texts { max, characters } => {
                let texts: Vec<_> = text
                    .split(',')
                    .map(|text| text.trim().to_owned())
                    .filter(|text| !text.is_empty())
                    .collect();
                if texts.len() > max || texts.iter().any(|text| text.chars().count() > characters) {
                    return wrong(format!("must be {}", self.kind()));
                }
                Ok(SettingValue::Texts(texts))
            }
            SettingKind::Choice(names) => match names.iter().find(|name| **name == text) {
                Some(name) => Ok(SettingValue::Choice(name)),
                None => wrong(format!("must be one of {}", names.join(", "))),
            },
            SettingKind::Profile => match (text, text.parse()) {
                ("none" | "", _) => Ok(SettingValue::Profile(None)),
                (_, Ok(id)) => Ok(SettingValue::Profile(Some(id))),
                (_, Err(_)) => wrong("must be the id of a profile, or none".to_owned()),
            },
            SettingKind::Time => wrong("belongs to a mailbox".to_owned()),
        }
    }

    /// Changes it; answers what it was.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn set(
        &self,
        organization: &mut Organization,
        text: &str,
    ) -> Result<SettingValue, FieldError> {
        let value = self.parse(text)?;
        let old = self.get(organization);
        (self.access.put)(organization, value);
        Ok(old)
    }
}

/// Whether every setting is within its range, and the settings agree with each other.
///
/// # Errors
/// All findings, each naming its setting; empty never.
pub fn validate(organization: &Organization) -> Result<(), Vec<FieldError>> {
    let mut errors: Vec<FieldError> = SETTINGS
        .iter()
        .filter_map(|setting| {
            let value = setting.get(organization);
            setting.parse(&value.to_string()).err()
        })
        .collect();
    let health = &organization.settings.health;
    if health.delay_min > health.delay_max {
        errors.push(FieldError::new(
            "health.delay_min_seconds",
            "must not be longer than health.delay_max_seconds",
        ));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// One change of a setting: who, when, from, to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SettingChange {
    /// When.
    pub at: Timestamp,
    /// Who, by the name of the principal.
    pub by: String,
    /// Which setting.
    pub name: String,
    /// What it was.
    pub from: String,
    /// What it became.
    pub to: String,
}

/// What differs between two states of an organization, setting by setting.
#[must_use]
pub fn changes(
    before: &Organization,
    after: &Organization,
    by: &str,
    at: Timestamp,
) -> Vec<SettingChange> {
    SETTINGS
        .iter()
        .filter_map(|setting| {
            let (from, to) = (setting.get(before), setting.get(after));
            (from != to).then(|| SettingChange {
                at,
                by: by.to_owned(),
                name: setting.name.to_owned(),
                from: from.to_string(),
                to: to.to_string(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
