//! The service's configuration file, and profiles as they are handed to an adapter.

use postroom_core::profile::ProfileKind;
use postroom_core::{EmailAddress, ProfileId, Secret, ServerProfile};
use postroom_ews::EwsFactory;
use postroom_provider::{Credentials, ErrorKind, ProviderFactory as _, ProviderRequest};
use std::sync::Arc;

use super::wire::Wire;
use super::{Target, magnitude, observed};
use crate::bytes::Source;
use crate::family::{Family, filled, numbered};

/// The module of the service itself: a binary cannot be imported, and a copy would prove nothing.
#[path = "../../../../bins/postroomd/src/config.rs"]
mod service;

/// Configuration.
#[derive(Debug)]
pub(super) struct Configuration {
    folder: tempfile::TempDir,
}

impl Configuration {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }
}

const SEEDS: &[&str] = &[
    "store = \"/var/lib/postroom/postroom.sqlite\"\nkey_file = \"/etc/postroom/key\"\n\n[log]\nformat = \"json\"\n\
     level = \"postroom=debug,warn\"\n\n[engine]\nactive = 8\njobs = 2\n",
    "store = 'a'\nlog = { format = \"text\", level = \"info\" }\n",
    "store = \"\"\"\na\\\n  b\"\"\"\n[engine]\nactive = 0xFF\n",
    "\u{1}https://mail.contoso.example/EWS/Exchange.asmx\nuser\npassword\ndesk@contoso.example",
    "\u{1}mail.contoso.example\nDOMAIN\\user:x\nä\n\"odd name\"@x.example",
    "\u{1}http://[::1]:99999/%zz?q#f\n\n\na@b",
];

impl Target for Configuration {
    fn seeds(&self) -> Vec<Vec<u8>> {
        SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect()
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        &[
            b"store = ",
            b"[log]",
            b"[engine]",
            b"[[",
            b"\"\"\"",
            b"'''",
            b"{",
            b".",
            b"inf",
            b"0x",
            b"https://",
            b"\\",
            b"@",
            b"xn--",
            b"..",
            b"%00",
        ]
    }

    fn length_max(&self) -> usize {
        4000
    }

    fn families(&self) -> Vec<Family> {
        vec![
            Family {
                name: "open lists",
                make: |size| filled(b"store = ", b"[", b"", size),
            },
            Family {
                name: "open tables",
                make: |size| filled(b"store = ", b"{a=", b"", size),
            },
            Family {
                name: "dotted keys",
                make: |size| filled(b"a", b".a", b" = 1", size),
            },
            Family {
                name: "keys",
                make: |size| numbered("store = 'a'\n", |n| format!("k{n} = 1\n"), "", size),
            },
            Family {
                name: "tables",
                make: |size| numbered("store = 'a'\n", |n| format!("[t{n}]\n"), "", size),
            },
            Family {
                name: "long text",
                make: |size| filled(b"store = \"", b"\\u00e4", b"\"", size),
            },
            Family {
                name: "comments",
                make: |size| filled(b"store = 'a'\n", b"#\n", b"", size),
            },
            Family {
                name: "location",
                make: |size| filled(b"\x01https://a.example/", b"../%2e/", b"\nu\np\na@b", size),
            },
            Family {
                name: "host",
                make: |size| filled(b"\x01https://", b"a.", b"/\nu\np\na@b", size),
            },
            Family {
                name: "foreign host",
                make: |size| filled(b"\x01https://", "ä".as_bytes(), b"/\nu\np\na@b", size),
            },
        ]
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        if let Some(rest) = input.strip_prefix(b"\x01") {
            return profile(rest);
        }
        let path = self.folder.path().join("postroom.toml");
        std::fs::write(&path, input).expect("a file can be written");
        match service::Config::read(&path) {
            Ok(config) => observed(&(
                format!("{:?}", config.log.format),
                config.engine.active.is_some(),
                config.engine.jobs.is_some(),
                magnitude(config.key_file().as_os_str().len()),
            )),
            Err(error) => {
                let text = format!("{error:#}");
                // The line that is wrong is quoted, with a mark of its length below it.
                assert!(
                    text.len() <= 4 * input.len() + 2000,
                    "{} bytes of error",
                    text.len()
                );
                // Another folder each time.
                let shape: String = text
                    .replace(&path.display().to_string(), "")
                    .chars()
                    .filter(|c| c.is_ascii_alphabetic())
                    .take(60)
                    .collect();
                observed(&shape)
            }
        }
    }
}

fn profile(input: &[u8]) -> u64 {
    let mut source = Source::new(input);
    let location = source.text();
    let (user, password) = (source.text(), source.text());
    let Ok(address) = source.text().parse::<EmailAddress>() else {
        return 0;
    };
    let kind = ProfileKind::from_name(if source.byte().is_multiple_of(2) {
        "exchange-server"
    } else {
        "exchange-online"
    });
    let mut profile = ServerProfile::new(ProfileId::from_random([1; 16]), "p", kind);
    profile.incoming.location = Some(location);
    profile.danger_allow_plain_http = source.byte().is_multiple_of(2);
    let findings = profile.validate().err().map_or(0, |errors| errors.len());
    let marked = format!("{password}pass-word-of-somebody");
    let request = ProviderRequest::new(
        profile,
        address,
        Some(Credentials::new(user, Secret::new(marked))),
    );
    let wire = Arc::new(Wire::silent());
    let factory = EwsFactory::exchange_server().with_transport(wire);
    match factory.create(&request) {
        Ok(provider) => {
            assert!(
                !format!("{provider:?}").contains("pass-word-of-somebody"),
                "the password is shown"
            );
            observed(&(findings, "made"))
        }
        Err(error) => {
            let text = error.to_string();
            assert!(
                !text.contains("pass-word-of-somebody") && !text.chars().any(char::is_control),
                "{text:?}"
            );
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::ConfigInvalid | ErrorKind::Unsupported
                ),
                "{error}"
            );
            observed(&(
                findings,
                error.context().get("field").cloned(),
                error.code().to_string(),
            ))
        }
    }
}
