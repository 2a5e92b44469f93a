//! `organization`.
//!
//! Settings are addressed by name, as in `correlation.token.prefix`: the library's table of settings
//! is what the command line knows.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::api::{Page, SETTINGS, Setting, SettingValue, find_setting, nearest};
use crate::app::App;
use crate::failure::{Failure, Result};
use crate::view;

/// The organization's settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Organization {
    /// Show the settings, by name.
    Show,
    /// Change settings: `organization set correlation.token.prefix=TKT: name="My company"`.
    Set {
        /// What to set, by name; `organization show` lists the names.
        #[arg(required = true, value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
    /// Settings one by one: what they take, what they mean, who changed them.
    #[command(subcommand)]
    Settings(Settings),
}

/// Settings one by one.
#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// List the settings with what they take and what they mean.
    List {
        /// Only those whose name or meaning holds this text.
        text: Option<String>,
    },
    /// Show single settings.
    Get {
        /// Their names.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Change settings, all or none.
    Set {
        /// What to set, by name.
        #[arg(required = true, value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
    /// Show who changed settings, when, from what to what; newest first.
    History {
        /// Only this setting.
        name: Option<String>,
        /// At most so many changes.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

impl Organization {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        match self {
            Self::Show => show(app).await,
            Self::Set { settings } | Self::Settings(Settings::Set { settings }) => {
                set(app, &settings).await?;
                show(app).await
            }
            Self::Settings(Settings::List { text }) => list(app, text.as_deref()).await,
            Self::Settings(Settings::Get { names }) => get(app, &names).await,
            Self::Settings(Settings::History { name, limit }) => {
                history(app, name.as_deref(), limit).await
            }
        }
    }
}

/// The setting of that name, or what was meant.
fn named(name: &str) -> Result<&'static Setting> {
    find_setting(name).ok_or_else(|| {
        let failure = Failure::not_found(format!("there is no setting {name}"));
        let names = SETTINGS.iter().map(|setting| setting.name);
        match nearest(name, names) {
            Some(meant) => failure.hint(format!("Did you mean {meant}?")),
            None => failure.hint("postroom organization settings list shows them."),
        }
    })
}

async fn set(app: &App<'_>, settings: &[String]) -> Result {
    let mut wanted = Vec::with_capacity(settings.len());
    for setting in settings {
        let (name, text) = setting.split_once('=').ok_or_else(|| {
            Failure::usage(format!("not a setting: {setting}")).hint("Write it as NAME=VALUE.")
        })?;
        named(name)?;
        let text = match (name, text) {
            ("mailbox_defaults.profile", "none" | "null" | "") => "none".to_owned(),
            ("mailbox_defaults.profile", text) => app.profile(text).await?.id.to_string(),
            _ => text.to_owned(),
        };
        wanted.push((name.to_owned(), text));
    }
    app.admin.change_settings(&app.principal, &wanted).await?;
    Ok(())
}

/// A value for people: profiles by their names.
async fn shown(app: &App<'_>, value: &SettingValue) -> Result<String> {
    Ok(match value {
        SettingValue::Profile(Some(id)) => app.admin.profile(&app.principal, *id).await?.name,
        other => other.to_string(),
    })
}

async fn show(app: &App<'_>) -> Result {
    let organization = app.admin.organization(&app.principal).await?;
    let mut rows = Vec::with_capacity(SETTINGS.len());
    let mut document = json!({});
    for setting in SETTINGS {
        let value = setting.get(&organization);
        rows.push([setting.name.to_owned(), shown(app, &value).await?]);
        place(&mut document, setting.name, json!(value));
    }
    app.output.table(["Setting", "Value"], rows);
    app.output.json(
        &json!({ "organization": { "id": organization.id.to_string(), "settings": document } }),
    );
    Ok(())
}

fn document(setting: &Setting, value: &SettingValue) -> Value {
    json!({
        "name": setting.name,
        "value": value,
        "takes": setting.kind().to_string(),
        "meaning": setting.doc,
        "source": setting.source,
    })
}

async fn list(app: &App<'_>, text: Option<&str>) -> Result {
    let wanted = text.unwrap_or_default().to_lowercase();
    let settings = app.admin.settings(&app.principal).await?;
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for (setting, value) in settings {
        if !setting.name.contains(&wanted) && !setting.doc.to_lowercase().contains(&wanted) {
            continue;
        }
        rows.push([
            setting.name.to_owned(),
            shown(app, &value).await?,
            setting.kind().to_string(),
            setting.doc.to_owned(),
        ]);
        documents.push(document(setting, &value));
    }
    app.output
        .table(["Setting", "Value", "Takes", "Meaning"], rows);
    app.output.json(&json!({ "settings": documents }));
    Ok(())
}

async fn get(app: &App<'_>, names: &[String]) -> Result {
    let organization = app.admin.organization(&app.principal).await?;
    let mut documents = Vec::with_capacity(names.len());
    for name in names {
        let setting = named(name)?;
        let value = setting.get(&organization);
        app.output.line(shown(app, &value).await?);
        documents.push(document(setting, &value));
    }
    app.output.json(&json!({ "settings": documents }));
    Ok(())
}

async fn history(app: &App<'_>, name: Option<&str>, limit: u32) -> Result {
    if let Some(name) = name {
        named(name)?;
    }
    let changes = app
        .admin
        .setting_history(&app.principal, name, Page::first(limit))
        .await?;
    app.output.table(
        ["When", "Who", "Setting", "From", "To"],
        changes.iter().map(|change| {
            [
                view::clock(change.at),
                change.by.clone(),
                change.name.clone(),
                change.from.clone(),
                change.to.clone(),
            ]
        }),
    );
    let documents: Vec<_> = changes
        .iter()
        .map(|change| {
            json!({
                "at": change.at.to_string(),
                "by": change.by,
                "name": change.name,
                "from": change.from,
                "to": change.to,
            })
        })
        .collect();
    app.output.json(&json!({ "changes": documents }));
    Ok(())
}

/// Puts a value at its path.
fn place(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for name in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(name).or_insert(Value::Null);
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_at_their_paths() {
        let mut document = json!({});
        place(&mut document, "a.b", json!(1));
        place(&mut document, "a.c", json!(true));
        place(&mut document, "d", json!("x"));
        assert_eq!(document, json!({ "a": { "b": 1, "c": true }, "d": "x" }));
    }
}
