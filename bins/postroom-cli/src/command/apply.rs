//! `apply`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::api::{
    Action, Change, Declaration, DeclaredPassword, FieldChange, Finding, PlanOptions, Secrets, plan,
};
use crate::app::App;
use crate::command::support;
use crate::confirm::{Consent, MANY};
use crate::declared::{Document, Place};
use crate::failure::{Exit, Failure, Result};
use crate::secret;

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Set the organization up as a file says.
///
/// What the file does not name is left alone. The changes are shown first; where something is lost
/// by them, or many things change, there is a question.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// The file, as `postroom export` writes it; `-` is standard input.
    file: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    /// Take out of use what the file does not name: mailboxes are deactivated, profiles deleted, or
    /// deactivated while a mailbox has them. Contacts and the like stay.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    consent: Consent,
}

/// What is wrong, and where.
struct Located {
    place: Place,
    subject: Option<String>,
    field: Option<String>,
    message: String,
    hint: Option<String>,
}

impl Located {
    fn new((place, message): (Place, String)) -> Self {
        Self {
            place,
            subject: None,
            field: None,
            message,
            hint: None,
        }
    }

    fn of(document: &Document, finding: Finding) -> Self {
        Self {
            place: document.place(&finding),
            subject: Some(finding.subject).filter(|subject| !subject.is_empty()),
            field: finding.field,
            message: finding.message,
            hint: finding.hint,
        }
    }
}

impl Apply {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let text = self.read()?;
        let (mut document, wrong) = Document::parse(&text);
        if !wrong.is_empty() {
            return Err(self.refuse(app, wrong.into_iter().map(Located::new).collect()));
        }
        let folder = self.file.parent().map_or_else(PathBuf::new, Path::to_owned);
        let files = document.include_files(&folder);
        let (wanted, findings) = Declaration::read(&document.value);
        let mut located: Vec<Located> = files.into_iter().map(Located::new).collect();
        located.extend(findings.into_iter().map(|f| Located::of(&document, f)));
        let mut snapshot = app.admin.snapshot(&app.principal, app.crm()).await?;
        let (secrets, unread) = passwords(&wanted, &folder);
        located.extend(unread.into_iter().map(|f| Located::of(&document, f)));
        app.admin
            .compare_passwords(&app.principal, &mut snapshot, &wanted, &secrets)
            .await?;
        let options = PlanOptions::default().prune(self.prune);
        let changes = match plan(&snapshot, &wanted, &options) {
            Ok(changes) if located.is_empty() => changes,
            Ok(_) => return Err(self.refuse(app, located)),
            Err(findings) => {
                located.extend(findings.into_iter().map(|f| Located::of(&document, f)));
                return Err(self.refuse(app, located));
            }
        };
        self.show(app, &changes);
        if self.dry_run || changes.is_empty() {
            let changes: Vec<Value> = changes
                .iter()
                .map(|change| as_json(change, "planned", None))
                .collect();
            app.output
                .json(&json!({ "apply": { "dry_run": self.dry_run, "changes": changes } }));
            return Ok(());
        }
        self.ask(&changes)?;
        carry_out(app, &changes, &secrets).await
    }

    fn read(&self) -> Result<String> {
        let failed = |error| Failure::file("read", &self.file, &error);
        let mut text = String::new();
        if self.file == Path::new("-") {
            std::io::stdin()
                .lock()
                .take(FILE_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(failed)?;
        } else {
            std::fs::File::open(&self.file)
                .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
                .map_err(failed)?;
        }
        Ok(text)
    }

    /// Everything that is wrong, by place.
    fn refuse(&self, app: &App<'_>, mut located: Vec<Located>) -> Failure {
        located.sort_by_key(|one| one.place);
        located.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        let file = self.file.display();
        let count = located.len();
        let errors = if count == 1 { "error" } else { "errors" };
        let failure = Failure::usage(format!("{file} has {count} {errors}; nothing was changed"))
            .hint("Mend the lines above, and look with --dry-run.");
        if app.output.is_json() {
            let findings: Vec<Value> = located
                .iter()
                .map(|one| {
                    json!({
                        "line": one.place.line, "column": one.place.column,
                        "subject": one.subject, "field": one.field,
                        "message": one.message, "hint": one.hint,
                    })
                })
                .collect();
            app.output
                .json(&json!({ "error": failure.as_json(), "findings": findings }));
            return Failure::said(Exit::Usage);
        }
        for one in &located {
            let Place { line, column } = one.place;
            let subject = one.subject.as_deref().map(|text| format!("{text}: "));
            let hint = one.hint.as_deref().map(|text| format!(" {text}"));
            let text = format!(
                "{file}:{line}:{column}: {}{}{}\n",
                subject.unwrap_or_default(),
                one.message,
                hint.map(|hint| format!(".{hint}")).unwrap_or_default()
            );
            app.output.complain(&crate::output::printable(&text));
        }
        failure
    }

    fn show(&self, app: &App<'_>, changes: &[Change]) {
        if changes.is_empty() {
            app.output.line("nothing to change");
            return;
        }
        for change in changes {
            let text = crate::output::printable(&change.to_string());
            app.output.line(match change.action {
                Action::Create => app.output.green(&text),
                Action::Update => app.output.yellow(&text),
                Action::Delete | Action::Deactivate => app.output.bad(&text),
            });
            // What the heading says already is not said again.
            let said = |field: &FieldChange| {
                field.from.is_none()
                    && ["name", "address"].contains(&field.field.as_str())
                    && change
                        .subject
                        .contains(field.to.as_str().unwrap_or_default())
            };
            let fields = change.fields.iter().filter(|field| !said(field));
            for field in fields {
                let text = crate::output::printable(&field.to_string());
                app.output.line(format!("    {text}"));
            }
            for slot in &change.passwords {
                app.output.line(format!("    {}: set", slot.field()));
            }
            for finding in &change.support {
                let text = support::line(app.output, finding, "");
                app.output.line(format!("    {text}"));
            }
            if let Some(lost) = &change.destroys {
                app.output
                    .line(format!("    {}", app.output.bad(&format!("! {lost}"))));
            }
        }
        let count = |wanted: &[Action]| {
            changes
                .iter()
                .filter(|change| wanted.contains(&change.action))
                .count()
        };
        app.output.line(format!(
            "{} to add, {} to change, {} to take out of use",
            count(&[Action::Create]),
            count(&[Action::Update]),
            count(&[Action::Delete, Action::Deactivate])
        ));
    }

    fn ask(&self, changes: &[Change]) -> Result {
        let lost = changes.iter().filter(|c| c.destroys.is_some()).count();
        let updates = changes.iter().filter(|c| c.action == Action::Update);
        let updates = updates.count();
        if lost == 0 && updates <= MANY {
            return Ok(());
        }
        let question = match lost {
            0 => format!("This changes {updates} things. Do it?"),
            1 => "Something is lost by one of these changes. Do it?".to_owned(),
            _ => format!("Something is lost by {lost} of these changes. Do it?"),
        };
        self.consent.obtain(&question)
    }
}

/// The passwords that the file asks for, and what could not be read.
fn passwords(wanted: &Declaration, folder: &Path) -> (Secrets, Vec<Finding>) {
    let (mut secrets, mut findings) = (Secrets::new(), Vec::new());
    for wanted_password in wanted.passwords() {
        let (noun, index, _) = wanted_password.key;
        let read = match &wanted_password.source {
            DeclaredPassword::File(path) => secret::read(&folder.join(path)),
            DeclaredPassword::Environment(name) => secret::from_environment(name),
        };
        match (read, wanted.entries(noun).get(index)) {
            (Ok(secret), _) => {
                secrets.insert(wanted_password.key, secret);
            }
            (Err(failure), Some(fields)) => {
                let field = wanted_password.field.as_str();
                let message = format!("{field}: {}", failure.reason());
                findings.push(Finding::about(noun, index, fields, Some(field), message));
            }
            (Err(_), None) => {}
        }
    }
    (secrets, findings)
}

fn as_json(change: &Change, outcome: &str, failure: Option<&Failure>) -> Value {
    let mut value = json!(change);
    if let Value::Object(fields) = &mut value {
        fields.insert("outcome".to_owned(), json!(outcome));
        if let Some(failure) = failure {
            fields.insert("error".to_owned(), failure.as_json());
        }
    }
    value
}

async fn carry_out(app: &App<'_>, changes: &[Change], secrets: &Secrets) -> Result {
    let (mut documents, mut failures) = (Vec::new(), Vec::new());
    let mut told = |done: usize| {
        let next = changes.get(done).map_or("", |change| &change.subject);
        app.output.counter(done, changes.len(), next);
    };
    told(0);
    let outcomes = app
        .admin
        .apply_changes(&app.principal, app.crm(), changes, secrets, &mut told)
        .await;
    for (change, outcome) in changes.iter().zip(outcomes) {
        match outcome {
            Ok(()) => documents.push(as_json(change, "done", None)),
            Err(error) => {
                let failure = Failure::from(error);
                documents.push(as_json(change, "failed", Some(&failure)));
                failures.push((change, failure));
            }
        }
    }
    app.output.line(format!(
        "{} of {} changes done",
        changes.len() - failures.len(),
        changes.len()
    ));
    app.output.table_unless_empty(
        ["Not done", "Why"],
        failures
            .iter()
            .map(|(change, failure)| [change.subject.clone(), failure.full_line()])
            .collect(),
    );
    if failures.is_empty() {
        next_steps(app, changes);
    }
    app.output
        .json(&json!({ "apply": { "dry_run": false, "changes": documents } }));
    let all = failures.len() == changes.len();
    match failures.into_iter().next() {
        None => Ok(()),
        Some((_, failure)) if all => Err(Failure::said(failure.exit_code())),
        Some(_) => Err(Failure::said(Exit::Partly)),
    }
}

/// What is left to do for what is new.
fn next_steps(app: &App<'_>, changes: &[Change]) {
    let mut mailboxes = false;
    for change in changes.iter().filter(|c| c.action == Action::Create) {
        let profile = change.subject.strip_prefix("profile ");
        let needs_password = change.value("incoming.user_name").is_some();
        if let Some(name) = profile
            && needs_password
            && change.passwords.is_empty()
        {
            app.output.note(format!(
                "The profile {name} has no password yet: postroom profile set-password {name}"
            ));
        }
        mailboxes |= change.value("address").is_some();
    }
    if mailboxes {
        app.output
            .note("Next: postroom approve --all, then postroom test --profile NAME; postroom status says what is missing.");
    }
}
