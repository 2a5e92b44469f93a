//! `organization`.
//!
//! Settings are addressed by their path, as in `correlation.token.prefix`: what the library knows,
//! the command line knows.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::api::{Deployment, DeploymentKind, OrganizationSettings, nearest};
use crate::app::App;
use crate::failure::{Failure, Result};

/// The organization's settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Organization {
    /// Show the settings, by path.
    Show,
    /// Change settings: `organization set correlation.token.prefix=TKT: name="My company"`.
    Set {
        /// What to set, by path; `organization show` lists the paths.
        #[arg(required = true, value_name = "PATH=VALUE")]
        settings: Vec<String>,
    },
}

impl Organization {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let mut organization = app.admin.organization(&app.principal).await?;
        if let Self::Set { settings } = &self {
            let mut document = to_document(&organization)?;
            let paths = flatten(&document);
            for setting in settings {
                let (path, text) = setting.split_once('=').ok_or_else(|| {
                    Failure::usage(format!("not a setting: {setting}"))
                        .hint("Write it as PATH=VALUE.")
                })?;
                let Some(old) = paths.get(path) else {
                    let failure = Failure::not_found(format!("there is no setting {path}"));
                    return Err(match nearest(path, paths.keys().map(String::as_str)) {
                        Some(name) => failure.hint(format!("Did you mean {name}?")),
                        None => failure.hint("postroom organization show lists the settings."),
                    });
                };
                let value = if path == "mailbox_defaults.profile" && text != "null" {
                    json!(app.profile(text).await?.id.to_string())
                } else {
                    parse(old, text)
                };
                place(&mut document, path, value);
            }
            from_document(document, &mut organization)?;
            organization = app
                .admin
                .update_organization(&app.principal, &organization)
                .await?;
        }
        let document = to_document(&organization)?;
        let rows = flatten(&document)
            .into_iter()
            .map(|(path, value)| [path, shown(&value)]);
        app.output.table(["Setting", "Value"], rows);
        app.output.json(
            &json!({ "organization": { "id": organization.id.to_string(), "settings": document } }),
        );
        Ok(())
    }
}

fn to_document(organization: &crate::api::Organization) -> Result<Value> {
    let mut document =
        serde_json::to_value(&organization.settings).map_err(|error| unusable(&error))?;
    readable_durations(&mut document);
    place(&mut document, "name", json!(organization.name));
    let deployment = &organization.deployment;
    place(
        &mut document,
        "deployment.online",
        json!(deployment.kind == DeploymentKind::Online),
    );
    place(&mut document, "deployment.fips", json!(deployment.fips));
    place(
        &mut document,
        "deployment.allow_credentials_entry_via_non_secure_channels",
        json!(deployment.allow_credentials_entry_via_non_secure_channels),
    );
    Ok(document)
}

fn from_document(mut document: Value, organization: &mut crate::api::Organization) -> Result {
    if let Some(name) = document.get("name").and_then(Value::as_str) {
        name.clone_into(&mut organization.name);
    }
    let switch = |name: &str| {
        document
            .pointer(&format!("/deployment/{name}"))
            .and_then(Value::as_bool)
    };
    let mut deployment = Deployment::new(match switch("online") {
        Some(true) => DeploymentKind::Online,
        _ => DeploymentKind::OnPremises,
    });
    deployment.fips = switch("fips").unwrap_or_default();
    deployment.allow_credentials_entry_via_non_secure_channels =
        switch("allow_credentials_entry_via_non_secure_channels").unwrap_or_default();
    organization.deployment = deployment;
    stored_durations(&mut document);
    organization.settings = serde_json::from_value::<OrganizationSettings>(document)
        .map_err(|error| unusable(&error))?;
    Ok(())
}

fn unusable(error: &serde_json::Error) -> Failure {
    Failure::usage(format!("the settings cannot be read: {error}"))
}

/// The ending of settings that are lengths of time, and the shape in which they are stored.
const SECONDS: &str = "_seconds";

/// Lengths of time as seconds: `{secs, nanos}` is for nobody to type.
fn readable_durations(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    let mut renamed = Vec::new();
    for (name, field) in fields.iter_mut() {
        match field.get("secs").and_then(Value::as_u64) {
            Some(seconds) if field.get("nanos").is_some() => renamed.push((name.clone(), seconds)),
            _ => readable_durations(field),
        }
    }
    for (name, seconds) in renamed {
        fields.remove(&name);
        fields.insert(format!("{name}{SECONDS}"), json!(seconds));
    }
}

fn stored_durations(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    let names: Vec<String> = fields.keys().cloned().collect();
    for name in names {
        if let Some(bare) = name.strip_suffix(SECONDS) {
            let seconds = fields.remove(&name).unwrap_or_default();
            fields.insert(bare.to_owned(), json!({ "secs": seconds, "nanos": 0 }));
        } else if let Some(field) = fields.get_mut(&name) {
            stored_durations(field);
        }
    }
}

fn flatten(value: &Value) -> BTreeMap<String, Value> {
    fn walk(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let path = if prefix.is_empty() {
                        name.clone()
                    } else {
                        format!("{prefix}.{name}")
                    };
                    walk(&path, field, into);
                }
            }
            other => {
                into.insert(prefix.to_owned(), other.clone());
            }
        }
    }
    let mut paths = BTreeMap::new();
    walk("", value, &mut paths);
    paths
}

fn place(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for name in path.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(name).or_insert(Value::Null);
    }
    *place = value;
}

/// The text as a value of the kind that is there now.
fn parse(old: &Value, text: &str) -> Value {
    match old {
        Value::String(_) => json!(text),
        Value::Bool(_) if matches!(text, "on" | "yes") => json!(true),
        Value::Bool(_) if matches!(text, "off" | "no") => json!(false),
        _ => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_being_shown_and_set() {
        let id = crate::api::OrganizationId::from_random([1; 16]);
        let mut organization =
            crate::api::Organization::new(id, "Contoso", Deployment::new(DeploymentKind::Online));
        let before = organization.clone();
        let document = to_document(&organization).unwrap();
        assert!(flatten(&document).contains_key("health.delay_min_seconds"));
        from_document(document, &mut organization).unwrap();
        assert_eq!(organization, before);
    }

    #[test]
    fn a_value_takes_the_kind_of_the_old_one() {
        assert_eq!(parse(&json!("CRM:"), "123"), json!("123"));
        assert_eq!(parse(&json!(true), "off"), json!(false));
        assert_eq!(parse(&json!(3), "5"), json!(5));
        assert_eq!(parse(&json!(["a"]), "[\"b\"]"), json!(["b"]));
    }
}
