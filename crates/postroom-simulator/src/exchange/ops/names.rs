//! Names, time zones and the conversion of ids.

use roxmltree::Node;

use crate::exchange::call::{Call, Outcome, child, child_text, required};
use crate::exchange::code::Refusal;
use crate::exchange::ids;
use crate::exchange::xml::Xml;
use crate::model::Account;

pub(super) fn resolve(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let wanted = child_text(request, "UnresolvedEntry").trim().to_lowercase();
    let wanted = wanted.strip_prefix("smtp:").unwrap_or(&wanted);
    let accounts = call
        .mail
        .accounts()
        .into_iter()
        .filter_map(|id| call.mail.account_info(id).ok());
    let fits = |account: &Account| {
        account.owns(wanted)
            || account.address.to_lowercase().starts_with(wanted)
            || account
                .display_name
                .to_lowercase()
                .split(' ')
                .any(|word| word.starts_with(wanted))
            || account.display_name.to_lowercase().starts_with(wanted)
    };
    let found: Vec<_> = accounts
        .filter(|account| account.has_mailbox && fits(account))
        .take(100)
        .collect();
    let warning = match found.len() {
        0 => {
            call.refuse(
                xml,
                &Refusal::new("ErrorNameResolutionNoResults").text("No results were found."),
            );
            return Ok(());
        }
        1 => None,
        _ => Some(
            Refusal::new("ErrorNameResolutionMultipleResults")
                .text("Several results were found.")
                .warning(),
        ),
    };
    let name = "m:ResolveNamesResponseMessage";
    match &warning {
        None => {
            xml.open(name, &[("ResponseClass", "Success")]);
            xml.leaf("m:ResponseCode", "NoError");
        }
        Some(warning) => {
            xml.open(name, &[("ResponseClass", "Warning")]);
            crate::exchange::call::refusal_head(xml, warning);
        }
    }
    xml.open(
        "m:ResolutionSet",
        &[
            ("TotalItemsInView", &found.len().to_string()),
            ("IncludesLastItemInRange", "true"),
        ],
    );
    for account in found {
        xml.open("t:Resolution", &[]);
        xml.open("t:Mailbox", &[]);
        xml.leaf("t:Name", &account.display_name);
        xml.leaf("t:EmailAddress", &account.address);
        xml.leaf("t:RoutingType", "SMTP");
        xml.leaf("t:MailboxType", "Mailbox");
        xml.close("t:Mailbox");
        if request
            .attribute("ReturnFullContactData")
            .is_some_and(crate::exchange::call::is_true)
        {
            xml.open("t:Contact", &[]);
            xml.leaf("t:DisplayName", &account.display_name);
            xml.open("t:EmailAddresses", &[]);
            xml.leaf_with(
                "t:Entry",
                &[("Key", "EmailAddress1")],
                &format!("SMTP:{}", account.address),
            );
            xml.close("t:EmailAddresses");
            xml.leaf("t:ContactSource", "ActiveDirectory");
            xml.close("t:Contact");
        }
        xml.close("t:Resolution");
    }
    xml.close("m:ResolutionSet");
    xml.close(name);
    Ok(())
}

/// A few zones without and with daylight saving: id, name, bias, and months of the change (0: none).
const ZONES: [(&str, &str, &str, u8, u8); 5] = [
    ("UTC", "(UTC) Coordinated Universal Time", "PT0S", 0, 0),
    (
        "GMT Standard Time",
        "(UTC+00:00) Dublin, Edinburgh, Lisbon, London",
        "PT0S",
        3,
        10,
    ),
    (
        "W. Europe Standard Time",
        "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna",
        "-PT1H",
        3,
        10,
    ),
    (
        "Eastern Standard Time",
        "(UTC-05:00) Eastern Time (US & Canada)",
        "PT5H",
        3,
        11,
    ),
    (
        "Tokyo Standard Time",
        "(UTC+09:00) Osaka, Sapporo, Tokyo",
        "-PT9H",
        0,
        0,
    ),
];

pub(super) fn time_zones(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let ids = child(request, "Ids").map(crate::exchange::input::strings);
    let full = request
        .attribute("ReturnFullTimeZoneData")
        .is_none_or(crate::exchange::call::is_true);
    call.success(xml, |xml| {
        xml.open("m:TimeZoneDefinitions", &[]);
        for zone in ZONES.iter().filter(|zone| {
            ids.as_ref()
                .is_none_or(|ids| ids.iter().any(|id| id == zone.0))
        }) {
            write_zone(xml, zone, full);
        }
        xml.close("m:TimeZoneDefinitions");
    });
    Ok(())
}

fn write_zone(
    xml: &mut Xml,
    (id, name, bias, spring, autumn): &(&str, &str, &str, u8, u8),
    full: bool,
) {
    if !full {
        xml.open("t:TimeZoneDefinition", &[("Id", id), ("Name", name)]);
        xml.open("t:Periods", &[]);
        xml.empty(
            "t:Period",
            &[
                ("Bias", bias),
                ("Name", "Standard"),
                ("Id", "trule:Microsoft/Registry/Standard"),
            ],
        );
        xml.close("t:Periods");
        xml.close("t:TimeZoneDefinition");
        return;
    }
    let (standard, daylight) = (
        "trule:Microsoft/Registry/Standard",
        "trule:Microsoft/Registry/Daylight",
    );
    xml.open("t:TimeZoneDefinition", &[("Id", id), ("Name", name)]);
    xml.open("t:Periods", &[]);
    xml.empty(
        "t:Period",
        &[("Bias", bias), ("Name", "Standard"), ("Id", standard)],
    );
    if *spring > 0 {
        let summer = match *bias {
            "PT0S" => "-PT1H",
            "-PT1H" => "-PT2H",
            _ => "PT4H",
        };
        xml.empty(
            "t:Period",
            &[("Bias", summer), ("Name", "Daylight"), ("Id", daylight)],
        );
    }
    xml.close("t:Periods");
    xml.open("t:TransitionsGroups", &[]);
    xml.open("t:TransitionsGroup", &[("Id", "0")]);
    if *spring == 0 {
        xml.open("t:Transition", &[]);
        xml.leaf_with("t:To", &[("Kind", "Period")], standard);
        xml.close("t:Transition");
    } else {
        for (to, month) in [(daylight, spring), (standard, autumn)] {
            xml.open("t:RecurringDayTransition", &[]);
            xml.leaf_with("t:To", &[("Kind", "Period")], to);
            xml.leaf("t:TimeOffset", "PT2H");
            xml.leaf("t:Month", &month.to_string());
            xml.leaf("t:DayOfWeek", "Sunday");
            xml.leaf("t:Occurrence", "-1");
            xml.close("t:RecurringDayTransition");
        }
    }
    xml.close("t:TransitionsGroup");
    xml.close("t:TransitionsGroups");
    xml.open("t:Transitions", &[]);
    xml.open("t:Transition", &[]);
    xml.leaf_with("t:To", &[("Kind", "Group")], "0");
    xml.close("t:Transition");
    xml.close("t:Transitions");
    xml.close("t:TimeZoneDefinition");
}

pub(super) fn convert(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let format = request.attribute("DestinationFormat").unwrap_or_default();
    call.batch(xml, required(request, "SourceIds")?, |xml, node| {
        let outcome = convert_one(node, format);
        call.respond(
            xml,
            outcome.map(|id| {
                move |xml: &mut Xml| {
                    let mailbox = node.attribute("Mailbox").unwrap_or_default();
                    // The type of the element says which kind of id it is.
                    let xsi = ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance");
                    xml.empty(
                        "m:AlternateId",
                        &[
                            xsi,
                            ("xsi:type", "t:AlternateIdType"),
                            ("Format", format),
                            ("Id", &id),
                            ("Mailbox", mailbox),
                        ],
                    );
                }
            }),
        );
    });
    Ok(())
}

/// The formats differ only in how the bytes are written.
fn convert_one(node: Node<'_, '_>, to: &str) -> Outcome<String> {
    let id = node.attribute("Id").unwrap_or_default();
    let malformed = || Refusal::new("ErrorInvalidIdMalformed");
    let plain = match node.attribute("Format") {
        Some("HexEntryId") => {
            let digits = id.as_bytes();
            let bytes: Option<Vec<u8>> = digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect();
            ids::base64(&bytes.ok_or_else(malformed)?)
        }
        Some("OwaId") => id
            .replace("%2B", "+")
            .replace("%2F", "/")
            .replace("%3D", "="),
        _ => id.to_owned(),
    };
    ids::decode(&plain)?;
    match to {
        "HexEntryId" => {
            let bytes = crate::exchange::input::base64(&plain).ok_or_else(malformed)?;
            Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
        }
        "OwaId" => Ok(plain
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")),
        _ => Ok(plain),
    }
}
